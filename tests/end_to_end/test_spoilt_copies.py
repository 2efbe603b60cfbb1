"""A framework that spoils its copy of the conversation changes nothing of what the model is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support import BACKENDS, add
from unified_agents import ModelConfig, RunResult, Script, create_agent
from unified_agents.agent import backend_agent
from unified_agents.backend import AgentSpec, Capability, NativeAgent
from unified_agents.errors import BackendError, RunError
from unified_agents.messages import Message
from unified_agents.scripted.server import ScriptServer

PROTOCOLS = ("chat_completions", "responses", "messages", "generate_content")
ANSWERS: list[dict[str, Any]] = [
    {
        "text": "Let me see.",
        "reasoning": "Two sums.",
        "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": number}} for number in (2, 6)],
    },
    {"tool_calls": [{"name": "add", "arguments": {"a": 3, "b": 7}}]},
    {"text": "It is 10."},
]
Chat = list[dict[str, Any]]


def wrapped(chat: Chat) -> Chat:
    return [
        {**message, "content": json.dumps({"result": message["content"]})} if message["role"] == "tool" else message
        for message in chat
    ]


def reordered(chat: Chat) -> Chat:
    return list(reversed(chat))


def rewritten(chat: Chat) -> Chat:
    return json.loads(json.dumps(chat).replace('\\"a\\"', '\\"z\\"'))  # type: ignore[no-any-return]


def renamed(chat: Chat) -> Chat:
    return json.loads(json.dumps(chat).replace('id": "', 'id": "mine_'))  # type: ignore[no-any-return]


def shortened(chat: Chat) -> Chat:
    return chat[:1]


def in_prose(chat: Chat) -> Chat:
    return [{"role": "user", "content": str(chat)}]


def with_more(chat: Chat) -> Chat:
    return [{"role": "system", "content": "You are mine."}, *chat, {"role": "user", "content": "Remember: be long."}]


SPOILING: dict[str, Callable[[Chat], Chat]] = {
    found.__name__: found for found in (wrapped, reordered, rewritten, renamed, shortened, in_prose, with_more)
}


class SpoilingBackend:
    """A backend whose loop spoils what it sends, and may leave a call out."""

    name = "custom"
    capabilities = frozenset(Capability)

    def __init__(self, spoil: Callable[[Chat], Chat], *, drops: int = 0, goes_on: int = 0) -> None:
        self.spoil = spoil
        self.drops = drops
        self.goes_on = goes_on

    def build(self, spec: AgentSpec) -> NativeAgent:
        return SpoilingAgent(self, spec)


class SpoilingAgent:
    def __init__(self, backend: SpoilingBackend, spec: AgentSpec) -> None:
        self._backend = backend
        self._spec = spec
        self._tools = {tool.name: tool for tool in spec.tools}

    @property
    def native(self) -> object:
        return self

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        chat = [message.to_chat() for message in messages]
        left = self._backend.goes_on
        while True:
            turn = await self._ask(self._backend.spoil(chat))
            chat.append(turn)
            calls = turn.get("tool_calls") or []
            if not calls and not left:
                text: str | None = turn["content"]
                return text
            left -= not calls
            kept = calls[self._backend.drops :]
            outcomes = await asyncio.gather(*(self._tools[one["function"]["name"]].run(one["id"]) for one in kept))
            chat += [
                {"role": "tool", "tool_call_id": one["id"], "content": outcome.content}
                for one, outcome in zip(kept, outcomes, strict=True)
            ]

    async def _ask(self, chat: Chat) -> dict[str, Any]:
        tools = [{"type": "function", "function": {"name": "handoff", "parameters": {}}}]
        body = {"model": "another", "messages": chat, "tools": tools, "temperature": 1.5, "user": "me"}
        model = self._spec.model
        response = await model.httpx_async_client().post(f"{model.base_url}/chat/completions", json=body)
        return dict(response.json()["choices"][0]["message"])

    def translate(self, error: Exception) -> RunError | None:
        return None


async def requests_of(server: ScriptServer, protocol: str, backend: str = "custom") -> tuple[RunResult, list[str]]:
    """Return a run's result, and the bodies that went to the model."""
    url = server.add(Script.model_validate({"answers": ANSWERS}))
    model = ModelConfig(name="gemini-3-pro", base_url=url, protocol=protocol)
    async with create_agent(backend=backend, model=model, tools=[add], instructions="Be brief.") as agent:
        result = await agent.run("go", record_exchanges=True)
    return result, [exchange.sent for exchange in result.exchanges]


@pytest.mark.parametrize("spoil", SPOILING)
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_requests_are_those_of_an_undisturbed_run(
    server: ScriptServer, protocol: str, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_agent, "load_backend", lambda _: SpoilingBackend(list))
    faithful, undisturbed = await requests_of(server, protocol)
    monkeypatch.setattr(backend_agent, "load_backend", lambda _: SpoilingBackend(SPOILING[spoil]))
    result, sent = await requests_of(server, protocol)
    assert result.exchanges[1].received != faithful.exchanges[1].received  # it was spoilt
    assert result.output == "It is 10."
    assert len(sent) == 3
    assert sent == undisturbed
    assert "handoff" in result.exchanges[0].received  # what the framework sent is on record


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_requests_are_equal_to_the_byte_on_every_backend(
    server: ScriptServer, backend: str, protocol: str
) -> None:
    _, expected = await requests_of(server, protocol)
    _, sent = await requests_of(server, protocol, backend)
    assert sent == expected


@pytest.mark.parametrize("drops", [1, 2])
async def test_a_call_that_is_left_out_ends_the_run_and_is_named(
    server: ScriptServer, drops: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_agent, "load_backend", lambda _: SpoilingBackend(list, drops=drops))
    with pytest.raises(
        BackendError, match=f"went on with {drops} of the model's tool calls not carried out: add"
    ) as left:
        await requests_of(server, "chat_completions")
    assert left.value.result is not None
    assert [call.reached for call in left.value.result.tool_calls] == [False] * drops + [True] * (2 - drops)


async def test_asking_again_after_the_final_answer_is_an_error(
    server: ScriptServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_agent, "load_backend", lambda _: SpoilingBackend(list, goes_on=1))
    with pytest.raises(BackendError, match="asked the model again after its final answer"):
        await requests_of(server, "chat_completions")
