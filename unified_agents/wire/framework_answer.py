"""A model's answer as a framework's client gets it under `unified`: in Chat Completions, whole or as a stream."""

from __future__ import annotations

import re

import orjson

from unified_agents.messages import JsonObject
from unified_agents.run.calls import Call, Step
from unified_agents.run.context import Run
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_writer import stream_of
from unified_agents.wire.steps import call_for_framework
from unified_agents.wire.unified import Wire

_HIDDEN_FIELDS = frozenset({"refusal", "function_call"})
"""Fields of an answer whose content a framework gets as text or as tool calls, alike on every backend."""

_ENVELOPE: JsonObject = {
    "id": "chatcmpl-unknown",
    "object": "chat.completion",
    "created": 0,
    "model": "unknown",
    "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
}
"""What strict clients read of an answer, for what a server left out. Our own records say that it was left out."""

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
        as_it_came = text is None and not answer.calls and _is_plain(answer)
        content = answer.raw if as_it_came else orjson.dumps(_for_framework(answer, step, run, text))
    if answer.exchange is not None and answer.exchange.keeps_bodies:
        answer.exchange.returned = wire.endpoint.redacted(content)
    return content_type, content


def _is_plain(answer: Answer) -> bool:
    """Tell whether an answer came whole, and every framework's client reads its bytes as we do."""
    if answer.time_to_first_token is not None or not answer.raw.lstrip().startswith(b"{"):
        return False
    choices = answer.body["choices"]
    message = choices[0]["message"]
    return (
        len(choices) == 1
        and all(answer.body.get(name) is not None for name in _ENVELOPE)
        and choices[0].get("index") == 0
        and answer.finish_reason == choices[0].get("finish_reason") == "stop"
        and message.get("role") == "assistant"
        and message.get("content") == answer.text
        and not any(message.get(name) for name in _HIDDEN_FIELDS)
    )


def _for_framework(answer: Answer, step: Step, run: Run, text: str | None) -> JsonObject:
    """Return the answer as the framework gets it.

    Args:
        answer: The model's answer.
        step: The step that it became.
        run: The run.
        text: What stands in the place of the answer's text; None leaves it.
    """
    choice = answer.body["choices"][0]
    message = {name: value for name, value in choice["message"].items() if name not in _HIDDEN_FIELDS}
    message |= {"role": "assistant", "content": answer.text if text is None else text}
    if step.calls:
        message["tool_calls"] = [_tool_call(call, run) for call in step.calls]
    finish = "tool_calls" if step.calls else "stop"
    given = {name: value for name, value in answer.body.items() if value is not None}
    return _ENVELOPE | given | {"choices": [choice | {"index": 0, "message": message, "finish_reason": finish}]}


def _tool_call(call: Call, run: Run) -> JsonObject:
    name, arguments = call_for_framework(call, by_id=run.hides_tools)
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": arguments}}
