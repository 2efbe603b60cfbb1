"""JSON values as text, JSON numbers of any size, and JSON Pointers (RFC 6901)."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import unquote

import orjson
from pydantic import JsonValue

from unified_agents import wording


class UnresolvableError(LookupError):
    """A `$ref` that points nowhere in its own document."""


def resolve(root: Any, reference: object) -> Any:
    """What a `$ref` such as `#/$defs/Node` points to.

    Raises:
        UnresolvableError: it points to another document, to an anchor, or nowhere.
    """
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise UnresolvableError(f"{reference!r} is no pointer into this schema")
    value = root
    for part in unquote(reference[1:]).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise UnresolvableError(f"{reference} points nowhere") from error
    return value


class MissingValueError(LookupError):
    """A `$result` names a value that the request does not hold."""


def to_json(value: object) -> bytes:
    """Compact JSON, also of integers beyond 64 bits and of lone surrogates."""
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
    """The value of a JSON text; the text itself when it is no JSON."""
    try:
        value: JsonValue = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return text
    return value


def point(value: JsonValue, pointer: str) -> JsonValue:
    """The value that a JSON Pointer (RFC 6901) names.

    Raises:
        MissingValueError: there is none.
    """
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]{0,8}", name) and int(name) < len(value):
            value = value[int(name)]
        else:
            raise MissingValueError(wording.nothing_at(pointer))
    return value
