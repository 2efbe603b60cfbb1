"""A framework that swallows what went wrong with its model, and ends its run as if it had been answered."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from unified_agents import Event, ModelCallCompleted, ModelCallFailed, Tool, create_agent, errors
from unified_agents.backend import AgentSpec, Capability, NativeAgent, translate_error
from unified_agents.config import ModelConfig
from unified_agents.errors import RunError
from unified_agents.messages import Message
from unified_agents.scripted.model import Script
from unified_agents.scripted.server import ScriptServer

APOLOGY = "I am sorry, something went wrong."


class Swallowing:
    """Asks up to so many times, and returns a text whatever happens."""

    name = "swallowing"
    capabilities = frozenset(Capability)

    def __init__(self, attempts: int = 1) -> None:
        self._attempts = attempts

    def build(self, spec: AgentSpec) -> NativeAgent:
        self._model = spec.model
        return self

    @property
    def native(self) -> object:
        return self

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        body = {"model": self._model.name, "messages": [message.to_chat() for message in messages], "stream": stream}
        for _ in range(self._attempts):
            try:
                response = await self._model.httpx_async_client().post(
                    f"{self._model.base_url}/chat/completions", json=body
                )
                if response.is_success and not stream:
                    text: str = response.json()["choices"][0]["message"]["content"]
                    return text
            except Exception:  # as such frameworks do
                pass
        return APOLOGY

    def translate(self, error: Exception) -> RunError | None:
        return translate_error(error)


@pytest.fixture
def run(server: ScriptServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    async def go(*answers: Any, stream: bool = False, attempts: int = 1) -> Any:
        monkeypatch.setattr("unified_agents.agent.backend_agent.load_backend", lambda name: Swallowing(attempts))
        script = Script.model_validate({"answers": answers})
        model = ModelConfig(name="m", base_url=server.add(script), parameters={"stream": stream})
        async with create_agent(backend="custom", handling="native", model=model) as agent:
            return await agent.run("Go.")

    return go


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        ({"status": 401}, errors.AuthenticationError),
        ({"status": 400, "message": "bent"}, errors.BadRequestError),
        ({"status": 429}, errors.RateLimitError),
        ({"status": 500}, errors.ServerError),
        ({"disconnect": True}, errors.NetworkError),
        ({"html": True}, errors.BadResponseError),
        ({"empty_choices": True}, errors.BadResponseError),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_swallowed_model_error_is_the_end_of_the_run(
    run: Any, fault: dict[str, Any], error_class: type[RunError], stream: bool
) -> None:
    with pytest.raises(error_class) as caught:
        await run({"fault": fault, "times": 99}, {"text": "Yes."}, stream=stream)
    result = caught.value.result
    assert result is not None
    assert (result.status, result.errors[-1].kind, result.output) == ("failed", caught.value.kind, None)
    assert result.trace.error == caught.value.kind
    assert "error_swallowed" in [name for name, *_ in result.trace.events]
    assert APOLOGY not in str(result.messages)


async def test_an_error_that_the_framework_recovers_from_is_none(run: Any) -> None:
    result = await run({"fault": {"status": 500}, "times": 1}, {"text": "Yes."}, attempts=2)
    assert (result.status, result.output, result.requests) == ("completed", "Yes.", 2)


async def test_the_last_of_several_errors_counts(run: Any) -> None:
    with pytest.raises(errors.RateLimitError):
        await run({"fault": {"status": 500}, "times": 1}, {"fault": {"status": 429}, "times": 9}, attempts=2)


async def test_what_a_filter_left_is_no_answer(run: Any) -> None:
    with pytest.raises(errors.ContentFilterError) as caught:
        await run({"text": "Half a sen", "finish_reason": "content_filter"})
    assert caught.value.result is not None
    assert caught.value.result.messages[-1].content == "Half a sen"


class AskingAnew(Swallowing):
    """Asks in other words after a failure, and takes no call."""

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        for number in range(3):
            body = {"model": "m", "messages": [message.to_chat() for message in messages], "seed": number}
            with contextlib.suppress(Exception):
                client = self._model.httpx_async_client()
                (await client.post(f"{self._model.base_url}/chat/completions", json=body)).raise_for_status()
                break
        return APOLOGY


async def test_the_calls_of_a_turn_have_the_number_of_its_request(
    server: ScriptServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unified_agents.agent.backend_agent.load_backend", lambda name: AskingAnew())
    answers = [{"fault": {"status": 500}, "times": 2}, {"tool_calls": [{"name": "look"}]}]
    model = ModelConfig(name="m", base_url=server.add(Script.model_validate({"answers": answers})))
    tool = Tool(name="look", parameters={}, handler=lambda: "seen")
    events: list[Event] = []
    async with create_agent(backend="custom", handling="native", model=model, tools=[tool]) as agent:
        result = await agent.run("Go.", on_event=events.append)
    assert [event.step for event in events if isinstance(event, ModelCallFailed | ModelCallCompleted)] == [0, 1, 2]
    assert [call.step for call in result.tool_calls] == [2]
