"""Conversion of schemas to the subset that OpenAI's structured outputs (`strict`) take, and what they lose by it.

The rules are those of OpenAI's guide "Structured outputs", section "Supported schemas": a closed root object that is no
union, every property required (an optional one takes null), every object closed, and no other keywords than those
below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unified_agents.errors import ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tools.definition import Tool
from unified_agents.tools.json_pointer import MissingValueError, escape_token, resolve_reference

FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
"""The values of `format` that OpenAI takes."""
MAX_PROPERTIES = 5_000
MAX_DEPTH = 10
MAX_ENUM_VALUES = 1_000
MAX_NAME_CHARS = 120_000
MAX_ENUM_CHARS = 15_000
_MIN_VALUES_OF_LONG_ENUM = 250
"""`MAX_ENUM_CHARS` holds for enums with more values than this."""

_CONSTRAINTS = {
    "string": ("pattern", "format"),
    "number": ("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
    "integer": ("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
    "array": ("minItems", "maxItems"),
}
_SCALARS = ("string", "number", "boolean", "null")
_ANNOTATIONS = ("title", "description")
_NOT_REPORTED = frozenset({"$schema", "$comment", "$defs", "definitions", *_ANNOTATIONS})
_CONVERTED = frozenset({"type", "enum", "const", "anyOf", "properties", "required", "items"})
UNIONS = ("anyOf", "oneOf")
_IMPLIED_TYPES = {"properties": "object", "required": "object", "additionalProperties": "object", "items": "array"}
_LOOKAROUND = re.compile(r"\(\?(?:[=!]|<[=!])")
_REASONS = {
    "default": "not taken; null stands for an argument that is left out",
    "oneOf": "becomes anyOf: that only one branch may fit is not said",
    "prefixItems": "which item has which schema is not said",
    "additionalProperties": "every object is closed: keys that are not named cannot be written",
    "patternProperties": "every object is closed: keys that are not named cannot be written",
}


@dataclass(slots=True, frozen=True)
class Loss:
    """A keyword that the strict form cannot express.

    Attributes:
        path: JSON Pointer into the canonical schema; empty for its root.
        keyword: The keyword there.
        why: What becomes of it.
    """

    path: str
    keyword: str
    why: str


@dataclass(slots=True, frozen=True)
class StrictForm:
    """A tool's schema in the strict form, with what it has lost.

    Attributes:
        schema: The strict schema.
        losses: The keywords that it cannot express.
        excess: The limit of OpenAI's that it exceeds, in words; empty for none.
    """

    schema: JsonObject
    losses: tuple[Loss, ...]
    excess: str


def strict_form(tool: Tool) -> StrictForm:
    """Convert a tool's schema to the strict form, whether OpenAI takes it or not."""
    converted = _Conversion(tool.parameters)
    return StrictForm(converted.schema, converted.losses, _exceeded_limit(converted.schema))


def strict_report(tool: Tool) -> list[Loss]:
    """List what a tool's schema loses in the strict form. Arguments are still validated by the canonical schema."""
    form = strict_form(tool)
    return [*form.losses, *([Loss("", "$schema", form.excess)] if form.excess else [])]


def strict_schema(tool: Tool) -> JsonObject:
    """Convert a tool's schema to the strict form.

    Raises:
        ToolDefinitionError: it is larger or deeper than OpenAI takes.
    """
    form = strict_form(tool)
    if form.excess:
        raise ToolDefinitionError(f"tool {tool.name!r} has no strict form: {form.excess}; leave `strict` out")
    return form.schema


class _Conversion:
    """The conversion of one schema to the strict form."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._losses: dict[Loss, None] = {}
        self._names: dict[str, str] = {}
        self._defs: JsonObject = {}
        whole = self._merged(root, "", ())
        for keyword in UNIONS:
            if keyword in whole:
                self._report("", keyword, "the root must be no union")
        whole = {key: value for key, value in whole.items() if key not in UNIONS}
        self.schema = self._typed(whole | {"type": "object"}, "")
        if self._defs:
            self.schema["$defs"] = self._defs

    @property
    def losses(self) -> tuple[Loss, ...]:
        return tuple(self._losses)

    def _report(self, path: str, keyword: str, why: str | None = None) -> None:
        self._losses[Loss(path, keyword, why or _REASONS.get(keyword, "not taken"))] = None

    def _convert(self, schema: Any, path: str) -> JsonObject:
        if schema is False:
            self._report(path, "false", "that nothing fits is not said; null is taken")
            return {"type": "null"}
        if schema is True:
            return self._any_value({}, path)
        if "$ref" in schema and not schema.keys() - _NOT_REPORTED - {"$ref"}:
            return self._reference(schema, path)
        schema = self._merged(schema, path, ())
        unions = [keyword for keyword in UNIONS if keyword in schema]
        if unions:
            return self._union(schema, unions[0], path)
        types = self._types(schema, path)
        plain = [name for name in types if name != "null"]
        if not types:
            return self._any_value(schema, path)
        if len(plain) > 1 and {"object", "array"} & set(plain):
            return self._union(
                {key: value for key, value in schema.items() if key != "type"}
                | {"anyOf": [{"type": name} for name in types]},
                "anyOf",
                path,
            )
        return self._typed(schema | {"type": types[0] if len(types) == 1 else types}, path)

    def _any_value(self, schema: JsonObject, path: str) -> JsonObject:
        self._report(path, "type", "any value fits; only texts, numbers, truth values and null can be written")
        self._report_others(schema, path, ())
        return {**_annotations(schema), "type": list(_SCALARS)}

    def _reference(self, schema: JsonObject, path: str) -> JsonObject:
        pointer = schema["$ref"]
        target = referenced_schema(schema, self._root)
        if target is None:
            self._report(path, "$ref", f"{pointer} cannot be followed")
            return self._any_value({key: value for key, value in schema.items() if key != "$ref"}, path)
        texts = _annotations(schema)
        reference = {"$ref": "#" if pointer == "#" else f"#/$defs/{self._define(pointer, target)}"}
        return {**texts, "anyOf": [reference]} if texts else reference

    def _define(self, pointer: str, target: Any) -> str:
        if pointer not in self._names:
            base = re.sub(r"[^A-Za-z0-9_-]", "_", pointer.rpartition("/")[2]) or "schema"
            taken = set(self._names.values())
            name = next(name for name in (base, *(f"{base}_{n}" for n in range(2, 10_000))) if name not in taken)
            self._names[pointer] = name
            self._defs[name] = {}  # keeps the order of first use
            self._defs[name] = self._convert(target, pointer.removeprefix("#"))
        return self._names[pointer]

    def _merged(self, schema: JsonObject, path: str, followed: tuple[str, ...]) -> JsonObject:
        """Return a schema with the branches of `allOf`, and a `$ref` that has neighbours, merged into it."""
        branches: list[tuple[Any, str]] = [
            (branch, f"{path}/allOf/{place}") for place, branch in enumerate(schema.get("allOf", ()))
        ]
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        if "$ref" in rest:
            target = referenced_schema(rest, self._root)
            pointer = rest.pop("$ref")
            if pointer in followed or not isinstance(target, dict):
                self._report(path, "$ref", f"{pointer} cannot be merged with what stands beside it")
            else:
                followed = (*followed, pointer)
                branches.insert(0, (target, pointer.removeprefix("#")))
        for branch, where in branches:
            if isinstance(branch, dict):
                self._merge(rest, self._merged(branch, where, followed), where)
            elif branch is False:
                self._report(where, "false", "that nothing fits is not said")
        return rest

    def _merge(self, base: JsonObject, branch: JsonObject, path: str) -> None:
        for key, value in branch.items():
            if key not in base or base[key] == value:
                base[key] = value
            elif key == "properties":
                base[key] = base[key] | {
                    name: {"allOf": [base[key][name], item]} if base[key].get(name, item) != item else item
                    for name, item in value.items()
                }
            elif key == "required":
                base[key] = [*base[key], *(name for name in value if name not in base[key])]
            elif key not in _NOT_REPORTED:
                self._report(path, key, "differs from the same keyword beside it, which is kept")

    def _union(self, schema: JsonObject, keyword: str, path: str) -> JsonObject:
        """Convert a union; the keywords beside it are put into each branch."""
        if keyword == "oneOf":
            self._report(path, keyword)
        texts = _annotations(schema)
        beside = {key: value for key, value in schema.items() if key != keyword and key not in _NOT_REPORTED}
        if set(beside) == {"default"}:
            self._report(path, "default")
            beside = {}
        branches = [
            self._convert({"allOf": [branch], **beside} if beside else branch, f"{path}/{keyword}/{place}")
            for place, branch in enumerate(schema[keyword])
        ]
        return {**texts, "anyOf": _without_repeats(branches)}

    def _types(self, schema: JsonObject, path: str) -> list[str]:
        if (declared := schema.get("type")) is not None:
            return [declared] if isinstance(declared, str) else list(declared)
        values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else []
        if values:
            return list(dict.fromkeys(map(_type_of, values)))
        implied = [kind for keyword, kind in _IMPLIED_TYPES.items() if keyword in schema][:1]
        if implied:
            self._report(path, "type", f"absent; only a value of type {implied[0]} can be written")
        return implied

    def _typed(self, schema: JsonObject, path: str) -> JsonObject:
        types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        result: JsonObject = {**_annotations(schema), "type": schema["type"]}
        constraints = {keyword for name in types for keyword in _CONSTRAINTS.get(name, ())}
        kept = [keyword for keyword in (*sorted(constraints), "enum", "const") if keyword in schema]
        for keyword in kept:
            if refusal := _refusal(keyword, schema[keyword]):
                self._report(path, keyword, refusal)
            else:
                result[keyword] = schema[keyword]
        if "object" in types:
            result |= self._object(schema, path)
        if "array" in types:
            result["items"] = self._items(schema, path)
            kept += ["items", "prefixItems", "additionalItems"]
        self._report_others(schema, path, kept)
        return result

    def _report_others(self, schema: JsonObject, path: str, kept: Iterable[str]) -> None:
        for keyword in schema.keys() - _NOT_REPORTED - _CONVERTED - set(kept):
            closes = keyword in {"additionalProperties", "unevaluatedProperties"} and schema[keyword] is False
            if not closes:
                self._report(path, keyword)

    def _object(self, schema: JsonObject, path: str) -> JsonObject:
        required = set(schema.get("required", ()))
        properties: JsonObject = {}
        for name, value in schema.get("properties", {}).items():
            converted = self._convert(value, f"{path}/properties/{escape_token(name)}")
            properties[name] = converted if name in required else _with_null(converted)
        for name in schema.get("required", ()):
            if name not in properties:
                properties[name] = self._any_value({}, f"{path}/properties/{escape_token(name)}")
        return {"properties": properties, "required": list(properties), "additionalProperties": False}

    def _items(self, schema: JsonObject, path: str) -> JsonObject:
        items = schema.get("items", True)
        if isinstance(items, list):
            keyword, first, others = "items", items, schema.get("additionalItems", True)
        else:
            keyword, first, others = "prefixItems", schema.get("prefixItems", []), items
        if not first:
            return self._convert(others, f"{path}/items")
        self._report(path, keyword, _REASONS["prefixItems"])
        branches = [self._convert(item, f"{path}/{keyword}/{place}") for place, item in enumerate(first)]
        if others is not False:
            branches.append(self._convert(others, f"{path}/items"))
        unique = _without_repeats(branches)
        return unique[0] if len(unique) == 1 else {"anyOf": unique}


def referenced_schema(schema: Mapping[str, Any], root: JsonObject) -> Any:
    """Return what a schema's `$ref` points to; None where it has none, or one that leads nowhere."""
    try:
        return resolve_reference(root, schema.get("$ref"))
    except MissingValueError:
        return None


def _annotations(schema: Mapping[str, Any]) -> JsonObject:
    return {key: schema[key] for key in _ANNOTATIONS if key in schema}


def _without_repeats(schemas: Sequence[JsonObject]) -> list[JsonObject]:
    return [schema for place, schema in enumerate(schemas) if schema not in schemas[:place]]


def _refusal(keyword: str, value: Any) -> str:
    """Return why OpenAI does not take a keyword with this value; empty where it does."""
    if keyword in {"enum", "const"}:
        has_containers = any(isinstance(choice, dict | list) for choice in (value if keyword == "enum" else [value]))
        return "a list or an object as a choice is not taken" if has_containers else ""
    is_refused = (keyword == "format" and value not in FORMATS) or (keyword == "pattern" and _LOOKAROUND.search(value))
    return f"{value!r:.80} is not taken" if is_refused else ""


def _type_of(value: object) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _with_null(schema: JsonObject) -> JsonObject:
    """Return a strict schema that takes null too."""
    null = {"type": "null"}
    if "anyOf" in schema:
        return schema if null in schema["anyOf"] else schema | {"anyOf": [*schema["anyOf"], null]}
    if "$ref" in schema or "const" in schema:
        texts = _annotations(schema)
        return {**texts, "anyOf": [{key: value for key, value in schema.items() if key not in texts}, null]}
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    result = schema if "null" in types else schema | {"type": [*types, "null"]}
    if "enum" in result and None not in result["enum"]:
        result = result | {"enum": [*result["enum"], None]}
    return result


def _exceeded_limit(schema: JsonObject) -> str:
    """Return which limit of OpenAI's a strict schema exceeds; empty for none."""
    parts = list(_subschemas(schema, 0))
    names = [name for part, _ in parts for name in part.get("properties", ())]
    choices = [[str(value) for value in part["enum"]] for part, _ in parts if "enum" in part]
    texts = [*names, *schema.get("$defs", ()), *(text for texts in choices for text in texts)]
    texts += [str(part["const"]) for part, _ in parts if "const" in part]
    long = [
        texts for texts in choices if len(texts) > _MIN_VALUES_OF_LONG_ENUM and len("".join(texts)) > MAX_ENUM_CHARS
    ]
    checks = (
        (len(names) > MAX_PROPERTIES, f"it has {len(names)} properties, and OpenAI takes {MAX_PROPERTIES}"),
        (max(depth for _, depth in parts) > MAX_DEPTH, f"it nests more than {MAX_DEPTH} levels of objects"),
        (sum(map(len, choices)) > MAX_ENUM_VALUES, f"its enums have more than {MAX_ENUM_VALUES} values"),
        (len("".join(texts)) > MAX_NAME_CHARS, f"its names and choices have more than {MAX_NAME_CHARS} characters"),
        (bool(long), f"one of its enums has more than {MAX_ENUM_CHARS} characters"),
    )
    return next((text for is_over, text in checks if is_over), "")


def _subschemas(schema: JsonObject, depth: int) -> Iterator[tuple[JsonObject, int]]:
    """Yield each schema within a strict one, with the number of objects that it stands in."""
    depth += "properties" in schema
    yield schema, depth
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    if "items" in schema:
        inner.append(schema["items"])
    for part in inner:
        yield from _subschemas(part, depth)
    for part in schema.get("$defs", {}).values():
        yield from _subschemas(part, 0)
