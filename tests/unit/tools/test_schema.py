"""The schema and the description that a model gets of a function."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import jsonschema_rs
import pytest
from pydantic import BaseModel, Field

from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Point:
    x: int
    y: int = 0


class Book(BaseModel):
    """A book."""

    title: str = Field(title="Noise", description="What it is called.")
    parts: list[Book] = []


class Options(TypedDict, total=False):
    title: str


class Trip(Options):
    """A trip."""

    stops: list[Options]
    note: NotRequired[Annotated[str, Field(max_length=3)]]


@tool
def everything(
    title: str,
    book: Book,
    point: Point,
    options: Options,
    colour: Colour = Colour.RED,
    mode: Literal["a", "b"] = "a",
    day: date | None = None,
    many: Annotated[list[int], Field(max_length=3, description="Not more.")] = [],  # noqa: B006
    count: int = Field(3, ge=1),
    odd: Any = object(),  # noqa: B008
    nan: float = float("nan"),
) -> None:
    """Everything."""


def test_the_schema_is_valid_and_canonical() -> None:
    schema = everything.parameters
    jsonschema_rs.meta.validate(schema)
    json.dumps(schema, allow_nan=False)
    assert list(schema)[:2] == ["type", "properties"]
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["title", "book", "point", "options"]
    assert "$schema" not in schema


def test_titles_go_and_properties_called_title_stay() -> None:
    schema = everything.parameters
    assert schema["properties"]["title"] == {"type": "string"}
    assert schema["$defs"]["Book"]["properties"]["title"] == {"type": "string", "description": "What it is called."}
    assert schema["$defs"]["Book"]["description"] == "A book."
    assert "title" not in schema["$defs"]["Book"]
    assert list(schema["$defs"]["Options"]["properties"]) == ["title"]


def test_defaults_stay_where_json_can_hold_them() -> None:
    properties = everything.parameters["properties"]
    assert properties["colour"]["default"] == "red"
    assert properties["mode"] == {"default": "a", "enum": ["a", "b"], "type": "string"}
    assert properties["day"]["default"] is None
    assert properties["many"] == {
        "default": [],
        "description": "Not more.",
        "items": {"type": "integer"},
        "maxItems": 3,
        "type": "array",
    }
    assert properties["count"] == {"default": 3, "minimum": 1, "type": "integer"}
    assert "default" not in properties["odd"]
    assert "default" not in properties["nan"]


def test_a_nested_dataclass_says_that_it_takes_nothing_more() -> None:
    assert everything.parameters["$defs"]["Point"]["additionalProperties"] is False


def test_keywords_open_the_schema() -> None:
    @tool
    def untyped(a: int, **more) -> None: ...  # type: ignore[no-untyped-def]

    @tool
    def typed(a: int, **more: int) -> None: ...

    assert untyped.parameters["additionalProperties"] is True
    assert typed.parameters["additionalProperties"] == {"type": "integer"}
    assert list(typed.parameters["properties"]) == ["a"]


def test_an_alias_is_what_the_model_sees() -> None:
    @tool
    def travel(from_: Annotated[str, Field(alias="from")]) -> str:
        """Travel.

        Args:
            from_: Where it begins.
        """
        return from_

    assert travel.parameters["properties"] == {"from": {"type": "string", "description": "Where it begins."}}
    assert travel.validate('{"from": "Rome"}') == {"from_": "Rome"}


def test_a_schema_stays_as_it_was_given() -> None:
    given = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "T", "properties": {"a": {"title": "A"}}}
    assert Tool(name="t", parameters=given, handler=print).parameters == {"type": "object", **given}
    assert Tool(name="t", parameters={}, handler=print).parameters == {"type": "object", "properties": {}}


def test_local_classes_are_found_under_string_annotations() -> None:
    class Size(enum.Enum):
        S = "s"

    @tool
    def buy(size: Size) -> Size:
        return size

    assert buy.validate('{"size": "s"}') == {"size": Size.S}


def test_a_local_class_hides_a_global_one_of_the_same_name() -> None:
    class Colour(enum.Enum):
        BLUE = "blue"

    @tool
    def paint(colour: Colour) -> None: ...

    assert paint.parameters["$defs"]["Colour"]["enum"] == ["blue"]


GOOGLE = """Search the index.

A second paragraph.

Args:
    query (str): What to look for,
        in words.
    limit: How many.
    unknown: Not a parameter.

Note:
    It is slow.

Returns:
    A list.

Raises:
    ValueError: if bad.
"""
NUMPY = """Search the index.

A second paragraph.

Parameters
----------
query : str
    What to look for,
    in words.
limit : int, optional
    How many.

Returns
-------
list
    A list.
"""
SPHINX = """Search the index.

A second paragraph.

:param str query: What to look for,
    in words.
:param limit: How many.
:type limit: int
:returns: A list.
:raises ValueError: if bad.
"""


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_docstrings_describe_parameters(text: str) -> None:
    def search(query: str, limit: Annotated[int, Field(description="The field wins.")] = 10) -> None: ...

    search.__doc__ = text
    made = tool(search)
    assert made.description.startswith("Search the index.\n\nA second paragraph.")
    for gone in ("What to look for", "How many", "A list", "ValueError"):
        assert gone not in made.description
    assert ("It is slow." in made.description) == (text is GOOGLE)
    properties = made.parameters["properties"]
    assert properties["query"]["description"] == "What to look for,\nin words."
    assert properties["limit"]["description"] == "The field wins."
    assert list(properties) == ["query", "limit"]


def test_a_given_description_keeps_the_docstring_for_the_parameters() -> None:
    def search(query: str, limit: int = 1) -> None: ...

    search.__doc__ = GOOGLE
    made = tool(search, description="Mine.")
    assert made.description == "Mine."
    assert made.parameters["properties"]["limit"]["description"] == "How many."


@pytest.mark.parametrize("text", [None, "", "   "])
def test_without_a_docstring_there_is_no_description(text: str | None) -> None:
    def search(query: str) -> None: ...

    search.__doc__ = text
    assert tool(search).description == ""


def test_typed_dicts_of_the_standard_library_keep_what_is_required() -> None:
    @tool
    def plan(trip: dict[str, Trip | None]) -> None: ...

    assert plan.parameters["$defs"]["Trip"] == {
        "additionalProperties": False,
        "description": "A trip.",
        "properties": {
            "title": {"type": "string"},
            "stops": {"items": {"$ref": "#/$defs/Options"}, "type": "array"},
            "note": {"maxLength": 3, "type": "string"},
        },
        "required": ["stops"],
        "type": "object",
    }
    given = {"trip": {"a": {"stops": [{"title": "x"}, {}]}, "b": None}}
    assert plan.validate(json.dumps(given)) == given
