"""Translating BFCL's documents, which look like JSON Schema and are not, to JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_agents.messages import JsonObject

_TYPES: Mapping[str, str | None] = {"dict": "object", "float": "number", "tuple": "array", "any": None}


def json_schema(document: Mapping[str, Any]) -> JsonObject:
    """Return the JSON Schema of a document's `parameters`, or of a part of them.

    At every depth `dict` becomes object, `float` number and `tuple` array; `any` has no type; the non-standard
    `optional` is dropped. Everything else stays as it is, faults of the source too.
    """
    schema: JsonObject = {}
    for key, value in document.items():
        if key == "type":
            if (name := _TYPES.get(value, value)) is not None:
                schema[key] = name
        elif key == "properties":
            schema[key] = {name: json_schema(part) for name, part in value.items()}
        elif key == "items":
            schema[key] = json_schema(value)
        elif key != "optional":
            schema[key] = value
    return schema
