"""Schemas as they are found: other dialects and engines, and expansions that would hold the interpreter."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from unified_agents.errors import InvalidInputError, ToolDefinitionError
from unified_agents.tools.definition import Tool


def made(**properties: Any) -> Tool:
    return Tool(name="probe", parameters={"properties": properties}, handler=dict)


@pytest.mark.parametrize(
    "pattern", [r"^.{0,300000}$", r"^a{b}{[0-9]{4}}$", r"^[\w-\.]+$", r"^[\d-x]+$", r"^[^\0]*$", r"^\u{1F600}[\w-.]$"]
)
def test_a_pattern_of_another_engine_is_offered_and_not_checked(pattern: str, caplog: pytest.LogCaptureFixture) -> None:
    tool = made(x={"type": "string", "pattern": pattern})
    assert tool.parameters["properties"]["x"]["pattern"] == pattern
    assert tool.validate('{"x": "any"}') == {"x": "any"}
    with pytest.raises(InvalidInputError):
        tool.validate('{"x": 1}')
    assert "does not check" in caplog.text
    assert repr(pattern)[:20] in caplog.text


def test_names_by_such_a_pattern_are_not_refused(caplog: pytest.LogCaptureFixture) -> None:
    inner = {"patternProperties": {r"^[\w-.]+$": {"type": "integer"}}, "additionalProperties": False}
    assert made(x=inner).validate('{"x": {"a.b": 1}}') == {"x": {"a.b": 1}}
    assert "properties named" in caplog.text


def test_a_property_with_the_name_of_a_keyword_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tool = made(pattern={"type": "string", "pattern": r"^[\w-.]+$"}, exclusiveMinimum={"type": "boolean"})
    assert tool.parameters["properties"]["exclusiveMinimum"] == {"type": "boolean"}
    with pytest.raises(InvalidInputError):
        tool.validate('{"pattern": 1}')


def test_an_unknown_dialect_is_taken_as_the_usual_one_and_never_fetched(caplog: pytest.LogCaptureFixture) -> None:
    schema = {"$schema": "http://127.0.0.1:1/meta", "properties": {"x": {"type": "integer"}}}
    tool = Tool(name="probe", parameters=schema, handler=dict)
    with pytest.raises(InvalidInputError):
        tool.validate('{"x": "a"}')
    assert "the dialect 'http://127.0.0.1:1/meta'" in caplog.text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"minimum": 0, "exclusiveMinimum": True}, {"exclusiveMinimum": 0}),
        ({"maximum": 9, "exclusiveMaximum": True}, {"exclusiveMaximum": 9}),
        ({"minimum": 0, "exclusiveMinimum": False}, {"minimum": 0}),
        ({"exclusiveMinimum": True}, {}),
    ],
)
def test_the_true_and_false_of_draft_4_have_one_meaning(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert made(x={"type": "integer", **old}).parameters["properties"]["x"] == {"type": "integer", **new}


def test_draft_4_by_its_name_stays_as_it_is() -> None:
    limit = {"type": "integer", "minimum": 0, "exclusiveMinimum": True}
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"x": limit}}
    tool = Tool(name="probe", parameters=schema, handler=dict)
    assert tool.parameters["properties"]["x"] == limit
    with pytest.raises(InvalidInputError):
        tool.validate('{"x": 0}')


def doubling(levels: int, keyword: str, through: str = "") -> dict[str, Any]:
    """A small schema whose every level names the next one twice."""
    inner = [{"$ref": f"#/$defs/l{level + 1}"} for level in range(levels)]
    wrapped: list[Any] = [{"properties": {through: item}} if through else item for item in inner]
    defs: dict[str, Any] = {f"l{level}": {keyword: [item, item]} for level, item in enumerate(wrapped)}
    return {"properties": {"x": {"$ref": "#/$defs/l0"}}, "$defs": {**defs, f"l{levels}": {"type": "integer"}}}


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
@pytest.mark.parametrize("through", ["", "a"])
def test_a_schema_that_doubles_with_each_level_is_refused(keyword: str, through: str) -> None:
    with pytest.raises(ToolDefinitionError, match=r"tool 'probe': .* checked more than 30,000 times"):
        Tool(name="probe", parameters=doubling(60, keyword, through), handler=dict)
    Tool(name="probe", parameters=doubling(8, keyword, through), handler=dict)


def test_a_schema_that_refers_to_itself_or_names_many_properties_is_taken() -> None:
    node = {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}}}]}
    many = {f"p{number}": {"$ref": "#/$defs/node"} for number in range(2_000)}
    Tool(name="probe", parameters={"properties": many, "$defs": {"node": node}}, handler=dict)
