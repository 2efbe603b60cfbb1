"""Anthropic Messages: the blocks of an answer are read, however they came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from unified_agents.errors import BadResponseError
from unified_agents.messages import JsonObject, Usage
from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.text import encodable
from unified_agents.tools.json_values import to_json
from unified_agents.wire.http_errors import reported_error
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import (
    NO_USAGE,
    RawCall,
    call_id,
    check_bounds,
    decode_response,
    excerpt,
    finish_reason_of,
    parse_json_body,
    string,
    token_count,
)
from unified_agents.wire.protocols.chat_completions_writer import assistant_message, completion
from unified_agents.wire.protocols.finish_reasons import REFUSAL
from unified_agents.wire.protocols.messages_request import input_of

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": REFUSAL,
}
_TEXT_FIELDS = frozenset({"type", "text"})
_PORTABLE_FIELDS = {"text": _TEXT_FIELDS, "tool_use": frozenset({"type", "id", "name", "input"})}
_INPUT_KINDS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def parse_body(raw: bytes) -> Answer:
    """Read a whole answer.

    Raises:
        ModelError: it is not JSON, no answer of this protocol, or reports an error.
    """
    body = parse_json_body(raw, exact=True)
    check_for_error(body)
    if type(body) is not dict or type(body.get("content")) is not list:
        raise BadResponseError(f"the answer is not an Anthropic Messages answer: {excerpt(raw)}")
    try:
        return answer_of(body, body["content"])
    except (KeyError, TypeError, AttributeError) as error:
        raise BadResponseError(f"the answer is not an Anthropic Messages answer: {excerpt(raw)}") from error


def check_for_error(body: Any) -> None:
    """Raise the error that a body or an event reports, beside an answer or instead of one."""
    if isinstance(body, list) and body:
        body = body[0]  # some servers give their errors in a list
    if not isinstance(body, dict):
        return
    if (error := body.get("error")) or body.get("type") == "error":
        raise reported_error(error or body)
    if "content" not in body and "type" not in body and isinstance(body.get("message") or body.get("detail"), str):
        raise reported_error(body)


def answer_of(
    message: Mapping[str, Any],
    blocks: list[JsonObject],
    *,
    arguments: Mapping[int, str] | None = None,
    redactor: StreamRedactor | None = None,
    text: str | None = None,
) -> Answer:
    """Make an answer of its blocks.

    Args:
        message: The fields of the answer beside its blocks.
        blocks: The blocks as they came.
        arguments: By a block's place, the arguments of a call as the model wrote them; others are its input as JSON.
        redactor: Takes secrets out of what is no text of the answer.
        text: The text, where it was put together already.

    Raises:
        TypeError, KeyError, AttributeError: the blocks have not the form of the protocol.
        BadResponseError: the calls are more, or longer, than any model writes.
    """
    calls: list[RawCall] = []
    for place, block in enumerate(blocks):
        if string(block["type"]) == "tool_use":
            written = None if arguments is None else arguments.get(place)
            calls.append(_call(block, written if written is not None else _input_text(block)))
    if calls:
        check_bounds(len(calls), max(len(call.arguments) for call in calls))
    if redactor is not None:
        for call in calls:
            call.arguments = redactor.redact(call.arguments)
        blocks = decode_response(redactor.redact(to_json(blocks).decode()).encode())
    text = _joined(blocks, "text") if text is None else text
    finish_reason = finish_reason_of(message.get("stop_reason"))
    if not text and not calls and finish_reason == "refusal":
        text = (message.get("stop_details") or {}).get("explanation")
    finish_reason = _FINISH_REASONS.get(finish_reason or "", finish_reason)
    usage = usage_of(message.get("usage"))
    head = {key: message[key] for key in ("id", "model") if key in message}
    original = _original(blocks)
    choice = {"index": 0, "message": assistant_message(text or None, calls), "finish_reason": finish_reason}
    return Answer(
        text=text or None,
        calls=calls,
        finish_reason=finish_reason,
        usage=usage,
        body=completion(head, choice, usage),
        original=original,
        reasoning=None if original is None else _joined(blocks, "thinking") or None,
    )


def usage_of(value: Any) -> Usage:
    """Return token counts. Input tokens count those that were read from the cache and written to it, too."""
    if not isinstance(value, dict):
        return NO_USAGE
    kinds = [count for name in _INPUT_KINDS if (count := token_count(value.get(name))) is not None]
    details = value.get("output_tokens_details")
    return Usage(
        input_tokens=sum(kinds) if kinds else None,
        output_tokens=token_count(value.get("output_tokens")),
        cached_input_tokens=token_count(value.get("cache_read_input_tokens")),
        cache_write_tokens=token_count(value.get("cache_creation_input_tokens")),
        reasoning_tokens=token_count(details.get("thinking_tokens")) if isinstance(details, dict) else None,
    )


def _call(block: JsonObject, arguments: str) -> RawCall:
    return RawCall(call_id(block.get("id")), string(block["name"]), arguments)


def _input_text(block: JsonObject) -> str:
    value = block.get("input", "")
    return value if isinstance(value, str) else to_json(value).decode()


def _joined(blocks: list[JsonObject], kind: str) -> str:
    return "".join(string(block.get(kind) or "") for block in blocks if block["type"] == kind)


def _original(blocks: list[JsonObject]) -> JsonObject | None:
    """Return the turn as it came, with the arguments as objects; None where it holds no more than text and calls."""
    if _is_portable(blocks):
        return None
    kept = [
        block | {"input": input_of(_input_text(block))}
        if block["type"] == "tool_use" and not isinstance(block.get("input"), dict)
        else block
        for block in blocks
    ]
    orjson.dumps(kept)  # what cannot be written cannot go back
    return {"content": kept}


def _is_portable(blocks: list[JsonObject]) -> bool:
    """Tell whether text and calls are all there is to a turn: one text, if any, and then calls, with no other field."""
    for place, block in enumerate(blocks):
        fields = _PORTABLE_FIELDS.get(block["type"])
        if fields is None or (fields is _TEXT_FIELDS and (place or not block.get("text"))):
            return False
        if not block.keys() <= fields and any(block[name] is not None for name in block.keys() - fields):
            return False
    return True


def encodable_texts(block: JsonObject) -> JsonObject:
    """Return a block whose texts can be encoded, whatever half characters a lenient reader took."""
    return {name: encodable(value) if isinstance(value, str) else value for name, value in block.items()}
