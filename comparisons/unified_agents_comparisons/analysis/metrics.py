"""The numbers of a comparison: what each backend did, and which differences are more than chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from statistics import mean, median
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from unified_agents.config import Handling
from unified_agents.messages import Usage
from unified_agents_comparisons.analysis.statistics import (
    ALPHA,
    Interval,
    holm,
    median_interval,
    sign_test,
    signed_rank,
    wilson,
)
from unified_agents_comparisons.records import Cell, Perturbation
from unified_agents_comparisons.suite.model import Task


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Side(NamedTuple):
    """A backend under a handling."""

    backend: str
    handling: Handling


class Group(_Frozen):
    """All cells of one backend under one handling.

    Attributes:
        backend: The backend.
        handling: The handling.
        passed: Cells that passed.
        total: Cells that were run.
        pass_rate: Their share, with its Wilson interval.
        timed: Cells that the times are of: those that passed.
        seconds: Median wall clock of a run, with its bootstrap interval; None when none passed.
        overhead: Median of what framework and library cost, in seconds; None when none passed.
        requests: Requests that reached the model, of all cells.
        retries: How many of these were retries.
        request_bytes: Bytes of these requests' bodies.
        usage: Tokens of all cells; a count is None when no answer reported it.
    """

    backend: str
    handling: Handling
    passed: int
    total: int
    pass_rate: Interval
    timed: int
    seconds: Interval | None
    overhead: Interval | None
    requests: int
    retries: int
    request_bytes: int
    usage: Usage


class PairedTest(_Frozen):
    """Two sides held against each other, task by task.

    Attributes:
        metric: `passed` (exact sign test; McNemar's with one repeat) or `overhead` (Wilcoxon signed-rank test).
        left: Backend and handling.
        right: Backend and handling.
        tasks: How many tasks both sides have a value for.
        difference: Left minus right: of pass rates, or the median of the tasks' differences in seconds.
        p: Two-sided, for this test alone.
        p_adjusted: By Holm's method, for all tests of the report together.
        shown: Whether a difference was shown, at 5 %.
    """

    metric: Literal["passed", "overhead"]
    left: Side
    right: Side
    tasks: int
    difference: float
    p: float
    p_adjusted: float
    shown: bool


class CategoryCount(_Frozen):
    """The tasks of one category on one backend under one handling.

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


class ControlCount(_Frozen):
    """The cells of one negative control.

    Attributes:
        control: Its name.
        failed: Cells that failed, as they must.
        total: Cells that were run.
    """

    control: Perturbation
    failed: int
    total: int


def categories(tasks: Iterable[Task], cells: Iterable[Cell]) -> tuple[CategoryCount, ...]:
    """Passes by category, in the order of the tasks; nothing when no task has a category."""
    names = {task.id: task.category for task in tasks}
    order = {name: at for at, name in enumerate(dict.fromkeys(names.values()))}
    found: dict[tuple[str, Side], list[bool]] = {}
    for cell in cells:
        found.setdefault((names[cell.task], Side(cell.backend, cell.handling)), []).append(cell.passed)
    return tuple(
        CategoryCount(category=name, backend=side.backend, handling=side.handling, passed=sum(all_), total=len(all_))
        for (name, side), all_ in sorted(
            found.items(), key=lambda one: (order[one[0][0]], one[0][1].backend, one[0][1].handling != "unified")
        )
        if name
    )


def controls(cells: Iterable[Cell]) -> tuple[ControlCount, ...]:
    """The cells of each negative control, by name."""
    total = Counter(cell.perturb for cell in cells if cell.perturb)
    failed = Counter(cell.perturb for cell in cells if cell.perturb and not cell.passed)
    return tuple(ControlCount(control=one, failed=failed[one], total=total[one]) for one in sorted(total))


def groups(cells: Sequence[Cell]) -> tuple[Group, ...]:
    """The numbers of each backend under each handling: backends by name, `unified` before `native`."""
    return tuple(_group(side, alike) for side, alike in _sides(cells).items())


def paired_tests(cells: Sequence[Cell]) -> tuple[PairedTest, ...]:
    """Tests of backends against each other under one handling, and of one backend's handlings."""
    sides = _sides(cells)
    tests: dict[tuple[str, Side, Side], list[float]] = {}
    for left, right in combinations(sides, 2):
        if left.backend == right.backend or left.handling == right.handling:
            tests["passed", left, right] = _differences(sides[left], sides[right], _pass_rate)
            tests["overhead", left, right] = _differences(sides[left], sides[right], _overhead)
    tests = {key: differences for key, differences in tests.items() if differences}
    alone = {key: (sign_test if key[0] == "passed" else signed_rank)(values) for key, values in tests.items()}
    adjusted = holm(alone)
    return tuple(_test(key, values, alone[key], adjusted[key]) for key, values in tests.items())


def _test(key: tuple[str, Side, Side], values: Sequence[float], p: float, adjusted: float) -> PairedTest:
    metric, left, right = key
    return PairedTest(
        metric="passed" if metric == "passed" else "overhead",
        left=left,
        right=right,
        tasks=len(values),
        difference=mean(values) if metric == "passed" else median(values),
        p=p,
        p_adjusted=adjusted,
        shown=adjusted < ALPHA,
    )


def _sides(cells: Sequence[Cell]) -> dict[Side, list[Cell]]:
    found: dict[Side, list[Cell]] = {}
    for cell in sorted(cells, key=lambda one: (one.backend, one.handling != "unified")):
        found.setdefault(Side(cell.backend, cell.handling), []).append(cell)
    return found


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
    pairs = [(value(ours[task]), value(theirs[task])) for task in ours if task in theirs]
    return [one - other for one, other in pairs if one is not None and other is not None]


def _by_task(cells: Sequence[Cell]) -> Mapping[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.task, []).append(cell)
    return found


def _pass_rate(cells: Sequence[Cell]) -> float | None:
    return sum(cell.passed for cell in cells) / len(cells)


def _overhead(cells: Sequence[Cell]) -> float | None:
    times = [cell.seconds.overhead for cell in cells if cell.passed and cell.seconds is not None]
    return median(times) if times else None
