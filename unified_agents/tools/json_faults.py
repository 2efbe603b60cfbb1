"""The search for the place in a tool's result that has no JSON form."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from unified_agents import wording
from unified_agents.tools.argument_errors import shortened
from unified_agents.tools.json_pointer import escape_token

_KEYS = (str, int, float, date, time, UUID, enum.Enum, type(None))
_SIMPLE = (str, bytes, bytearray, memoryview, date, time, UUID, int, float, type(None))
_LEAVES = frozenset({str, int, float, bool, type(None)})

_KEY_ERROR = "Dict key"  # so begins what orjson says of one

_ToJsonable = Callable[[object], Any]


def not_finite(value: object, to_jsonable: _ToJsonable) -> str | None:
    """Find NaN or an infinity, which JSON does not have, within a value.

    Args:
        value: What `orjson` has written already, so that it has an end.
        to_jsonable: Takes what `orjson` does not know one step towards what it does.

    Returns:
        What stands where, for the message; None where all numbers are finite.
    """
    for node, place in _walk(value, to_jsonable):
        if isinstance(node, float) and not math.isfinite(node):
            return wording.not_finite(node, _pointer(place))
        for key, item in _items(node):
            for number in (key, item):
                if type(number) is float and not math.isfinite(number):
                    return wording.not_finite(number, _pointer((place, key)))
    return None


def unfit_key(value: object, to_jsonable: _ToJsonable, error: Exception) -> str | None:
    """Find a mapping's key that is no JSON key; None where `orjson`'s error is about something else."""
    if _KEY_ERROR not in str(error):
        return None
    for node, place in _walk(value, to_jsonable):
        for key, _ in _items(node):
            if not isinstance(key, _KEYS):
                return wording.unfit_key(_shown(key), type(key).__name__, _pointer(place))
    return None


def _walk(value: object, to_jsonable: _ToJsonable) -> Iterator[tuple[Any, Any]]:
    """Yield a value and each one within it that is no leaf, opened, with the chain of keys that leads to it."""
    remaining: list[tuple[object, Any]] = [(value, None)]
    seen: dict[int, object] = {}  # holds what it knows, so that no id comes twice
    while remaining:
        node, place = remaining.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        opened = _opened(node, to_jsonable)
        yield opened, place
        remaining.extend((item, (place, key)) for key, item in _items(opened) if type(item) not in _LEAVES)


def _opened(node: object, to_jsonable: _ToJsonable) -> Any:
    """Return a value as a mapping, a sequence, a dataclass, or something simple."""
    if type(node) in {dict, list, tuple} or isinstance(node, _SIMPLE):
        return node
    if isinstance(node, enum.Enum):
        return _opened(node.value, to_jsonable)
    if isinstance(node, dict | list | tuple) or _is_record(node):
        return node
    if callable(to_list := getattr(node, "tolist", None)):  # numbers in an array, or one that came out of it
        return to_list()
    try:
        # As Python's own values: in JSON mode pydantic makes None of NaN in a field of any type.
        return _opened(node.model_dump() if isinstance(node, BaseModel) else to_jsonable(node), to_jsonable)
    except (TypeError, ValueError):  # it has no JSON form itself, and there is another fault, which was found first
        return None


def _items(node: Any) -> Iterable[tuple[object, Any]]:
    if type(node) is dict:
        return node.items()
    if type(node) is list:
        return enumerate(node)
    if isinstance(node, _SIMPLE):
        return ()
    if isinstance(node, Mapping):
        return node.items()
    if isinstance(node, Sequence):
        return enumerate(node)
    names = (item.name for item in dataclasses.fields(node) if not item.name.startswith("_"))
    return ((name, getattr(node, name)) for name in names)


def _is_record(node: object) -> bool:
    return dataclasses.is_dataclass(node) and not isinstance(node, type)


def _pointer(place: Any) -> str:
    """Return the JSON Pointer of a place, from the chain of keys that leads back from it."""
    parts: list[str] = []
    while place is not None:
        place, key = place
        parts.append(escape_token(str(key)))
    return "".join(f"/{part}" for part in reversed(parts))


def _shown(key: object) -> str:
    try:
        return shortened(repr(key))
    except Exception:  # an object's own text may raise anything
        return wording.CUT_MARK
