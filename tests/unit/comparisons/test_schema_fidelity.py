"""How much of a schema reaches the model on each backend."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unified_agents.fidelity.report import tool_fidelity
from unified_agents.tools.definition import Tool
from unified_agents_comparisons.schema_fidelity import WHOLE, SchemaRecord, keyword, side_fidelity

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "part": {"$ref": "#/$defs/part"},
        "any": {},
        "list": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
    },
    "required": ["title", "part"],
    "additionalProperties": False,
    "$defs": {"part": {"title": "Part", "type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}}},
}

PART = "parameters/properties[part]"
LIST = "parameters/properties[list]"


def tool(schema: dict[str, Any] = SCHEMA) -> Tool:
    return Tool(name="a.b", description="It does.", parameters=schema, handler=lambda **_: None)


def record(defined: Tool, request: dict[str, Any]) -> SchemaRecord:
    (found,) = tool_fidelity([defined], json.dumps(request), "custom", "native")
    return SchemaRecord.of(found)


def held(schema: dict[str, Any], description: str = "It does.", name: str = "a_b") -> SchemaRecord:
    function = {"name": name, "description": description, "parameters": schema}
    return record(tool(), {"tools": [{"type": "function", "function": function}]})


def changed(*path: str | int, **values: Any) -> dict[str, Any]:
    """The schema with keywords below a path set, or dropped where the value is None."""
    schema: dict[str, Any] = json.loads(json.dumps(SCHEMA))
    place: Any = schema
    for part in path:
        place = place[part]
    place.update(values)
    for key in [key for key, value in values.items() if value is None]:
        del place[key]
    return schema


def test_a_tool_that_arrives_as_it_is_lost_nothing() -> None:
    found = held(SCHEMA)
    assert (found.tool, found.lost, found.added) == ("a.b", (), ())
    assert found.keywords > 15


def test_references_may_be_inlined_and_titles_may_go_and_names_may_be_sorted() -> None:
    inlined = changed("properties", part={"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}})
    del inlined["$defs"]
    inlined["required"].reverse()
    found = held(inlined)
    assert (found.lost, found.added) == ((), ())


@pytest.mark.parametrize(
    ("schema", "lost", "added"),
    [
        (changed("properties", "title", enum=None), ["parameters/properties[title]/enum"], []),
        (changed("properties", "title", default="b"), ["parameters/properties[title]/default"], ["="]),
        (changed("$defs", "part", "properties", "n", minimum=None), [f"{PART}/properties[n]/minimum"], []),
        (changed("properties", any=None), ["parameters/properties[any]"], []),
        (changed("properties", "title", title="Title"), [], ["parameters/properties[title]/title"]),
        (changed(additionalProperties=None), ["parameters/additionalProperties"], []),
        (changed("properties", "list", "items", "anyOf", 1, type="string"), [f"{LIST}/items/anyOf[1]/type"], ["="]),
        (changed(required=["title"]), ["parameters/required"], ["="]),
        (changed("properties", "title", default=None), ["parameters/properties[title]/default"], []),
    ],
)
def test_every_keyword_is_missed(schema: dict[str, Any], lost: list[str], added: list[str]) -> None:
    found = held(schema)
    assert list(found.lost) == lost
    assert list(found.added) == (lost if added == ["="] else added)


def test_the_description_counts() -> None:
    with_more = held(SCHEMA, "f(title: str)\nIt\n    does.")
    assert (with_more.lost, with_more.added) == ((), ("description",))
    assert held(SCHEMA, "It says.").lost == ("description",)
    assert held(SCHEMA, "").lost == ("description",)


def test_a_tool_that_was_not_sent_lost_everything() -> None:
    assert held(SCHEMA, name="other").lost == (WHOLE,)
    assert record(tool(), {"messages": []}).lost == (WHOLE,)


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    tree = {
        "type": "object",
        "properties": {"child": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"child": {"$ref": "#/$defs/node"}}}},
    }
    function = {"name": "a_b", "description": "It does.", "parameters": tree}
    found = record(tool(tree), {"tools": [{"function": function}]})
    assert found.lost == found.added == ()


def test_counting() -> None:
    lossy = SchemaRecord(tool="a", keywords=9, lost=("parameters/properties[x/y]/enum", "description"))
    found = side_fidelity("b", "native", [lossy, lossy, SchemaRecord(tool="c", keywords=2)])
    assert (found.tools, found.whole, found.keywords) == (3, 1, 20)
    assert found.lost == {"enum": 2, "description of the tool": 2}
    assert found.changes == (lossy,)
    assert keyword("parameters/properties[a]") == "properties"
    assert keyword("parameters/properties[a]/anyOf[0]") == "anyOf"
    assert keyword("parameters/properties[a]/description") == "description"
