"""Reads OpenAI Responses requests in the terms of Chat Completions, for a scripted model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_agents.scripted.values import BadRequestShapeError

_INPUT_ROLES = ("user", "system", "developer")
_KINDS_OF_TEXT = ("input_text", "output_text", "text")


def chat_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Responses request as a Chat Completions request.

    Items of the model that follow each other are one assistant turn.

    Raises:
        BadRequestShapeError: it is no Responses request.
    """
    request: dict[str, Any] = {"model": body.get("model"), "messages": _messages(body)}
    if (tools := body.get("tools")) is not None:
        if not isinstance(tools, list):
            raise BadRequestShapeError("'tools' must be a list")
        request["tools"] = [_tool(tool, place) for place, tool in enumerate(tools)]
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping) and choice.get("type") == "function":
        request["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif choice is not None:
        request["tool_choice"] = choice
    if body.get("stream") is not None:
        request["stream"] = body["stream"]
    options = body.get("text")
    form = options.get("format") if isinstance(options, Mapping) else None
    if isinstance(form, Mapping) and form.get("type") == "json_schema":
        schema = {name: value for name, value in form.items() if name != "type"}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    return request


def _tool(tool: Any, place: int) -> dict[str, Any]:
    if not isinstance(tool, Mapping):
        raise BadRequestShapeError(f"'tools[{place}]' must be an object")
    if tool.get("type") != "function":
        return dict(tool)
    if not isinstance(tool.get("name"), str):
        raise BadRequestShapeError(f"'tools[{place}].name' must be a text")
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    instructions, items = body.get("instructions"), body.get("input")
    if isinstance(instructions, str):
        messages.append({"role": "system", "content": instructions})
    if isinstance(items, str):
        return [*messages, {"role": "user", "content": items}]
    if not isinstance(items, list):
        raise BadRequestShapeError("'input' must be a text or a list of items")
    turn: dict[str, Any] | None = None
    for place, item in enumerate(items):
        if not isinstance(item, Mapping):
            raise BadRequestShapeError(f"'input[{place}]' must be an object")
        where = f"input[{place}]"
        message = _message_of_caller(item, where)
        if message is not None:
            messages.append(message)
            turn = None
            continue
        if turn is None:
            turn = {"role": "assistant", "content": None}
            messages.append(turn)
        _extend(turn, item, where)
    return messages


def _message_of_caller(item: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    """Return the message that an item is; None for an item of the model's own turn."""
    kind = item.get("type", "message")
    if not isinstance(kind, str):
        raise BadRequestShapeError(f"'{where}.type' must be a text")
    if kind == "function_call_output":
        if "output" not in item:
            raise BadRequestShapeError(f"'{where}.output' is missing")
        call_id = _string(item, "call_id", where)
        return {"role": "tool", "tool_call_id": call_id, "content": _content(item["output"], f"{where}.output")}
    if kind == "item_reference":
        raise BadRequestShapeError(f"'{where}': no item is kept that it could refer to")
    if kind != "message" or item.get("role") == "assistant":
        return None
    if item.get("role") not in _INPUT_ROLES:
        raise BadRequestShapeError(f"'{where}.role' must be one of {', '.join((*_INPUT_ROLES, 'assistant'))}")
    return {"role": item["role"], "content": _content(item.get("content"), f"{where}.content")}


def _extend(turn: dict[str, Any], item: Mapping[str, Any], where: str) -> None:
    """Add an item of the model to its turn; reasoning, and what is of an unknown kind, says nothing here."""
    kind = item.get("type", "message")
    if kind == "message":
        content = _content(item.get("content"), f"{where}.content")
        parts = content if isinstance(content, list) else [{"text": content}]
        text = "".join(str(part.get("text") or part.get("refusal") or "") for part in parts)
        turn["content"] = (turn["content"] or "") + text
    elif kind == "function_call":
        function = {name: _string(item, name, where) for name in ("name", "arguments")}
        call = {"id": _string(item, "call_id", where), "type": "function", "function": function}
        turn.setdefault("tool_calls", []).append(call)


def _content(content: Any, where: str) -> Any:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
        raise BadRequestShapeError(f"'{where}' must be a text or a list of parts")
    return [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind in _KINDS_OF_TEXT:
        return {**part, "type": "text"}
    rest = {name: value for name, value in part.items() if name != "type"}
    if kind == "input_image":
        rest["url"] = rest.pop("image_url", None)
        return {"type": "image_url", "image_url": rest}
    if kind == "input_file":
        return {"type": "file", "file": rest}
    return dict(part)


def _string(item: Mapping[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise BadRequestShapeError(f"'{where}.{name}' must be a text")
    return value
