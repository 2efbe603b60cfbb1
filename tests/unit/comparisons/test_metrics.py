"""The metrics of each group of runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from unified_agents.errors import ErrorRecord
from unified_agents.messages import Usage
from unified_agents_comparisons.analysis.metrics import groups, percentile
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


def test_the_share_of_passes_leaves_out_what_the_infrastructure_lost(make_cell: MakeCell) -> None:
    error = ErrorRecord(kind="rate_limit", type="RateLimitError", message="429")
    cells = [make_cell("one", model="openai:m"), make_cell("two", model="openai:m", passed=False, error=error)]
    (group,) = groups(cells)
    assert (group.passed, group.total, group.infrastructure) == (1, 2, 1)
    assert group.pass_rate.estimate == 1.0


def test_repeats_agree_or_not(make_cell: MakeCell) -> None:
    cells = [make_cell("one", repeat=repeat, passed=repeat < 3) for repeat in range(5)]
    cells += [make_cell("two", repeat=repeat) for repeat in range(5)]
    (group,) = groups(cells)
    rates = {one.k: (one.any, one.all) for one in group.consistency}
    assert set(rates) == {1, 2, 4, 5}
    assert rates[2] == pytest.approx(((0.9 + 1) / 2, (0.3 + 1) / 2))
    assert rates[5] == pytest.approx((1.0, 0.5))
    assert groups(cells[:1])[0].consistency == ()


def test_the_percentile_is_a_value() -> None:
    values = [float(number) for number in range(1, 101)]
    assert percentile(values, 0.95) == 95.0
    assert percentile([3.0, 1.0], 0.95) == 3.0
    assert percentile([], 0.95) is None
