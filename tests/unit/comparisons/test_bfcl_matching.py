"""BFCL's matching rules, and the mutations that must break them."""

from __future__ import annotations

from typing import Any

import pytest

from unified_agents.errors import InvalidInputError
from unified_agents.tools.definition import Tool
from unified_agents_comparisons.bfcl.matching import acceptable, mismatch
from unified_agents_comparisons.bfcl.mutations import MUTATIONS, mutated
from unified_agents_comparisons.bfcl.schema import json_schema
from unified_agents_comparisons.suite.bfcl_truth import Asked, Category, Truth


def document(name: str = "f", required: tuple[str, ...] = ("a",), **properties: Any) -> dict[str, Any]:
    properties = properties or {"a": {"type": "integer"}, "b": {"type": "string"}}
    return {"name": name, "parameters": {"type": "dict", "properties": properties, "required": list(required)}}


def truth(*calls: dict[str, Any], category: Category = "simple", functions: tuple[Any, ...] = ()) -> Truth:
    return Truth(category=category, functions=functions or (document(),), calls=calls)


WORDS = {"type": "array", "items": {"type": "string"}}
FLOATS = {"type": "array", "items": {"type": "float"}}
DICTS = {"type": "array", "items": {"type": "dict"}}


@pytest.mark.parametrize(
    ("schema", "answers", "right", "wrong"),
    [
        ({"type": "string"}, ["New York, NY"], ["new york ny", "NEW-YORK/N.Y."], ["New York", 3, None]),
        ({"type": "string"}, ["it's"], ['it"s'], ["its"]),
        ({"type": "integer"}, [3], [3], [3.0, "3", True, 4]),
        ({"type": "integer"}, [1], [1], [True]),
        ({"type": "integer"}, ["n"], ["n"], ["N", 3]),
        ({"type": "float"}, [3.0], [3, 3.0], ["3", True, 3.5]),
        ({"type": "boolean"}, [True], [True], [1, "true", False]),
        ({"type": "any"}, ["x"], ["X"], [1]),
        ({"type": "any"}, [1], [1], ["1"]),
        (WORDS, [["A b", "c"]], [["ab", "C"]], [["c", "A b"], ["A b"], "A b", ["A b", 1], []]),
        (WORDS, ["", ["a"]], [["a"], []], [["b"]]),
        ({"type": "array", "items": {"type": "integer"}}, ["", [1]], [[1], [True]], [[2]]),
        ({"type": "array", "items": {"type": "integer"}}, [[1]], [[1]], [[True]]),
        (FLOATS, [[1.0, 2.5]], [[1.0, 2.5]], [[1, 2.5], [2.5, 1.0]]),
        ({"type": "tuple", "items": {"type": "integer"}}, [[1, 2]], [[1, 2]], [[2, 1]]),
        ({"type": "dict"}, [{"k": ["V", "w"], "o": [1, ""]}], [{"k": "v"}, {"k": "w", "o": 1}], [{}, {"k": "x"}]),
        ({"type": "dict"}, [{"k": ["v"]}], [{"k": "v"}], [{"k": "v", "more": 1}, "v", []]),
        (DICTS, [[{"k": ["v"]}, {"k": ["w"]}]], [[{"k": "v"}, {"k": "w"}]], [[{"k": "w"}, {"k": "v"}], [{"k": "v"}]]),
        ({"type": "string"}, [], [], ["", "x"]),
    ],
)
def test_values(schema: dict[str, Any], answers: list[Any], right: list[Any], wrong: list[Any]) -> None:
    assert [value for value in right if not acceptable(value, schema, answers)] == []
    assert [value for value in wrong if acceptable(value, schema, answers)] == []


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ([Asked("f", {"a": 1, "b": "x"})], None),
        ([Asked("f", {"a": 1})], None),
        ([], "0 calls were asked for, expected 1"),
        ([Asked("f", {"a": 1})] * 2, "2 calls were asked for"),
        ([Asked("g", {"a": 1})], "g was called"),
        ([Asked("f", {"b": "x"})], "required parameter a is missing"),
        ([Asked("f", {"a": 1, "c": 1})], "c is not expected"),
        ([Asked("f", {"a": 1, "b": "y"})], "b is 'y', acceptable"),
        ([Asked("f", "{broken")], "no JSON object"),
        ([Asked("f", [1])], "no JSON object"),
    ],
)
def test_one_call(calls: list[Asked], told: str | None) -> None:
    found = mismatch(truth({"f": {"a": [1], "b": ["x", ""]}}), calls)
    assert found is None if told is None else told in (found or "")


def test_what_is_not_optional_must_be_given() -> None:
    assert "parameter b is missing" in (mismatch(truth({"f": {"a": [1], "b": ["x"]}}), [Asked("f", {"a": 1})]) or "")


def test_parallel_calls_come_in_any_order_and_each_is_used_once() -> None:
    expected = truth({"f": {"a": [1]}}, {"f": {"a": [2]}}, category="parallel")
    one, two = Asked("f", {"a": 1}), Asked("f", {"a": 2})
    assert mismatch(expected, [two, one]) is None
    assert mismatch(expected, [one, one]) is not None


def test_irrelevance_wants_no_call() -> None:
    assert mismatch(truth(category="irrelevance"), []) is None
    assert mismatch(truth(category="irrelevance"), [Asked("f", {})]) is not None


def test_multiple_looks_the_function_up_by_name() -> None:
    functions = (document("g"), document("f"))
    expected = truth({"f": {"a": [1]}}, category="multiple", functions=functions)
    assert mismatch(expected, [Asked("f", {"a": 1})]) is None
    undocumented = truth({"h": {"a": [1]}}, category="multiple", functions=functions)
    assert "does not document" in (mismatch(undocumented, [Asked("h", {"a": 1})]) or "")


def tools(expected: Truth) -> dict[str, Tool]:
    return {
        one["name"]: Tool(name=one["name"], parameters=json_schema(one["parameters"]), handler=lambda **_: None)
        for one in expected.functions
    }


def valid(call: Asked, offered: dict[str, Tool]) -> bool:
    import json

    try:
        offered[call.name].validate(json.dumps(call.arguments))
    except InvalidInputError:
        return False
    return True


def test_each_mutation_breaks_what_it_should() -> None:
    functions = (document(), document("g", (), c={"type": "string", "enum": ["x", "y"]}))
    expected = truth({"f": {"a": [1, 2]}}, {"g": {"c": ["x"]}}, category="parallel_multiple", functions=functions)
    offered = tools(expected)
    found = mutated(expected, offered)
    assert set(found) == set(MUTATIONS)
    assert mismatch(expected, expected.oracle()) is None
    assert [kind for kind, calls in found.items() if mismatch(expected, calls) is None] == []
    assert [len(found[kind]) for kind in ("call_dropped", "call_added", "value_changed")] == [1, 3, 2]
    assert all(valid(call, offered) for call in found["value_changed"])
    assert not all(valid(call, offered) for call in found["wrong_type"])
    assert not all(valid(call, offered) for call in found["required_missing"])


@pytest.mark.parametrize(
    ("schema", "answers", "changed"),
    [
        ({"type": "string", "enum": ["x", "y", "z"]}, ["x", "y"], "z"),
        ({"type": "integer"}, [1, 2, 3], 4),
        ({"type": "boolean"}, [True], False),
        ({"type": "boolean"}, [True, False], None),
        ({"type": "string", "enum": ["x"]}, ["x"], None),
        ({"type": "dict", "properties": {"k": {"type": "integer"}}}, [{"k": [1]}], {"k": 2}),
        (WORDS | {"maxItems": 1}, [["x"]], ["x otherwise"]),
    ],
)
def test_a_changed_value_fits_the_schema_or_there_is_none(
    schema: dict[str, Any], answers: list[Any], changed: Any
) -> None:
    expected = truth({"f": {"a": answers}}, functions=(document(a=schema),))
    calls = mutated(expected, tools(expected)).get("value_changed")
    assert (calls[0].arguments["a"] if calls else None) == changed


def test_a_value_is_not_changed_into_that_of_another_call() -> None:
    expected = truth({"f": {"a": [1]}}, {"f": {"a": [2]}}, category="parallel")
    assert mutated(expected, tools(expected))["value_changed"][0] == Asked("f", {"a": 3})


def test_for_irrelevance_a_call_is_added_and_nothing_else_can_be_done() -> None:
    properties = {"a": {"type": "array", "items": {"type": "float"}}, "b": {"type": "dict"}, "c": {"type": "boolean"}}
    expected = truth(category="irrelevance", functions=(document("f", ("a", "b", "c"), **properties),))
    found = mutated(expected, tools(expected))
    assert list(found) == ["call_added"]
    assert valid(found["call_added"][0], tools(expected))
