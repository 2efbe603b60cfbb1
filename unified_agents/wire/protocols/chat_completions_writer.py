"""OpenAI Chat Completions: answers are written, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from unified_agents.messages import JsonObject, Usage
from unified_agents.wire.protocols.chat_completions_fields import RawCall

_END_OF_SECONDS = 2**32
"""A time beyond it is not in seconds."""


def assistant_message(text: str | None, calls: list[RawCall]) -> JsonObject:
    """Return an assistant turn in Chat Completions terms."""
    message: JsonObject = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return message


def completion(head: JsonObject, choice: JsonObject, usage: Usage) -> JsonObject:
    """Return a `chat.completion` object."""
    body = {"id": "", "created": 0, "model": ""} | head | {"object": "chat.completion", "choices": [choice]}
    if usage.total_tokens is not None:
        body["usage"] = _counts(usage)
    return body


def normalised_completion(head: JsonObject, choice: JsonObject, usage: Usage) -> JsonObject:
    """Return a `chat.completion` object that every strict client reads, whatever the server wrote.

    Args:
        head: Where its id, time and model stand; what is missing or of another type is replaced.
        choice: The only choice.
        usage: Its tokens; those that are unknown are 0. Our own records say that they are unknown.
    """
    answer_id, created, model = head.get("id"), head.get("created"), head.get("model")
    return {
        "id": answer_id if answer_id and isinstance(answer_id, str) else "chatcmpl-unknown",
        "object": "chat.completion",
        "created": created if type(created) is int and 0 <= created < _END_OF_SECONDS else 0,
        "model": model if model and isinstance(model, str) else "unknown",
        "choices": [choice],
        "usage": _counts(usage),
    }


def _counts(usage: Usage) -> JsonObject:
    prompt, completion = usage.input_tokens or 0, usage.output_tokens or 0
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def stream_of(body: JsonObject, include_usage: bool) -> Iterator[bytes]:
    """Yield a whole answer as server-sent events: the text in one delta, then one delta for each call."""
    head = {key: body[key] for key in ("id", "created", "model") if key in body} | {"object": "chat.completion.chunk"}
    choice = body["choices"][0]
    message = choice["message"]

    def chunk(delta: JsonObject, finish_reason: str | None = None) -> bytes:
        return _event(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    yield chunk({"role": "assistant", "content": message.get("content") or ""})
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield chunk({"tool_calls": [{"index": index} | call]})
    yield chunk({}, choice.get("finish_reason"))
    if include_usage:
        yield _event(head | {"choices": [], "usage": body.get("usage")})
    yield b"data: [DONE]\n\n"


def _event(body: JsonObject) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"
