"""Arguments that a model wrote under OpenAI's `strict`, as the canonical schema has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from unified_agents.messages import JsonObject
from unified_agents.tools.arguments import parse_object
from unified_agents.tools.definition import Tool
from unified_agents.tools.json_pointer import MissingValueError, resolve_reference

_UNIONS = ("anyOf", "oneOf")


def from_strict(tool: Tool, arguments: str) -> str:
    """Arguments that a model wrote under the strict form, as the canonical schema has them.

    A null where the canonical schema takes none stands for an argument that is left out.

    Args:
        tool: The tool.
        arguments: JSON text of an object.

    Raises:
        InvalidInputError: it is no JSON object.
    """
    return json.dumps(_without_nulls(parse_object(arguments, tool.name), [tool.parameters], tool.parameters))


def _without_nulls(value: Any, schemas: Sequence[Any], root: JsonObject) -> Any:
    """A copy without the nulls of optional properties that take none."""
    flat = list(_flattened(schemas, root, set()))
    if isinstance(value, list):
        items = [schema["items"] for schema in flat if isinstance(schema.get("items"), dict)]
        items += [item for schema in flat for item in schema.get("prefixItems", ())]
        items += [item for schema in flat if isinstance(schema.get("items"), list) for item in schema["items"]]
        return [_without_nulls(item, items, root) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for name, item in value.items():
        inner = [schema["properties"][name] for schema in flat if name in schema.get("properties", {})]
        if item is None and inner and not any(_takes_null(schema, root, set()) for schema in inner):
            continue
        result[name] = _without_nulls(item, inner, root)
    return result


def _flattened(schemas: Iterable[Any], root: JsonObject, seen: set[int]) -> Iterator[JsonObject]:
    """The schemas, and those that they refer to or put together."""
    for schema in schemas:
        if not isinstance(schema, dict) or id(schema) in seen:
            continue
        seen.add(id(schema))
        yield schema
        inner = [branch for keyword in ("allOf", *_UNIONS) for branch in schema.get(keyword, ())]
        yield from _flattened([*inner, *_target(schema, root)], root, seen)


def _target(schema: JsonObject, root: JsonObject) -> list[Any]:
    try:
        return [resolve_reference(root, schema["$ref"])] if "$ref" in schema else []
    except MissingValueError:
        return []


def _takes_null(schema: Any, root: JsonObject, seen: set[int]) -> bool:
    if not isinstance(schema, dict) or id(schema) in seen:
        return schema is True
    seen = {*seen, id(schema)}
    kind = schema.get("type", "null")
    fits = ("null" in kind) if isinstance(kind, list) else kind == "null"
    fits = fits and None in schema.get("enum", [None]) and schema.get("const") is None
    fits = fits and all(_takes_null(item, root, seen) for item in [*schema.get("allOf", ()), *_target(schema, root)])
    for keyword in _UNIONS:
        fits = fits and (keyword not in schema or any(_takes_null(item, root, seen) for item in schema[keyword]))
    return fits
