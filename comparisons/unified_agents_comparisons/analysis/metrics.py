"""The numbers of a comparison: what each backend did, and which differences are more than chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from statistics import mean, median
from typing import Literal

from unified_agents.config import Handling
from unified_agents.messages import Usage
from unified_agents_comparisons.analysis.sides import Side, SidePasses, by_side
from unified_agents_comparisons.analysis.statistics import (
    ALPHA,
    Interval,
    holm,
    median_interval,
    sign_test,
    signed_rank,
    wilson,
)
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import Cell, Perturbation
from unified_agents_comparisons.suite.model import Task

Metric = Literal["passed", "overhead"]
_TestKey = tuple[Metric, Side, Side]


class Group(SidePasses):
    """The numbers of all cells of one side.

    Attributes:
        pass_rate: Their share, with its Wilson interval.
        timed: Cells that the times are taken from: those that passed.
        seconds: Median wall clock of a run, with its bootstrap interval; None when none passed.
        overhead: Median of what framework and library cost, in seconds; None when none passed.
        requests: Requests that reached the model, of all cells.
        retries: How many of these were retries.
        request_bytes: Bytes of these requests' bodies.
        usage: Tokens of all cells; a count is None when no answer reported it.
    """

    pass_rate: Interval
    timed: int
    seconds: Interval | None
    overhead: Interval | None
    requests: int
    retries: int
    request_bytes: int
    usage: Usage


class PairedTest(FrozenModel):
    """A statistical test of two sides, paired by task.

    Attributes:
        metric: `passed` (exact sign test; McNemar's with one repeat) or `overhead` (Wilcoxon signed-rank test).
        left: The first side.
        right: The second side.
        tasks: How many tasks both sides have a value for.
        difference: Left minus right: of pass rates, or the median of the tasks' differences in seconds.
        p: The two-sided p-value of this test alone.
        p_adjusted: The p-value adjusted by Holm's method for all tests of the report.
        shown: Whether a difference was shown, at 5 %.
    """

    metric: Metric
    left: Side
    right: Side
    tasks: int
    difference: float
    p: float
    p_adjusted: float
    shown: bool


class CategoryCount(FrozenModel):
    """How many cells of one category passed on one side.

    Attributes:
        category: The category.
        backend: The backend.
        handling: The handling.
        passed: Cells that passed.
        total: Cells that were run.
    """

    category: str
    backend: str
    handling: Handling
    passed: int
    total: int


class ControlCount(FrozenModel):
    """How many cells of one negative control failed.

    Attributes:
        control: Its name.
        failed: Cells that failed, as they must.
        total: Cells that were run.
    """

    control: Perturbation
    failed: int
    total: int


def categories(tasks: Iterable[Task], cells: Iterable[Cell]) -> tuple[CategoryCount, ...]:
    """Count passes by category, in the order of the tasks; return nothing when no task has a category."""
    names = {task.id: task.category for task in tasks}
    by_category: dict[str, list[Cell]] = {name: [] for name in names.values()}
    for cell in cells:
        by_category[names[cell.task]].append(cell)
    return tuple(
        CategoryCount(
            category=name,
            backend=side.backend,
            handling=side.handling,
            passed=sum(cell.passed for cell in some),
            total=len(some),
        )
        for name, all_ in by_category.items()
        for side, some in by_side(all_).items()
        if name
    )


def control_counts(cells: Iterable[Cell]) -> tuple[ControlCount, ...]:
    """Count the cells of each negative control, by name."""
    total = Counter(cell.perturb for cell in cells if cell.perturb)
    failed = Counter(cell.perturb for cell in cells if cell.perturb and not cell.passed)
    return tuple(ControlCount(control=one, failed=failed[one], total=total[one]) for one in sorted(total))


def groups(cells: Iterable[Cell]) -> tuple[Group, ...]:
    """Return the numbers of each side."""
    return tuple(_group(side, some) for side, some in by_side(cells).items())


def paired_tests(cells: Iterable[Cell]) -> tuple[PairedTest, ...]:
    """Test backends against each other under one handling, and the two handlings of each backend."""
    sides = by_side(cells)
    tests: dict[_TestKey, list[float]] = {}
    for left, right in combinations(sides, 2):
        if left.backend == right.backend or left.handling == right.handling:
            tests["passed", left, right] = _differences(sides[left], sides[right], _pass_rate)
            tests["overhead", left, right] = _differences(sides[left], sides[right], _overhead)
    tests = {key: differences for key, differences in tests.items() if differences}
    alone = {key: (sign_test if key[0] == "passed" else signed_rank)(values) for key, values in tests.items()}
    adjusted = holm(alone)
    return tuple(_test(key, values, alone[key], adjusted[key]) for key, values in tests.items())


def _test(key: _TestKey, values: Sequence[float], p: float, adjusted: float) -> PairedTest:
    metric, left, right = key
    return PairedTest(
        metric=metric,
        left=left,
        right=right,
        tasks=len(values),
        difference=mean(values) if metric == "passed" else median(values),
        p=p,
        p_adjusted=adjusted,
        shown=adjusted < ALPHA,
    )


def _group(side: Side, cells: Sequence[Cell]) -> Group:
    passed = sum(cell.passed for cell in cells)
    times = [cell.seconds for cell in cells if cell.passed and cell.seconds is not None]
    return Group(
        backend=side.backend,
        handling=side.handling,
        passed=passed,
        total=len(cells),
        pass_rate=wilson(passed, len(cells)),
        timed=len(times),
        seconds=median_interval([time.total for time in times]),
        overhead=median_interval([time.overhead for time in times]),
        requests=sum(cell.requests for cell in cells),
        retries=sum(cell.retries for cell in cells),
        request_bytes=sum(sum(cell.request_bytes) for cell in cells),
        usage=sum((cell.usage for cell in cells), Usage()),
    )


def _differences(
    left: Sequence[Cell], right: Sequence[Cell], value: Callable[[Sequence[Cell]], float | None]
) -> list[float]:
    ours, theirs = _by_task(left), _by_task(right)
    pairs = [(value(some), value(theirs[task])) for task, some in ours.items() if task in theirs]
    return [one - other for one, other in pairs if one is not None and other is not None]


def _by_task(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.task, []).append(cell)
    return found


def _pass_rate(cells: Sequence[Cell]) -> float | None:
    return sum(cell.passed for cell in cells) / len(cells)


def _overhead(cells: Sequence[Cell]) -> float | None:
    times = [cell.seconds.overhead for cell in cells if cell.passed and cell.seconds is not None]
    return median(times) if times else None
