"""A tool that is converted through every format and framework keeps its schema."""

from __future__ import annotations

import datetime
import enum
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import BaseModel, Field

from unified_agents import (
    Tool,
    from_anthropic,
    from_mcp,
    from_openai,
    to_anthropic,
    to_langchain,
    to_llamaindex,
    to_mcp,
    to_openai,
    to_openai_responses,
    tool,
)
from unified_agents.tools.decorator import as_tool
from unified_agents.tools.root_union import without_root_union


def handler(**arguments: Any) -> Any:
    return arguments


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def round_trip(given: Tool) -> Tool:
    """Function → LangChain → ours → LlamaIndex → ours → OpenAI → MCP → ours, each step as JSON where it is JSON."""
    from_langchain = as_tool(to_langchain(given))
    from_llamaindex = as_tool(to_llamaindex(from_langchain))
    of_openai = from_openai(as_json(to_openai(from_llamaindex)), handler)
    return from_mcp(as_json(to_mcp(of_openai)), handler)


# ---- a family of hard schemas ----

NAMES = st.sampled_from(
    ["title", "$ref", "type", "properties", "self", "config", "run_manager", "_x", "Content-Type", "kwargs", "größe"]
)
TEXTS = st.sampled_from(["", "Größe in „Metern“", "日本語の説明", 'emoji 🚀 and "quotes"', "two\nlines"])
REFS = st.sampled_from(["#/$defs/Node", "#/$defs/Leaf", "#/$defs/a~1b", "#"])
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2, allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2), max_leaves=4
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
ANNOTATIONS = {
    "title": TEXTS,
    "description": TEXTS,
    "default": VALUES,
    "examples": st.lists(VALUES, max_size=2),
    "deprecated": st.booleans(),
}
LEAVES = st.one_of(
    st.booleans(),
    st.builds(dict),
    st.fixed_dictionaries({"$ref": REFS}, optional=ANNOTATIONS),
    st.fixed_dictionaries({"type": TYPES}, optional=ANNOTATIONS),
    st.fixed_dictionaries({"type": st.lists(TYPES, min_size=2, max_size=3, unique=True)}, optional=ANNOTATIONS),
    st.fixed_dictionaries(
        {"enum": st.lists(VALUES, min_size=1, max_size=3, unique_by=json.dumps)}, optional=ANNOTATIONS
    ),
    st.fixed_dictionaries({"const": VALUES}),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(3, 9),
            "pattern": st.sampled_from(["^a+$", "^(?=x).*", "ß"]),
            "format": st.sampled_from(["date", "date-time", "email", "uri", "uuid", "binary"]),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": st.integers(-3, 0),
            "exclusiveMaximum": st.integers(5, 9),
            "multipleOf": st.sampled_from([1, 0.5]),
        },
    ),
)


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    branches = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(NAMES, inner, max_size=3)
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": named},
            optional={
                **ANNOTATIONS,
                "required": st.lists(NAMES, max_size=3, unique=True),
                "additionalProperties": inner,
                "patternProperties": st.dictionaries(st.sampled_from(["^x-", "ü$"]), inner, max_size=2),
                "propertyNames": inner,
                "minProperties": st.integers(0, 2),
                "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=2),
                "dependentSchemas": st.dictionaries(NAMES, inner, max_size=1),
            },
        ),
        st.fixed_dictionaries(
            {"type": st.just("array")},
            optional={
                "items": inner,
                "prefixItems": branches,
                "contains": inner,
                "uniqueItems": st.booleans(),
                "maxItems": st.integers(0, 4),
            },
        ),
        st.fixed_dictionaries({"anyOf": branches}, optional=ANNOTATIONS),
        st.fixed_dictionaries({"oneOf": branches}, optional=ANNOTATIONS),
        st.fixed_dictionaries({"allOf": branches}),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
        st.fixed_dictionaries({"not": inner}),
    )


SCHEMAS = st.recursive(LEAVES, compound, max_leaves=5)
HARD = st.fixed_dictionaries(
    {
        "properties": st.dictionaries(NAMES, SCHEMAS, max_size=4),
        "$defs": st.fixed_dictionaries({"Node": SCHEMAS, "Leaf": LEAVES, "a/b": LEAVES, "title": LEAVES}),
    },
    optional={
        "type": st.just("object"),
        "$schema": st.just("https://json-schema.org/draft/2020-12/schema"),
        "title": TEXTS,
        "description": TEXTS,
        "required": st.lists(NAMES, max_size=3, unique=True),
        "additionalProperties": SCHEMAS,
        "patternProperties": st.dictionaries(st.sampled_from(["^x-", "ü$"]), SCHEMAS, max_size=2),
        "anyOf": st.lists(SCHEMAS, min_size=1, max_size=2),
        "allOf": st.lists(SCHEMAS, min_size=1, max_size=2),
        "$comment": TEXTS,
    },
)


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(schema=HARD, description=TEXTS)
def test_a_generated_schema_comes_back_the_same(schema: dict[str, Any], description: str) -> None:
    start = Tool(name="hard", description=description, parameters=schema, handler=handler)
    end = round_trip(start)
    expected = without_root_union(start.parameters)  # OpenAI and Anthropic refuse a root that is a union
    assert end.parameters == expected
    assert list(end.parameters) == list(expected)  # in the same order too
    assert (end.name, end.description) == (start.name, start.description)
    if schema.keys().isdisjoint({"anyOf", "allOf"}):
        assert {key: end.parameters[key] for key in schema} == schema  # nothing of what the user wrote is gone


def test_the_family_is_hard() -> None:
    """The generator really makes what it promises; without this the test above could pass on empty schemas."""
    seen: set[str] = set()

    @settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(HARD)
    def collect(schema: dict[str, Any]) -> None:
        text = json.dumps(schema)
        seen.update(word for word in WANTED if f'"{word}"' in text)
        if '"$ref": "#"' in text:
            seen.add("recursion")

    collect()
    assert seen >= WANTED | {"recursion"}


WANTED = {
    "$ref", "$defs", "oneOf", "anyOf", "allOf", "not", "if", "enum", "const", "patternProperties",
    "additionalProperties", "default", "format", "prefixItems", "description", "title", "dependentSchemas",
    "propertyNames",
}  # fmt: skip


# ---- typed functions ----


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Size:
    width: Annotated[float, Field(gt=0)]
    unit: Literal["m", "cm"] = "m"


class Node(BaseModel):
    """A tree."""

    label: str = Field(description="Größe „ä“", max_length=9)
    children: list[Node] = []


@tool
def paint(
    tree: Node,
    colour: Colour,
    size: Size | None = None,
    due: datetime.date | None = None,
    title: Annotated[str, Field(pattern="^[A-Z]")] = "A",
    amounts: dict[str, Annotated[int, Field(ge=0)]] | None = None,
    pair: tuple[int, str] = (1, "x"),
) -> dict[str, Any]:
    """Paint a tree.

    Args:
        tree: What is painted.
        amounts: How much of each.
    """
    return {"label": tree.label, "colour": colour.value, "due": str(due), "pair": pair}


@tool
async def ping() -> str:
    """Answer."""
    return "pong"


@tool
def open_ended(first: int, **rest: float) -> dict[str, Any]:
    """Take anything."""
    return {"first": first, **rest}


@pytest.mark.parametrize("start", [paint, ping, open_ended], ids=lambda item: item.name)
def test_a_function_comes_back_the_same(start: Tool) -> None:
    end = round_trip(start)
    assert end.parameters == start.parameters
    assert (end.name, end.description) == (start.name, start.description)
    assert not start.is_schema_only
    assert end.is_schema_only


@pytest.mark.parametrize("start", [paint, open_ended], ids=lambda item: item.name)
def test_the_other_formats_keep_it_too(start: Tool) -> None:
    assert from_openai(as_json(to_openai_responses(start)), handler).parameters == start.parameters
    assert from_anthropic(as_json(to_anthropic(start)), handler).parameters == start.parameters


async def test_a_call_goes_all_the_way_back_to_the_function() -> None:
    both = as_tool(to_llamaindex(as_tool(to_langchain(paint))))
    arguments = {"tree": {"label": "x", "children": [{"label": "y"}]}, "colour": "red", "due": "2026-01-02"}
    output = await to_llamaindex(both).acall(**arguments)
    assert json.loads(output.content) == {"label": "x", "colour": "red", "due": "2026-01-02", "pair": [1, "x"]}


def test_the_comparison_can_fail() -> None:
    """A framework's own tool of the same schema loses some of it, and that is seen."""
    from llama_index.core.tools import FunctionTool

    native = as_tool(FunctionTool.from_defaults(open_ended.handler, name="open_ended"))
    assert native.parameters != open_ended.parameters
    assert native.description != open_ended.description
