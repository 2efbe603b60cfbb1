"""The fingerprint of a conversation: what it says, whatever framework wrote it down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        self.add_normalised(normalised(message))

    def add_normalised(self, content: list[Any]) -> None:
        """Add a message that is normalised already."""
        self._digest.update(self._hide(_line(content)))

    def text(self) -> str:
        """Return the fingerprint of what was added so far."""
        return self._digest.hexdigest()


def first_difference(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> str:
    """Say where two conversations differ first."""
    place = first_different_place([normalised(message) for message in then], [normalised(message) for message in now])
    return place or "a place that the journal does not tell"


def first_different_place(then: Sequence[list[Any]], now: Sequence[list[Any]]) -> str | None:
    """Say where two conversations of normalised messages differ first; None where they do not."""
    for number, (was, comes) in enumerate(zip(then, now, strict=False), 1):
        if was != comes:
            return f"message {number} ({comes[0]}): it was {_shown(was, comes)}, and now is {_shown(comes, was)}"
    if len(then) != len(now):
        longer, word = (then, "gone") if len(then) > len(now) else (now, "new")
        extra = longer[min(len(then), len(now))]
        return f"message {min(len(then), len(now)) + 1} ({extra[0]}) is {word}: {_shown(extra)}"
    return None


def _shown(content: list[Any], other: list[Any] | None = None) -> str:
    """Return a message on one short line, from a little before the place where it differs from another one."""
    text = _as_text(content)
    same = 0 if other is None else next(_differing_places(text, _as_text(other)))
    begin = max(0, same - MAX_SHOWN_CHARS // 2)
    cut = ("…" if begin else "") + text[begin : begin + MAX_SHOWN_CHARS - 1]
    return repr(cut + ("…" if begin + MAX_SHOWN_CHARS - 1 < len(text) else ""))


def _differing_places(one: str, other: str) -> Iterator[int]:
    """Yield the places where two texts differ, the end of the shorter one too."""
    yield from (place for place, (mine, theirs) in enumerate(zip(one, other, strict=False)) if mine != theirs)
    yield min(len(one), len(other))


def _as_text(content: list[Any]) -> str:
    return content[1] if isinstance(content[1], str) else to_json(content[1]).decode()


def _line(content: list[Any]) -> bytes:
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        return to_json(content) + b"\n"


def normalised(message: Mapping[str, Any]) -> list[Any]:
    """Return what counts of a message in Chat Completions terms: its role, and its text, or its calls and arguments."""
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
