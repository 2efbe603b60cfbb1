"""Schemas of an OpenAPI document as JSON Schema 2020-12 that needs no document."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import orjson

from unified_agents.errors import ConfigError, ToolDefinitionError
from unified_agents.interop.openapi.document import Document, as_list
from unified_agents.messages import JsonObject

_COMPONENTS = "#/components/schemas/"
_NAMED_SCHEMAS = (_COMPONENTS, "#/definitions/")
"""The places of a document's named schemas, in OpenAPI 3 and in Swagger 2.0."""
_VALID_NAME = re.compile(r"[A-Za-z0-9._-]+")
_MAX_INLINED_BYTES = 300
_MAX_BRANCHES = 200
_MAX_PARTS = 10
"""How deep an `allOf` within `allOf` is looked into."""

_SINGLE_SCHEMA = frozenset(
    {
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_SCHEMA_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMAS_BY_NAME = frozenset({"dependentSchemas", "patternProperties", "properties"})
_ALTERNATIVES = ("$ref", "allOf", "anyOf", "oneOf")
_DROPPED = frozenset({"$anchor", "$comment", "$defs", "$id", "$schema", "example", "externalDocs", "nullable", "xml"})
"""Keywords that do not constrain a value, or that have no use outside of the document."""
_CONDITIONS = frozenset({"additionalProperties", "allOf", "anyOf", "minProperties", "not", "oneOf"})
_TEXTS = frozenset({"description", "title"})
_ANNOTATIONS = frozenset({"default", "deprecated", "description", "examples", "readOnly", "title", "writeOnly"})


class SchemaTranslator:
    """A translator of a document's schemas into JSON Schema 2020-12, which keeps what it has translated.

    A `$ref` to a short schema that itself refers to nothing is replaced by it. All others become `#/$defs/Name`, so
    that recursive schemas keep their meaning and large ones are written once.

    Args:
        document: Where the schemas are.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._translated: dict[str, tuple[Any, frozenset[str]]] = {}
        self._inlined: dict[str, bool] = {}

    @property
    def is_3_0(self) -> bool:
        """Whether the document is of OpenAPI 3.0."""
        return self._document.is_3_0

    def translate(self, schema: Any, references: set[str]) -> Any:
        """Translate a schema, which may be True or False.

        Args:
            schema: The schema in the document.
            references: The references of the result are added here, for `definitions`.

        Raises:
            ToolDefinitionError: it is no schema, or uses `$dynamicRef`.
        """
        if schema is None:
            return {}  # a key without a value, as YAML's authors leave it
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise ToolDefinitionError(f"{self._document.where}: {schema!r:.80} is no schema: write an object")
        if "$dynamicRef" in schema:
            raise ToolDefinitionError(f"{self._document.where}: $dynamicRef is not supported: write $ref")
        if isinstance(reference := schema.get("$ref"), str):
            return self._reference(reference, schema, references)
        return self._translate_object(schema, references)

    def definitions(self, references: Iterable[str]) -> JsonObject:
        """Return the `$defs` that these references need, and those that they need in turn."""
        found: dict[str, Any] = {}
        waiting = sorted(references)
        while waiting:
            reference = waiting.pop()
            name = _name(reference)
            if name not in found:
                if reference not in self._translated:
                    inner: set[str] = set()
                    schema = self.translate(self._document.target(reference), inner)
                    self._translated[reference] = schema, frozenset(inner)
                found[name], further = self._translated[reference]
                waiting.extend(further)
        return dict(sorted(found.items()))

    def resolve(self, schema: Any) -> JsonObject:
        """Return an object, or what its `$ref` leads to; empty for the schemas True, False and null."""
        value = self._document.follow(schema)
        return {} if value is None or isinstance(value, bool) else self._document.resolve(value)

    def branches(self, schema: Any) -> list[JsonObject]:
        """Return a schema, its alternatives and parts and the items of its lists, with references followed."""
        found: list[JsonObject] = []
        waiting = [schema]
        while waiting and len(found) < _MAX_BRANCHES:
            resolved = self.resolve(waiting.pop(0))
            if any(resolved is other for other in found):
                continue
            found.append(resolved)
            waiting += [part for key in ("allOf", "anyOf", "oneOf") for part in as_list(resolved.get(key))]
            waiting += [resolved["items"]] if "items" in resolved else []
        return found

    def _reference(self, reference: str, schema: JsonObject, references: set[str]) -> JsonObject:
        self._document.follow(schema)  # raises for a circle of bare references
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if self.is_3_0:  # which ignores the keywords beside a $ref
            beside = {key: value for key, value in beside.items() if key in _ANNOTATIONS}
        translated = self._translate_object(beside, references)
        if not self._is_inlined(reference):
            references.add(reference)
            return {"$ref": f"#/$defs/{_name(reference)}", **translated}
        target = self.translate(self._document.target(reference), references)
        if not translated:
            return target if isinstance(target, dict) else {"allOf": [target]}
        if isinstance(target, dict) and translated.keys() <= _ANNOTATIONS:
            return {**target, **translated}
        return {"allOf": [target], **translated}

    def _translate_object(self, schema: JsonObject, references: set[str]) -> JsonObject:
        result: JsonObject = {}
        if isinstance(schema.get("allOf"), list):
            schema = self._without_read_only(schema)
        for key, value in schema.items():
            if key in _DROPPED or key.startswith("x-") or (key in _TEXTS and not isinstance(value, str)):
                continue
            if key in _SINGLE_SCHEMA:
                result[key] = self.translate(value, references)
            elif key in _SCHEMA_LISTS and isinstance(value, list):
                # An object fits several of these, so that none could be sent where they exclude each other.
                is_loose = key == "oneOf" and "anyOf" not in schema and sum(map(self._takes_any_object, value)) > 1
                result["anyOf" if is_loose else key] = [self.translate(item, references) for item in value]
            elif key in _SCHEMAS_BY_NAME and isinstance(value, dict):
                kept = value.items() if key != "properties" else self._writable(value)
                result[key] = {name: self.translate(item, references) for name, item in kept}
            elif key == "discriminator":
                if isinstance(value, dict):  # in Swagger 2.0 it is a text
                    result[key] = self._discriminator(value, references)
            else:
                result[key] = value
        if "example" in schema:
            result.setdefault("examples", [schema["example"]])
        self._drop_read_only_from_required(schema, result)
        _convert_exclusive_bounds(result)
        _write_choices_as_text(result)
        return _with_null(result) if True in (schema.get("nullable"), schema.get("x-nullable")) else result

    def _discriminator(self, value: JsonObject, references: set[str]) -> JsonObject:
        mapping = value.get("mapping")
        if not isinstance(mapping, dict):
            return value
        translated = {}
        for name, reference in mapping.items():
            full = str(reference) if "#" in str(reference) else f"{_COMPONENTS}{reference}"
            try:
                self._document.target(full)
            except ConfigError:
                continue  # a hint that leads nowhere; the schema is whole without it
            references.add(full)
            translated[name] = f"#/$defs/{_name(full)}"
        rest = {key: item for key, item in value.items() if key != "mapping"}
        return {**rest, "mapping": translated} if translated else rest

    def _writable(self, properties: JsonObject) -> list[tuple[str, Any]]:
        """Return the properties that may stand in a request: a read-only one belongs to answers."""
        return [(name, schema) for name, schema in properties.items() if not self._is_read_only(schema)]

    def _drop_read_only_from_required(self, schema: JsonObject, result: JsonObject) -> None:
        properties, required = schema.get("properties"), schema.get("required")
        if not isinstance(properties, dict) or not isinstance(required, list):
            return
        kept = [name for name in required if not self._is_read_only(properties.get(name))]
        if len(kept) < len(required):
            result["required"] = kept
            if not kept:
                del result["required"]

    def _without_read_only(self, schema: JsonObject) -> JsonObject:
        """Return a schema of which no part has or requires what another part says is read-only."""
        properties = [self._all_properties(part) for part in (schema, *schema["allOf"])]
        read_only = {name for each in properties for name, value in each.items() if self._is_read_only(value)}
        return self._without(schema, read_only) if read_only else schema

    def _without(self, schema: JsonObject, names: set[str], depth: int = 0) -> JsonObject:
        """Return a schema without properties of these names; what a `$ref` leads to is copied where it has them."""
        resolved = self.resolve(schema)
        changed: JsonObject = {}
        properties, required, parts = (resolved.get(key) for key in ("properties", "required", "allOf"))
        if isinstance(properties, dict):
            kept = {name: value for name, value in properties.items() if name not in names or self._is_read_only(value)}
            changed |= {"properties": kept} if len(kept) < len(properties) else {}
        if names.intersection(map(str, as_list(required))):
            changed["required"] = [name for name in as_list(required) if name not in names]
        if isinstance(parts, list) and depth < _MAX_PARTS:
            kept_parts = [self._without(part, names, depth + 1) for part in parts]
            changed |= {"allOf": kept_parts} if kept_parts != parts else {}
        return {key: value for key, value in (resolved | changed).items() if value != []} if changed else schema

    def _all_properties(self, schema: Any) -> JsonObject:
        """Return the properties of a schema and of what it is composed of."""
        found: JsonObject = {}
        waiting = [schema]
        seen: list[JsonObject] = []
        while waiting and len(seen) < _MAX_BRANCHES:
            resolved = self.resolve(waiting.pop())
            if any(resolved is other for other in seen):
                continue
            seen.append(resolved)
            properties = resolved.get("properties")
            found |= properties if isinstance(properties, dict) else {}
            waiting += as_list(resolved.get("allOf"))
        return found

    def _takes_any_object(self, schema: Any) -> bool:
        """Tell whether a schema names properties and requires none."""
        resolved = self.resolve(schema)
        return "properties" in resolved and not resolved.keys() & _CONDITIONS and not resolved.get("required")

    def _is_read_only(self, schema: Any) -> bool:
        return isinstance(schema, dict) and True in (schema.get("readOnly"), self.resolve(schema).get("readOnly"))

    def _is_inlined(self, reference: str) -> bool:
        if reference not in self._inlined:
            text = orjson.dumps(self._document.target(reference))
            self._inlined[reference] = len(text) <= _MAX_INLINED_BYTES and b'"$ref"' not in text
        return self._inlined[reference]


def _name(reference: str) -> str:
    name = reference
    for place in _NAMED_SCHEMAS:
        name = name.removeprefix(place)
    if _VALID_NAME.fullmatch(name):
        return name
    tail = re.sub(r"[^A-Za-z0-9._-]+", "_", "_".join(reference.split("/")[-2:]))
    return f"{tail}_{hashlib.sha256(reference.encode()).hexdigest()[:8]}"


def _convert_exclusive_bounds(schema: JsonObject) -> None:
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if schema.get(exclusive) is True and bound in schema:
            schema[exclusive] = schema.pop(bound)
        elif isinstance(schema.get(exclusive), bool):
            del schema[exclusive]


def _write_choices_as_text(schema: JsonObject) -> None:
    """Make texts of the numbers and booleans in the `enum` of a text, as `enum: [1, 2]`, which no text could equal."""
    if schema.get("type") == "string" and isinstance(choices := schema.get("enum"), list):
        schema["enum"] = [
            orjson.dumps(choice).decode() if isinstance(choice, bool | int | float) else choice for choice in choices
        ]


def _with_null(schema: JsonObject) -> JsonObject:
    """Return a schema that takes null too, as OpenAPI 3.0 writes with `nullable: true`."""
    if any(key in schema for key in _ALTERNATIVES):
        annotations = {key: schema.pop(key) for key in list(schema) if key in _ANNOTATIONS}
        return {"anyOf": [schema, {"type": "null"}], **annotations}
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
    elif isinstance(kind, list) and "null" not in kind:
        schema["type"] = [*kind, "null"]
    if isinstance(choices := schema.get("enum"), list) and None not in choices:
        schema["enum"] = [*choices, None]
    return schema
