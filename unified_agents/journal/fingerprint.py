"""The fingerprint of a conversation: what it says, whatever framework wrote it down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from unified_agents.tools.json_values import to_json

MAX_SHOWN_CHARS = 80


def fingerprint(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return a hash of what a conversation says, the same whatever framework wrote it down.

    Covers system texts, user texts, and for each step its calls (index, tool, parsed arguments) and results. Ignores
    ids, content that is null, "" or absent, text beside calls, the spacing of arguments, and names' prefixes.
    """
    digest = hashlib.sha256()
    for message in messages:
        digest.update(_line(message))
    return digest.hexdigest()


class FingerprintChain:
    """The fingerprints of a conversation that grows: what was hashed once is not hashed again.

    Args:
        redact: Takes secrets out of what is hashed, so that a new key changes no fingerprint.
    """

    __slots__ = ("_digests", "_messages", "_redact")

    def __init__(self, redact: Callable[[bytes], bytes]) -> None:
        self._redact = redact
        self._messages: list[Mapping[str, Any]] = []
        self._digests = [hashlib.sha256()]

    def of(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Return the fingerprint of a conversation; see `fingerprint`."""
        same = 0
        for known, message in zip(self._messages, messages, strict=False):
            if known != message:
                break
            same += 1
        del self._messages[same:], self._digests[same + 1 :]
        for message in messages[same:]:
            digest = self._digests[-1].copy()
            digest.update(self._redact(_line(message)))
            self._messages.append(dict(message))
            self._digests.append(digest)
        return self._digests[-1].hexdigest()


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
