"""The strict form: always within OpenAI's rules, and every loss is listed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from support import CORPORA, bfcl_to_json_schema, needs_corpora
from unified_agents import (
    InvalidInputError,
    OpenApiConfig,
    Tool,
    ToolDefinitionError,
    from_strict,
    load_openapi,
    strict_report,
    to_openai,
    to_openai_responses,
)

ALLOWED = {
    "type", "enum", "const", "anyOf", "properties", "required", "additionalProperties", "items", "$ref", "title",
    "description", "pattern", "format", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
    "minItems", "maxItems",
}  # fmt: skip
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def breaches(schema: Any, root: Any = None, path: str = "") -> Iterator[str]:
    """What in a schema OpenAI would refuse: written from its guide, and knows nothing of our converter."""
    if root is None:
        root = schema
        if schema.get("type") != "object" or "anyOf" in schema:
            yield "the root is no plain object"
        for name, item in schema.get("$defs", {}).items():
            yield from breaches(item, root, f"/$defs/{name}")
        schema = {key: value for key, value in schema.items() if key != "$defs"}
    if not isinstance(schema, dict):
        yield f"{path}: {schema!r} is no object"
        return
    yield from (f"{path}: {keyword}" for keyword in schema.keys() - ALLOWED)
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if len(schema) > 1 or (schema["$ref"] != "#" and name not in root.get("$defs", {})):
            yield f"{path}: $ref"
        return
    if "type" not in schema and "anyOf" not in schema:
        yield f"{path}: no type"
    if schema.get("format", "date") not in FORMATS:
        yield f"{path}: format"
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if "object" in types or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            yield f"{path}: open"
        if list(schema.get("properties", ())) != schema.get("required"):
            yield f"{path}: required"
    if "array" in types and "items" not in schema:
        yield f"{path}: no items"
    inner = {**schema.get("properties", {}), **{f"anyOf {n}": item for n, item in enumerate(schema.get("anyOf", []))}}
    if "items" in schema:
        inner["items"] = schema["items"]
    for name, item in inner.items():
        yield from breaches(item, root, f"{path}/{name}")


def make(parameters: dict[str, Any]) -> Tool:
    return Tool(name="t", parameters=parameters, handler=lambda **_: None)


def one(schema: Any, *, required: bool = True) -> Tool:
    return make({"type": "object", "properties": {"x": schema}, "required": ["x"] if required else []})


def strict(tool: Tool) -> dict[str, Any]:
    function = to_openai(tool, strict=True)["function"]
    assert function["strict"] is True
    parameters: dict[str, Any] = function["parameters"]
    assert list(breaches(parameters)) == []
    return parameters


# ---- what it becomes ----


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "string", "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"const": "a"}, {"anyOf": [{"type": "string", "const": "a"}, {"type": "null"}]}),
        ({"anyOf": [{"type": "integer"}]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ({"type": "array", "items": {"type": "integer"}}, {"type": ["array", "null"], "items": {"type": "integer"}}),
    ],
)
def test_an_optional_property_takes_null_and_nothing_is_lost(given: Any, becomes: Any) -> None:
    tool = one(given, required=False)
    assert strict(tool)["properties"]["x"] == becomes
    assert strict_report(tool) == []
    assert strict(one(given))["properties"]["x"] != becomes or "null" in given.get("type", "")


@pytest.mark.parametrize(
    ("given", "lost"),
    [
        ({"type": "string", "minLength": 2}, {"minLength"}),
        ({"type": "string", "format": "uri"}, {"format"}),
        ({"type": "string", "pattern": "^(?=a)"}, {"pattern"}),
        ({"type": "string", "default": "a"}, {"default"}),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, {"uniqueItems"}),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, {"prefixItems"}),
        ({"type": "array"}, {"type"}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"additionalProperties"}),
        ({"type": "object", "patternProperties": {"^x": {"type": "string"}}}, {"patternProperties"}),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"oneOf"}),
        ({"type": "string", "not": {"const": "a"}}, {"not"}),
        ({"type": "string", "if": True, "then": True}, {"if", "then"}),
        ({}, {"type"}),
        (True, {"type"}),
        (False, {"false"}),
        ({"properties": {"a": {"type": "string"}}}, {"type"}),
        ({"enum": [["a"], "b"]}, {"enum", "type"}),
        ({"type": "string", "x-internal": 1}, {"x-internal"}),
    ],
)
def test_what_cannot_be_carried_is_listed_with_its_place(given: Any, lost: set[str]) -> None:
    tool = one(given)
    strict(tool)
    report = strict_report(tool)
    assert {loss.keyword for loss in report} >= lost - {"type"}
    assert {loss.keyword for loss in report} <= lost
    assert all(loss.path.startswith("/properties/x") and loss.why for loss in report)


@pytest.mark.parametrize(
    "given",
    [
        {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2},
        {"type": "string", "format": "date", "pattern": "^2"},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
        {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Größe"},
        {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"], "additionalProperties": False},
    ],
)
def test_what_openai_takes_stays(given: Any) -> None:
    assert strict(one(given))["properties"]["x"] == given
    assert strict_report(one(given)) == []


def test_recursion_and_references_stay() -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}
    properties = {"t": {"$ref": "#/$defs/Tree", "description": "Root."}, "me": {"$ref": "#"}}
    tool = make({"type": "object", "properties": properties, "$defs": {"Tree": tree}})
    parameters = strict(tool)
    assert parameters["$defs"]["Tree"]["properties"]["kids"]["items"] == {"$ref": "#/$defs/Tree"}
    assert parameters["properties"]["t"]["description"] == "Root."
    assert {"$ref": "#"} in parameters["properties"]["me"]["anyOf"]
    assert strict_report(tool) == []


def test_all_of_is_merged() -> None:
    base = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    both = {"allOf": [{"$ref": "#/$defs/B"}, {"properties": {"b": {"type": "null"}}}]}
    tool = make({"properties": {"x": both}, "$defs": {"B": base}})
    assert set(strict(tool)["properties"]["x"]["properties"]) == {"a", "b"}
    assert strict_report(tool) == []
    clash = one({"allOf": [{"type": "integer", "minimum": 1}, {"minimum": 2}]})
    assert [loss.keyword for loss in strict_report(clash)] == ["minimum"]


def test_an_anchor_is_not_followed() -> None:
    anchored = {"$anchor": "here", "type": "string"}
    tool = make({"properties": {"x": {"$ref": "#here"}}, "$defs": {"A": anchored}})
    strict(tool)
    assert ("/properties/x", "$ref") in {(loss.path, loss.keyword) for loss in strict_report(tool)}


def test_the_root_is_never_a_union() -> None:
    tool = make({"type": "object", "properties": {"a": {"type": "string"}}, "oneOf": [{"required": ["a"]}]})
    assert set(strict(tool)) == {"type", "properties", "required", "additionalProperties"}
    assert [(loss.path, loss.keyword) for loss in strict_report(tool)] == [("", "oneOf")]


def test_plain_formats_lose_nothing_and_strict_ones_do_not_touch_the_tool() -> None:
    tool = one({"type": "string", "minLength": 2}, required=False)
    before = json.dumps(tool.parameters)
    assert to_openai(tool)["function"]["parameters"] == tool.parameters
    assert "strict" not in to_openai(tool)["function"]
    assert to_openai_responses(tool, strict=True)["strict"] is True
    assert json.dumps(tool.parameters) == before


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (deep(12), "levels"),
        ({"type": "object", "properties": {f"p{n}": {"type": "null"} for n in range(5000)}}, "5001 properties"),
        ({"enum": [f"v{n}" for n in range(1001)]}, "more than 1000"),
        ({"enum": ["v" * 70 + str(n) for n in range(251)]}, "15000 characters"),
        ({"type": "object", "properties": {f"{'p' * 2000}{n}": {"type": "null"} for n in range(61)}}, "120000"),
    ],
)
def test_what_is_beyond_the_bounds_has_no_strict_form(schema: Any, said: str) -> None:
    with pytest.raises(ToolDefinitionError, match=said):
        to_openai(one(schema), strict=True)
    assert any(said in loss.why for loss in strict_report(one(schema)))
    assert to_openai(one(schema))["function"]["parameters"]["properties"]["x"] == schema


# ---- arguments back ----


def test_null_for_an_optional_argument_means_that_it_is_left_out() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": ["integer", "null"]}}}
    reference = {"$ref": "#/$defs/I"}
    properties = {"x": reference, "y": {"type": "array", "items": reference}, "z": {"enum": [1, None]}}
    tool = make({"properties": properties, "$defs": {"I": inner}})
    text = from_strict(tool, '{"x": {"a": null, "b": null}, "y": [{"a": 1, "b": null}, {"a": null}], "z": null}')
    assert json.loads(text) == {"x": {"b": None}, "y": [{"a": 1, "b": None}, {}], "z": None}
    assert tool.validate(text)
    assert json.loads(from_strict(tool, '{"x": null, "y": null}')) == {}
    with pytest.raises(InvalidInputError):
        from_strict(tool, "[]")


SIMPLE = st.recursive(
    st.sampled_from(
        [
            {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}, {"enum": ["a", 1]},
            {"type": ["string", "null"]}, {"$ref": "#/$defs/D"}, {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        ]
    ),
    lambda inner: st.builds(
        lambda properties, required: {
            "type": "object", "properties": properties, "required": [name for name in properties if name in required],
            "additionalProperties": False,
        },
        st.dictionaries(st.sampled_from("abcd"), inner, max_size=3), st.sets(st.sampled_from("abcd")),
    )
    | st.builds(lambda items: {"type": "array", "items": items}, inner),
    max_leaves=6,
)  # fmt: skip


def instances(schema: Any, root: Any) -> st.SearchStrategy[Any]:
    """Values that fit a strict schema."""
    if "$ref" in schema:
        return instances(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return st.one_of([instances(branch, root) for branch in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    made = {
        "string": st.text(max_size=2),
        "integer": st.integers(0, 9),
        "boolean": st.booleans(),
        "null": st.none(),
        "number": st.integers(0, 9),
    }
    if "object" in types:
        made["object"] = st.fixed_dictionaries(
            {key: instances(item, root) for key, item in schema["properties"].items()}
        )
    if "array" in types:
        made["array"] = st.lists(instances(schema["items"], root), max_size=2)
    return st.one_of([made[name] for name in types])


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_where_nothing_is_lost_what_strict_allows_fits_the_canonical_schema(data: st.DataObject) -> None:
    properties = data.draw(st.dictionaries(st.sampled_from("xyz"), SIMPLE, min_size=1))
    required = data.draw(st.sets(st.sampled_from(list(properties))))
    definition = {"type": "object", "properties": {"k": {"type": "string"}}, "additionalProperties": False}
    tool = make({"type": "object", "properties": properties, "required": sorted(required), "$defs": {"D": definition}})
    parameters = strict(tool)
    assert strict_report(tool) == []
    value = data.draw(instances(parameters, parameters))
    assert jsonschema_rs.is_valid(parameters, value)
    tool.validate(from_strict(tool, json.dumps(value)))  # raises where it does not fit


# ---- the corpora ----


def corpus(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((folder / "mcp").glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        for item in content["tools"] if isinstance(content, dict) else content:
            yield f"{path.stem} {item['name']}", item.get("inputSchema") or item["input_schema"]


@needs_corpora
def test_every_mcp_tool_has_a_strict_form_and_a_report() -> None:
    tools = {name: make(schema) for name, schema in corpus(CORPORA)}
    assert len(tools) == 112
    lossless = [name for name, tool in tools.items() if not strict_report(tool)]
    for name, tool in tools.items():
        assert list(breaches(to_openai(tool, strict=True)["function"]["parameters"])) == [], name
    assert 0 < len(lossless) < len(tools)


def operations(folder: Path) -> Iterator[tuple[str, Tool]]:
    for file in sorted((folder / "openapi").glob("*.openapi.*")):
        for tool in load_openapi(OpenApiConfig(openapi=file, base_url="https://api.example.com")):
            yield f"{file.name} {tool.name}", tool


def functions(folder: Path) -> Iterator[tuple[str, Tool]]:
    for file in sorted((folder / "bfcl").glob("*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for entry in map(json.loads, lines):
                given = entry.get("function") or []
                for document in [given] if isinstance(given, dict) else given:
                    yield f"{file.name} {document['name']}", make(bfcl_to_json_schema(document["parameters"]))


@pytest.mark.slow
@needs_corpora
@pytest.mark.parametrize(("read", "least"), [(operations, 261), (functions, 2_000)], ids=["OpenAPI", "BFCL"])
def test_every_other_tool_of_the_corpora_has_a_strict_form_and_a_report(read: Any, least: int) -> None:
    """Or none, with the reason; and where it has one, nothing of the schema is gone that the report does not name."""
    seen, lossless, without = 0, 0, []
    for name, tool in read(CORPORA):
        seen += 1
        losses = strict_report(tool)
        lossless += not losses
        try:
            parameters = to_openai(tool, strict=True)["function"]["parameters"]
        except ToolDefinitionError as error:
            without.append(name if any(loss.why in str(error) for loss in losses) else f"{name} for no told reason")
            continue
        assert list(breaches(parameters)) == [], name
        kept = {place.rpartition("/")[2] for place in constraints(parameters)}
        named = {loss.keyword for loss in losses}
        whole = tuple(f"{loss.path}/{loss.keyword}/" for loss in losses)  # what stands below is gone with it
        for spot in constraints(tool.parameters):
            keyword = spot.rpartition("/")[2]
            assert keyword in kept | named or spot.startswith(whole), f"{name}: {spot}"
    print(f"{seen} tools, {lossless} without a loss, {len(without)} without a strict form: {without}")
    assert seen >= least
    assert not [name for name in without if name.endswith("for no told reason")]
    assert 0 < lossless < seen


def constraints(schema: Any, path: str = "") -> Iterator[str]:
    """Where keywords stand that bound a value; a property of such a name is none."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from constraints(item, f"{path}/{index}")
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("properties", "$defs", "patternProperties") and isinstance(value, dict):
                for name, item in value.items():
                    yield from constraints(item, f"{path}/{key}/{name}")
            elif key in BOUNDS:
                yield f"{path}/{key}"
            elif key not in ("default", "examples", "enum", "const"):
                yield from constraints(value, f"{path}/{key}")


BOUNDS = {
    "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "format", "not", "contains",
}  # fmt: skip


# ---- negative controls ----


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False},
        {"type": "object", "properties": {}, "required": []},
        {"anyOf": [{"type": "object"}]},
        {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False},
        {"type": "object", "properties": {"a": {"type": "array"}}, "required": ["a"], "additionalProperties": False},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/b"}},
            "required": ["a"],
            "additionalProperties": False,
        },
        {"type": "object", "properties": {}, "required": [], "additionalProperties": False, "oneOf": []},
    ],
)
def test_the_check_can_fail(schema: Any) -> None:
    assert list(breaches(schema))
