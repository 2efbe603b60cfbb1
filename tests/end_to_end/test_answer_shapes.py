"""Answers in shapes that only some clients read: under `unified` each backend completes alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from support import add
from unified_agents import Limits, ModelConfig, ModelPrice, TextDelta, create_agent
from unified_agents.messages import JsonObject
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}


class Bodies:
    """A model in the process that answers with these bodies, in their order, and with the last one again."""

    def __init__(self, *bodies: JsonObject) -> None:
        self._bodies = list(bodies)
        self.asked_for_streams: list[bool] = []

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        body = self._bodies[min(len(self.asked_for_streams), len(self._bodies) - 1)]
        self.asked_for_streams.append(bool(request.get("stream")))
        return Reply(200, "application/json", chunks=(json.dumps(body).encode(),))

    def forget(self, key: str) -> None:
        """Keep nothing."""


def body(content: str | None = "It is 5.", *, calls: Any = None, **fields: Any) -> JsonObject:
    message = {"role": "assistant", "content": content, **fields.pop("message", {})}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "odd", "usage": USAGE}
    return head | {"choices": [choice]} | fields


ENVELOPES: dict[str, JsonObject] = {
    "counts without their sum": {"usage": {"prompt_tokens": 10, "completion_tokens": 5}},
    "no counts in usage": {"usage": {}},
    "counts that are null": {"usage": dict.fromkeys(USAGE)},
    "details that are a text": {"usage": USAGE | {"prompt_tokens_details": "none", "completion_tokens_details": []}},
    "a cost among the counts": {"usage": USAGE | {"cost": {"total_cost": 0.1}, "search_context_size": "low"}},
    "usage as a list": {"usage": [USAGE]},
    "usage as a text": {"usage": "15 tokens"},
    "a time with a fraction": {"created": 1.5},
    "a time as a text": {"created": "2026-01-01T00:00:00Z"},
    "a time in milliseconds": {"created": 1_790_000_000_000},
    "no object": {"object": ""},
    "another object": {"object": "text_completion"},
    "numbers for names": {"id": 7, "model": 7},
    "annotations of another type": {"message": {"annotations": [{"type": "file", "file": {}}]}},
    "fields of another type": {"system_fingerprint": 7, "service_tier": {"name": "fast"}, "citations": [None]},
    "thinking and audio": {"message": {"reasoning_content": 7, "audio": "none", "refusal": None}},
}


@pytest.mark.parametrize("envelope", ENVELOPES)
async def test_what_stands_around_an_answer_fails_no_backend(backend: str, envelope: str) -> None:
    odd = ENVELOPES[envelope]
    model = Bodies(body(None, calls=[CALL], **odd), body(**odd))
    async with create_agent(backend=backend, model=model, tools=[add]) as agent:
        result = await agent.run("Add.", record_exchanges=True)
    assert (result.output, result.requests, [call.content for call in result.tool_calls]) == ("It is 5.", 2, ["5"])
    answered = json.loads(result.exchanges[1].answered or "")
    assert answered == body(**odd)  # the record has it as it stood on the wire


async def test_an_answer_of_white_space_is_asked_for_again(backend: str) -> None:
    model = Bodies(body(" \n"), body())
    async with create_agent(backend=backend, model=model) as agent:
        result = await agent.run("Add.")
    assert (result.output, result.requests) == ("It is 5.", 2)


async def test_the_text_of_a_server_that_ignores_stream_is_streamed_once(backend: str) -> None:
    model = Bodies(body())
    async with create_agent(backend=backend, model=model) as agent, agent.stream("Add.") as events:
        texts = [event.text async for event in events if isinstance(event, TextDelta)]
    assert (texts, events.result.output) == (["It is 5."], "It is 5.")
    assert model.asked_for_streams == [True]


@pytest.mark.parametrize("usage", [{**USAGE, "prompt_tokens": -10}, {**USAGE, "completion_tokens": -5}, {}])
async def test_a_usage_that_is_no_count_is_unknown(backend: str, usage: JsonObject) -> None:
    async with ScriptServer() as server:
        url, price = server.add(Bodies(body(usage=usage))), ModelPrice(input=1, output=1)
        model = ModelConfig(provider="openai", name="odd", base_url=url, price=price)
        async with create_agent(backend=backend, model=model, limits=Limits(max_cost=1)) as agent:
            result = await agent.run("Add.")
    counts = result.usage.input_tokens, result.usage.output_tokens
    assert None in counts
    assert all(count is None or count > 0 for count in counts)
    assert result.cost is None
    assert [name for span in result.trace.walk() for name, _, _ in span.events].count("usage_missing") == 1
