"""Differences between two schemas, keyword by keyword, and between a schema and what is sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from pydantic import Field

from support import BACKENDS
from unified_agents import (
    Agent,
    Tool,
    UnsupportedCapabilityError,
    check_tools,
    compare_schemas,
    create_agent,
    tool,
)
from unified_agents.fidelity import report as fidelity_report
from unified_agents.fidelity.schema_diff import keyword_count

FULL: dict[str, Any] = {
    "type": "object",
    "title": "Order",
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z]+$", "description": "Which one."},
        "node": {"$ref": "#/$defs/node"},
        "title": {"type": "string"},
        "many": {"type": ["array", "null"], "items": {"enum": ["b", "a"]}, "minItems": 1},
    },
    "required": ["id", "many"],
    "additionalProperties": False,
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"]}},
}


def altered(**properties: Any) -> dict[str, Any]:
    return FULL | {"properties": FULL["properties"] | properties}


def told(after: dict[str, Any], before: dict[str, Any] = FULL) -> list[tuple[str, str]]:
    return [(change.kind, change.place) for change in compare_schemas(before, after)]


def test_the_same_schema_has_no_changes() -> None:
    assert compare_schemas(FULL, altered()) == ()


@pytest.mark.parametrize(
    "after",
    [
        {key: value for key, value in FULL.items() if key != "title"},
        FULL | {"required": ["many", "id"]},
        altered(many={"type": ["null", "array"], "items": {"enum": ["a", "b"]}, "minItems": 1}),
        altered(node={"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"]}),
    ],
    ids=["title", "order of required", "order of type and enum", "a reference inlined"],
)
def test_what_may_differ_is_no_change(after: dict[str, Any]) -> None:
    assert compare_schemas(FULL, after) == ()


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        ({k: v for k, v in FULL.items() if k != "additionalProperties"}, [("lost", "/additionalProperties")]),
        (FULL | {"additionalProperties": True}, [("changed", "/additionalProperties")]),
        (FULL | {"maxProperties": 3}, [("added", "/maxProperties")]),
        (altered(title={"type": "string", "title": "Title"}), [("added", "/properties/title/title")]),
        (FULL | {"required": ["id"]}, [("changed", "/required")]),
        (altered(id={"type": "string", "description": "Which one."}), [("lost", "/properties/id/pattern")]),
        (altered(new={}), [("added", "/properties/new")]),
        (
            FULL | {"properties": {k: v for k, v in FULL["properties"].items() if k != "title"}},
            [("lost", "/properties/title")],
        ),
        (
            altered(many={"type": ["array", "null"], "items": {"enum": ["a"]}, "minItems": True}),
            [("changed", "/properties/many/items/enum"), ("changed", "/properties/many/minItems")],
        ),
        (
            FULL | {"$defs": {"node": {"type": "object", "properties": {"next": {}}, "required": ["next"]}}},
            [("lost", "/properties/node/properties/next/type")],
        ),
    ],
)
def test_what_was_lost_added_or_changed_is_told_with_its_place(
    after: dict[str, Any], changes: list[tuple[str, str]]
) -> None:
    assert set(changes) <= set(told(after))
    assert all(change.why for change in compare_schemas(FULL, after))


def test_the_draft_may_go_and_may_not_come() -> None:
    dated = FULL | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    assert compare_schemas(dated, FULL) == ()
    assert told(dated) == [("added", "/$schema")]


def test_a_parameter_called_like_a_keyword_is_a_parameter() -> None:
    (change,) = compare_schemas(FULL, altered(**{"$schema": {}}))
    assert (change.kind, change.place, change.counted_as) == ("added", "/properties/$schema", "properties")


def test_references_in_a_circle_end() -> None:
    circle = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert compare_schemas(circle, circle | {"minProperties": 1})[0].place == "/minProperties"


def test_a_definition_that_many_refer_to_is_compared_once() -> None:
    deep: dict[str, Any] = {"type": "object", "properties": {}, "$defs": {"d0": {"type": "string"}}}
    for level in range(1, 40):
        below = {"$ref": f"#/$defs/d{level - 1}"}
        deep["$defs"][f"d{level}"] = {"type": "object", "properties": {"a": below, "b": below}}
    deep["properties"]["top"] = {"$ref": "#/$defs/d39"}
    other = deep | {"$defs": deep["$defs"] | {"d0": {"type": "integer"}}}
    assert {change.keyword for change in compare_schemas(deep, other)} == {"type"}


def test_keywords_are_counted_without_what_may_go() -> None:
    assert (
        keyword_count({"title": "x", "type": "object", "properties": {"type": {"type": "string", "title": "y"}}}) == 3
    )


@tool
def book(seats: Annotated[int, Field(ge=1, le=9)], name: Annotated[str, Field(pattern="^[A-Z]")] = "A") -> str:
    """Book seats.

    Args:
        seats: How many.
        name: For whom.
    """
    return "booked"


LOOKUP = Tool(name="orders.lookup", description="Look up.", parameters=FULL, handler=lambda **_: None)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_under_unified_every_keyword_reaches_the_wire(backend: str) -> None:
    report = await check_tools([book, LOOKUP], backends=[backend], handlings=["unified"])
    assert report.counts(backend, "unified") == {"lost": 0, "added": 0, "changed": 0, "refused": 0}
    assert [row.name for row in report.tools] == ["book", "orders_lookup"]
    assert not any(row.is_worse_than("changed") for row in report.tools)


async def test_what_native_loses_is_seen() -> None:
    report = await check_tools([book, LOOKUP], handlings=["native"])
    losing = [backend for backend, handling in report.stacks() if report.counts(backend, handling)["lost"]]
    assert {"langchain", "llamaindex"} <= set(losing)
    assert "custom" not in losing
    rows = [row for row in report.tools if row.backend in losing]
    assert all(row.is_worse_than("lost") for row in rows if row.changes)
    assert not any(row.is_worse_than("none") for row in rows)


async def test_a_tool_that_a_stack_refuses_does_not_hide_the_others() -> None:
    def odd(*, items: list[str], **more: int) -> str:
        """Take anything."""
        return "x"

    def plain(seats: int) -> str:
        """Book seats."""
        return "x"

    report = await check_tools([tool(plain), tool(odd)], handlings=["native"])
    assert {row.tool for row in report.tools} == {"plain", "odd"}
    assert all(row.refused is None for row in report.tools if row.tool == "plain")


async def test_a_description_that_stands_in_the_tools_own_is_not_lost_and_the_construction_is_told() -> None:
    def plain(seats: int) -> str:
        """Book seats.

        Args:
            seats: How many.
        """
        return "x"

    report = await check_tools([tool(plain)], handlings=["native"])
    rows = {row.backend: row for row in report.tools}
    [moved] = [change for change in rows["langchain"].changes if change.path == "/parameters/properties/seats"]
    assert (moved.kind, moved.before, moved.why) == ("changed", "How many.", "it stands in the tool's own description")
    assert rows["langchain"].construction == "StructuredTool.from_function(func=plain)"
    assert rows["llamaindex"].construction == "FunctionTool.from_defaults(fn=plain)"
    assert "no framework" in str(rows["custom"].construction)


async def test_beside_a_refused_tool_each_is_found_under_the_name_that_it_was_sent_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse_book(*, tools: Sequence[Tool], **settings: Any) -> Agent:
        if any(one.name == "book" for one in tools):
            raise UnsupportedCapabilityError("this stack takes no book")
        return create_agent(tools=tools, **settings)

    monkeypatch.setattr(fidelity_report, "create_agent", refuse_book)
    namesake = Tool(name="orders_lookup", description="Look up.", parameters=FULL, handler=lambda **_: None)
    report = await check_tools([LOOKUP, namesake, book], backends=["custom"], handlings=["unified"])
    assert [row.refused for row in report.tools] == [None, None, "this stack takes no book"]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_no_stack_writes_into_the_canonical_schema(backend: str) -> None:
    probe = Tool(name="probe", parameters={"properties": {"x": {"type": "string"}}}, handler=lambda **_: None)
    before = json.dumps(probe.parameters)
    await check_tools([probe], backends=[backend])
    assert json.dumps(probe.parameters) == before
