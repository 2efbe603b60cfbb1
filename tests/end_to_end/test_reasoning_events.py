"""What a provider shows of a model's thinking is told by events, and kept apart from the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support import BACKENDS, add, asks_for, make_script
from unified_agents import Message, ModelConfig, ReasoningDelta, RunResult, TextDelta, create_agent
from unified_agents.config.providers import PROTOCOL_TITLES
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply

THOUGHTS = ("Add them, of course.", "The sum is known.")
ANSWERS = (
    {**asks_for("add", a=1, b=2), "reasoning": THOUGHTS[0]},
    {"text": "It is 3.", "reasoning": THOUGHTS[1]},
)
KEY = "key-0123456789abcdef0123456789"


def model(url: str, protocol: Any, **settings: Any) -> ModelConfig:
    thinks = {"parameters": {"reasoning": {"budget": 2048}}} if protocol == "messages" else {}
    return ModelConfig(**{"name": "gemini-3-pro", "base_url": url, "protocol": protocol, **thinks, **settings})


async def stream(backend: str, config: ModelConfig, **options: Any) -> tuple[RunResult, dict[int, str], str]:
    """Run an agent; return its result, what its steps thought by the events, and the text of the events."""
    thoughts: dict[int, str] = {}
    texts = []
    agent = create_agent(backend=backend, model=config, tools=[add], **options)
    async with agent, agent.stream("Go.") as events:
        async for event in events:
            if isinstance(event, ReasoningDelta):
                thoughts[event.step] = thoughts.get(event.step, "") + event.text
            elif isinstance(event, TextDelta):
                texts.append(event.text)
    assert events.result is not None
    return events.result, thoughts, "".join(texts)


def reasoning(result: RunResult) -> list[str | None]:
    return [message.reasoning for message in result.messages if message.role == "assistant"]


@pytest.mark.parametrize("protocol", PROTOCOL_TITLES)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_thinking_is_told_apart_from_the_answer(server: ScriptServer, backend: str, protocol: str) -> None:
    url = server.add(make_script(*ANSWERS), strict=True)
    result, thoughts, text = await stream(backend, model(url, protocol))
    assert (result.output, text) == ("It is 3.", "It is 3.")
    assert thoughts == dict(enumerate(THOUGHTS))
    assert reasoning(result) == list(THOUGHTS)
    assert result.messages[-1].parts == [
        {"type": "reasoning", "text": THOUGHTS[1]},
        {"type": "text", "text": "It is 3."},
    ]
    stored = [Message.model_validate_json(message.model_dump_json()) for message in result.messages]
    assert [message.reasoning for message in stored if message.role == "assistant"] == list(THOUGHTS)


@pytest.mark.parametrize("protocol", PROTOCOL_TITLES)
async def test_thinking_of_a_whole_answer_stands_in_the_messages(server: ScriptServer, protocol: str) -> None:
    url = server.add(make_script(*ANSWERS), strict=True)
    async with create_agent(model=model(url, protocol), tools=[add]) as agent:
        result = await agent.run("Go.")
        again = await agent.run([*result.messages, Message(role="user", content="Again.")])
    assert reasoning(result) == list(THOUGHTS)
    assert again.output == "It is 3."
    if protocol == "chat_completions":  # which has a field of this name of its own
        assert all("reasoning" not in message for message in server.requests(url)[-1].body["messages"])


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_native_run_tells_of_thinking_too(server: ScriptServer, backend: str) -> None:
    url = server.add(make_script(*ANSWERS))
    config = model(url, "chat_completions", parameters={"stream": True})
    result, thoughts, _ = await stream(backend, config, handling="native")
    assert thoughts == dict(enumerate(THOUGHTS))
    assert reasoning(result) == list(THOUGHTS)


class Pieces:
    """A model whose answer comes in these deltas."""

    def __init__(self, *deltas: dict[str, Any]) -> None:
        self._deltas = deltas

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        chunks = [{"id": "a", "model": "m", "choices": [{"index": 0, "delta": delta}]} for delta in self._deltas]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        return Reply(200, "text/event-stream", chunks=tuple(f"data: {json.dumps(it)}\n\n".encode() for it in chunks))


@pytest.mark.parametrize("backend", BACKENDS)
async def test_thinking_in_tags_is_told_where_they_are_split_off(server: ScriptServer, backend: str) -> None:
    pieces = ["<th", "ink>Is it", " so?</thi", "nk>\n\nIt", " is."]
    url = server.add(Pieces(*({"content": piece} for piece in pieces)))
    result, thoughts, text = await stream(backend, model(url, "chat_completions", reasoning_tags=True))
    assert (result.output, text, thoughts) == ("It is.", "It is.", {0: "Is it so?"})
    assert reasoning(result) == ["Is it so?"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_a_key_in_the_thinking_is_masked_wherever_it_is_cut(
    server: ScriptServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    pieces = [f"The key is {KEY[:9]}", KEY[9:20], f"{KEY[20:]}; so."]
    url = server.add(Pieces(*({name: piece} for piece in pieces), {"content": "Done."}), api_key=KEY)
    result, thoughts, _ = await stream("custom", model(url, "chat_completions", api_key_env="MODEL_KEY"))
    assert KEY[:9] not in thoughts[0]
    assert thoughts[0].startswith("The key is ")
    assert thoughts[0].endswith("; so.")
    assert KEY not in str(reasoning(result))
