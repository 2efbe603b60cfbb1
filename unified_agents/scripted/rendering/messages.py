"""Reads Anthropic Messages requests, and renders answers of a scripted model as Anthropic's API gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from unified_agents.scripted.rendering.chat_completions import JSON_TYPE, Envelope, RenderedCall, RenderedChoice
from unified_agents.scripted.rendering.messages_strict import signature
from unified_agents.scripted.values import BadRequestShapeError
from unified_agents.tools.json_values import to_json
from unified_agents.wire.http_errors import SCRIPT_ERROR
from unified_agents.wire.local_upstream import Reply
from unified_agents.wire.protocols.chat_completions_fields import decode_response

# https://docs.claude.com/en/api/errors
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOP_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_SAME_FIELDS = ("model", "stream", "temperature", "top_p", "max_tokens")
_PIECE_CHARS = 24


def chat_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request in Chat Completions terms. What the model thought is left out.

    Raises:
        BadRequestShapeError: it is no Messages request.
    """
    messages = body.get("messages")
    _check(_are_objects(messages), "'messages' must be a list of objects")
    request: dict[str, Any] = {name: body[name] for name in _SAME_FIELDS if name in body}
    system = _text_of(_blocks(body["system"], "system")) if body.get("system") else ""
    request["messages"] = [{"role": "system", "content": system}] if system else []
    for place, message in enumerate(messages or ()):
        blocks, role = _blocks(message.get("content"), f"messages.{place}.content"), message.get("role")
        _check(role in ("user", "assistant", "system"), f"messages.{place}.role must be user or assistant")
        if role == "assistant":
            request["messages"].append(_assistant_message(blocks, f"messages.{place}"))
        elif role == "system":
            request["messages"].append({"role": "system", "content": _text_of(blocks)})
        else:
            request["messages"] += _user_messages(blocks, f"messages.{place}")
    return request | _settings(body)


def _settings(body: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if tools := body.get("tools"):
        _check(_are_objects(tools), "'tools' must be a list of objects")
        settings["tools"] = [_tool(tool) for tool in tools]
    if isinstance(choice := body.get("tool_choice"), Mapping):
        kind = _CHOICES.get(str(choice.get("type")))
        settings["tool_choice"] = kind or {"type": "function", "function": {"name": choice.get("name")}}
        if choice.get("disable_parallel_tool_use") is not None:
            settings["parallel_tool_calls"] = not choice["disable_parallel_tool_use"]
    if stop := body.get("stop_sequences"):
        settings["stop"] = stop
    output = body.get("output_config")
    if isinstance(output, Mapping) and isinstance(form := output.get("format"), Mapping):
        schema = {"name": "answer", "schema": form.get("schema")}
        settings["response_format"] = {"type": "json_schema", "json_schema": schema}
    return settings


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if "input_schema" not in tool:
        return dict(tool)  # one of the provider's own
    function = {"name": tool.get("name"), "description": tool.get("description"), "strict": tool.get("strict")}
    kept = {name: value for name, value in function.items() if value is not None}
    return {"type": "function", "function": kept | {"parameters": tool["input_schema"]}}


def _assistant_message(blocks: Sequence[Mapping[str, Any]], place: str) -> dict[str, Any]:
    calls = []
    for block in blocks:
        if block["type"] == "tool_use":
            names = (block.get("id"), block.get("name"))
            _check(all(isinstance(name, str) for name in names), f"{place}: a tool_use needs an id and a name")
            arguments = orjson.dumps(block.get("input")).decode()
            calls.append(RenderedCall(block["id"], block["name"], arguments).to_chat())
    message: dict[str, Any] = {"role": "assistant", "content": _text_of(blocks) or None}
    return message | {"tool_calls": calls} if calls else message


def _user_messages(blocks: Sequence[Mapping[str, Any]], place: str) -> Iterator[dict[str, Any]]:
    others = []
    for block in blocks:
        if block["type"] != "tool_result":
            others.append(_part(block, place))
            continue
        _check(isinstance(block.get("tool_use_id"), str), f"{place}: a tool_result needs a tool_use_id")
        content = [_part(part, place) for part in _blocks(block.get("content") or "", f"{place}.content")]
        yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": _content(content)}
    if others or not blocks:
        yield {"role": "user", "content": _content(others)}


def _part(block: Mapping[str, Any], place: str) -> dict[str, Any]:
    kind, source = block["type"], block.get("source")
    if kind == "text":
        _check(isinstance(block.get("text"), str), f"{place}: a text block needs a text")
    if kind not in ("image", "document") or not isinstance(source, Mapping):
        return dict(block)
    url = f"data:{source.get('media_type')};base64,{source.get('data')}"
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": source.get("url", url)}}
    if "file_id" in source:
        return {"type": "file", "file": {"file_id": source["file_id"]}}
    return {"type": "file", "file": {"filename": block.get("title"), "file_data": source.get("url", url)}}


def _content(parts: list[dict[str, Any]]) -> Any:
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _text_of(blocks: Sequence[Mapping[str, Any]]) -> str:
    return "".join(str(block.get("text") or "") for block in blocks if block["type"] == "text")


def _blocks(content: Any, place: str) -> Sequence[Mapping[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    _check(_are_objects(content), f"{place} must be a text or a list of objects")
    _check(all(isinstance(block.get("type"), str) for block in content), f"{place}: a block needs a type")
    return content  # type: ignore[no-any-return]


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _check(is_right: bool, words: str) -> None:
    if not is_right:
        raise BadRequestShapeError(words)


def whole_answer(choice: RenderedChoice | None, envelope: Envelope, *, reasoning: str | None = None) -> bytes:
    """Return an answer as one body.

    Args:
        choice: The answer; None for one without any block.
        envelope: What stands beside it.
        reasoning: What the model thought, as a signed block before the others; None for a model that does not think.
    """
    blocks = list(_answer_blocks(choice, reasoning))
    message = _message(envelope, blocks, _stop_reason(choice))
    message["usage"]["output_tokens"] = envelope.completion_tokens
    return to_json(message)


def answer_events(
    choice: RenderedChoice | None, envelope: Envelope, *, reasoning: str | None = None
) -> tuple[bytes, ...]:
    """Return an answer as server-sent events; the arguments are those of `whole_answer`."""
    events = [_event("message_start", message=_message(envelope, [], None)), _event("ping")]
    blocks = list(_answer_blocks(choice, reasoning))
    arguments = iter(() if choice is None else [call.arguments for call in choice.calls])
    for index, block in enumerate(blocks):
        events += _block_events(index, block, next(arguments, "") if block["type"] == "tool_use" else "")
    delta = {"stop_reason": _stop_reason(choice), "stop_sequence": None}
    events.append(_event("message_delta", delta=delta, usage={"output_tokens": envelope.completion_tokens}))
    return (*events, _event("message_stop"))


def error_body(status: int, message: str, *, code: str | None = None) -> bytes:
    """Return an error in the form of Anthropic's API, which knows no codes: only that of a script's error is told."""
    kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = {"type": kind, "message": message} | ({"code": code} if code == SCRIPT_ERROR else {})
    return to_json({"type": "error", "error": error, "request_id": "req_script"})


def error_event(status: int, message: str) -> bytes:
    """Return the event with which a stream reports an error."""
    return b"event: error\ndata: " + error_body(status, message) + b"\n\n"


def error_reply(
    status: int, message: str, *, code: str | None = None, headers: dict[str, str] | None = None, delay: float = 0.0
) -> Reply:
    """Make an error reply in the form of Anthropic's API."""
    return Reply(status, JSON_TYPE, headers or {}, (error_body(status, message, code=code),), delay)


def _message(envelope: Envelope, blocks: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
    read, written = envelope.cached_tokens or 0, envelope.cache_write_tokens
    usage = {"cache_creation_input_tokens": written, "cache_read_input_tokens": read, "output_tokens": 1}
    return {
        "id": "msg_" + envelope.id.removeprefix("chatcmpl-"),
        "type": "message",
        "role": "assistant",
        "model": envelope.model,
        "content": blocks,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": envelope.prompt_tokens - read - written} | usage,
    }


def _stop_reason(choice: RenderedChoice | None) -> str:
    return "end_turn" if choice is None else _STOP_REASONS.get(choice.finish_reason, choice.finish_reason)


def _answer_blocks(choice: RenderedChoice | None, reasoning: str | None) -> Iterator[dict[str, Any]]:
    if reasoning is not None and (choice is None or choice.original is None):
        yield {"type": "thinking", "thinking": reasoning, "signature": signature(reasoning)}
    if choice is None:
        return
    if choice.original is not None:
        yield from choice.original["content"]
        return
    if choice.text:
        yield {"type": "text", "text": choice.text}
    for call in choice.calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call.arguments)}


def _input(arguments: str) -> Any:
    """Return arguments as JSON; broken ones as a text, which the API itself never sends."""
    try:
        return decode_response(arguments.encode())
    except ValueError:
        return arguments


def _block_events(index: int, block: dict[str, Any], arguments: str) -> Iterator[bytes]:
    start: dict[str, Any] = dict(block)
    deltas: list[dict[str, Any]] = []
    if block["type"] == "text":
        start["text"] = ""
        deltas = [{"type": "text_delta", "text": word} for word in _words(block["text"])]
    elif block["type"] == "thinking":
        start |= {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": word} for word in _words(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block.get("signature") or ""})
    elif "input" in block:
        arguments = arguments or to_json(block["input"]).decode()
        start["input"] = {}
        pieces = ["", *(arguments[at : at + _PIECE_CHARS] for at in range(0, len(arguments), _PIECE_CHARS))]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    yield _event("content_block_start", index=index, content_block=start)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def _event(kind: str, **members: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + to_json({"type": kind} | members) + b"\n\n"
