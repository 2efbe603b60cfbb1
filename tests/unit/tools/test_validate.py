"""From what a model wrote to what a handler gets."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, TypedDict

import jsonschema_rs
import pytest
from hypothesis import given, strategies as st
from pydantic import AfterValidator, BaseModel, Field

from unified_agents.errors import InvalidInputError, ToolFailedError
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
    title: str
    year: int | None = None


class Options(TypedDict, total=False):
    deep: bool


@tool
def search(query: str, limit: Annotated[int, Field(ge=1, le=50)] = 10) -> None: ...


@tool
def rich(
    book: Book,
    point: Point | int | list[int] = 0,
    options: Options = {},  # noqa: B006
    colour: Colour = Colour.RED,
    mode: Literal["a", 1] = "a",
    day: date | None = None,
    price: Decimal = Decimal(0),
    ratio: float = 0.5,
    tags: frozenset[str] = frozenset(),
) -> None: ...


SCHEMA = Tool(
    name="search",
    parameters={
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer", "minimum": 1, "maximum": 50}},
        "required": ["query"],
        "additionalProperties": False,
    },
    handler=print,
)
BOTH = pytest.mark.parametrize("made", [search, SCHEMA], ids=["function", "schema"])


def problems(made: Tool, text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidInputError) as caught:
        made.validate(text)
    assert caught.value.problems
    assert all("\n" not in line for line in caught.value.problems)
    assert all(line in str(caught.value) for line in caught.value.problems)
    assert made.name in str(caught.value)
    str(caught.value).encode()
    return caught.value.problems


@BOTH
def test_good_arguments(made: Tool) -> None:
    assert made.validate('{"query": "x", "limit": 3}') == {"query": "x", "limit": 3}
    assert made.validate(' {"limit":3.0,"query":"a: \\"b\\" {}"}\n') == {"query": 'a: "b" {}', "limit": 3}


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        '{"query": "x"',
        "{'query': 'x'}",
        '{"query": "x"} and',
        '{"query": "x", "limit": NaN}',
        '{"query": "x", "limit": Infinity}',
        '{"query": "x", "limit": -Infinity}',
        '{"query": "x", "limit": 1e999}',
        '{"query": "x", "query": "y"}',
        '{"query": "\\ud800"}',
        '{"query": "\ud800"}',
        '{"query": "a\nb"}',
        '{"query": "x", "limit": ' + "9" * 5000 + "}",
        '{"query": ' + "[" * 5000 + "]" * 5000 + "}",
        "query=x",
    ],
)
def test_broken_json(made: Tool, text: str) -> None:
    (line,) = problems(made, text)
    assert line.startswith("arguments: ")
    assert "must be a JSON object" in line
    assert len(line) < 250


@BOTH
@pytest.mark.parametrize("text", ["null", "[]", '["x"]', '"x"', "3", "true"])
def test_json_that_is_no_object(made: Tool, text: str) -> None:
    assert problems(made, text) == (f"arguments: {text} given, must be an object",)


@BOTH
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", {"query: missing, required"}),
        ("  \n", {"query: missing, required"}),
        ("{}", {"query: missing, required"}),
        ('{"query": 5}', {"query: 5 given, must be a string"}),
        ('{"query": null}', {"query: null given, must be a string"}),
        ('{"query": "x", "limit": "5"}', {'limit: "5" given, must be an integer'}),
        ('{"query": "x", "limit": true}', {"limit: true given, must be an integer"}),
        ('{"query": "x", "limit": 1.5}', {"limit: 1.5 given, must be an integer"}),
        ('{"query": "x", "limit": 0}', {"limit: 0 given, must be at least 1"}),
        ('{"query": "x", "limit": 51}', {"limit: 51 given, must be at most 50"}),
        ('{"query": "x", "Limit": 5}', {"Limit: 5 given, no such argument; there are query, limit"}),
        ('{"limit": [1]}', {"query: missing, required", "limit: [1] given, must be an integer"}),
    ],
)
def test_both_validators_say_the_same(made: Tool, text: str, lines: set[str]) -> None:
    assert set(problems(made, text)) == lines


@BOTH
def test_odd_keys_are_quoted(made: Tool) -> None:
    lines = problems(made, json.dumps({"query": "x", "a\nb": 1, "k" * 500: 2, "": 3}))
    assert [line.partition(":")[0] for line in sorted(lines)] == [r'[""]', r'["a\nb"]', f'["{"k" * 78}…]']


@BOTH
def test_long_values_are_cut(made: Tool) -> None:
    (line,) = problems(made, json.dumps({"query": "x", "limit": "é" * 1000}))
    assert line.startswith('limit: "ééé')
    assert line.endswith("… given, must be an integer")
    assert len(line) < 130


def test_many_problems_are_counted() -> None:
    @tool
    def total(numbers: list[int]) -> None: ...

    lines = problems(total, json.dumps({"numbers": ["x"] * 1000}))
    assert len(lines) == 21
    assert lines[0] == 'numbers[0]: "x" given, must be an integer'
    assert lines[-1] == "and 980 more"


def test_empty_text_is_no_arguments() -> None:
    @tool
    def now() -> None: ...

    assert now.validate("") == now.validate(" \n") == now.validate("{}") == {}
    assert Tool(name="t", parameters={}, handler=print).validate("") == {}


def test_types_are_built_and_defaults_filled_in() -> None:
    text = json.dumps(
        {
            "book": {"title": "T"},
            "point": {"x": 1},
            "options": {"deep": True},
            "colour": "green",
            "mode": 1,
            "day": "2026-02-03",
            "price": "1.10",
            "ratio": 2,
            "tags": ["a", "a"],
        }
    )
    assert rich.validate(text) == {
        "book": Book(title="T"),
        "point": Point(1, 0),
        "options": {"deep": True},
        "colour": Colour.GREEN,
        "mode": 1,
        "day": date(2026, 2, 3),
        "price": Decimal("1.10"),
        "ratio": 2.0,
        "tags": frozenset({"a"}),
    }
    assert rich.validate('{"book": {"title": "T"}}')["colour"] is Colour.RED


def test_a_mutable_default_is_not_shared() -> None:
    text = '{"book": {"title": "T"}}'
    rich.validate(text)["options"]["deep"] = True
    assert rich.validate(text)["options"] == {}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"book": {}}, "book.title: missing, required"),
        ({"book": {"title": 3}}, "book.title: 3 given, must be a string"),
        ({"book": 3}, "book: 3 given, must be an object"),
        ({"point": {"x": 1, "z": 2}}, "point.z: 2 given, not allowed here"),
        ({"point": [1, "x"]}, 'point[1]: "x" given, must be an integer'),
        ({"point": "x"}, 'point: "x" given, must be an object or an integer or a list'),
        ({"options": {"deep": "yes"}}, 'options.deep: "yes" given, must be true or false'),
        ({"colour": "blue"}, 'colour: "blue" given, must be "red" or "green"'),
        ({"mode": "z"}, 'mode: "z" given, must be "a" or 1'),
        ({"day": "2026-13-01"}, 'day: "2026-13-01" given, must be a valid date'),
        ({"ratio": "1"}, 'ratio: "1" given, must be a number'),
    ],
)
def test_nested_problems_say_where(change: dict[str, Any], line: str) -> None:
    found = problems(rich, json.dumps({"book": {"title": "T"}, **change}))
    assert any(item.startswith(line) for item in found), found


def test_unions_of_a_schema_are_told_by_branch() -> None:
    branches = [{"type": "string"}, {"type": "array", "items": {"type": "number"}}, {"required": ["id"]}]
    made = Tool(name="t", parameters={"properties": {"a": {"anyOf": branches, "type": "object"}}}, handler=print)
    assert "a.id: missing, required" in problems(made, '{"a": {"b": 1}}')
    made = Tool(name="t", parameters={"properties": {"a": {"anyOf": branches[:2]}}}, handler=print)
    assert problems(made, '{"a": true}') == ("a: true given, must be a string or a list",)
    assert 'a[0]: "x" given, must be a number' in problems(made, '{"a": ["x"]}')


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"const": {"x": 1}}, 2, 'must be {"x": 1}'),
        ({"enum": ["a", None]}, "b", 'must be "a" or null'),
        ({"exclusiveMinimum": 0}, 0, "must be greater than 0"),
        ({"exclusiveMaximum": 0}, 0, "must be less than 0"),
        ({"multipleOf": 2}, 3, "must be a multiple of 2"),
        ({"minLength": 2}, "a", "must have at least 2 characters"),
        ({"maxItems": 1}, [1, 2], "must have at most 1 items"),
        ({"pattern": "^a"}, "b", "must match ^a"),
        ({"type": ["integer", "null"]}, "b", "null"),
        ({"uniqueItems": True}, [1, 1], "must not have an item twice"),
        ({"minProperties": 2}, {"b": 1}, "must have at least 2 properties"),
        ({"maxProperties": 0}, {"b": 1}, "must have at most 0 properties"),
        ({"not": {}}, 1, "not allowed here"),
        (False, 1, "not allowed here"),
        ({"not": {"type": "string"}}, "x", "must not be a string"),
        ({"not": {"enum": [1, 2]}}, 2, "must not be 1 or 2"),
        ({"not": {"required": ["b"]}}, {"b": 1}, 'must not fit the schema {"required": ["b"]}'),
        ({"contains": {"minimum": 5}}, [1], 'must have at least 1 items that fit the schema {"minimum": 5}'),
        ({"contains": {"const": 5}, "minContains": 2}, [5], 'at least 2 items that fit the schema {"const": 5}'),
        ({"contains": {"const": 5}, "maxContains": 1}, [5, 5], 'at most 1 items that fit the schema {"const": 5}'),
        (
            {"oneOf": [{"type": "integer"}, {"minimum": 2}, {"type": "null"}]},
            3,
            'must fit only one of the schemas {"type": "integer"} and {"minimum": 2}',
        ),
        ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, "x", "must be an integer or null"),
        ({"prefixItems": [{}], "unevaluatedItems": False}, [1, 2, "b"], 'must not have the items 2, "b"'),
        (
            {"prefixItems": [{}], "unevaluatedItems": {"type": "string"}},
            [1, 2],
            'must have in the place of 2 items that fit the schema {"type": "string"}',
        ),
    ],
)
def test_each_keyword_of_a_schema_has_words(schema: Any, value: object, said: str) -> None:
    made = Tool(name="t", parameters={"properties": {"a": schema}}, handler=print)
    (line,) = problems(made, json.dumps({"a": value}))
    assert line.startswith(f"a: {json.dumps(value)} given, ")
    assert said in line


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"propertyNames": {"pattern": "^a", "maxLength": 3}}, {"b": 1}, 'a.b: the name "b" given, must match ^a'),
        ({"propertyNames": {"enum": ["b"]}}, {"b c": 1}, 'a["b c"]: the name "b c" given, must be "b"'),
        ({"unevaluatedProperties": False}, {"b": 1}, "a.b: 1 given, not allowed here"),
        (
            {"unevaluatedProperties": {"type": "string"}},
            {"b": 1},
            'a.b: 1 given, must fit the schema {"type": "string"}',
        ),
        ({"prefixItems": [{}], "items": False}, [1, 2], "a[1]: 2 given, not allowed here"),
        (
            {"items": {"$ref": "#/$defs/pair"}},
            [[1]],
            "a[0]: [1] given, must have at least 2 items that fit the schema {}",
        ),
    ],
)
def test_what_is_within_is_told_where_it_is(schema: Any, value: object, expected: str) -> None:
    pair = {"contains": {}, "minContains": 2}
    made = Tool(name="t", parameters={"properties": {"a": schema}, "$defs": {"pair": pair}}, handler=print)
    assert problems(made, json.dumps({"a": value})) == (expected,)


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"items": [{}], "additionalItems": False}, [1, 2], "must have at most 1 items"),
        ({"contentEncoding": "base64"}, "%", "must be encoded in base64"),
        ({"contentMediaType": "application/json"}, "{", "must be text of the type application/json"),
    ],
)
def test_keywords_of_draft_7_have_words(schema: Any, value: object, said: str) -> None:
    parameters = {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": schema}}
    made = Tool(name="t", parameters=parameters, handler=print)
    assert problems(made, json.dumps({"a": value})) == (f"a: {json.dumps(value)} given, {said}",)


def test_a_schema_gives_numbers_as_they_are() -> None:
    made = Tool(name="t", parameters={}, handler=print)
    text = '{"i": 1, "f": 1.0, "big": 123456789012345678901234567890, "no": null, "nested": {"b": [true]}}'
    values = made.validate(text)
    assert values == json.loads(text)
    assert [type(values[name]) for name in ("i", "f", "big")] == [int, float, int]


def test_draft_7_is_honoured() -> None:
    pair = {"type": "object", "properties": {"a": {"items": [{"type": "string"}]}}}
    made = Tool(name="t", parameters={"$schema": "http://json-schema.org/draft-07/schema#", **pair}, handler=print)
    assert made.validate('{"a": ["x", 1]}') == {"a": ["x", 1]}
    assert problems(made, '{"a": [1]}') == ("a[0]: 1 given, must be a string",)


def test_any_name_reaches_the_handler() -> None:
    @tool
    def awkward(
        self: int,
        config: int,
        _x: int,
        model_config: int,
        schema: int,
        copy: int,
        arg_0: int,
        extra: int,
        text: int = 0,
    ) -> dict[str, int]:
        return dict(locals())

    names = ["self", "config", "_x", "model_config", "schema", "copy", "arg_0", "extra"]
    given = {name: index for index, name in enumerate(names)}
    assert list(awkward.parameters["properties"]) == [*names, "text"]
    assert awkward.handler(**awkward.validate(json.dumps(given))) == {**given, "text": 0}

    def anything(**values: Any) -> dict[str, Any]:
        return values

    made = Tool(name="t", parameters={}, handler=anything)
    odd = {"Content-Type": 1, "self": 2, "handler": 3, "": 4}
    assert made.handler(**made.validate(json.dumps(odd))) == odd
    assert made(**odd) == odd


def test_keywords_take_the_rest_with_their_type() -> None:
    @tool
    def tagged(a: int, **more: int) -> None: ...

    assert tagged.validate('{"a": 1, "b": 2.0, "**": 3, "arg_0": 4, "extra": 5}') == {
        "a": 1,
        "b": 2,
        "**": 3,
        "arg_0": 4,
        "extra": 5,
    }
    assert tagged.validate('{"a": 1}') == {"a": 1}
    assert problems(tagged, '{"a": "x", "b": "y"}') == (
        'a: "x" given, must be an integer',
        'b: "y" given, must be an integer',
    )


def test_keywords_cannot_forge_what_is_hidden() -> None:
    import functools

    from unified_agents.tools.definition import ToolContext

    def send(ctx: ToolContext, key: str, from_: Annotated[str, Field(alias="from")] = "", **more: Any) -> None: ...

    made = tool(functools.partial(send, key="secret"))
    for name in ("ctx", "key", "from_"):
        assert problems(made, json.dumps({name: "x"})) == (f'{name}: "x" given, not allowed here',)
    assert made.validate('{"other": "x"}') == {"from_": "", "other": "x"}


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


def _broken(value: int) -> int:
    raise KeyError(value)


def test_own_validators_speak_for_themselves() -> None:
    @tool
    def halve(a: Annotated[int, AfterValidator(_even)]) -> None: ...

    assert halve.validate('{"a": 4.0}') == {"a": 4}
    assert problems(halve, '{"a": 3}') == ("a: 3 given, must be even",)


@pytest.mark.parametrize("text", ['{"a": 3}', '{"a": 3.0}'])
def test_a_validator_that_breaks_down_is_the_tools_fault(text: str) -> None:
    @tool
    def halve(a: Annotated[int, AfterValidator(_broken)]) -> None: ...

    with pytest.raises(ToolFailedError, match="KeyError") as caught:
        halve.validate(text)
    assert isinstance(caught.value.__cause__, KeyError)


@tool
def plain(
    number: int, text: str, items: list[int], ratio: float = 0.0, flag: bool = False, either: int | str | None = None
) -> None: ...


good = st.fixed_dictionaries(
    {"number": st.integers(), "text": st.text(), "items": st.lists(st.integers(), max_size=4)},
    optional={
        "ratio": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        "flag": st.booleans(),
        "either": st.integers() | st.text() | st.none(),
    },
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(good)
def test_generated_good_arguments_arrive_unchanged(values: dict[str, Any]) -> None:
    defaults = {"ratio": 0.0, "flag": False, "either": None}
    assert plain.validate(json.dumps(values)) == defaults | values


@given(good, st.sampled_from(["number", "text", "items", "ratio", "flag", "either", "other"]), anything)
def test_pydantic_and_json_schema_agree(values: dict[str, Any], name: str, value: object) -> None:
    text = json.dumps({**values, name: value})
    by_schema = Tool(name="plain", parameters=plain.parameters, handler=print)
    if jsonschema_rs.is_valid(plain.parameters, json.loads(text)):
        assert by_schema.validate(text).items() <= plain.validate(text).items()
    else:
        assert problems(by_schema, text)
        assert problems(plain, text)


@given(st.text() | anything.map(json.dumps) | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_any_text_is_arguments_or_a_clear_error(text: str) -> None:
    for made in (plain, search, rich, SCHEMA):
        try:
            assert isinstance(made.validate(text), dict)
        except InvalidInputError:
            problems(made, text)
