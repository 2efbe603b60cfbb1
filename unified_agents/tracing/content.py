"""What models and tools were told and said, in the form of the GenAI conventions; only for users who opt in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

MAX_CHARS = 262_144
"""So long may the content of one attribute be; of a longer one, the oldest messages are left out."""


def messages_json(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return messages of Chat Completions as the JSON text of `gen_ai.input.messages` and `gen_ai.output.messages`."""
    texts = [_json(_message(one)) for one in messages]
    length = 0
    kept: list[str] = []
    for text in reversed(texts):
        length += len(text) + 1
        if length > MAX_CHARS and kept:
            break
        kept.append(text)
    return f"[{','.join(reversed(kept))}]"


def instructions_json(text: str) -> str:
    """Return the JSON text of `gen_ai.system_instructions`."""
    return _json([{"type": "text", "content": text}])


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    role = str(message.get("role") or "user")
    content = message.get("content")
    if role == "tool":
        part = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}
        return {"role": role, "parts": [part]}
    parts: list[dict[str, Any]] = []
    if isinstance(content, str) and content:
        parts.append({"type": "text", "content": content})
    elif isinstance(content, list):
        parts += map(_part, content)
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        parts.append(
            {
                "type": "tool_call",
                "id": call.get("id"),
                "name": function.get("name"),
                "arguments": _value(function.get("arguments")),
            }
        )
    return {"role": role, "parts": parts}


def _part(part: object) -> dict[str, Any]:
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return {"type": "text", "content": part["text"]}
    kind = part.get("type") if isinstance(part, Mapping) else None
    return {"type": str(kind or "unknown")}  # of images and files only their kind


def _value(arguments: object) -> object:
    """Return arguments as the object that they write; what is no JSON stays a text."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
