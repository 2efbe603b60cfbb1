"""Under `native` a framework's own clients speak the providers' protocols, and the wire reads along."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from tests.support import EVERY_BACKEND, add
from unified_agents import ModelConfig, Script, create_agent
from unified_agents.agent import capabilities
from unified_agents.backend import native_protocols_of
from unified_agents.config.providers import PROTOCOL_TITLES, ProtocolName
from unified_agents.errors import AuthenticationError, ConfigError, RunError, UnsupportedCapabilityError
from unified_agents.events import Event, TextDelta
from unified_agents.messages import Message
from unified_agents.registry import load_backend
from unified_agents.scripted.server import ReceivedRequest, ScriptServer

NAMES = {"messages": "claude-sonnet-4-5", "generate_content": "gemini-3-pro"}
ANSWERS: list[dict[str, Any]] = [
    {
        "text": "Let me see.",
        "reasoning": "Two sums.",
        "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": number}} for number in (2, 6)],
    },
    {"text": "They are 3 and 7."},
]


def pairs() -> Iterator[tuple[str, ProtocolName]]:
    for backend in EVERY_BACKEND:
        for protocol, is_installed in native_protocols_of(load_backend(backend)).items():
            if is_installed and (protocol != "chat_completions" or backend == "custom"):
                yield backend, protocol


PAIRS = list(pairs())


def model_at(url: str, protocol: ProtocolName, **settings: Any) -> ModelConfig:
    return ModelConfig(name=NAMES.get(protocol, "gpt-4.1-mini"), base_url=url, protocol=protocol, **settings)


async def run_on(
    server: ScriptServer, pair: tuple[str, ProtocolName], script: Script, task: Any = "Add.", **settings: Any
) -> tuple[Any, list[ReceivedRequest], list[Event]]:
    backend, protocol = pair
    url, events = server.add(script, strict=True), []
    async with create_agent(
        backend=backend,
        model=model_at(url, protocol, **settings),
        tools=[add],
        instructions="Be brief.",
        handling="native",
    ) as agent:
        result = await agent.run(task, record_exchanges=True, on_event=events.append)
    return result, server.requests(url), events


def script_of(*answers: Any) -> Script:
    return Script.model_validate({"answers": answers})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
async def test_a_run_with_parallel_calls_is_watched(pair: tuple[str, ProtocolName], stream: bool) -> None:
    async with ScriptServer() as server:
        result, requests, events = await run_on(server, pair, script_of(*ANSWERS), parameters={"stream": stream})
    assert result.output == "They are 3 and 7."
    assert [orjson.loads(call.arguments) for call in result.tool_calls] == [{"a": 1, "b": 2}, {"a": 1, "b": 6}]
    assert len(requests) == len(result.model_calls) == 2
    assert all(call.usage.input_tokens and call.usage.output_tokens for call in result.model_calls)
    assert result.model_calls[0].finish_reason == "tool_calls"
    texts = [event.text for event in events if isinstance(event, TextDelta) and event.step == 1]
    assert "".join(texts) == ("They are 3 and 7." if stream else "")
    # What the framework sent went out as it was.
    assert [orjson.loads(exchange.sent) for exchange in result.exchanges] == [request.body for request in requests]
    results = [message for message in requests[1].in_chat_completions()["messages"] if message["role"] == "tool"]
    assert sorted(message["content"] for message in results) == ["3", "7"]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
async def test_a_conversation_goes_on(pair: tuple[str, ProtocolName]) -> None:
    call = {"id": "c1", "name": "add", "arguments": '{"a":1,"b":2}'}
    chat = [
        {"role": "user", "content": "Add 1 and 2."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "3", "name": "add"},
        {"role": "assistant", "content": "3."},
        {"role": "user", "content": "Again."},
    ]
    async with ScriptServer() as server:
        script = script_of({"text": "Still 3."})
        result, requests, _ = await run_on(server, pair, script, [Message.model_validate(one) for one in chat])
    assert result.output == "Still 3."
    sent = [one for one in requests[0].in_chat_completions()["messages"] if one["role"] not in ("system", "developer")]
    assert [one["role"] for one in sent] == ["user", "assistant", "tool", "assistant", "user"]
    assert orjson.loads(sent[1]["tool_calls"][0]["function"]["arguments"]) == {"a": 1, "b": 2}
    assert sent[2]["content"] == "3"


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (400, RunError)], ids=lambda value: str(value)[:3]
)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
async def test_an_error_of_the_server_has_its_kind(
    pair: tuple[str, ProtocolName], status: int, kind: type[RunError]
) -> None:
    script = script_of({"fault": {"status": status, "message": "No."}, "times": 99}, {"text": "x"})
    async with ScriptServer() as server:
        with pytest.raises(kind) as caught:
            await run_on(server, pair, script)
    assert caught.value.kind == {401: "auth", 400: "bad_request"}[status]


RETRYING = [pair for pair in PAIRS if pair[1] != "chat_completions" and pair != ("llamaindex", "generate_content")]
"""What of the clients tries again after a 503; LlamaIndex's for Gemini does not while it streams."""


@pytest.mark.parametrize("pair", RETRYING, ids="-".join)
async def test_the_frameworks_own_retry_is_watched(pair: tuple[str, ProtocolName]) -> None:
    script = script_of({"fault": {"status": 503}}, {"text": "Yes."})
    async with ScriptServer() as server:
        result, requests, _ = await run_on(server, pair, script)
    assert result.output == "Yes."
    assert len(requests) == 2
    assert [call.attempt for call in result.model_calls] == [1, 2]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
async def test_parameters_and_the_key_reach_the_server(
    pair: tuple[str, ProtocolName], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1234567890-abcdef")
    backend, protocol = pair
    async with ScriptServer() as server:
        url = server.add(script_of({"text": "Yes."}), api_key="sk-1234567890-abcdef")
        model = model_at(url, protocol, parameters={"max_tokens": 77, "temperature": 0.5}, api_key_env="MY_KEY")
        async with create_agent(backend=backend, model=model, handling="native") as agent:
            assert (await agent.run("Go.")).output == "Yes."
        (request,) = server.requests(url)
    asked = request.body.get("generationConfig", request.body)
    bounds = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
    assert [asked[name] for name in bounds if name in asked] == [77]
    assert asked["temperature"] == 0.5
    assert "unified-agents" not in {request.headers.get(name) for name in ("x-api-key", "x-goog-api-key")}


def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    backend: Any = SimpleNamespace(native_protocols={"messages": "no-such-distribution"})
    assert native_protocols_of(backend) == {"chat_completions": True, "messages": False}
    monkeypatch.setattr(capabilities, "native_protocols_of", lambda _: {"chat_completions": True, "messages": False})
    with pytest.raises(ConfigError, match=r"speaks Anthropic Messages .* not installed: "):
        create_agent(model="anthropic:claude-sonnet-4-5", handling="native")


@pytest.mark.parametrize("protocol", [name for name in PROTOCOL_TITLES if name != "chat_completions"])
def test_a_backend_without_a_client_of_the_protocol_says_so(protocol: ProtocolName) -> None:
    with pytest.raises(UnsupportedCapabilityError, match="own client speaks Chat Completions"):
        create_agent(model=model_at("http://127.0.0.1:9/v1", protocol), handling="native")
