"""What a provider's answer holds beside text and calls goes back to it with its turn, on every backend."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.support import BACKENDS
from unified_agents import Message, ModelConfig, RunResult, create_agent, tool
from unified_agents.wire.local_upstream import Reply

THOUGHT = {"reasoning_content": "Look it up.", "reasoning_details": [{"type": "reasoning.encrypted", "data": "b64=="}]}
SIGNATURE = {"extra_content": {"google": {"thought_signature": "c2ln"}}, "heard_of_by_nobody": {"x": [1, None]}}


@tool
def weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


def call(number: int, **fields: Any) -> dict[str, Any]:
    function = {"name": "weather", "arguments": '{ "city":"Oslo" }'}
    return {"id": f"c{number}", "type": "function", "function": function, **fields}


class Thinking:
    """A model that thinks: each of its turns has fields of its own, and it demands them back.

    Attributes:
        requests: The bodies that came.
        refuses: Whether it refuses a request with such fields.
    """

    def __init__(self, steps: int, *, refuses: bool = False, streams: bool = False) -> None:
        self._steps = steps
        self._streams = streams
        self.refuses = refuses
        self.requests: list[Mapping[str, Any]] = []
        self.turns: list[dict[str, Any]] = []

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        self.requests.append(request)
        back = [message for message in request["messages"] if message["role"] == "assistant"]
        if self.refuses and any("reasoning_content" in turn for turn in back):
            return json_reply(400, {"error": {"message": "messages.1: Extra inputs are not permitted"}})
        step = len(back)
        turn: dict[str, Any] = {"role": "assistant", "content": None, **THOUGHT, "number": step}
        if step % (self._steps + 1) < self._steps:
            turn["tool_calls"] = [call(2 * step, **SIGNATURE), call(2 * step + 1)]
        else:
            turn["content"] = "It is sunny."
        self.turns.append(turn)
        finish = "tool_calls" if "tool_calls" in turn else "stop"
        if request.get("stream"):
            return stream_reply(turn, finish)
        return json_reply(200, {"id": "a", "model": "m", "choices": [{"message": turn, "finish_reason": finish}]})

    def forget(self, key: str) -> None:
        pass


def json_reply(status: int, body: object) -> Reply:
    return Reply(status, "application/json", chunks=(json.dumps(body).encode(),))


def stream_reply(turn: dict[str, Any], finish: str) -> Reply:
    """Stream a turn: its texts in halves, each other field and each call in a piece of its own."""
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    for name in ("reasoning_content", "content"):
        if text := turn.get(name):
            deltas += [{name: text[:3]}, {name: text[3:]}]
    deltas += [{name: turn[name]} for name in ("reasoning_details", "number")]
    deltas += [{"tool_calls": [{"index": place, **item}]} for place, item in enumerate(turn.get("tool_calls", ()))]
    chunks = [{"id": "a", "model": "m", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return Reply(200, "text/event-stream", chunks=tuple(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks))


async def run(backend: str, model: Thinking, task: Any, *, stream: bool = False, **options: Any) -> RunResult:
    async with create_agent(backend=backend, model=model, tools=[weather], **options) as agent:
        if not stream:
            return await agent.run(task)
        async with agent.stream(task) as events:
            async for _ in events:
                pass
        assert events.result is not None
        return events.result


def sent_back(model: Thinking) -> list[dict[str, Any]]:
    """Return the assistant turns of the last request, without what is null."""
    turns = [message for message in model.requests[-1]["messages"] if message["role"] == "assistant"]
    return [{name: value for name, value in turn.items() if value is not None} for turn in turns]


def written(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in turn.items() if value is not None} for turn in turns]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("steps", [1, 3, 20])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_each_turn_goes_back_as_it_came(backend: str, steps: int, stream: bool) -> None:
    model = Thinking(steps)
    result = await run(backend, model, "?", stream=stream)
    assert result.output == "It is sunny."
    assert len(model.requests) == steps + 1
    assert sent_back(model) == written(model.turns[:-1])


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_conversation_that_goes_on_keeps_them(backend: str) -> None:
    model = Thinking(1)
    first = await run(backend, model, "?")
    stored = [Message.model_validate_json(message.model_dump_json()) for message in first.messages]
    again = Thinking(1)
    await run(backend, again, [*stored, Message(role="user", content="And now?")])
    assert sent_back(again)[:2] == written(model.turns)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_another_model_gets_only_text_and_calls(backend: str) -> None:
    first = await run(backend, Thinking(1), "?")
    moved = [
        message.model_copy(update={"original": message.original and message.original | {"model": "another"}})
        for message in first.messages
    ]
    model = Thinking(1)
    result = await run(backend, model, [*moved, Message(role="user", content="And now?")])
    assert all(turn.keys() <= {"role", "content", "tool_calls"} for turn in sent_back(model)[:2])
    span = next(span for span in result.trace.walk() if span.name.startswith("chat"))
    assert [fields for name, _, fields in span.events if name == "originals_left_behind"] == [
        {
            "turns": 2,
            "models": "another (chat_completions)",
            "parts": "extra_content, heard_of_by_nobody, number, reasoning_content, reasoning_details",
        }
    ]


async def test_a_server_that_refuses_them_is_asked_without_and_never_gets_them_again() -> None:
    model = Thinking(3, refuses=True)
    result = await run("custom", model, "?")
    assert result.output == "It is sunny."
    assert len(model.requests) == 5  # one was refused, and no other
    assert all("reasoning_content" not in turn for turn in sent_back(model))


@pytest.mark.parametrize(
    "words", ["Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.", "an id has nine letters"]
)
async def test_a_server_that_wants_short_ids_gets_them(words: str) -> None:
    class Short(Thinking):
        def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
            messages = request["messages"]
            ids = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
            if not all(len(call_id) == 9 and call_id.isalnum() for call_id in ids):
                self.requests.append(request)
                return json_reply(400, {"error": {"message": words}})
            assert [message["tool_call_id"] for message in messages if message["role"] == "tool"] == ids
            return super().reply(request, key)

    model = Short(3)
    result = await run("custom", model, "?")
    assert result.output == "It is sunny."
    assert len(model.requests) == 5
    assert len({call.id for call in result.tool_calls}) == 6


async def test_a_repair_shows_the_model_its_turn() -> None:
    model = Thinking(0)
    with pytest.raises(Exception, match="cannot be used"):
        await run("custom", model, "?", output_type=int)
    assert sent_back(model) == written(model.turns[:1])


def without(field: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda turn: {name: value for name, value in turn.items() if name != field}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning_details", "number"])
async def test_the_comparison_notices_a_field_that_is_dropped(field: str) -> None:
    model = Thinking(1)
    await run("custom", model, "?")
    assert [without(field)(turn) for turn in sent_back(model)] != written(model.turns[:-1])


def test_a_model_config_has_no_secret_in_its_origin() -> None:
    from unified_agents.wire.original_turns import origin_of

    model = ModelConfig(name="m", base_url="http://user:word@127.0.0.1:1/v1/?key=k")
    assert origin_of(model, "chat_completions")["endpoint"] == "http://127.0.0.1:1/v1"
