"""The settings on the page of servers, each tried against a server that behaves as that server's documentation says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from aiohttp import web
from pydantic import BaseModel

from tests.support import CUSTOM_AND_OTHERS_IN_THE_PROOF, ROOT, add, asks_for, http_server, make_script
from unified_agents import ModelConfig, ScriptedModel, create_agent
from unified_agents.config import parse_config
from unified_agents.scripted.provider_forms import ProviderModel
from unified_agents.wire.dialect import dialect_of
from unified_agents.wire.local_upstream import Reply

KEY = "key-0123456789abcdef"
PAGE = (ROOT / "docs" / "servers.md").read_text()
BLOCKS = [
    (title, yaml.safe_load(block)["model"])
    for title, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
]


class Total(BaseModel):
    """The form of an answer."""

    total: int


@dataclass
class Server:
    """How a server behaves.

    Attributes:
        path: Where it answers.
        header: The header of its key, and what stands before the key in it; None where it asks for none.
        query: The query that it demands.
        refuses: Returns its words where it refuses a request with status 400, or another one with it.
        holds: Fields that each request must have.
        thinks: Whether its answers have `reasoning_content`.
    """

    path: str
    header: tuple[str, str] | None = ("Authorization", "Bearer ")
    query: Mapping[str, str] = field(default_factory=dict)
    refuses: Callable[[Mapping[str, Any]], str | None] = lambda body: None
    holds: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    thinks: bool = False


def unknown(*names: str) -> Callable[[Mapping[str, Any]], str | None]:
    """Refuse requests with one of these fields."""
    return lambda body: next((f"Unrecognized request argument supplied: {it}" for it in names if it in body), None)


def mistral(body: Mapping[str, Any]) -> str | None:
    # Source: https://docs.mistral.ai/api, whose request forbids extra fields, and mistralai/client-python#156.
    ids = [call["id"] for message in body["messages"] for call in message.get("tool_calls") or ()]
    ids += [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
    if wrong := [it for it in ids if not re.fullmatch(r"[a-zA-Z0-9]{9}", it)]:
        return f"Tool call id was {wrong[0]} but must be a-z, A-Z, 0-9, with a length of 9."
    extra = body.keys() & {"seed", "stream_options", "max_completion_tokens"}
    return f"{extra.pop()}: Extra inputs are not permitted" if extra else None


def deepseek(body: Mapping[str, Any]) -> str | None:
    # Source: https://api-docs.deepseek.com/guides/thinking_mode and /guides/json_mode.
    if (body.get("response_format") or {}).get("type") == "json_schema":
        return "This response_format type is unavailable now"
    turns = [message for message in body["messages"] if message.get("tool_calls")]
    lacks = any(not turn.get("reasoning_content") for turn in turns)
    return "The reasoning_content in the thinking mode must be passed back to the API." if lacks else None


def groq(body: Mapping[str, Any]) -> str | None:
    # Source: https://console.groq.com/docs/openai, "Currently unsupported OpenAI features".
    if any("reasoning_content" in message for message in body["messages"]):
        return "'messages.1' : for 'role:assistant' property 'reasoning_content' is unsupported"
    return unknown("logprobs", "logit_bias", "top_logprobs", "n")(body)


def azure(body: Mapping[str, Any]) -> str | None:
    # Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning.
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    return words if "max_tokens" in body else unknown("top_k", "extra_body")(body)


CHAT = "/chat/completions"
SERVERS = {
    "https://my-resource.openai.azure.com/openai/v1": Server(
        f"/openai/v1{CHAT}", ("api-key", ""), refuses=azure, holds={"max_completion_tokens": 500}
    ),
    "https://my-resource.openai.azure.com/openai/deployments/my-deployment": Server(
        f"/openai/deployments/my-deployment{CHAT}", ("api-key", ""), {"api-version": "2024-10-21"}, refuses=azure
    ),
    "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1": Server(f"/openai/v1{CHAT}"),
    "https://aiplatform.googleapis.com/v1/projects/my-project/locations/global/publishers/google": Server(
        "/v1/projects/my-project/locations/global/publishers/google/models/gemini-3-pro-preview:generateContent"
    ),
    "https://openrouter.ai/api/v1": Server(
        f"/api/v1{CHAT}",
        holds={"provider": {"require_parameters": True}},
        headers={"HTTP-Referer": "https://app.example", "X-Title": "my agent"},
        thinks=True,
    ),
    "http://127.0.0.1:8000/v1": Server(f"/v1{CHAT}", None, holds={"top_k": 20}, thinks=True),
    "http://127.0.0.1:11434/v1": Server(f"/v1{CHAT}", None),
    "http://127.0.0.1:8080/v1": Server(f"/v1{CHAT}", None, holds={"seed": 7}),
    "http://127.0.0.1:1234/v1": Server(f"/v1{CHAT}", None),
    "http://127.0.0.1:4000/v1": Server(f"/v1{CHAT}", refuses=unknown("extra_body")),
    "https://api.groq.com/openai/v1": Server(f"/openai/v1{CHAT}", refuses=groq, thinks=True),
    "https://api.mistral.ai/v1": Server(f"/v1{CHAT}", refuses=mistral, holds={"random_seed": 7}),
    "https://api.deepseek.com/v1": Server(f"/v1{CHAT}", refuses=deepseek, thinks=True),
}


def script(server: Server, title: str) -> Any:
    thought = {"reasoning": "A sum."} if server.thinks else {}
    text = '{"total": 3}'
    final = f"<think>So.</think>{text}" if title == "LM Studio" else text
    return make_script({**asks_for("add", a=1, b=2), **thought}, {"text": final, **thought})


@pytest.mark.parametrize("backend", CUSTOM_AND_OTHERS_IN_THE_PROOF)
@pytest.mark.parametrize(("title", "settings"), BLOCKS, ids=[f"{title} {n}" for n, (title, _) in enumerate(BLOCKS)])
async def test_a_run_with_the_settings_of_the_page(
    backend: str, title: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = SERVERS[settings["base_url"]]
    model = ProviderModel(ScriptedModel(script(server, title)))
    problems: list[str] = []
    if "api_key_env" in settings:
        monkeypatch.setenv(settings["api_key_env"], KEY)

    async def handle(request: web.Request) -> web.Response:
        body = await request.json()
        name, before = server.header or ("Authorization", "")
        key = request.headers.get(name)
        expected = None if server.header is None else f"{before}{KEY}"
        found = {"path": request.path, "key": key, "query": dict(request.query), "stream": body.get("stream")}
        wanted = {"path": server.path, "key": expected, "query": dict(server.query), "stream": None}
        problems.extend(f"{what}: {found[what]!r}" for what in found if found[what] != wanted[what])
        held = [name for name, value in server.holds.items() if body.get(name) != value]
        problems.extend(f"{name} is missing or another one" for name in held if "max" not in name or name not in body)
        problems.extend(name for name, value in server.headers.items() if request.headers.get(name) != value)
        if (words := server.refuses(body)) is not None:
            return web.json_response({"error": {"message": words}}, status=400)
        reply: Reply = model.reply(body) if request.path.endswith(CHAT) else model.reply_at(request.path, body)
        return web.Response(status=reply.status, body=b"".join(reply.chunks), content_type="application/json")

    async with http_server(handle) as url:
        own = {"base_url": url + urlsplit(settings["base_url"]).path}
        own["parameters"] = {"max_tokens": 500, **settings.get("parameters", {})}
        agent = create_agent(backend=backend, model={**settings, **own}, tools=[add], output_type=Total)
        async with agent:
            result = await agent.run("Go.")
            second = await agent.run("Go.")
    assert problems == []
    assert (result.value, second.value) == (Total(total=3), Total(total=3))
    # What a server refuses is learnt in the first run; Azure's older form of URL is told the name of the bound there.
    assert [call.status for call in second.model_calls] == [200, 200], json.dumps(
        [c.status for c in result.model_calls]
    )


def test_every_server_of_the_page_is_tried() -> None:
    assert [settings["base_url"] for _, settings in BLOCKS] == list(SERVERS)
    for _, settings in BLOCKS:
        config = parse_config(ModelConfig, settings, "the page")
        assert config.spoken_protocol == ("generate_content" if config.provider == "google" else "chat_completions")
    assert dialect_of(ModelConfig(name="m", base_url="https://api.mistral.ai/v1")).short_ids
