"""What of JSON Schema a model's server takes in its tools, and how a tool is written for it.

A server refuses the whole request over one keyword of one tool. What it does not take is therefore written in another
way, or told in a description. Arguments are validated by the canonical schema all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from unified_agents import wording
from unified_agents.config import ModelConfig
from unified_agents.config.providers import SchemaDialect
from unified_agents.messages import JsonObject
from unified_agents.tools.definition import Tool
from unified_agents.tools.json_pointer import MissingValueError, resolve_reference
from unified_agents.tools.offer import ToolForm, function_tool

MAX_DESCRIPTION_CHARS = 1_024
"""The longest description of a tool that OpenAI takes."""
MAX_DEPTH = 24
"""How deeply schemas are nested that go out reduced; what is deeper is told as any value."""
MAX_SCHEMAS = 2_000
"""So many schemas a reduced one has at most; references are put in place, and that can double them."""

_OPENAI_HOSTS = (".openai.com", ".azure.com")
_GEMINI_HOST = "generativelanguage.googleapis.com"

_NAMED_SCHEMAS = frozenset({"properties", "$defs", "definitions", "dependentSchemas", "patternProperties"})
_LISTED_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE_SCHEMAS = frozenset(
    {"items", "additionalProperties", "not", "contains", "if", "then", "else", "propertyNames", "unevaluatedProperties"}
)
_LOOKAROUND = re.compile(r"\(\?(?:[=!]|<[=!])")

_KEPT = frozenset(
    {"type", "description", "maxItems", "minItems", "minLength", "maxLength", "minimum", "maximum", "required"}
)
"""Keywords that every server takes, as far as is known; `properties`, `items`, `anyOf` and `enum` are written anew."""
_UNTOLD = frozenset(
    {"title", "$schema", "$id", "$comment", "$defs", "definitions", "$ref", "$anchor", "deprecated", "nullable"}
)
"""Keywords that say nothing about a value."""
_TYPES = ("object", "array", "string", "integer", "number", "boolean")


def schema_dialect_of(model: ModelConfig) -> SchemaDialect:
    """Return what a model's server takes, before it has refused anything."""
    if model.schema_dialect is not None:
        return model.schema_dialect
    if model.spoken_protocol not in ("chat_completions", "responses"):
        return "json_schema"  # their protocols write schemas in their own way
    host = urlsplit(model.url).hostname or ""
    if host == _GEMINI_HOST:
        return "reduced"
    return "openai" if f".{host}".endswith(_OPENAI_HOSTS) and model.provider == "openai" else "json_schema"


def tool_form(dialect: SchemaDialect) -> ToolForm:
    """Return what writes a tool in a dialect."""
    return _FORMS[dialect]


def openai_tool(name: str, tool: Tool) -> JsonObject:
    """Write a tool as OpenAI takes it.

    A description is cut. A pattern that Python's `re` cannot compile, or that looks around, is told in the description
    of what it stands for. An array says what its items are.
    """
    function = function_tool(name, tool)["function"]
    written = {"name": name, "parameters": _for_openai(function["parameters"], 0)}
    if "description" in function:
        written["description"] = _cut(function["description"])
    return {"type": "function", "function": written}


def reduced_tool(name: str, tool: Tool) -> JsonObject:
    """Write a tool in the few keywords that all servers take, those of Gemini's Chat Completions being the fewest."""
    function = function_tool(name, tool)["function"]
    written: JsonObject = {"name": name}
    if "description" in function:
        written["description"] = _cut(function["description"])
    parameters = _Reduction(function["parameters"]).schema()
    return {"type": "function", "function": written | {"parameters": parameters}}


def _cut(text: str) -> str:
    if len(text) <= MAX_DESCRIPTION_CHARS:
        return text
    return text[: MAX_DESCRIPTION_CHARS - len(wording.CUT_MARK)] + wording.CUT_MARK


def _told(schema: JsonObject, keywords: Mapping[str, Any]) -> JsonObject:
    """Return a schema whose description tells of keywords that were left out of it."""
    words = wording.keywords_in_words(keywords)
    if not words:
        return schema
    described = schema.get("description")
    return schema | {"description": f"{described} ({words})" if described else words}


def _for_openai(schema: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return schema
    written: JsonObject = {}
    left_out: JsonObject = {}
    for keyword, value in schema.items():
        if keyword == "pattern" and isinstance(value, str) and not _openai_compiles(value):
            left_out[keyword] = value
        elif keyword == "patternProperties" and isinstance(value, Mapping):
            if bad := [pattern for pattern in value if not _openai_compiles(pattern)]:
                left_out["keys"] = bad
            if kept := {key: _for_openai(item, depth + 1) for key, item in value.items() if key not in bad}:
                written[keyword] = kept
        else:
            written[keyword] = _within(keyword, value, lambda item: _for_openai(item, depth + 1))
    if "keys" in left_out and written.get("additionalProperties") is False:
        del written["additionalProperties"]  # or else the keys of the pattern would be forbidden
    if _is_array(written) and "items" not in written:
        written["items"] = {}
    return _told(written, left_out)


def _is_array(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "array" or (isinstance(kind, list) and "array" in kind)


def _within(keyword: str, value: Any, write: Callable[[Any], Any]) -> Any:
    """Return the value of a keyword, the schemas in it being written anew."""
    if keyword in _NAMED_SCHEMAS and isinstance(value, Mapping):
        return {name: write(item) for name, item in value.items()}
    if keyword in _LISTED_SCHEMAS and isinstance(value, list):
        return [write(item) for item in value]
    return write(value) if keyword in _SINGLE_SCHEMAS else value


def _openai_compiles(pattern: str) -> bool:
    if _LOOKAROUND.search(pattern):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


class _Reduction:
    """Writes one schema in few keywords, with references put in place."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._count = 0

    def schema(self) -> JsonObject:
        written = self._written(self._root, ())
        properties = written.get("properties", {})
        return written | {"type": "object", "properties": properties}

    def _written(self, schema: Any, followed: tuple[str, ...]) -> JsonObject:
        self._count += 1
        if not isinstance(schema, Mapping) or self._count > MAX_SCHEMAS or len(followed) > MAX_DEPTH:
            return {}
        whole, followed = self._merged(schema, followed)
        alternatives = [branch for key in ("anyOf", "oneOf") for branch in _listed(whole.get(key))]
        kinds, is_nullable = _kinds(whole, alternatives)
        if alternatives or len(kinds) > 1:
            return self._alternatives(whole, alternatives, kinds, followed, is_nullable=is_nullable)
        return self._plain(whole, kinds[0] if kinds else None, followed, is_nullable=is_nullable)

    def _merged(self, schema: Mapping[str, Any], followed: tuple[str, ...]) -> tuple[JsonObject, tuple[str, ...]]:
        """Return a schema with what it refers to and what `allOf` adds, and the references that led there."""
        whole = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        parts = _listed(schema.get("allOf"))
        if isinstance(reference := schema.get("$ref"), str) and reference not in followed:
            followed = (*followed, reference)
            try:
                parts = [resolve_reference(self._root, reference), *parts]
            except MissingValueError:
                parts = [*parts]
        for part in parts:
            if not isinstance(part, Mapping) or self._count > MAX_SCHEMAS:
                continue
            self._count += 1
            other, followed = self._merged(part, followed)
            properties = {**(other.get("properties") or {}), **(whole.get("properties") or {})}
            required = [*(other.get("required") or ()), *(whole.get("required") or ())]
            whole = other | whole
            whole |= {"properties": properties} if properties else {}
            whole |= {"required": list(dict.fromkeys(required))} if required else {}
        return whole, (*followed, "") if len(followed) <= MAX_DEPTH else followed

    def _alternatives(
        self,
        schema: JsonObject,
        alternatives: list[Any],
        kinds: list[str],
        followed: tuple[str, ...],
        *,
        is_nullable: bool,
    ) -> JsonObject:
        beside = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "type", "description")}
        if alternatives:
            written = [self._written(branch, followed) for branch in alternatives if not _is_null(branch)]
            told = {key: value for key, value in beside.items() if key not in _UNTOLD}
        else:
            written = [self._plain(beside | {"type": kind}, kind, followed, is_nullable=False) for kind in kinds]
            told = {}
        rest = {"description": schema["description"]} if "description" in schema else {}
        if told.get("properties"):
            rest |= self._plain({"properties": told.pop("properties")}, "object", followed, is_nullable=False)
        told |= {"nullable": True} if is_nullable else {}
        if len(written) == 1:
            only = written[0]
            return _told(only | rest, told)
        return _told(rest | {"anyOf": written}, told)

    def _plain(
        self, schema: JsonObject, kind: str | None, followed: tuple[str, ...], *, is_nullable: bool
    ) -> JsonObject:
        """Write a schema that is of one type, or of any."""
        written: JsonObject = {key: value for key, value in schema.items() if key in _KEPT}
        told: JsonObject = {}
        for key, value in schema.items():
            if key not in _KEPT | _UNTOLD | {"properties", "items", "enum", "const"} and not key.startswith("x-"):
                told[key] = value
        if told.get("additionalProperties") is False:
            del told["additionalProperties"]  # what a model takes for granted
        if told.get("default", "") is None:
            del told["default"]
        choices = schema["enum"] if isinstance(schema.get("enum"), list) else None
        choices = [schema["const"]] if "const" in schema else choices
        if kind is None and choices is not None and all(isinstance(choice, str) for choice in choices):
            kind = "string"
        written.pop("type", None)
        if kind is not None:
            written["type"] = kind
        if choices is not None:
            if kind == "string" and all(choice and isinstance(choice, str) for choice in choices):
                written["enum"] = choices
            else:
                told["enum"] = choices
        properties = schema.get("properties")
        if kind in (None, "object") and isinstance(properties, Mapping):
            written["type"] = "object"
            written["properties"] = {name: self._written(item, followed) for name, item in properties.items()}
        required = [name for name in _listed(written.pop("required", None)) if name in written.get("properties", {})]
        if required:
            written["required"] = required
        if kind == "array":
            written["items"] = self._written(schema.get("items", {}), followed) or {"type": "string"}
        told |= {"nullable": True} if is_nullable else {}
        return _told(written, told)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and (schema.get("type") == "null" or schema.get("const", "") is None)


def _kinds(schema: JsonObject, alternatives: list[Any]) -> tuple[list[str], bool]:
    """Return the types of a schema, and whether null fits too."""
    declared = schema.get("type")
    names = [declared] if isinstance(declared, str) else _listed(declared)
    is_nullable = "null" in names or schema.get("nullable") is True or any(map(_is_null, alternatives))
    return [name for name in names if name in _TYPES], is_nullable


_FORMS: Mapping[SchemaDialect, ToolForm] = {
    "json_schema": function_tool,
    "openai": openai_tool,
    "reduced": reduced_tool,
}
