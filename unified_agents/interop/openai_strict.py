"""The subset of JSON Schema that OpenAI's structured outputs (`strict`) take, and what a schema loses on its way there.

The rules are those of OpenAI's guide "Structured outputs", section "Supported schemas": a closed root object that is no
union, every property required (an optional one takes null), every object closed, and no other keywords than those
below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from unified_agents.errors import ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tools.definition import Tool
from unified_agents.tools.json_pointer import MissingValueError, escape_token, resolve_reference

FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
"""The values of `format` that OpenAI takes."""
MOST_PROPERTIES = 5_000
DEEPEST = 10
MOST_CHOICES = 1_000
LONGEST_NAMES = 120_000
LONGEST_CHOICES = 15_000
_MANY_CHOICES = 250

_KEPT = {
    "string": ("pattern", "format"),
    "number": ("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
    "integer": ("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
    "array": ("minItems", "maxItems"),
}
_SCALARS = ("string", "number", "boolean", "null")
_TEXTS = ("title", "description")
_SILENT = frozenset({"$schema", "$comment", "$defs", "definitions", *_TEXTS})
_HANDLED = frozenset({"type", "enum", "const", "anyOf", "properties", "required", "items"})
_UNIONS = ("anyOf", "oneOf")
_IMPLIED = {"properties": "object", "required": "object", "additionalProperties": "object", "items": "array"}
_LOOKAROUND = re.compile(r"\(\?(?:[=!]|<[=!])")
_WHY = {
    "default": "not taken; null stands for an argument that is left out",
    "oneOf": "becomes anyOf: that only one branch may fit is not said",
    "prefixItems": "which item has which schema is not said",
    "additionalProperties": "every object is closed: keys that are not named cannot be written",
    "patternProperties": "every object is closed: keys that are not named cannot be written",
}


@dataclass(slots=True, frozen=True)
class Loss:
    """Something that the strict form does not say.

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
    """A tool's schema in the strict form, with what became of it.

    Attributes:
        schema: The strict schema.
        losses: What it does not say.
        excess: Which of OpenAI's bounds it goes beyond; empty for none.
    """

    schema: JsonObject
    losses: tuple[Loss, ...]
    excess: str


def strict_form(tool: Tool) -> StrictForm:
    """A tool's schema in the strict form, whether OpenAI takes it or not."""
    converted = _Conversion(tool.parameters)
    return StrictForm(converted.schema, converted.losses, _excess(converted.schema))


def strict_report(tool: Tool) -> list[Loss]:
    """What a tool's schema loses in the strict form; empty when nothing. The canonical schema still validates."""
    form = strict_form(tool)
    return [*form.losses, *([Loss("", "$schema", form.excess)] if form.excess else [])]


def strict_schema(tool: Tool) -> JsonObject:
    """A tool's schema in the strict form.

    Raises:
        ToolDefinitionError: it is larger or deeper than OpenAI takes.
    """
    form = strict_form(tool)
    if form.excess:
        raise ToolDefinitionError(f"tool {tool.name!r} has no strict form: {form.excess}; leave `strict` out")
    return form.schema


class _Conversion:
    """One schema on its way to the strict form."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._losses: dict[Loss, None] = {}
        self._names: dict[str, str] = {}
        self._defs: JsonObject = {}
        whole = self._merged(root, "", ())
        for keyword in _UNIONS:
            if keyword in whole:
                self._lose("", keyword, "the root must be no union")
        whole = {key: value for key, value in whole.items() if key not in _UNIONS}
        self.schema = self._typed(whole | {"type": "object"}, "")
        if self._defs:
            self.schema["$defs"] = self._defs

    @property
    def losses(self) -> tuple[Loss, ...]:
        return tuple(self._losses)

    def _lose(self, path: str, keyword: str, why: str | None = None) -> None:
        self._losses[Loss(path, keyword, why or _WHY.get(keyword, "not taken"))] = None

    def _convert(self, schema: Any, path: str) -> JsonObject:
        if schema is False:
            self._lose(path, "false", "that nothing fits is not said; null is taken")
            return {"type": "null"}
        if schema is True:
            return self._anything({}, path)
        if "$ref" in schema and not schema.keys() - _SILENT - {"$ref"}:
            return self._reference(schema, path)
        schema = self._merged(schema, path, ())
        unions = [keyword for keyword in _UNIONS if keyword in schema]
        if unions:
            return self._union(schema, unions[0], path)
        types = self._types(schema, path)
        plain = [name for name in types if name != "null"]
        if not types:
            return self._anything(schema, path)
        if len(plain) > 1 and {"object", "array"} & set(plain):
            return self._union(
                {key: value for key, value in schema.items() if key != "type"}
                | {"anyOf": [{"type": name} for name in types]},
                "anyOf",
                path,
            )
        return self._typed(schema | {"type": types[0] if len(types) == 1 else types}, path)

    def _anything(self, schema: JsonObject, path: str) -> JsonObject:
        self._lose(path, "type", "any value fits; only texts, numbers, truth values and null can be written")
        self._lose_rest(schema, path, ())
        return {**_texts(schema), "type": list(_SCALARS)}

    def _reference(self, schema: JsonObject, path: str) -> JsonObject:
        pointer = schema["$ref"]
        try:
            target = resolve_reference(self._root, pointer)
        except MissingValueError:
            self._lose(path, "$ref", f"{pointer} cannot be followed")
            return self._anything({key: value for key, value in schema.items() if key != "$ref"}, path)
        texts = _texts(schema)
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
        """The schema with the branches of `allOf`, and a `$ref` that has neighbours, merged into it."""
        branches: list[tuple[Any, str]] = [
            (branch, f"{path}/allOf/{place}") for place, branch in enumerate(schema.get("allOf", ()))
        ]
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        if "$ref" in rest:
            pointer = rest.pop("$ref")
            try:
                target = resolve_reference(self._root, pointer)
            except MissingValueError:
                target = None
            if pointer in followed or not isinstance(target, dict):
                self._lose(path, "$ref", f"{pointer} cannot be merged with what stands beside it")
            else:
                followed = (*followed, pointer)
                branches.insert(0, (target, pointer.removeprefix("#")))
        for branch, where in branches:
            if isinstance(branch, dict):
                self._merge(rest, self._merged(branch, where, followed), where)
            elif branch is False:
                self._lose(where, "false", "that nothing fits is not said")
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
            elif key not in _SILENT:
                self._lose(path, key, "differs from the same keyword beside it, which is kept")

    def _union(self, schema: JsonObject, keyword: str, path: str) -> JsonObject:
        """A union: what stands beside it is put into each branch."""
        if keyword == "oneOf":
            self._lose(path, keyword)
        texts = _texts(schema)
        beside = {key: value for key, value in schema.items() if key != keyword and key not in _SILENT}
        if set(beside) == {"default"}:
            self._lose(path, "default")
            beside = {}
        branches = []
        for place, branch in enumerate(schema[keyword]):
            whole = {"allOf": [branch], **beside} if beside else branch
            converted = self._convert(whole, f"{path}/{keyword}/{place}")
            if converted not in branches:
                branches.append(converted)
        return {**texts, "anyOf": branches}

    def _types(self, schema: JsonObject, path: str) -> list[str]:
        given = schema.get("type")
        if given is not None:
            return [given] if isinstance(given, str) else list(given)
        values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else []
        if values:
            return list(dict.fromkeys(map(_type_of, values)))
        implied = [kind for keyword, kind in _IMPLIED.items() if keyword in schema][:1]
        if implied:
            self._lose(path, "type", f"absent; only a value of type {implied[0]} can be written")
        return implied

    def _typed(self, schema: JsonObject, path: str) -> JsonObject:
        types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        result: JsonObject = {**_texts(schema), "type": schema["type"]}
        kept = {keyword for name in types for keyword in _KEPT.get(name, ()) if keyword in schema}
        for keyword in sorted(kept):
            if self._is_taken(keyword, schema[keyword]):
                result[keyword] = schema[keyword]
            else:
                self._lose(path, keyword, f"{schema[keyword]!r:.80} is not taken")
        for keyword in ("enum", "const"):
            if keyword not in schema:
                continue
            values = schema["enum"] if keyword == "enum" else [schema["const"]]
            if any(isinstance(value, dict | list) for value in values):
                self._lose(path, keyword, "a list or an object as a choice is not taken")
            else:
                result[keyword] = schema[keyword]
        if "object" in types:
            result |= self._object(schema, path)
        if "array" in types:
            result["items"] = self._items(schema, path)
            kept |= {"items", "prefixItems", "additionalItems"}
        self._lose_rest(schema, path, kept)
        return result

    def _is_taken(self, keyword: str, value: Any) -> bool:
        if keyword == "format":
            return value in FORMATS
        return keyword != "pattern" or not _LOOKAROUND.search(value)

    def _lose_rest(self, schema: JsonObject, path: str, kept: Iterable[str]) -> None:
        for keyword in schema.keys() - _SILENT - _HANDLED - set(kept):
            closes = keyword in {"additionalProperties", "unevaluatedProperties"} and schema[keyword] is False
            if not closes:
                self._lose(path, keyword)

    def _object(self, schema: JsonObject, path: str) -> JsonObject:
        required = set(schema.get("required", ()))
        properties: JsonObject = {}
        for name, value in schema.get("properties", {}).items():
            converted = self._convert(value, f"{path}/properties/{escape_token(name)}")
            properties[name] = converted if name in required else _nullable(converted)
        for name in schema.get("required", ()):
            if name not in properties:
                properties[name] = self._anything({}, f"{path}/properties/{escape_token(name)}")
        return {"properties": properties, "required": list(properties), "additionalProperties": False}

    def _items(self, schema: JsonObject, path: str) -> JsonObject:
        items = schema.get("items", True)
        prefix, keyword = (
            (items, "items") if isinstance(items, list) else (schema.get("prefixItems", []), "prefixItems")
        )
        if not prefix:
            return self._convert(items, f"{path}/items")
        self._lose(path, keyword, _WHY["prefixItems"])
        others = schema.get("additionalItems", True) if keyword == "items" else items
        branches = [self._convert(item, f"{path}/{keyword}/{place}") for place, item in enumerate(prefix)]
        if others is not False:
            branches.append(self._convert(others, f"{path}/items"))
        unique = [branch for place, branch in enumerate(branches) if branch not in branches[:place]]
        return unique[0] if len(unique) == 1 else {"anyOf": unique}


def _texts(schema: Mapping[str, Any]) -> JsonObject:
    return {key: schema[key] for key in _TEXTS if key in schema}


def _type_of(value: object) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _nullable(schema: JsonObject) -> JsonObject:
    """The strict schema, which then takes null too."""
    null = {"type": "null"}
    if "anyOf" in schema:
        return schema if null in schema["anyOf"] else schema | {"anyOf": [*schema["anyOf"], null]}
    if "$ref" in schema or "const" in schema:
        texts = _texts(schema)
        return {**texts, "anyOf": [{key: value for key, value in schema.items() if key not in texts}, null]}
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    result = schema if "null" in types else schema | {"type": [*types, "null"]}
    if "enum" in result and None not in result["enum"]:
        result = result | {"enum": [*result["enum"], None]}
    return result


def _excess(schema: JsonObject) -> str:
    """Which of OpenAI's bounds a strict schema goes beyond; empty for none."""
    parts = list(_parts(schema, 0))
    names = [name for part, _ in parts for name in part.get("properties", ())]
    choices = [[str(value) for value in part["enum"]] for part, _ in parts if "enum" in part]
    texts = [*names, *schema.get("$defs", ()), *(text for texts in choices for text in texts)]
    texts += [str(part["const"]) for part, _ in parts if "const" in part]
    long = [texts for texts in choices if len(texts) > _MANY_CHOICES and len("".join(texts)) > LONGEST_CHOICES]
    checks = (
        (len(names) > MOST_PROPERTIES, f"it has {len(names)} properties, and OpenAI takes {MOST_PROPERTIES}"),
        (max(depth for _, depth in parts) > DEEPEST, f"it nests more than {DEEPEST} levels of objects"),
        (sum(map(len, choices)) > MOST_CHOICES, f"its enums have more than {MOST_CHOICES} values"),
        (len("".join(texts)) > LONGEST_NAMES, f"its names and choices have more than {LONGEST_NAMES} characters"),
        (bool(long), f"one of its enums has more than {LONGEST_CHOICES} characters"),
    )
    return next((text for is_over, text in checks if is_over), "")


def _parts(schema: JsonObject, depth: int) -> Iterator[tuple[JsonObject, int]]:
    """Each schema within a strict one, with the number of objects that it stands in."""
    depth += "properties" in schema
    yield schema, depth
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    if "items" in schema:
        inner.append(schema["items"])
    for part in inner:
        yield from _parts(part, depth)
    for part in schema.get("$defs", {}).values():
        yield from _parts(part, 0)
