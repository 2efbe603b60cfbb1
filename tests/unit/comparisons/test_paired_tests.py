"""Tests of two sides against each other, and what they say of their own sample."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from unified_agents.errors import ErrorRecord
from unified_agents_comparisons.analysis.paired_tests import PairedTest, is_decided, paired_tests, power_line
from unified_agents_comparisons.analysis.sides import Side
from unified_agents_comparisons.records import Cell

MakeCell = Callable[..., Cell]


def by_metric(cells: list[Cell], **options: Any) -> dict[str, PairedTest]:
    return {test.metric: test for test in paired_tests(cells, **options)}


def noisy(make_cell: MakeCell, tasks: int, repeats: int, *, slower: float = 1.0, noise: float = 0.05) -> list[Cell]:
    chance = random.Random(7)
    return [
        make_cell(
            f"t{task}",
            backend,
            repeat=repeat,
            overhead=(1 + task) * chance.lognormvariate(0, noise) * (slower if backend == "slow" else 1.0),
        )
        for task in range(tasks)
        for repeat in range(repeats)
        for backend in ("quick", "slow")
    ]


def test_a_real_difference_is_shown_and_none_is_not(make_cell: MakeCell) -> None:
    tests = by_metric(noisy(make_cell, 20, 1, slower=1.2))
    assert tests["overhead"].conclusion == "less"
    assert tests["overhead"].left == Side("quick", "unified")
    assert tests["overhead"].generalises
    assert tests["overhead"].effect.low <= 1 / 1.2 - 1 <= tests["overhead"].effect.high
    assert tests["total"].shown
    assert tests["passed"].p == 1.0
    assert not tests["passed"].shown


def test_six_tasks_can_say_something(make_cell: MakeCell) -> None:
    chance = random.Random(3)
    passing = set(chance.sample(range(30), 14))
    cells = [
        make_cell(f"t{number % 6}", backend, repeat=number // 6, passed=backend == "good" and number in passing)
        for number in range(30)
        for backend in ("bad", "good")
    ]
    test = by_metric(cells)["passed"]
    assert (test.tasks, test.pairs) == (6, 30)
    assert test.conclusion == "less"
    assert test.p == pytest.approx(2 / 2**14)
    assert test.effect.estimate == pytest.approx(-14 / 30)
    assert test.effect.high < 0
    assert test.generalises, "all six differ the same way: 2 of 64"


def test_what_the_sample_cannot_show_is_said_with_the_number_that_could(make_cell: MakeCell) -> None:
    cells = [make_cell(f"t{task}", backend, passed=backend == "a") for task in range(4) for backend in "ab"]
    test = by_metric(cells)["passed"]
    assert test.conclusion == "inconclusive"
    assert test.why == "4 pairs cannot show anything among 1 test: 2 repeats of these tasks could, or 6 tasks"
    more = [make_cell(f"t{task}", backend, passed=backend == "a") for task in range(6) for backend in "ab"]
    assert by_metric(more)["passed"].shown
    few = by_metric(noisy(make_cell, 3, 4, noise=0.2))["total"]
    assert "12 pairs cannot find a change of 5 % 90 % of the time" in few.why


def test_alike_is_shown_and_not_assumed(make_cell: MakeCell) -> None:
    assert by_metric(noisy(make_cell, 6, 30, noise=0.02))["total"].conclusion == "alike"
    assert by_metric(noisy(make_cell, 6, 3, noise=0.2))["total"].conclusion == "inconclusive"
    many = [make_cell(f"t{task}", backend, repeat=r) for task in range(20) for r in range(10) for backend in "ab"]
    assert by_metric(many)["passed"].conclusion == "alike"
    assert by_metric(many[:40])["passed"].conclusion == "inconclusive"
    assert not is_decided(paired_tests(noisy(make_cell, 6, 3, noise=0.2)))


def test_times_are_of_runs_that_passed_on_both_sides(make_cell: MakeCell) -> None:
    cells = [make_cell(f"t{number}", "a") for number in range(6)]
    cells += [make_cell(f"t{number}", "b", passed=number < 2, overhead=9.0) for number in range(6)]
    tests = by_metric(cells)
    assert tests["overhead"].tasks == 2
    assert tests["passed"].tasks == 6
    assert tests["passed"].p == pytest.approx(2 / 2**4)
    assert tests["passed"].effect.estimate == pytest.approx(4 / 6)


def test_failures_of_the_infrastructure_enter_no_test(make_cell: MakeCell) -> None:
    error = ErrorRecord(kind="network", type="NetworkError", message="refused")
    lost = {"passed": False, "status": "failed", "error": error}

    def cells(model: str) -> list[Cell]:
        return [
            make_cell(f"t{task}", backend, model=model, **(lost if backend == "b" and task < 4 else {}))
            for task in range(9)
            for backend in "ab"
        ]

    assert by_metric(cells("openai:gpt"))["passed"].pairs == 5
    assert by_metric(cells("oracle"))["passed"].pairs == 9, "a script that fails is meant to"


def test_tasks_of_one_source_stand_or_fall_together(make_cell: MakeCell) -> None:
    cells = noisy(make_cell, 20, 2, slower=1.3)
    assert by_metric(cells)["total"].generalises
    few = {f"t{task}": f"document {task % 4}" for task in range(20)}
    test = by_metric(cells, sources=few)["total"]
    assert test.shown
    assert not test.generalises


def test_only_what_is_compared_is_tested(make_cell: MakeCell) -> None:
    cells = [
        make_cell(f"t{number}", backend, handling, passed=(backend, handling) != ("a", "native"))
        for number in range(8)
        for backend in "abc"
        for handling in ("unified", "native")
    ]
    tests = paired_tests(cells)
    assert {(test.left, test.right) for test in tests if test.left[0] != test.right[0]} == {
        (Side(left, handling), Side(right, handling))
        for left, right in ("ab", "ac", "bc")
        for handling in ("unified", "native")
    }
    # Three of the tests of passes and 14 of times can be false alarms: the adjustment counts these.
    informative = [test for test in tests if test.metric != "passed" or test.p < 1]
    worst = min(tests, key=lambda test: test.p)
    assert worst.p_adjusted == pytest.approx(worst.p * len(informative))


def test_each_look_is_paid_for(make_cell: MakeCell) -> None:
    cells = noisy(make_cell, 10, 1, slower=1.2)
    once, twice = by_metric(cells)["total"], by_metric(cells, looks=2)["total"]
    assert twice.p == once.p
    assert twice.p_adjusted == pytest.approx(2 * once.p_adjusted)


def test_the_power_line(make_cell: MakeCell) -> None:
    line = power_line(noisy(make_cell, 6, 5), 5)
    assert line is not None
    assert line.startswith("Power: 5 repeats of 6 tasks find 9 times in 10: a change of total time by ")
    assert "a backend that alone fails one run in ten" in line
    assert power_line([make_cell()], 1) is None
