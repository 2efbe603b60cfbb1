"""The fingerprint of a conversation: what it says, whatever framework wrote it down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from unified_agents.tools.json_values import to_json

MAX_SHOWN_CHARS = 80


class Fingerprint:
    """The fingerprint of a conversation that grows.

    It covers system texts, user texts, and for each step its calls (index, tool, parsed arguments) and results. It
    ignores ids, content that is null, "" or absent, text beside calls, and the spacing of arguments.

    Args:
        hide: Takes secrets out of what is hashed, so that a new key changes no fingerprint.

    Attributes:
        steps: How many steps of the run it covers; None before it covers what the run was given.
    """

    __slots__ = ("_digest", "_hide", "steps")

    def __init__(self, hide: Callable[[bytes], bytes] = bytes) -> None:
        self._digest = hashlib.sha256()
        self._hide = hide
        self.steps: int | None = None

    def add(self, message: Mapping[str, Any]) -> None:
        """Add a message in Chat Completions terms."""
        self._digest.update(self._hide(_line(message)))

    def text(self) -> str:
        """Return the fingerprint of what was added so far."""
        return self._digest.hexdigest()


def first_difference(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> str:
    """Say where two conversations differ first."""
    for number, (old, new) in enumerate(zip(then, now, strict=False), 1):
        was, comes = _content_of(old), _content_of(new)
        if was != comes:
            return f"message {number} ({comes[0]}): it was {_shown(was)}, and now is {_shown(comes)}"
    if len(then) != len(now):
        longer, word = (then, "gone") if len(then) > len(now) else (now, "new")
        extra = _content_of(longer[min(len(then), len(now))])
        return f"message {min(len(then), len(now)) + 1} ({extra[0]}) is {word}: {_shown(extra)}"
    return "a place that the journal does not tell"


def _shown(content: list[Any]) -> str:
    text = content[1] if isinstance(content[1], str) else to_json(content[1]).decode()
    return repr(text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…")


def _line(message: Mapping[str, Any]) -> bytes:
    content = _content_of(message)
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        return to_json(content) + b"\n"


def _content_of(message: Mapping[str, Any]) -> list[Any]:
    role = message.get("role")
    calls = message.get("tool_calls")
    if role == "assistant" and calls:
        return [
            role,
            [[call["function"]["name"], _parsed_arguments(call["function"].get("arguments"))] for call in calls],
        ]
    return ["system" if role == "developer" else role, _text(message.get("content"))]


def _parsed_arguments(arguments: str | None) -> Any:
    try:
        return orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return arguments


def _text(content: Any) -> Any:
    # Some frameworks write a text as a list of one part.
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(part.get("text", "") for part in content)
    return content or ""
