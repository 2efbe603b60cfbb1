"""The original turn in Chat Completions: what an answer holds beside text and calls, kept and sent back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import StreamRedactor

_PORTABLE = frozenset({"role", "content", "tool_calls"})
_OUTPUT_ONLY = frozenset({"refusal", "annotations", "audio", "function_call"})
"""Fields of an answer that OpenAI's reference has for answers alone, or that stand in the portable form as calls."""

_KNOWN = _PORTABLE | _OUTPUT_ONLY
_KNOWN_OF_CALL = frozenset({"id", "type", "function", "index"})
_IN_PIECES = frozenset({"text", "summary", "data", "content", "thinking"})
"""Fields of a streamed object whose text comes in pieces; the others come whole, and some servers repeat them."""


_REASONING = ("reasoning_content", "reasoning")
"""The fields in which servers show what a model thinks."""


def original_of(message: JsonObject) -> JsonObject | None:
    """Return the turn of a whole answer, where it holds more than text and calls; None where it does not."""
    if (message.keys() <= _KNOWN or _has_only_nulls(message)) and type(message.get("content")) is not list:
        for call in message.get("tool_calls") or ():
            if not call.keys() <= _KNOWN_OF_CALL:
                break
        else:
            return None
    return {name: value for name, value in message.items() if value is not None and name not in _OUTPUT_ONLY}


def _has_only_nulls(message: JsonObject) -> bool:
    """Tell whether the fields of a turn beside text and calls are all null."""
    return all(message[name] is None for name in message.keys() - _KNOWN)


def extra_fields_of(delta: JsonObject) -> JsonObject:
    """Return what a streamed piece of a turn holds beside text and calls."""
    extra = delta.keys() - _KNOWN
    return {name: delta[name] for name in extra if delta[name] is not None}


def reasoning_of(message: JsonObject | None) -> str | None:
    """Return what a turn, or a streamed piece of one, shows of the model's thinking; None where it shows nothing."""
    for name in _REASONING if message else ():
        if (text := (message or {}).get(name)) and isinstance(text, str):
            return text
    return None


def extra_fields_of_call(piece: JsonObject) -> JsonObject:
    """Return what a streamed piece of a call holds beside its id, name and arguments."""
    return {name: piece[name] for name in piece.keys() - _KNOWN_OF_CALL if piece[name] is not None}


def streamed_original(
    message: JsonObject,
    pieces: Sequence[JsonObject],
    pieces_of_calls: Sequence[Sequence[JsonObject]],
    redactor: StreamRedactor | None,
) -> JsonObject | None:
    """Return the turn of a streamed answer, where it holds more than text and calls; None where it does not.

    Args:
        message: Its text and calls.
        pieces: What its pieces hold beside these.
        pieces_of_calls: For each call, what its pieces hold beside id, name and arguments.
        redactor: Takes secrets out of them; None where there are none.
    """
    if not pieces and not any(pieces_of_calls):
        return None
    original: JsonObject = message | {
        name: _joined(name, values, whole=False) for name, values in _by_name(pieces).items()
    }
    if calls := message.get("tool_calls"):
        original["tool_calls"] = [
            call | {name: _joined(name, values) for name, values in _by_name(extra).items()}
            for call, extra in zip(calls, pieces_of_calls, strict=True)
        ]
    if redactor is not None:
        original = orjson.loads(redactor.redact(orjson.dumps(original).decode()))
    return original


def with_original(message: Mapping[str, Any], original: JsonObject) -> JsonObject:
    """Return an assistant turn as it goes back: as the model wrote it, under the ids that its calls have in the run."""
    sent = {"content": message.get("content")} | original | {"role": "assistant"}
    calls, own = message.get("tool_calls") or (), original.get("tool_calls") or ()
    if calls and len(own) == len(calls):
        calls = [
            theirs | call | {"function": (theirs.get("function") or {}) | call["function"]}
            for theirs, call in zip(own, calls, strict=True)
        ]
    if calls:
        sent["tool_calls"] = list(calls)
    else:
        sent.pop("tool_calls", None)
    return sent


def _by_name(pieces: Sequence[JsonObject]) -> dict[str, list[Any]]:
    names: dict[str, list[Any]] = {}
    for piece in pieces:
        for name, value in piece.items():
            if value is not None:
                names.setdefault(name, []).append(value)
    return names


def _joined(name: str, values: list[Any], *, whole: bool = True) -> Any:
    """Put the pieces of a field together, in linear time.

    Args:
        name: The field.
        values: Its pieces.
        whole: Whether a text comes whole in each piece, unless its field is one of those that come in pieces.
    """
    if all(type(value) is str for value in values):
        return values[-1] if whole and name not in _IN_PIECES else "".join(values)
    if all(type(value) is dict for value in values):
        return {name: _joined(name, found) for name, found in _by_name(values).items()}
    if all(type(value) is list for value in values):
        return _joined_items([item for value in values for item in value])
    return values[-1]


def _joined_items(items: list[Any]) -> list[Any]:
    """Put items together that stand under one index; those without an index stay apart."""
    groups: dict[Any, list[Any]] = {}
    for place, item in enumerate(items):
        index = item.get("index") if type(item) is dict else None
        groups.setdefault(("apart", place) if type(index) is not int else index, []).append(item)
    return [group[0] if len(group) == 1 else _joined("", group) for group in groups.values()]
