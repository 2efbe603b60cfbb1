"""The outcome of a run in plain words, and the tasks whose outcomes differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from unified_agents.errors import ErrorRecord
from unified_agents_comparisons.analysis.outcomes import EXPECTED, phrase, task_outcomes
from unified_agents_comparisons.records import CallSummary, Cell
from unified_agents_comparisons.suite.model import Task

MakeCell = Callable[..., Cell]


def call(*, reached: bool = True, lost: bool = False, fault: str | None = None) -> CallSummary:
    return CallSummary(name="repeat", arguments="{}", ok=reached, reached=reached, lost=lost, fault=fault)


CALLS = (call(), call(reached=False, lost=True), call(reached=False, lost=True))
CASES: list[tuple[dict[str, Any], str]] = [
    ({"passed": True}, EXPECTED),
    ({"tool_calls": CALLS}, "1 of 3 calls reached a tool"),
    ({"tool_calls": CALLS, "output": " "}, "1 of 3 calls reached a tool; the answer was empty"),
    ({"output": None}, "the answer was empty"),
    (
        {"tool_calls": (call(fault="times: 'three', must be an integer"),)},
        "wrong arguments reached the tool repeat: times: 'three', must be an integer",
    ),
    ({"reasons": ("the answer is '41', expected '42'", "more")}, "the answer is '41', expected '42'"),
    ({"status": "limit", "error": ErrorRecord(kind="limit", type="LimitError", message="10 steps")}, "10 steps"),
    ({"status": "cancelled"}, "the run's status is cancelled"),
    (
        {"status": "failed", "seconds": None, "error": ErrorRecord(kind="backend", type="B", message="it died")},
        "run failed: it died",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), CASES)
def test_what_happened_in_plain_words(make_cell: MakeCell, changes: dict[str, Any], expected: str) -> None:
    assert expected in phrase(make_cell(**{"passed": False} | changes))


def test_a_failed_run_names_kind_and_class(make_cell: MakeCell, failure: ErrorRecord) -> None:
    assert phrase(make_cell(passed=False, status="failed", error=failure)) == "run failed: tool_error: ValueError: no"
    twice = failure.model_copy(update={"message": "the tool raised ValueError: no"})
    assert phrase(make_cell(passed=False, status="failed", error=twice)) == f"run failed: tool_error: {twice.message}"


def test_a_tool_that_failed_comes_before_the_refusal_that_followed(make_cell: MakeCell, failure: ErrorRecord) -> None:
    failed = CallSummary(name="place", arguments="{}", ok=False, reached=True, error=failure)
    refused = ErrorRecord(
        kind="bad_request", type="BadRequestError", message="the result of call 0 has no value at /id"
    )
    what = phrase(make_cell(passed=False, status="failed", tool_calls=(failed,), error=refused))
    assert what == f"{failure.message}; run failed: bad_request: BadRequestError: {refused.message}"


@pytest.mark.parametrize(
    ("arguments", "received", "expected"),
    [
        ('{"times": "3"}', {"times": 3}, 'ran with times=3, where the model wrote times="3"'),
        ('{"times": 3, "to": "SEK"}', {"times": 3}, "ran without to, which the model gave"),
        ('{"times": 3, "to', {"times": 3}, "ran on what was read of broken arguments: times=3"),
        ('{"times": 3.0}', {"times": 3, "added": "default"}, None),
        ('{"times": 3}', None, None),
    ],
)
def test_arguments_that_the_framework_changed(
    make_cell: MakeCell, arguments: str, received: dict[str, Any] | None, expected: str | None
) -> None:
    made = CallSummary(name="repeat", arguments=arguments, ok=True, reached=True, received=received)
    what = phrase(make_cell(passed=False, reasons=("the reason",), tool_calls=(made,)))
    assert what == (f"the tool repeat {expected}" if expected else "the reason")


def make_task(task_id: str) -> Task:
    return Task.model_validate({"id": task_id, "question": "?", "expect": {"output": "42"}, "differs_native": "Mind."})


def test_tasks_that_differ_are_told_from_those_that_do_not(make_cell: MakeCell) -> None:
    cells = [
        make_cell(task, backend, handling, passed=(task, backend, handling) != ("two", "b", "native"), output="")
        for task in ("one", "two")
        for backend in "ab"
        for handling in ("native", "unified")
    ]
    one, two = task_outcomes([make_task("one"), make_task("two")], cells)
    assert (one.differs, two.differs) == (False, True)
    what, outcomes = two.by_what()[0]
    assert what == "the answer was empty"
    assert [(outcome.backend, outcome.handling) for outcome in outcomes] == [("b", "native")]
    assert two.by_what()[-1][0] == EXPECTED
    assert [outcome.handling for outcome in two.outcomes] == ["unified", "native"] * 2


def test_repeats_that_differ_are_counted(make_cell: MakeCell) -> None:
    cells = [make_cell("one", repeat=repeat, passed=repeat != 1, output="") for repeat in range(3)]
    (outcome,) = task_outcomes([make_task("one")], cells)[0].outcomes
    assert outcome.what == "1 of 3: the answer was empty; 2 of 3: as expected"
    assert (outcome.passed, outcome.total) == (2, 3)
