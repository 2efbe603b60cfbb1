"""Schemas whose root is a union, as providers take them: one object that says in words what the union says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_agents import wording
from unified_agents.messages import JsonObject
from unified_agents.tools.json_pointer import MissingValueError, resolve_reference

_ALTERNATIVES = ("anyOf", "oneOf")
_REFUSED_AT_ROOT = frozenset({*_ALTERNATIVES, "allOf", "not", "enum"})
MAX_BRANCHES = 50
_MAX_DEPTH = 4
"""How deep unions within unions are followed; what is beyond is left to the validator."""


def without_root_union(schema: JsonObject) -> JsonObject:
    """Return a schema of arguments whose root is one object; the same schema where it is already.

    OpenAI and Anthropic refuse a whole request over one tool whose root is a union. The properties of all branches
    become properties of the root; which of them go together is said in its description. Arguments are validated by the
    canonical schema all the same.
    """
    if schema.keys().isdisjoint(_REFUSED_AT_ROOT):
        return schema
    merged = _merged(schema, schema, 0)
    choices = [
        names for key in _ALTERNATIVES for branch in _branches(schema.get(key)) if (names := _names(branch, schema))
    ]
    if choices:
        merged["description"] = "\n".join(filter(None, [schema.get("description"), wording.alternatives(choices)]))
    return merged


def _merged(schema: JsonObject, root: JsonObject, depth: int) -> JsonObject:
    result = {key: value for key, value in schema.items() if key not in _REFUSED_AT_ROOT and key != "$ref"}
    properties, required = dict(schema.get("properties", {})), list(schema.get("required", ()))
    for branch in [*_branches(schema.get("allOf")), *([{"$ref": schema["$ref"]}] if "$ref" in schema else [])]:
        part = _part(branch, root, depth)
        _add(properties, part)
        required += part.get("required", ())
    for key in _ALTERNATIVES:
        parts = [_part(branch, root, depth) for branch in _branches(schema.get(key))]
        for part in parts:
            _add(properties, part)
        required += (
            [name for name in _required(parts[0]) if all(name in _required(part) for part in parts)] if parts else []
        )
    result["properties"] = properties
    if required:
        result["required"] = list(dict.fromkeys(required))
    return result


def _part(branch: Any, root: JsonObject, depth: int) -> JsonObject:
    """Return a branch, what it refers to or combines being merged into it."""
    if isinstance(branch, Mapping) and isinstance(branch.get("$ref"), str):
        try:
            target = resolve_reference(root, branch["$ref"])
        except MissingValueError:
            target = {}
        branch = (
            {**target, **{key: value for key, value in branch.items() if key != "$ref"}}
            if isinstance(target, Mapping)
            else {}
        )
    if not isinstance(branch, Mapping) or depth >= _MAX_DEPTH:
        return {}
    return _merged(dict(branch), root, depth + 1)


def _add(properties: JsonObject, part: JsonObject) -> None:
    for name, value in part.get("properties", {}).items():
        known = properties.setdefault(name, value)
        if known != value:
            both = known["anyOf"] if isinstance(known, Mapping) and known.keys() == {"anyOf"} else [known]
            properties[name] = {"anyOf": [*both, *([] if value in both else [value])]}


def _branches(value: Any) -> list[Any]:
    return value[:MAX_BRANCHES] if isinstance(value, list) else []


def _required(part: JsonObject) -> list[str]:
    return list(part.get("required", ()))


def _names(branch: Any, root: JsonObject) -> list[str]:
    return _required(_part(branch, root, 0))
