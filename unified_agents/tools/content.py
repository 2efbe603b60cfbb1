"""What the model reads of a tool's result."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence, Set
from decimal import Decimal
from pathlib import PurePath
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from unified_agents.errors import ToolFailedError, native_name

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_INT64 = range(-(2**63), 2**64)
_DEEPEST = 200


def to_text(value: object) -> str:
    """A tool's result as text: a string as it is, anything else as compact JSON.

    None is `null`. Pydantic models, dataclasses, enums, dates, sets (sorted by their JSON), decimals and paths have
    their usual JSON form; NaN and infinities are `null`; keys that are no strings become strings. Half a surrogate
    pair in a string becomes U+FFFD, because it cannot be sent.

    Raises:
        ToolFailedError: the value, or something within it, has no JSON form; the message names the type.
    """
    if isinstance(value, str):
        return _encodable(str.__str__(value))
    try:
        return _dump(value).decode()
    except (TypeError, ValueError, RecursionError, PydanticSerializationError) as error:
        raise ToolFailedError(
            f"the tool's result has no JSON form: {_reason(error)}; return text or JSON-like values",
            native_type=native_name(error),
        ) from error


def _dump(value: object) -> bytes:
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except TypeError as error:
        if "64-bit" not in _reason(error) and "surrogates" not in _reason(error):
            raise
    return orjson.dumps(_wide(value, 0), default=_plain, option=_OPTIONS)


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).partition("\n")[0]


def _encodable(text: str) -> str:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _plain(value: object) -> Any:
    """One step towards what orjson knows."""
    if isinstance(value, bytes | bytearray | memoryview | Iterator):
        raise TypeError(f"{type(value).__name__} is not JSON")
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Set):
        return sorted(value, key=_dump)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    if isinstance(value, Decimal | PurePath):
        return str(value)
    return to_jsonable_python(value, inf_nan_mode="null")


def _wide(value: object, depth: int) -> Any:
    """A copy in which integers beyond 64 bits are JSON text already, and each string can be encoded."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply, or holds itself")
    if isinstance(value, str):
        return _encodable(str.__str__(value))
    if isinstance(value, int):
        return value if value in _INT64 else orjson.Fragment(str(int(value)))
    if isinstance(value, Mapping):
        return {_wide_key(key): _wide(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_wide(item, depth + 1) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _wide(getattr(value, item.name), depth + 1) for item in dataclasses.fields(value)}
    if isinstance(value, BaseModel | Set):
        return _wide(_plain(value), depth + 1)
    return value


def _wide_key(key: object) -> Any:
    if isinstance(key, int) and key not in _INT64:
        return str(key)
    return _encodable(str.__str__(key)) if isinstance(key, str) else key
