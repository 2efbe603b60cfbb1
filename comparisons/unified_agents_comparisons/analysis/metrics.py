"""The numbers of a comparison: what each backend did."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from unified_agents.config import Handling
from unified_agents.messages import Usage
from unified_agents_comparisons.analysis.sides import SidePasses, by_side, is_infrastructure
from unified_agents_comparisons.analysis.statistics import (
    Interval,
    clustered_rate,
    median_interval,
    pass_at_k,
    pass_hat_k,
    wilson,
)
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import Cell, Perturbation
from unified_agents_comparisons.suite.model import Task


class Consistency(FrozenModel):
    """How the repeats of a side agree, averaged over its tasks.

    Attributes:
        k: A number of repeats.
        any: How likely at least one of k repeats of a task passes (pass@k).
        all: How likely all of k repeats of a task pass (pass^k).
    """

    k: int
    any: float
    all: float


class Group(SidePasses):
    """The numbers of all cells of one side.

    Attributes:
        infrastructure: Cells that failed for want of the model's server; the pass rates leave them out.
        pass_rate: The share of those that passed, with its Wilson interval.
        clustered: The same with an interval from standard errors clustered by source, else by task; None where it
            cannot be estimated.
        consistency: How the repeats agree, for 1, 2, 4 and more of them, up to all.
        timed: Cells that the times are taken from: those that passed.
        seconds: Median wall clock of a run, with its bootstrap interval; None when none passed.
        p95: The time that 95 % of these runs stay within; None when none passed.
        first_token: Median time to the first token, with its bootstrap interval; None when nothing was streamed.
        overhead: Median of what framework and library cost, in seconds; None when none passed.
        requests: Requests that reached the model, of all cells.
        retries: How many of these were retries.
        request_bytes: Bytes of these requests' bodies.
        usage: Tokens of all cells; a count is None when no answer reported it.
        cost: What the cells cost whose cost is known; None where none is.
        unpriced: How many cells sent requests whose cost is not known.
    """

    infrastructure: int = 0
    pass_rate: Interval
    clustered: Interval | None = None
    consistency: tuple[Consistency, ...] = ()
    timed: int
    seconds: Interval | None
    p95: float | None = None
    first_token: Interval | None = None
    overhead: Interval | None
    requests: int
    retries: int
    request_bytes: int
    usage: Usage
    cost: float | None = None
    unpriced: int = 0


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


def groups(cells: Iterable[Cell], sources: Mapping[str, str] | None = None) -> tuple[Group, ...]:
    """Return the numbers of each side.

    Args:
        cells: The cells of a comparison.
        sources: The source of a task, where it shares one with others.
    """
    return tuple(_group(side.backend, side.handling, some, sources or {}) for side, some in by_side(cells).items())


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value that this share of the values does not exceed: one of them, by the nearest rank."""
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)] if values else None


def _group(backend: str, handling: Handling, cells: Sequence[Cell], sources: Mapping[str, str]) -> Group:
    passed = sum(cell.passed for cell in cells)
    judged = [cell for cell in cells if not is_infrastructure(cell)]
    timed = [cell for cell in cells if cell.passed and cell.seconds is not None]
    times = [cell.seconds for cell in timed if cell.seconds is not None]
    first = [cell.time_to_first_token for cell in timed if cell.time_to_first_token is not None]
    costs = [cell.cost for cell in cells if cell.cost is not None]
    clusters = [sources.get(cell.task) or f"task {cell.task}" for cell in judged]
    return Group(
        backend=backend,
        handling=handling,
        passed=passed,
        total=len(cells),
        infrastructure=len(cells) - len(judged),
        pass_rate=wilson(sum(cell.passed for cell in judged), len(judged)),
        clustered=clustered_rate([cell.passed for cell in judged], clusters),
        consistency=_consistency(judged),
        timed=len(times),
        seconds=median_interval([time.total for time in times]),
        p95=percentile([time.total for time in times], 0.95),
        first_token=median_interval(first),
        overhead=median_interval([time.overhead for time in times]),
        requests=sum(cell.requests for cell in cells),
        retries=sum(cell.retries for cell in cells),
        request_bytes=sum(sum(cell.request_bytes) for cell in cells),
        usage=sum((cell.usage for cell in cells), Usage()),
        cost=math.fsum(costs) if costs else None,
        unpriced=sum(cell.cost is None and cell.requests > 0 for cell in cells),
    )


def _consistency(cells: Sequence[Cell]) -> tuple[Consistency, ...]:
    total = Counter(cell.task for cell in cells)
    passed = Counter(cell.task for cell in cells if cell.passed)
    least = min(total.values(), default=1)
    if least < 2:
        return ()
    ks = sorted({k for k in (1, 2, 4, 8, 16, 32) if k < least} | {least})
    return tuple(
        Consistency(
            k=k,
            any=sum(pass_at_k(passed[task], total[task], k) for task in total) / len(total),
            all=sum(pass_hat_k(passed[task], total[task], k) for task in total) / len(total),
        )
        for k in ks
    )
