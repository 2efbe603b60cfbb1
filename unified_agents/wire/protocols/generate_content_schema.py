"""Writes a JSON Schema as Gemini takes it in `parametersJsonSchema` and `responseJsonSchema`.

Gemini reads a subset of JSON Schema there, which its reference of `responseJsonSchema` lists. What has an equivalent in
the subset is rewritten; a keyword that Gemini ignores stays, so that its description of a value is not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from unified_agents.messages import JsonObject

MAX_DEPTH = 60
"""A schema nested more deeply is sent as it is from there on."""

_SCHEMA: Final = frozenset({"items", "additionalProperties", "not", "contains", "if", "then", "else", "propertyNames"})
_SCHEMAS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED_SCHEMAS: Final = frozenset({"properties", "$defs", "patternProperties", "dependentSchemas"})


def reduced_schema(schema: Mapping[str, Any], depth: int = 0) -> JsonObject:
    """Return an equal schema in the keywords that Gemini takes."""
    if depth > MAX_DEPTH:
        return dict(schema)
    reduced: JsonObject = {}
    for keyword, value in schema.items():
        rewrite = _REWRITTEN.get(keyword)
        if rewrite is None:
            reduced.setdefault(keyword, _reduced_value(keyword, value, depth + 1))
        else:
            rewrite(reduced, _reduced_value("$defs", value, depth + 1) if keyword == "definitions" else value, schema)
    return _reference_alone(reduced) if "$ref" in reduced else reduced


def _reduced_value(keyword: str, value: Any, depth: int) -> Any:
    if keyword in _SCHEMA and isinstance(value, dict):
        return reduced_schema(value, depth)
    if keyword in _SCHEMAS and isinstance(value, list):
        return [reduced_schema(item, depth) if isinstance(item, dict) else item for item in value]
    if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
        return {name: reduced_schema(item, depth) if isinstance(item, dict) else item for name, item in value.items()}
    return value


def _reference_alone(schema: JsonObject) -> JsonObject:
    """Put a reference that has other keywords beside it into an `anyOf`, since only `$` keywords may stand there.

    Where an `anyOf` stands beside it already, no keyword says that both hold, and the reference alone goes out.
    """
    beside = {keyword: value for keyword, value in schema.items() if not keyword.startswith("$")}
    alone = {keyword: value for keyword, value in schema.items() if keyword.startswith("$")}
    if not beside or "anyOf" in beside:
        return alone
    definitions = {"$defs": alone.pop("$defs")} if "$defs" in alone else {}
    return {"anyOf": [alone], **beside, **definitions}


def _leave_out(reduced: JsonObject, value: Any, schema: Mapping[str, Any]) -> None:
    """Leave out a keyword that says nothing about a value."""


def _as_enum(reduced: JsonObject, value: Any, schema: Mapping[str, Any]) -> None:
    """Write `const` as an `enum` of one, which Gemini takes of texts and numbers."""
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        reduced["enum"] = [value]
        reduced.setdefault("type", schema.get("type") or _type_of(value))
    elif isinstance(value, bool):
        reduced.setdefault("type", "boolean")


def _type_of(value: str | float) -> str:
    return "string" if isinstance(value, str) else "integer" if isinstance(value, int) else "number"


def _bound(keyword: str, step: int) -> _Rewrite:
    """Return what writes an exclusive bound as an inclusive one; exact where the value is an integer."""

    def rewrite(reduced: JsonObject, value: Any, schema: Mapping[str, Any]) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
        is_exact = schema.get("type") == "integer" and float(value).is_integer()
        bound = int(value) + step if is_exact else value
        other = schema.get(keyword)
        if isinstance(other, int | float) and (other - bound) * step > 0:
            bound = other
        reduced[keyword] = bound

    return rewrite


def _as_definitions(reduced: JsonObject, value: Any, schema: Mapping[str, Any]) -> None:
    if isinstance(value, dict):
        reduced["$defs"] = value | reduced.get("$defs", {})


def _as_reference(reduced: JsonObject, value: Any, schema: Mapping[str, Any]) -> None:
    is_old = isinstance(value, str) and value.startswith("#/definitions/")
    reduced["$ref"] = "#/$defs/" + value.removeprefix("#/definitions/") if is_old else value


_Rewrite = Callable[[JsonObject, Any, Mapping[str, Any]], None]
_REWRITTEN: Final[Mapping[str, _Rewrite]] = {
    "$schema": _leave_out,
    "$comment": _leave_out,
    "const": _as_enum,
    "exclusiveMinimum": _bound("minimum", 1),
    "exclusiveMaximum": _bound("maximum", -1),
    "definitions": _as_definitions,
    "$ref": _as_reference,
}
"""Each keyword outside of Gemini's subset that is rewritten, with what writes it."""
