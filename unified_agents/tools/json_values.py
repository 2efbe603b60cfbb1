"""JSON values as text and back, with numbers of any size."""

from __future__ import annotations

import json
import math

import orjson
from pydantic import JsonValue


def to_json(value: object) -> bytes:
    """Return a value as compact JSON, also integers beyond 64 bits and lone surrogates."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is out of range")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


# orjson would round integers beyond 64 bits.
_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)


def parse_text(text: str) -> JsonValue:
    """Return the value of a JSON text, or the text itself when it is no JSON."""
    try:
        value: JsonValue = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return text
    return value
