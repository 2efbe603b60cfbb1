"""What can be said of a model reaches its server alike on every backend, under both handlings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from support import BACKENDS, http_server, run_once
from unified_agents import ConfigError, ModelParameters, RunResult, create_agent

BOTH = [(backend, handling) for backend in BACKENDS for handling in ("unified", "native")]
KEY = "the-k3y-of-the-model"


class ModelServer:
    """A server that answers each request with the same text, and keeps what it was sent."""

    url = ""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"content": "Yes."}
        self.usage: dict[str, Any] = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        self.refusal: web.Response | None = None

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request."""
        self.requests.append(request)
        self.bodies.append(await request.json())
        if self.refusal is not None:
            return self.refusal
        message = {"role": "assistant", **self.answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "a", "object": "chat.completion", "created": 1, "model": "m"}
        return web.json_response({**head, "choices": [choice], "usage": self.usage})

    async def run(self, backend: str, handling: Any = "unified", **model: Any) -> RunResult:
        """Run an agent on this server."""
        settings = {"name": "m", "base_url": f"{self.url}/v1", **model}
        agent = create_agent(config={"backend": backend, "handling": handling, "model": settings})
        return await run_once(agent, record_exchanges=True)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    running = ModelServer()
    async with http_server(running.handle) as running.url:
        yield running


@pytest.mark.parametrize(("backend", "handling"), BOTH)
async def test_parameters(server: ModelServer, backend: str, handling: str) -> None:
    same = {
        "temperature": 0.5,
        "top_p": 0.25,
        "stop": ["END"],
        "seed": 3,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "service_tier": "flex",
        "verbosity": "low",
    }
    await server.run(backend, handling, parameters={**same, "reasoning": {"effort": "high"}})
    sent = server.bodies[0]
    assert {name: sent.get(name) for name in (*same, "reasoning_effort")} == {**same, "reasoning_effort": "high"}
    assert "reasoning" not in sent


@pytest.mark.parametrize("reasoning", [{"budget": 100}, {"effort": "low", "summary": "auto"}])
def test_what_chat_completions_has_no_field_for_is_refused(reasoning: dict[str, Any]) -> None:
    match = r"Chat Completions has no field for reasoning\.(budget|summary)"
    with pytest.raises(ConfigError, match=match):
        create_agent(config={"model": {"name": "m", "parameters": {"reasoning": reasoning}}})
    parameters = ModelParameters.model_validate({"reasoning": reasoning})
    with pytest.raises(ConfigError, match=match):
        create_agent(model={"name": "m", "base_url": "http://127.0.0.1:9/v1"}, model_parameters=parameters)
    create_agent(model="script:examples/answers.yaml", model_parameters=parameters)
