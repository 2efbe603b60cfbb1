"""Anthropic Messages: the form of an answer is written as a schema that the API takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from unified_agents.messages import JsonObject

UNSUPPORTED = frozenset(
    {
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "uniqueItems",
    }
)
"""Keywords that the API refuses; so it does `minItems` above 1. See build-with-claude/structured-outputs."""
_OF_SCHEMAS = ("properties", "$defs", "definitions")
_OF_VARIANTS = ("anyOf", "allOf")


def output_schema(schema: Mapping[str, Any]) -> JsonObject:
    """Return a schema that the API takes, under which no answer fits that does not fit the given one.

    Exceptions are the keywords that the API refuses: they are told in the description, and the answer is validated
    against them afterwards. What is refused in another way, such as an object with any keys, goes out as it is.
    """
    written: JsonObject = {}
    constraints: JsonObject = {}
    for name, value in schema.items():
        if name in UNSUPPORTED or (name == "minItems" and value not in (0, 1)):
            constraints[name] = value
        elif name in _OF_SCHEMAS and isinstance(value, Mapping):
            written[name] = {key: _output_schema(item) for key, item in value.items()}
        elif name in (*_OF_VARIANTS, "oneOf") and isinstance(value, list):
            written["anyOf" if name == "oneOf" else name] = [_output_schema(item) for item in value]
        else:
            written[name] = _output_schema(value) if name == "items" else value
    if schema.get("properties") and schema.get("additionalProperties", True) is True:
        written["additionalProperties"] = False
    if constraints:
        told = orjson.dumps(constraints).decode()
        written["description"] = f"{schema['description']}\n\n{told}" if schema.get("description") else told
    return written


def _output_schema(schema: Any) -> Any:
    return output_schema(schema) if isinstance(schema, Mapping) else schema
