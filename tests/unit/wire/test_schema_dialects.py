"""How tools are written for servers that take less than JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from unified_agents import InvalidInputError, ModelConfig, Tool
from unified_agents.wire.dialect import Dialect
from unified_agents.wire.schema_dialects import (
    MAX_DESCRIPTION_CHARS,
    openai_tool,
    reduced_tool,
    schema_dialect_of,
)

TREE = {
    "type": "object",
    "properties": {
        "value": {"type": "integer", "multipleOf": 2},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
    },
    "required": ["value"],
}
TAKEN = {"type", "description", "properties", "required", "items", "enum", "anyOf"}
TAKEN |= {"minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"}


def made(description: str = "d", root: Mapping[str, Any] | None = None, **properties: Any) -> Tool:
    parameters = {"type": "object", "properties": properties, "$defs": {"Tree": TREE}, **(root or {})}
    return Tool(name="t", description=description, parameters=parameters, handler=lambda **given: "done")


def reduced(schema: Any) -> Any:
    return reduced_tool("t", made(x=schema))["function"]["parameters"]["properties"]["x"]


def for_openai(schema: Any) -> Any:
    return openai_tool("t", made(x=schema))["function"]["parameters"]["properties"]["x"]


def faults(schema: Any, place: str = "") -> Iterator[str]:
    """Yield what a server with the fewest keywords would refuse."""
    yield from (f"{place}/{keyword}" for keyword in schema.keys() - TAKEN)
    if not isinstance(schema.get("type", ""), str):
        yield f"{place}: several types"
    if schema.get("type") == "array" and "items" not in schema:
        yield f"{place}: an array without items"
    if not all(choice and isinstance(choice, str) for choice in schema.get("enum", ())):
        yield f"{place}: a choice that is no text"
    if not set(schema.get("required", ())) <= schema.get("properties", {}).keys():
        yield f"{place}: what is required has no schema"
    parts = [*schema.get("properties", {}).items(), *enumerate(schema.get("anyOf", ()))]
    parts += [("items", schema["items"])] if "items" in schema else []
    for name, part in parts:
        yield from faults(part, f"{place}/{name}")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "title": "X"}, {"type": "string"}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"const": 5}, {"description": "enum: [5]"}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "enum: [1, 2]"}),
        ({"enum": ["a", ""]}, {"type": "string", "description": 'enum: ["a", ""]'}),
        ({"type": ["string", "null"]}, {"type": "string", "description": "nullable: true"}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "description": "nullable: true"}),
        (
            {"description": "How many.", "type": "integer", "exclusiveMinimum": 3},
            {"type": "integer", "description": "How many. (exclusiveMinimum: 3)"},
        ),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        (
            {"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"required": ["b"]}]},
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        ),
        (
            {"properties": {"a": {}}, "anyOf": [{"required": ["a"]}, {"properties": {"b": {}}}]},
            {
                "type": "object",
                "properties": {"a": {}},
                "anyOf": [{}, {"type": "object", "properties": {"b": {}}}],
            },
        ),
        ({"type": "object", "additionalProperties": False}, {"type": "object"}),
        ({"type": "string", "default": "a", "x-order": 1}, {"type": "string", "description": 'default: "a"'}),
        (True, {}),
    ],
)
def test_what_a_schema_becomes_in_few_keywords(schema: Any, expected: Any) -> None:
    assert reduced(schema) == expected


def test_a_schema_that_contains_itself_ends() -> None:
    child = reduced({"$ref": "#/$defs/Tree"})["properties"]["children"]
    assert child["type"] == "array"
    assert [*faults(reduced({"$ref": "#/$defs/Tree"}))] == []


def test_a_schema_that_doubles_with_each_level_is_bounded() -> None:
    definitions = {
        f"L{level}": {"properties": {name: {"$ref": f"#/$defs/L{level + 1}"} for name in "ab"}} for level in range(12)
    }
    tool = made(root={"$defs": definitions | {"L12": {"type": "string"}}}, x={"$ref": "#/$defs/L0"})
    written = reduced_tool("t", tool)["function"]["parameters"]
    assert len(re.findall("'a'", str(written))) < 3_000
    assert [*faults(written)] == []


@pytest.mark.parametrize("pattern", [r"^[\p{L}_]+$", "^(?=.*a).+$", "(?<!a)b", "(?<name>a)"])
def test_a_pattern_that_openai_does_not_compile_is_told(pattern: str) -> None:
    written = for_openai({"type": "array", "items": {"type": "string", "pattern": pattern}})
    assert "pattern" not in written["items"]
    assert written["items"]["description"].startswith("pattern: ")
    tool = made(x={"type": "string", "pattern": "^(?=.*a).+$"})
    with pytest.raises(InvalidInputError):
        tool.validate('{"x": "b"}')  # by the canonical schema, whatever went out


def test_what_openai_takes_stays() -> None:
    schema = {"type": "object", "patternProperties": {"^a": {"const": 1}}, "properties": {"pattern": {"default": None}}}
    assert for_openai(schema) == schema
    assert for_openai({"default": {"pattern": r"\p{L}"}}) == {"default": {"pattern": r"\p{L}"}}


def test_keys_that_openai_cannot_match_may_be_written() -> None:
    written = for_openai({"type": "object", "patternProperties": {r"^\p{L}": {}}, "additionalProperties": False})
    assert written == {"type": "object", "description": r'keys: ["^\\p{L}"]'}
    assert for_openai({"type": "array"}) == {"type": "array", "items": {}}


@pytest.mark.parametrize("write", [openai_tool, reduced_tool])
def test_a_long_description_is_cut(write: Any) -> None:
    text = write("t", made(description="d" * 5_000))["function"]["description"]
    assert len(text) == MAX_DESCRIPTION_CHARS
    assert text.endswith("d…")
    whole = "d" * MAX_DESCRIPTION_CHARS
    assert write("t", made(description=whole))["function"]["description"] == whole


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "openai"),
        ({"base_url": "https://mine.openai.azure.com/openai/v1"}, "openai"),
        ({"protocol": "responses"}, "openai"),
        ({"base_url": "https://generativelanguage.googleapis.com/v1beta/openai"}, "reduced"),
        ({"base_url": "https://notopenai.com/v1"}, "json_schema"),
        ({"base_url": "http://127.0.0.1:8000/v1"}, "json_schema"),
        ({"base_url": "http://127.0.0.1:8000/v1", "schema_dialect": "reduced"}, "reduced"),
        ({"schema_dialect": "json_schema"}, "json_schema"),
        ({"provider": "anthropic"}, "json_schema"),
        ({"provider": "google"}, "json_schema"),
    ],
)
def test_the_dialect_is_that_of_the_host(
    settings: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert schema_dialect_of(ModelConfig.model_validate({"name": "m"} | settings)) == expected


@pytest.mark.parametrize(
    "words",
    [
        "Invalid schema for function 'search': '^\\p{L}+$' is not a 'regex'.",
        "Invalid JSON schema: regex lookaround is not supported. Found at $.properties.x.pattern.",
        "Invalid 'tools[13].function.description': string too long. Expected a string with maximum length 1024",
        "Unknown name 'const' at 'tools[0].function_declarations[5].parameters.properties[8].value': Cannot find field",
        "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level",
    ],
)
def test_a_refused_tool_is_sent_in_few_keywords(words: str) -> None:
    said = f"the model's server answered 400: {words}"
    assert Dialect().without_refused(said, {"tools"}) == Dialect(schemas="reduced")
    assert Dialect(schemas="reduced").without_refused(said, {"tools"}) is None
    assert Dialect().without_refused(said, set()) is None
