"""Faults as data: their cases, their scripts, their verdicts, and the matrix."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from unified_agents.config import FaultShare
from unified_agents.errors import ConfigError, ErrorRecord
from unified_agents.scripted.model import Script
from unified_agents_comparisons.analysis.fault_matrix import fault_matrix
from unified_agents_comparisons.faults.verdict import verdict
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.records import CallSummary
from unified_agents_comparisons.suite.fault_kinds import KINDS
from unified_agents_comparisons.suite.fault_settings import FaultCase, FaultSettings, place_of

ORACLE = load_suite("faults").suite.tasks[0].oracle or {}
FAILURE = ErrorRecord(kind="server", type="ServerError", message="no")


@pytest.mark.parametrize("case", list(FaultSettings().cases(ORACLE, "unified")), ids=str)
def test_every_case_is_a_script_and_keeps_its_name(case: FaultCase) -> None:
    assert FaultCase.parse(str(case)) == case
    injection = KINDS[case.kind].inject(ORACLE, place_of(case.at, len(ORACLE["answers"])) or 0)
    Script.model_validate(injection.script)
    assert injection.script != ORACLE or injection.tool is not None


@pytest.mark.parametrize("text", ["html", "html@nowhere", "nothing@first", "html@first.often"])
def test_what_is_no_case_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no fault"):
        FaultCase.parse(text)


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValidationError, match="there is no fault 'htlm'"):
        FaultSettings(kinds=("htlm",))


def test_in_front_of_a_model_come_the_faults_of_answers() -> None:
    assert FaultSettings(share=0.5, seed=3).in_front_of_a_model() == FaultShare(share=0.5, seed=3)
    named = FaultSettings(kinds=("tool-raises", "html", "status-401")).in_front_of_a_model()
    assert named is not None
    assert named.kinds == ("status-401", "html")
    assert FaultSettings(kinds=("tool-raises",)).in_front_of_a_model() is None


def test_references_move_with_the_answers() -> None:
    answers = KINDS["broken-json"].inject(ORACLE, 1).script["answers"]
    assert answers[1]["fault"] == {"altered": "broken-json"}
    assert answers[2] == answers[3] == ORACLE["answers"][1]
    assert json.dumps(answers[4]) == json.dumps(ORACLE["answers"][2]).replace('"step": 1', '"step": 2')


def call(received: dict[str, Any] | None, arguments: str = "{}", fault: str | None = None) -> CallSummary:
    return CallSummary(name="add", arguments=arguments, ok=True, reached=True, received=received, fault=fault)


@pytest.mark.parametrize(
    ("status", "output", "error", "hung", "right", "calls", "expected"),
    [
        ("completed", "right", None, False, True, [call({})], "recovered"),
        ("completed", "other", None, False, False, [], "wrong result"),
        ("completed", "right", None, False, True, [call({"a": 1}, '{"a": 1')], "wrong result"),
        ("completed", "right", None, False, True, [call({"a": "x"}, '{"a": "x"}', "a: no integer")], "wrong result"),
        ("completed", "right", None, False, True, [call(None, '{"a": 1')], "recovered"),
        ("completed", " ", None, False, False, [], "failed silently"),
        ("completed", None, None, False, False, [], "failed silently"),
        ("failed", None, FAILURE, False, False, [], "failed clearly"),
        ("failed", None, None, False, False, [], "failed silently"),
        ("limit", None, FAILURE, True, False, [], "hung"),
    ],
)
def test_verdicts(
    status: Any, output: str | None, error: Any, hung: bool, right: bool, calls: list[CallSummary], expected: str
) -> None:
    assert verdict(status, output, error, hung=hung, right=right, calls=calls) == expected


def test_the_matrix_counts(make_cell: Callable[..., Any]) -> None:
    good = {"verdict": "recovered", "told": ("told",), "requests": 3, "seconds_lost": 1.0}
    cells = [
        make_cell(fault="html@first", **good),
        make_cell(fault="html@last", **good | {"requests": 5, "seconds_lost": 3.0}),
        make_cell(fault="html@first", handling="native", verdict="hung", passed=False),
        make_cell(),
    ]
    (row,) = fault_matrix(cells)
    unified, native = row.of("b", "unified"), row.of("b", "native")
    assert unified is not None
    assert (unified.what, unified.requests, unified.seconds_lost, unified.told) == ("recovered", (3, 5), 2.0, ("told",))
    assert native is not None
    assert native.what == "hung"
    assert row.of("other", "native") is None
    assert fault_matrix([make_cell()]) == ()
