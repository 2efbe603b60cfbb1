"""The metrics of each group of runs, and the comparison of backends by pairs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from unified_agents.messages import Usage
from unified_agents_comparisons.analysis.metrics import groups, paired_tests
from unified_agents_comparisons.analysis.sides import Side
from unified_agents_comparisons.records import Cell

MakeCell = Callable[..., Cell]


def test_a_group_has_the_sums_of_all_and_the_times_of_those_that_passed(make_cell: MakeCell) -> None:
    cells = [
        make_cell("one", overhead=0.01),
        make_cell("two", overhead=0.03),
        make_cell("three", overhead=9.0, passed=False),
        make_cell("four", overhead=0.0, passed=False, status="failed"),
        make_cell("five", passed=False, status="failed", seconds=None, usage=Usage(), requests=0, request_bytes=()),
    ]
    (group,) = groups(cells)
    assert (group.passed, group.total, group.timed) == (2, 5, 2)
    assert group.overhead is not None
    assert group.overhead.estimate == pytest.approx(0.02)
    assert group.overhead.high <= 0.03
    assert (group.requests, group.request_bytes) == (8, 1200)
    assert group.usage == Usage(input_tokens=120, output_tokens=80)


def test_nothing_passed_means_no_time(make_cell: MakeCell) -> None:
    (group,) = groups([make_cell(passed=False)])
    assert group.seconds is None
    assert group.overhead is None
    assert group.pass_rate.estimate == 0.0


def test_groups_are_in_a_fixed_order(make_cell: MakeCell) -> None:
    cells = [make_cell(backend=backend, handling=handling) for backend in "zb" for handling in ("native", "unified")]
    assert [(group.backend, group.handling) for group in groups(cells)] == [
        ("b", "unified"),
        ("b", "native"),
        ("z", "unified"),
        ("z", "native"),
    ]


def test_a_real_difference_is_shown_and_none_is_not(make_cell: MakeCell) -> None:
    cells = [
        make_cell(f"task-{number}", backend, overhead=0.01 + number / 1000 + (0.02 if backend == "slow" else 0.0))
        for number in range(20)
        for backend in ("quick", "slow")
    ]
    tests = {test.metric: test for test in paired_tests(cells)}
    assert tests["overhead"].shown
    assert tests["overhead"].difference == pytest.approx(-0.02)
    assert tests["overhead"].left == Side("quick", "unified")
    assert not tests["passed"].shown
    assert tests["passed"].p == 1.0


def test_overhead_is_paired_by_the_tasks_that_passed_on_both_sides(make_cell: MakeCell) -> None:
    cells = [make_cell(f"t{number}", "a") for number in range(6)]
    cells += [make_cell(f"t{number}", "b", passed=number < 2) for number in range(6)]
    tests = {test.metric: test for test in paired_tests(cells)}
    assert tests["overhead"].tasks == 2
    assert tests["passed"].tasks == 6
    assert tests["passed"].p == pytest.approx(2 / 2**4)
    assert tests["passed"].difference == pytest.approx(4 / 6)


def test_repeats_of_a_task_are_one_pair(make_cell: MakeCell) -> None:
    cells = [make_cell("t", backend, repeat=repeat) for backend in "ab" for repeat in range(50)]
    assert {test.tasks for test in paired_tests(cells)} == {1}


def test_the_adjustment_counts_every_test(make_cell: MakeCell) -> None:
    cells = [
        make_cell(f"t{number}", backend, handling, passed=(backend, handling) != ("a", "native"))
        for number in range(6)
        for backend in "abc"
        for handling in ("unified", "native")
    ]
    tests = paired_tests(cells)
    assert {(test.left, test.right) for test in tests if test.left[0] != test.right[0]} == {
        (Side(left, handling), Side(right, handling))
        for left, right in ("ab", "ac", "bc")
        for handling in ("unified", "native")
    }
    worst = min(tests, key=lambda test: test.p)
    assert worst.p_adjusted == pytest.approx(worst.p * len(tests))
