"""A tool's result in the form in which the model reads it."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections import UserString
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from decimal import Decimal
from pathlib import PurePath
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from unified_agents import wording
from unified_agents.errors import ToolFailedError, native_name
from unified_agents.text import encodable
from unified_agents.tools.json_faults import not_finite, unfit_key
from unified_agents.tools.parts import FilePart, ImagePart, Part, TextPart

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_NULL = b"null"
_INT64 = range(-(2**63), 2**64)
MAX_DEPTH = 200
MAX_ITEMS = 1_000_000
"""How many items of containers of other classes than Python's own are read in a whole result; one may have no end."""
_PARTS = (TextPart, ImagePart, FilePart)

MAX_PART_BYTES = 20_000_000
"""The size of the largest image or file that is sent; a larger one is only described."""


def to_content(value: object, max_chars: int | None) -> tuple[str, tuple[Part, ...]]:
    """Return a tool's result as text, and as content parts where it has images or files.

    Args:
        value: What the tool returned. Parts stand alone or in a list, beside whatever has a text; within anything
            else they are told as text.
        max_chars: Characters of text to keep, each part's counted by itself; more is cut, with a mark that says so.
            None keeps all.

    Returns:
        The text, in which images and files are described; and the parts, empty where text says it all.

    Raises:
        ToolFailedError: the value, or something within it, has no JSON form.
    """
    items = _items(value)
    if items is None:
        return _text(value, max_chars), ()
    parts = tuple(_part(item, max_chars) for item in items)
    text = "\n".join(part.as_text() for part in parts)
    return _cut(text, max_chars), () if all(isinstance(part, TextPart) for part in parts) else parts


def _items(value: object) -> Sequence[object] | None:
    if isinstance(value, _PARTS):
        return [value]
    if isinstance(value, list | tuple) and any(isinstance(item, _PARTS) for item in value):
        return value
    return None


def _part(item: object, max_chars: int | None) -> Part:
    if isinstance(item, ImagePart | FilePart) and item.size <= MAX_PART_BYTES:
        return item
    text = _cut(item.as_text(), max_chars) if isinstance(item, _PARTS) else _text(item, max_chars)
    return TextPart.model_construct(text=text)


def _text(value: object, max_chars: int | None) -> str:
    """Return a value as text that is cut; what has no end is read no further than that."""
    reader = _ResultReader(max_chars)
    return _cut(reader.text(value), max_chars, has_more=reader.has_more)


def _cut(text: str, max_chars: int | None, *, has_more: bool = False) -> str:
    if max_chars is None or (len(text) <= max_chars and not has_more):
        return text
    return text[:max_chars] + wording.cut_result(len(text), max_chars, has_more=has_more)


def to_text(value: object) -> str:
    """Return a tool's result as text: a string as it is, anything else as compact JSON.

    None is `null`. Pydantic models, dataclasses, enums, dates, sets (sorted by their JSON), decimals and paths have
    their usual JSON form; keys that are numbers, dates, enums and the like become strings. Half a surrogate pair in a
    string becomes U+FFFD, because it cannot be sent. Images and files are told by what they are.

    NaN and infinities have no JSON form, and `null` would say something else: they are refused.

    Raises:
        ToolFailedError: the value, or something within it, has no JSON form; the message says what, and where.
    """
    return _ResultReader(None).text(value)


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).partition("\n")[0]


class _ResultReader:
    """The reading of one result, in which containers that may have no end are read as far as there is room.

    Args:
        max_chars: Characters of text that are wanted; None wants all, and then what is too large is refused.

    Attributes:
        has_more: Whether something was left unread.
    """

    __slots__ = ("_max_chars", "_room", "has_more")

    def __init__(self, max_chars: int | None) -> None:
        self._max_chars = max_chars
        self._room = MAX_ITEMS if max_chars is None else max_chars
        self.has_more = False

    def text(self, value: object) -> str:
        """Return a value as text; see `to_text`."""
        if isinstance(value, str | UserString):
            return encodable(str.__str__(value) if isinstance(value, str) else str(value))
        if (parts := _items(value)) is not None:
            return to_content(parts, None)[0]
        try:
            text = self._dump(value)
            if _NULL in text and (found := not_finite(value, self._again()._to_jsonable)) is not None:
                raise ValueError(found)  # orjson writes NaN as null
            return text.decode()
        except (TypeError, ValueError, RecursionError, PydanticSerializationError) as error:
            reason = unfit_key(value, self._again()._to_jsonable, error) or _reason(error)
            raise ToolFailedError(wording.no_json_form(reason), native_type=native_name(error)) from error

    def _again(self) -> _ResultReader:
        return _ResultReader(self._max_chars)

    def _dump(self, value: object) -> bytes:
        try:
            return orjson.dumps(value, default=self._to_jsonable, option=_OPTIONS)
        except TypeError as error:
            if "64-bit" not in _reason(error) and "surrogates" not in _reason(error):
                raise
        again = self._again()
        text = orjson.dumps(again._encodable(value, 0), default=again._to_jsonable, option=_OPTIONS)
        self.has_more |= again.has_more
        return text

    def _to_jsonable(self, value: object) -> Any:
        """Convert a value one step towards the types that orjson knows."""
        if inspect.iscoroutine(value):
            value.close()  # nobody will await it, and Python would complain later, somewhere else
            raise TypeError(wording.is_not_json(type(value).__name__))
        if isinstance(value, bytes | bytearray | memoryview | Iterator):
            raise TypeError(wording.is_not_json(type(value).__name__))
        if isinstance(value, _PARTS):
            return value.as_text()
        if isinstance(value, BaseModel):
            return value.model_dump(mode="json")
        if isinstance(value, UserString):
            return str(value)
        if isinstance(value, Decimal) and not value.is_finite():
            raise ValueError(wording.not_finite(math.nan if value.is_nan() else float(value), ""))
        if isinstance(value, Set):
            return sorted(self._bounded(value), key=self._dump)
        if isinstance(value, Mapping):
            return dict(self._bounded((key, value[key]) for key in value))
        if isinstance(value, Sequence | ValuesView):
            return list(self._bounded(value))
        if isinstance(value, Decimal | PurePath):
            return str(value)
        return to_jsonable_python(value, inf_nan_mode="constants")

    def _bounded(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the items of a container that may have no end, while there is room for them.

        Raises:
            ValueError: there are too many, and all are wanted.
        """
        for item in items:
            if self._room <= 0:
                if self._max_chars is None:
                    raise ValueError(wording.too_many_items(MAX_ITEMS))
                self.has_more = True
                return
            self._room -= 1 if self._max_chars is None else _least_chars(item)
            yield item

    def _encodable(self, value: object, depth: int) -> Any:
        """Return a copy in which integers beyond 64 bits are JSON text already, and each string can be encoded."""
        if depth > MAX_DEPTH:
            raise ValueError(wording.too_deep())
        if isinstance(value, str):
            return encodable(str.__str__(value))
        if isinstance(value, int):
            return value if value in _INT64 else orjson.Fragment(str(int(value)))
        if isinstance(value, Mapping):
            pairs = value.items() if isinstance(value, dict) else self._bounded((key, value[key]) for key in value)
            return {_encodable_key(key): self._encodable(item, depth + 1) for key, item in pairs}
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
            items = value if isinstance(value, list | tuple) else self._bounded(value)
            return [self._encodable(item, depth + 1) for item in items]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [item.name for item in dataclasses.fields(value)]
            return {name: self._encodable(getattr(value, name), depth + 1) for name in names}
        if isinstance(value, BaseModel | Set):
            return self._encodable(self._to_jsonable(value), depth + 1)
        return value


def _least_chars(item: object) -> int:
    """Return how many characters of JSON an item has at the least; of a mapping, a pair is an item."""
    if isinstance(item, tuple):
        return sum(map(_least_chars, item))
    return len(item) + 2 if isinstance(item, str) else 2


def _encodable_key(key: object) -> Any:
    if isinstance(key, int) and key not in _INT64:
        return str(key)
    return encodable(str.__str__(key)) if isinstance(key, str) else key
