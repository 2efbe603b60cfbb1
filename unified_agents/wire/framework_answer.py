"""A model's answer as a framework's client gets it under `unified`: in Chat Completions, whole or as a stream."""

from __future__ import annotations

import re

import orjson

from unified_agents.messages import JsonObject
from unified_agents.run.calls import Call, Step
from unified_agents.run.context import Run
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_writer import normalised_completion, stream_of
from unified_agents.wire.steps import call_for_framework
from unified_agents.wire.unified import Wire

_ASKS_FOR_A_STREAM = re.compile(rb'"stream"\s*:\s*true')
"""In a request that is without it nothing needs to be read: within a text its quotation marks would be escaped."""


async def framework_answer(wire: Wire, run: Run, body: bytes) -> tuple[str, bytes]:
    """Make a step of the run for a framework's request, and return content type and body of what it gets.

    Raises:
        asyncio.CancelledError: the run has ended.
    """
    answer, step = await wire.ask(run, body)
    protocol = wire.protocol
    text = None if protocol is None else protocol.canonical(answer, step, hidden=run.hides_tools)
    if _ASKS_FOR_A_STREAM.search(body) and (received := orjson.loads(body)).get("stream"):
        include_usage = bool((received.get("stream_options") or {}).get("include_usage"))
        content_type = "text/event-stream"
        content = b"".join(stream_of(_for_framework(answer, step, run, text), include_usage))
    else:
        content_type = "application/json"
        content = orjson.dumps(_for_framework(answer, step, run, text))
    if answer.exchange is not None and answer.exchange.keeps_bodies:
        answer.exchange.returned = wire.endpoint.redacted(content)
    return content_type, content


def _for_framework(answer: Answer, step: Step, run: Run, text: str | None) -> JsonObject:
    """Return the answer as the framework gets it: what stands in it beside text and calls is written by us.

    Args:
        answer: The model's answer.
        step: The step that it became.
        run: The run.
        text: What stands in the place of the answer's text; None leaves it.
    """
    message: JsonObject = {"role": "assistant", "content": answer.text if text is None else text}
    if step.calls:
        message["tool_calls"] = [_tool_call(call, run) for call in step.calls]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if step.calls else "stop"}
    return normalised_completion(answer.body, choice, answer.usage)


def _tool_call(call: Call, run: Run) -> JsonObject:
    name, arguments = call_for_framework(call, by_id=run.hides_tools)
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": arguments}}
