"""Why a tool's result has no JSON form, and where in it the fault is."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, time
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from unified_agents import wording
from unified_agents.tools.argument_errors import shortened
from unified_agents.tools.json_pointer import escape_token

_KEYS = (str, int, float, date, time, UUID, enum.Enum, type(None))
_SIMPLE = (str, bytes, bytearray, memoryview, date, time, UUID, int, float, type(None))
_LEAVES = frozenset({str, int, bool, type(None)})

_KEY_ERROR = "Dict key"  # so begins what orjson says of one

_Plain = Callable[[object], Any]


def not_finite(value: object, plain: _Plain) -> str | None:
    """Where a value holds NaN or an infinity, which JSON cannot say.

    Args:
        value: What `orjson` has written already, so that it has an end.
        plain: Takes what `orjson` does not know one step towards what it does.

    Returns:
        What stands where, for the message; None where all numbers are finite.
    """
    left: list[tuple[object, Any]] = [(value, None)]
    seen: dict[int, object] = {}  # holds what it knows, so that no id comes twice
    while left:
        node, way = left.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        node = _opened(node, plain)
        if isinstance(node, float) and not math.isfinite(node):
            return wording.not_finite(node, _pointer(way))
        for key, item in _items(node):
            kind = type(item)
            if type(key) is float and not math.isfinite(key):
                return wording.not_finite(key, _pointer((way, key)))
            if kind is float and not math.isfinite(item):
                return wording.not_finite(item, _pointer((way, key)))
            if kind not in _LEAVES and kind is not float:
                left.append((item, (way, key)))
    return None


def unfit_key(value: object, plain: _Plain, error: Exception) -> str | None:
    """Which key of a mapping is no JSON key, and where; None where `orjson`'s error is about something else."""
    if _KEY_ERROR not in str(error):
        return None
    left: list[tuple[object, Any]] = [(value, None)]
    seen: dict[int, object] = {}
    while left:
        node, way = left.pop()
        if type(node) in _LEAVES or id(node) in seen:
            continue
        seen[id(node)] = node
        for key, item in _items(_opened(node, plain)):
            if not isinstance(key, _KEYS):
                return wording.unfit_key(_shown(key), type(key).__name__, _pointer(way))
            left.append((item, (way, key)))
    return None


def _opened(node: object, plain: _Plain) -> Any:
    """A value as a mapping, a sequence, a dataclass, or something simple."""
    if type(node) in {dict, list, tuple} or isinstance(node, _SIMPLE):
        return node
    if isinstance(node, enum.Enum):
        return _opened(node.value, plain)
    if isinstance(node, Mapping | Sequence) or _is_record(node):
        return node
    if callable(to_list := getattr(node, "tolist", None)):  # numbers in an array, or one that came out of it
        return to_list()
    try:
        # As Python's own values: in JSON mode pydantic makes None of NaN in a field of any type.
        return _opened(node.model_dump() if isinstance(node, BaseModel) else plain(node), plain)
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


def _pointer(way: Any) -> str:
    """The JSON Pointer of a place, from the chain that leads back from it; empty for the whole."""
    parts: list[str] = []
    while way is not None:
        way, key = way
        parts.append(escape_token(str(key)))
    return "".join(f"/{part}" for part in reversed(parts))


def _shown(key: object) -> str:
    try:
        return shortened(repr(key))
    except Exception:  # an object's own text may raise anything
        return wording.CUT_MARK
