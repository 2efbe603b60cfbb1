"""The score of a run against what its task expects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import Field

from unified_agents.errors import ErrorRecord
from unified_agents.result import RunResult, ToolCallRecord
from unified_agents.tools.decorator import tool
from unified_agents_comparisons.scoring import Score, equal, received_fault, score, was_lost
from unified_agents_comparisons.suite.model import Expectation


@tool
def repeat(text: str, times: Annotated[int, Field(ge=1, le=10)]) -> str:
    """Say a text several times."""
    return text * times


@tool
def add(a: float, b: float = 0) -> float:
    """Add."""
    return a + b


TOOLS = {"repeat": repeat, "add": add}
MakeCall = Callable[..., ToolCallRecord]
MakeResult = Callable[..., RunResult]


def held(
    result: RunResult, found: dict[str, str | None] | None = None, *, scripted: bool = True, **expect: Any
) -> Score:
    return score(result, Expectation.model_validate(expect), tools=TOOLS, files=found or {}, scripted=scripted)


@pytest.mark.parametrize(
    ("output", "expected", "passes"),
    [
        ("42", "42", True),
        (" 42\n", "42", True),
        ("42.", "42", False),
        (None, "42", False),
        ("The sum is 42, truly", {"contains": ["42", "truly"]}, True),
        ("The sum is 42", {"contains": ["42", "truly"]}, False),
        ("a\n12", {"regex": r"a.\d+"}, True),
        ("a\n12b", {"regex": r"a.\d+"}, False),
    ],
)
def test_the_answer(make_result: MakeResult, output: str | None, expected: Any, passes: bool) -> None:
    scored = held(make_result(output=output), output=expected)
    assert scored.passed is passes
    assert bool(scored.reasons) is not passes


@pytest.mark.parametrize("status", ["failed", "limit", "cancelled", "suspended"])
def test_only_a_completed_run_passes(make_result: MakeResult, status: str) -> None:
    assert held(make_result(), output="42").passed
    scored = held(make_result(status=status), output="42")
    assert scored == Score(False, 0.0, (f"the run's status is {status}",))


def test_calls_are_compared_in_order(make_result: MakeResult, make_call: MakeCall) -> None:
    calls = (make_call("add", {"a": 1}), make_call("add", {"a": 2}, index=1))
    expected = [{"name": "add", "arguments": {"a": 1.0}}, {"name": "add", "arguments": {"a": 2}}]
    assert held(make_result(tool_calls=calls), tool_calls=expected).passed
    assert not held(make_result(tool_calls=calls), tool_calls=expected[::-1]).passed
    assert held(make_result(tool_calls=calls), tool_calls=expected[::-1], unordered=True).passed


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ([], "1 tool calls more than expected"),
        ([{"name": "repeat"}], "call 1 of step 1 (add) was made, expected repeat"),
        ([{"name": "add", "arguments": {"a": 2}}], "has the arguments"),
        ([{"name": "add", "arguments": {"a": True}}], "has the arguments"),
        ([{"name": "add", "ok": False}], "succeeded, expected to fail"),
        ([{"name": "add"}, {"name": "repeat"}], "the call of repeat was not made"),
    ],
)
def test_a_call_that_differs_is_named(
    make_result: MakeResult, make_call: MakeCall, expected: list[dict[str, Any]], reason: str
) -> None:
    result = make_result(tool_calls=(make_call("add", {"a": 1}),))
    scored = held(result, tool_calls=expected)
    assert not scored.passed
    assert reason in scored.reasons[0]
    if expected:
        assert not held(result, tool_calls=expected, unordered=True).passed


def test_unordered_calls_are_used_up(make_result: MakeResult, make_call: MakeCall) -> None:
    calls = (make_call("add", {"a": 1}), make_call("add", {"a": 2}, index=1))
    twice = [{"name": "add", "arguments": {"a": 1}}] * 2
    assert not held(make_result(tool_calls=calls), tool_calls=twice, unordered=True).passed
    any_and_one = [{"name": "add"}, {"name": "add", "arguments": {"a": 1}}]
    assert held(make_result(tool_calls=calls), tool_calls=any_and_one, unordered=True).passed


def test_arguments_given_as_text_are_compared_as_written(make_result: MakeResult, make_call: MakeCall) -> None:
    result = make_result(tool_calls=(make_call("add", '{"a": 1,', ok=False),))
    assert held(result, tool_calls=[{"name": "add", "arguments": '{"a": 1,', "ok": False}]).passed
    assert not held(result, tool_calls=[{"name": "add", "arguments": '{"a":1,', "ok": False}]).passed
    assert not held(result, tool_calls=[{"name": "add", "arguments": {"a": 1}, "ok": False}]).passed


def test_a_well_formed_call_that_never_reached_its_tool_fails(make_result: MakeResult, make_call: MakeCall) -> None:
    call = make_call("add", {"a": 1}, reached=False, index=3)
    assert was_lost(call, TOOLS)
    scored = held(make_result(tool_calls=(call,)), output="42")
    assert scored.reasons == ("call 4 of step 1 (add) never reached the tool",)
    assert not scored.passed


@pytest.mark.parametrize(("name", "arguments"), [("add", {"a": "x"}), ("add", "{"), ("sub", {"a": 1})])
def test_an_ill_formed_call_need_not_reach_a_tool(
    make_result: MakeResult, make_call: MakeCall, name: str, arguments: Any
) -> None:
    call = make_call(name, arguments, reached=False)
    assert not was_lost(call, TOOLS)
    assert held(make_result(tool_calls=(call,)), output="42").passed


def test_wrong_arguments_that_reached_the_tool_fail(make_result: MakeResult, make_call: MakeCall) -> None:
    call = make_call("repeat", {"text": "a", "times": "three"}, ok=False)
    assert "times" in (received_fault(call, TOOLS) or "")
    scored = held(make_result(tool_calls=(call,)), tool_calls=[{"name": "repeat", "ok": False}])
    assert "reached the tool with wrong arguments" in scored.reasons[0]
    coerced = make_call("repeat", {"text": "a", "times": "3"}, received={"text": "a", "times": 3})
    assert received_fault(coerced, TOOLS) is None
    assert not held(make_result(tool_calls=(coerced,)), tool_calls=[{"name": "repeat", "ok": False}]).passed


def test_a_real_model_need_not_repeat_the_mistakes_of_the_script(
    make_result: MakeResult, make_call: MakeCall, failure: ErrorRecord
) -> None:
    expected = [{"name": "repeat", "ok": False}, {"name": "add", "arguments": {"a": 1}}]
    right = make_call("add", {"a": 1})
    wrong = make_call("add", {"a": 9}, ok=False, error=failure)
    for calls in ((right,), (wrong, right)):
        result = make_result(tool_calls=calls)
        assert held(result, tool_calls=expected, scripted=False).passed
        assert not held(result, tool_calls=expected).passed
    assert not held(make_result(tool_calls=(wrong,)), tool_calls=expected, scripted=False).passed


def test_files(make_result: MakeResult) -> None:
    result = make_result()
    assert held(result, {"a.txt": "hi"}, files={"a.txt": "hi"}).passed
    assert held(result, {"a.txt": "ho"}, files={"a.txt": "hi"}).reasons == ("the file a.txt holds 'ho', expected 'hi'",)
    assert held(result, {"a.txt": None}, files={"a.txt": "hi"}).reasons == ("the file a.txt is missing",)


def test_the_score_is_the_share_of_what_holds(make_result: MakeResult, make_call: MakeCall) -> None:
    result = make_result(tool_calls=(make_call("add", {"a": 1}),), output="wrong")
    scored = held(result, output="42", tool_calls=[{"name": "add"}])
    assert scored.score == pytest.approx(0.5)
    assert held(make_result(), output="42", tool_calls=[]).score == 1.0


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, False, False),
        ([1, {"a": 2}], [1.0, {"a": 2}], True),
        ([True], [1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ("1", 1, False),
    ],
)
def test_equality_of_json(left: object, right: object, same: bool) -> None:
    assert equal(left, right) is same
