"""Schemas whose root is a union go out as one object, and validate as they are."""

from __future__ import annotations

from typing import Any

import pytest

from unified_agents import to_anthropic, to_openai
from unified_agents.errors import InvalidInputError
from unified_agents.tools.definition import Tool
from unified_agents.tools.offer import function_tool


def branch(name: str, kind: str = "string") -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": kind}, "id": {"type": kind}}, "required": [name, "id"]}


SCHEMAS: list[dict[str, Any]] = [
    {"anyOf": [branch("text"), branch("url", "integer")]},
    {"oneOf": [branch("text"), branch("url", "integer")]},
    {"anyOf": [{"$ref": "#/$defs/a"}, {"allOf": [branch("url", "integer")]}], "$defs": {"a": branch("text")}},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_branches_properties_are_merged_and_named_together(schema: dict[str, Any]) -> None:
    tool = Tool(name="send", description="d", parameters=schema, handler=dict)
    for sent in (
        to_openai(tool)["function"]["parameters"],
        to_anthropic(tool)["input_schema"],
        function_tool("send", tool)["function"]["parameters"],
    ):
        assert sent["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf"} & sent.keys()
        assert sent["properties"]["text"] == {"type": "string"}
        assert sent["properties"]["url"] == {"type": "integer"}
        assert sent["properties"]["id"] == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
        assert sent["required"] == ["id"]
        assert sent["description"] == "Give one of these sets of arguments: text, id; or url, id."
    assert tool.validate('{"text": "a", "id": "b"}') == {"text": "a", "id": "b"}
    with pytest.raises(InvalidInputError):
        tool.validate('{"id": "b"}')


def test_all_of_asks_for_what_each_asks_for_and_recursion_ends() -> None:
    schema = {"allOf": [branch("a"), {"$ref": "#"}], "properties": {"b": {"type": "null"}}, "required": ["b"]}
    sent = to_openai(Tool(name="t", parameters=schema, handler=dict))["function"]["parameters"]
    assert sent["required"] == ["b", "a", "id"]
    assert sent["properties"].keys() == {"a", "b", "id"}


def test_a_plain_root_is_sent_as_it_is() -> None:
    tool = Tool(name="t", parameters=branch("a"), handler=dict)
    assert to_openai(tool)["function"]["parameters"] is tool.parameters
