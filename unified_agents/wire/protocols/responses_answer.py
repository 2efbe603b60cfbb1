"""OpenAI Responses: what a response object says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from unified_agents.errors import BadResponseError
from unified_agents.messages import JsonObject, Usage
from unified_agents.wire.http_errors import reported_error
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import (
    RawCall,
    arguments_text,
    call_id,
    check_bounds,
    excerpt,
    finish_reason_of,
    parse_json_body,
    string,
    usage_of,
)
from unified_agents.wire.protocols.chat_completions_writer import assistant_message, completion
from unified_agents.wire.protocols.finish_reasons import REFUSAL

_PLAIN_FIELDS: Mapping[str, frozenset[str]] = {
    "message": frozenset({"type", "id", "status", "role", "content"}),
    "function_call": frozenset({"type", "id", "status", "call_id", "name", "arguments"}),
}
"""The fields of an item that text and calls say all of."""

_TEXT_PARTS = ("output_text", "text")


def parse_body(raw: bytes) -> Answer:
    """Read a whole answer.

    Raises:
        ModelError: it is not JSON, no response object, or reports an error.
    """
    body = parse_json_body(raw)
    check_for_error(body)
    return answer_of(body, raw)


def check_for_error(body: Any) -> None:
    """Raise the error that a body or an event reports instead of an answer."""
    if isinstance(body, list) and body:
        body = body[0]  # some servers give their errors in a list
    if not isinstance(body, dict):
        return
    if error := body.get("error"):
        raise reported_error(error)
    if "output" in body:
        return
    is_error = "error" in (body.get("object"), body.get("type"))
    if is_error or isinstance(body.get("message") or body.get("msg") or body.get("detail"), str):
        raise reported_error(body)


def answer_of(response: Any, raw: bytes) -> Answer:
    """Return what a response object says.

    Args:
        response: The object, as it came or put together of a stream's events.
        raw: The bytes that it came in, for a message.

    Raises:
        ModelError: it is no response object, or reports a failure.
    """
    try:
        return _answer(response)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadResponseError(f"the answer is not a Responses answer: {excerpt(raw)}") from error


def _answer(response: JsonObject) -> Answer:
    if response.get("status") == "failed":
        raise reported_error(response.get("error") or response)
    output = response["output"]
    if type(output) is not list:
        raise TypeError("output must be a list")
    calls = [_raw_call(item) for item in output if item["type"] == "function_call"]
    if calls:
        check_bounds(len(calls), max(len(call.arguments) for call in calls))
    text, has_refusal = _text(output)
    finish_reason = _finish_reason(response, bool(calls))
    if has_refusal and finish_reason == "stop":
        finish_reason = REFUSAL
    usage = _usage(response.get("usage"))
    choice = {"index": 0, "message": assistant_message(text, calls), "finish_reason": finish_reason}
    return Answer(
        text=text,
        calls=calls,
        finish_reason=finish_reason,
        usage=usage,
        body=completion(_head(response), choice, usage),
        original=_original(response, output),
        reasoning="\n\n".join(_thoughts(output)) or None,
    )


def _original(response: JsonObject, output: list[Any]) -> JsonObject | None:
    """Return the turn as it came, with its name where the server keeps it; None where it is text and calls alone."""
    if response.get("store") is True and isinstance(id_ := response.get("id"), str):
        return {"id": id_, "output": output}
    return None if _is_plain(output) else {"output": output}


def _raw_call(item: JsonObject) -> RawCall:
    id_ = item.get("call_id") or item.get("id")
    return RawCall(call_id(id_), string(item["name"]), arguments_text(item.get("arguments")))


def _text(output: list[JsonObject]) -> tuple[str | None, bool]:
    """Return the text of an answer, and whether a refusal is in it."""
    texts = [text for item in output if item["type"] == "message" for text in message_texts(item)]
    has_refusal = any(
        part.get("type") == "refusal"
        for item in output
        if item["type"] == "message" and isinstance(item.get("content"), list)
        for part in item["content"]
    )
    return "".join(texts) or None, has_refusal


def message_texts(item: JsonObject) -> Iterator[str]:
    """Yield the texts and the words of refusals in a message item."""
    content = item.get("content") or ()
    if isinstance(content, str):
        yield content
        return
    for part in content:
        if part.get("type") in _TEXT_PARTS:
            yield string(part["text"])
        elif part.get("type") == "refusal":
            yield string(part["refusal"])


def _thoughts(output: list[JsonObject]) -> Iterator[str]:
    """Yield the summaries of reasoning items, or the reasoning itself where a server shows that instead."""
    for item in output:
        if item["type"] == "reasoning":
            for part in item.get("summary") or item.get("content") or ():
                if text := string(part.get("text") or ""):
                    yield text


def _finish_reason(response: JsonObject, has_calls: bool) -> str:
    status = finish_reason_of(response.get("status"))
    if status == "incomplete":
        reason = finish_reason_of((response.get("incomplete_details") or {}).get("reason"))
        return "length" if reason == "max_output_tokens" else reason or status
    if status in (None, "completed"):
        return "tool_calls" if has_calls else "stop"
    return status


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return usage_of(None)
    return usage_of(
        {
            "prompt_tokens": usage.get("input_tokens"),
            "completion_tokens": usage.get("output_tokens"),
            "prompt_tokens_details": usage.get("input_tokens_details"),
            "completion_tokens_details": usage.get("output_tokens_details"),
        }
    )


def _head(response: JsonObject) -> JsonObject:
    head: JsonObject = {key: response[key] for key in ("id", "model") if isinstance(response.get(key), str)}
    created = response.get("created_at")
    if isinstance(created, int | float) and math.isfinite(created):
        head["created"] = int(created)
    return head


def _is_plain(output: list[JsonObject]) -> bool:
    """Tell whether an output holds no more than a text and calls after it."""
    for place, item in enumerate(output):
        known = _PLAIN_FIELDS.get(item["type"])
        if known is None or any(value and name not in known for name, value in item.items()):
            return False
        if item["type"] == "message" and (place or not _is_plain_content(item.get("content"))):
            return False
    return True


def _is_plain_content(content: Any) -> bool:
    if not isinstance(content, list) or len(content) != 1:
        return not content
    (part,) = content
    return part.get("type") == "output_text" and not any(
        value and name not in ("type", "text") for name, value in part.items()
    )
