"""Renders answers of a scripted model as OpenAI Responses, whole or streamed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from unified_agents.scripted.rendering.chat_completions import CREATED, Envelope, RenderedCall, RenderedChoice
from unified_agents.tools.json_values import to_json

_KEY = b"unified-agents scripted reasoning"
_MAC_BYTES = 16
_PARTS = {"message": "content", "reasoning": "summary", "function_call": "arguments"}
"""Where the pieces of an item stand; one of another kind comes whole."""
_INCOMPLETE = {"length": "max_output_tokens"}
_ECHOED = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "instructions": None, "store": True}
"""Members of a request that its answer repeats, with what stands there where they are absent."""


def encrypted(item_id: str, text: str) -> str:
    """Return what stands for encrypted reasoning: the item's id and the text, with a seal that an alteration breaks."""
    content = to_json([item_id, text])
    return base64.urlsafe_b64encode(_seal(content) + content).decode()


def decrypted(content: str) -> tuple[str, str] | None:
    """Return the item's id and the text of encrypted reasoning; None where it was altered, or is of another model."""
    try:
        data = base64.b64decode(content.encode(), b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    seal, sealed = data[:_MAC_BYTES], data[_MAC_BYTES:]
    if not hmac.compare_digest(seal, _seal(sealed)):
        return None
    item_id, text = orjson.loads(sealed)
    return item_id, text


def _seal(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_MAC_BYTES, key=_KEY).digest()


def reasoning_id(item_id: str) -> str | None:
    """Return the id of the reasoning that an item of a rendered answer followed; None where there was none."""
    match = re.fullmatch(r"(?:msg|fc)_([0-9a-zA-Z]+)_r\d+", item_id)
    return f"rs_{match[1]}" if match else None


def whole(
    choice: RenderedChoice, envelope: Envelope, request: Mapping[str, Any], *, reasoning: str | None = None
) -> tuple[bytes]:
    """Return the body of an answer.

    Args:
        choice: What the answer says.
        envelope: Its id, its model and its tokens; the ids of items are made of its id.
        request: The request that it answers, of which it repeats some members.
        reasoning: What the model thought; None for a model that does not reason.
    """
    return (to_json(_response(choice, envelope, request, reasoning)),)


def events(
    choice: RenderedChoice, envelope: Envelope, request: Mapping[str, Any], *, reasoning: str | None = None
) -> tuple[bytes, ...]:
    """Return an answer as a stream of server-sent events; the arguments are those of `whole`."""
    response = _response(choice, envelope, request, reasoning)
    sent = _stream(response)
    return tuple(_event(number, kind, members) for number, (kind, members) in enumerate(sent))


def error_event(message: str, code: str | None = None, *, number: int = 0) -> bytes:
    """Return the event with which a stream reports an error; before a stream, errors are as in Chat Completions."""
    return _event(number, "error", {"code": code, "message": message, "param": None})


def _event(number: int, kind: str, members: dict[str, Any]) -> bytes:
    data = to_json({"type": kind, "sequence_number": number} | members)
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def _response(
    choice: RenderedChoice, envelope: Envelope, request: Mapping[str, Any], reasoning: str | None
) -> dict[str, Any]:
    is_complete = choice.finish_reason in ("stop", "tool_calls", "refusal")
    reason = None if is_complete else _INCOMPLETE.get(choice.finish_reason, choice.finish_reason)
    digest = envelope.id.rpartition("-")[2]
    return {
        "id": (choice.original or {}).get("id", f"resp_{digest}"),
        "object": "response",
        "created_at": CREATED,
        "status": "completed" if is_complete else "incomplete",
        "background": False,
        "error": None,
        "incomplete_details": None if reason is None else {"reason": reason},
        "model": envelope.model,
        "output": _output(choice, digest, reasoning),
        "previous_response_id": None,
        "usage": _usage(envelope, reasoning),
        "metadata": {},
        **{name: request.get(name, otherwise) for name, otherwise in _ECHOED.items()},
    }


def _usage(envelope: Envelope, reasoning: str | None) -> dict[str, Any]:
    thought = min(len(reasoning or "") // 4, envelope.completion_tokens)
    return {
        "input_tokens": envelope.prompt_tokens,
        "input_tokens_details": {"cached_tokens": envelope.cached_tokens or 0, "cache_write_tokens": 0},
        "output_tokens": envelope.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": envelope.prompt_tokens + envelope.completion_tokens,
    }


def _output(choice: RenderedChoice, digest: str, reasoning: str | None) -> list[dict[str, Any]]:
    if choice.original is not None:
        return list(choice.original["output"])
    items: list[dict[str, Any]] = []
    mark = "" if reasoning is None else "r"
    if reasoning is not None:
        summary = [{"type": "summary_text", "text": reasoning}] if reasoning else []
        id_ = f"rs_{digest}"
        items.append(
            {"id": id_, "type": "reasoning", "summary": summary, "encrypted_content": encrypted(id_, reasoning)}
        )
    if choice.text is not None:
        items.append(_message(choice, f"msg_{digest}_{mark}0"))
    items += [_function_call(call, f"fc_{digest}_{mark}{index}") for index, call in enumerate(choice.calls)]
    if choice.finish_reason == "length" and items and "status" in items[-1]:
        items[-1]["status"] = "incomplete"
    return items


def _message(choice: RenderedChoice, id_: str) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "output_text", "text": choice.text, "annotations": [], "logprobs": []}
    if choice.finish_reason == "refusal":
        part = {"type": "refusal", "refusal": choice.text}
    return {"id": id_, "type": "message", "status": "completed", "role": "assistant", "content": [part]}


def _function_call(call: RenderedCall, id_: str) -> dict[str, Any]:
    return {
        "id": id_,
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def _stream(response: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each event of an answer with its members."""
    beginning = {**response, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    yield "response.created", {"response": beginning}
    yield "response.in_progress", {"response": beginning}
    for index, item in enumerate(response["output"]):
        place = {"item_id": item.get("id"), "output_index": index}
        parts = _PARTS.get(item["type"], "")
        empty: dict[str, Any] = dict(item)
        if parts in item:
            empty[parts] = "" if parts == "arguments" else []
        if "status" in item:
            empty["status"] = "in_progress"
        yield "response.output_item.added", {"output_index": index, "item": empty}
        if item["type"] == "function_call":
            yield from _arguments(item, place)
        for number, part in enumerate(item.get(parts) or () if parts != "arguments" else ()):
            if parts == "summary":
                yield from _part(
                    part, place | {"summary_index": number}, "reasoning_summary_part", "reasoning_summary_text"
                )
            elif part["type"] in ("output_text", "refusal"):
                yield from _part(part, place | {"content_index": number}, "content_part", part["type"])
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield f"response.{response['status']}", {"response": response}


def _arguments(item: dict[str, Any], place: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    arguments = item["arguments"]
    half = len(arguments) // 2
    for piece in filter(None, (arguments[:half], arguments[half:])):
        yield "response.function_call_arguments.delta", place | {"delta": piece}
    yield "response.function_call_arguments.done", place | {"name": item["name"], "arguments": arguments}


def _part(
    part: dict[str, Any], place: dict[str, Any], part_event: str, text_event: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    field = "refusal" if part["type"] == "refusal" else "text"
    more: dict[str, Any] = {"logprobs": []} if part["type"] == "output_text" else {}
    yield f"response.{part_event}.added", place | {"part": {**part, field: ""}}
    for word in re.findall(r"\s*\S+|\s+$", part[field]):
        yield f"response.{text_event}.delta", place | {"delta": word} | more
    yield f"response.{text_event}.done", place | {field: part[field]} | more
    yield f"response.{part_event}.done", place | {"part": part}
