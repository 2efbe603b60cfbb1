"""Two comparisons of the same suite, one before and one after a change: what is better, what is worse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Literal, NamedTuple

from unified_agents.errors import ConfigError
from unified_agents_comparisons.analysis.machine_speed import MachineSpeed, at_one_speed, is_scripted
from unified_agents_comparisons.analysis.metrics import percentile
from unified_agents_comparisons.analysis.paired_tests import (
    MARGIN,
    METRICS,
    Metric,
    PairedTest,
    evaluate_samples,
    samples_of,
)
from unified_agents_comparisons.analysis.sides import Side, by_side, is_infrastructure
from unified_agents_comparisons.analysis.wire_diff import WireChange
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import Cell

Outcome = Literal["better", "worse", "inconclusive"]
TIMES = ("total", "overhead", "cpu", "first_token")
"""What the figures that are times begin with."""
FIGURES = (
    "passed",
    "total_p50",
    "total_p95",
    "overhead_p50",
    "overhead_p95",
    "cpu_p50",
    "first_token_p50",
    "requests",
    "tokens",
    "bytes",
)
"""What a limit may be set on; times in seconds, the others as means over the runs."""
_LIMIT = re.compile(r"\s*([a-z0-9_]+)\s*([<>])\s*(?:(\d{1,6}(?:\.\d{1,6})?)\s*%)?\s*")


class Figure(FrozenModel):
    """A figure of one side, before and after.

    Attributes:
        name: One of `FIGURES`.
        before: Its value in the first comparison; None without one.
        after: Its value in the second.
        at_one_speed: Of a time, its two values on a machine of one speed; None where that is not known.
    """

    name: str
    before: float | None
    after: float | None
    at_one_speed: tuple[float, float] | None = None

    @property
    def change(self) -> float | None:
        """Return the relative change, of a time at one speed where it is known; None where there is none to tell."""
        before, after = self.at_one_speed or (self.before, self.after)
        if before is None or after is None:
            return None
        if before == 0:
            return 0.0 if after == 0 else float("inf")
        return after / before - 1


class TestedChange(FrozenModel):
    """A change that was tested.

    Attributes:
        metric: `passed`, `total` or `overhead`; `total` not of scripted models in comparisons of different times.
        verdict: `better`, `worse` or `inconclusive`.
        alike: Whether it was shown to be less than 5 % or 5 points.
        test: The test, with the second comparison on the left.
    """

    metric: str
    verdict: Outcome
    alike: bool
    test: PairedTest


class SideDiff(FrozenModel):
    """What changed on one side.

    Attributes:
        backend: The backend.
        handling: The handling.
        figures: Its figures.
        tested: The changes that were tested.
        tasks: The tasks that pass more or less often: id, passes and runs before, passes and runs after.
        versions: What ran with another version: name, before, after.
        wire: What is otherwise on the wire; None where the details of the cells were not given.
        machine: The machine's speed, to which changes of times are held; None where both ran at the same time, or a
            comparison has no times.
    """

    backend: str
    handling: str
    figures: tuple[Figure, ...]
    tested: tuple[TestedChange, ...]
    tasks: tuple[tuple[str, int, int, int, int], ...]
    versions: tuple[tuple[str, str, str], ...]
    wire: tuple[WireChange, ...] | None = None
    machine: MachineSpeed | None = None


class Exceeded(FrozenModel):
    """A limit that a side does not keep.

    Attributes:
        limit: The limit, as the user wrote it.
        backend: The backend.
        handling: The handling.
        before: The figure before.
        after: The figure after.
        at_one_speed: Of a time, the two on a machine of one speed; None where that is not known.
    """

    limit: str
    backend: str
    handling: str
    before: float
    after: float
    at_one_speed: tuple[float, float] | None = None


class RunDiff(FrozenModel):
    """Two comparisons set against each other.

    Attributes:
        before: The name of the first.
        after: The name of the second.
        sides: The sides that both have.
        left_out: Sides that only one of them has, and other things that do not match; a line each.
        exceeded: The limits that are not kept.
    """

    before: str
    after: str
    sides: tuple[SideDiff, ...]
    left_out: tuple[str, ...]
    exceeded: tuple[Exceeded, ...] = ()

    @property
    def verdict(self) -> Outcome:
        """Return the worst of all that was shown: worse, else better, else inconclusive."""
        found = {change.verdict for side in self.sides for change in side.tested}
        return "worse" if "worse" in found else "better" if "better" in found else "inconclusive"


class Limit(FrozenModel):
    """A limit on the change of a figure.

    Attributes:
        text: As the user wrote it.
        figure: One of `FIGURES`.
        above: Whether a rise is what fails; else a fall.
        share: The relative change that is allowed.
    """

    text: str
    figure: str
    above: bool
    share: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read a limit such as `overhead_p50>10%` or `passed<`.

        Raises:
            ConfigError: it is none.
        """
        match = _LIMIT.fullmatch(text)
        if match is None or match.group(1) not in FIGURES:
            raise ConfigError(f"--fail-on {text!r}: write FIGURE>N% or FIGURE<N%, with one of {', '.join(FIGURES)}")
        return cls(text=text, figure=match[1], above=match[2] == ">", share=float(match[3] or 0) / 100)

    def is_exceeded(self, side: SideDiff) -> bool:
        """Tell whether a side's change is beyond the limit; of a tested time only where the change is shown too."""
        change = next(figure.change for figure in side.figures if figure.name == self.figure)
        if change is None or not (change > self.share if self.above else change < -self.share):
            return False
        by_metric = {one.metric: one for one in side.tested}
        metric = self.figure.rpartition("_p")[0]
        tested = by_metric.get(metric) or (by_metric.get("overhead") if metric == "total" else None)
        if tested is None:
            return True
        return tested.verdict == ("worse" if self.above else "better")


def diff_runs(
    before: Sequence[Cell],
    after: Sequence[Cell],
    *,
    names: tuple[str, str],
    limits: Iterable[Limit] = (),
    interleaved: bool = False,
) -> RunDiff:
    """Set two comparisons against each other.

    Args:
        before: The cells of the first; those with a fault or a negative control are left out.
        after: The cells of the second.
        names: What to call them.
        limits: What must hold.
        interleaved: Whether the runs of both took turns in one comparison, so that one speed of the machine holds for
            them.

    Raises:
        ConfigError: they have no side in common, or no task of one.
    """
    ours, theirs = by_side(filter(_is_plain, after)), by_side(filter(_is_plain, before))
    both = [side for side in ours if side in theirs]
    if not both:
        raise ConfigError(f"{names[0]} and {names[1]} have no backend and handling in common")
    common = [side for side in both if _task_ids(ours[side]) & _task_ids(theirs[side])]
    if not common:
        raise ConfigError(f"{names[0]} and {names[1]} have no task in common: compare the same tasks of one suite")
    pairs = {side: _Pair.of(theirs[side], ours[side], names, interleaved=interleaved) for side in common}
    samples = [
        sample
        for side, pair in pairs.items()
        for sample in samples_of(
            *(side, side, pair.after, pair.before), metrics=pair.metrics, beyond=0.0 if interleaved else MARGIN
        )
    ]
    tests = evaluate_samples(samples, {})
    sides = tuple(_side(side, pairs[side], [test for test in tests if test.left == side]) for side in common)
    return RunDiff(
        before=names[0],
        after=names[1],
        sides=sides,
        left_out=(
            *_left_out(theirs, ours, names),
            *(f"no task of {side.backend}, {side.handling} is in both" for side in both if side not in common),
            *(line for side, pair in pairs.items() for line in _lacking(side, pair.was, names)),
        ),
        exceeded=tuple(_exceeded(limit, side) for limit in limits for side in sides if limit.is_exceeded(side)),
    )


def _is_plain(cell: Cell) -> bool:
    return cell.fault is None and cell.perturb is None


def _left_out(
    before: Mapping[Side, list[Cell]], after: Mapping[Side, list[Cell]], names: tuple[str, str]
) -> Iterable[str]:
    for name, own, other in ((names[0], before, after), (names[1], after, before)):
        yield from (f"only {name} has {side.backend}, {side.handling}" for side in own if side not in other)
        models, tasks = {cell.model for some in own.values() for cell in some}, _tasks(own) - _tasks(other)
        if models != {cell.model for some in other.values() for cell in some}:
            yield f"in {name} answered {', '.join(sorted(models))}"
        if tasks:
            yield f"only {name} has {len(tasks)} of the tasks, such as {min(tasks)}"


def _lacking(side: Side, pair: tuple[Sequence[Cell], Sequence[Cell]], names: tuple[str, str]) -> Iterable[str]:
    """Say how many runs of their common tasks only the other one has."""
    runs = [{(cell.task, cell.repeat) for cell in cells} for cells in pair]
    for name, lacking in ((names[0], runs[1] - runs[0]), (names[1], runs[0] - runs[1])):
        if lacking:
            yield f"{name} lacks {len(lacking)} of the runs of {side.backend}, {side.handling}"


def _tasks(sides: Mapping[Side, list[Cell]]) -> set[str]:
    return {cell.task for some in sides.values() for cell in some}


def _task_ids(cells: Iterable[Cell]) -> set[str]:
    return {cell.task for cell in cells}


class _Pair(NamedTuple):
    """The cells of one side before and after, of the tasks that both have: as they were, and as they are compared."""

    was: tuple[Sequence[Cell], Sequence[Cell]]
    before: Sequence[Cell]
    after: Sequence[Cell]
    machine: MachineSpeed | None
    metrics: Sequence[Metric] = METRICS

    @classmethod
    def of(cls, before: Sequence[Cell], after: Sequence[Cell], names: tuple[str, str], *, interleaved: bool) -> _Pair:
        tasks = _task_ids(before) & _task_ids(after)
        before, after = ([cell for cell in some if cell.task in tasks] for some in (before, after))
        found = None if interleaved else at_one_speed(before, after, names)
        if found is None:
            return cls((before, after), before, after, None)
        # How soon a thread of a tool gets a processor depends on what else the machine does, and no yardstick tells.
        metrics = [one for one in METRICS if one != "total" or not all(map(is_scripted, (*before, *after)))]
        return cls((before, after), found.before, found.after, found.speed, metrics)

    def figures(self) -> Iterable[Figure]:
        old, new = map(_figures, self.was)
        is_held = self.machine is not None and not self.machine.why_unused
        held = (_figures(self.before), _figures(self.after)) if is_held else ({}, {})
        for name in FIGURES:
            values = [some.get(name) for some in held] if name.startswith(TIMES) else []
            known = [value for value in values if value is not None]
            speed = (known[0], known[1]) if len(known) == 2 else None
            yield Figure(name=name, before=old[name], after=new[name], at_one_speed=speed)


def _side(side: Side, pair: _Pair, tests: Sequence[PairedTest]) -> SideDiff:
    before, after = pair.was
    return SideDiff(
        backend=side.backend,
        handling=side.handling,
        figures=tuple(pair.figures()),
        tested=tuple(_tested(test) for test in tests),
        tasks=tuple(_changed_tasks(before, after)),
        versions=tuple(_changed_versions(before[0].versions, after[0].versions)),
        machine=pair.machine,
    )


def _tested(test: PairedTest) -> TestedChange:
    rises = test.effect.estimate > 0
    good = rises if test.metric == "passed" else not rises
    verdict: Outcome = ("better" if good else "worse") if test.shown else "inconclusive"
    return TestedChange(metric=test.metric, verdict=verdict, alike=test.conclusion == "alike", test=test)


def _figures(cells: Sequence[Cell]) -> dict[str, float | None]:
    judged = [cell for cell in cells if not is_infrastructure(cell)]
    timed = [cell for cell in judged if cell.passed]
    times = [cell.seconds for cell in timed if cell.seconds is not None]
    first = [cell.time_to_first_token for cell in timed if cell.time_to_first_token is not None]
    cpu = [cell.cpu_seconds for cell in timed if cell.cpu_seconds is not None]
    tokens = [cell.usage.total_tokens for cell in judged if cell.usage.total_tokens is not None]
    total, overhead = [time.total for time in times], [time.overhead for time in times]
    return {
        "passed": _mean([cell.passed for cell in judged]),
        "total_p50": median(total) if total else None,
        "total_p95": percentile(total, 0.95),
        "overhead_p50": median(overhead) if overhead else None,
        "overhead_p95": percentile(overhead, 0.95),
        "cpu_p50": median(cpu) if cpu else None,
        "first_token_p50": median(first) if first else None,
        "requests": _mean([cell.requests for cell in judged]),
        "tokens": _mean(tokens),
        "bytes": _mean([sum(cell.request_bytes) for cell in judged]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _changed_tasks(before: Sequence[Cell], after: Sequence[Cell]) -> Iterable[tuple[str, int, int, int, int]]:
    for task in dict.fromkeys(cell.task for cell in before):
        old = [cell.passed for cell in before if cell.task == task]
        new = [cell.passed for cell in after if cell.task == task]
        if sum(old) * len(new) != sum(new) * len(old):
            yield task, sum(old), len(old), sum(new), len(new)


def _changed_versions(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, "none"), after.get(name, "none")
        if old != new:
            yield name, old, new


def _exceeded(limit: Limit, side: SideDiff) -> Exceeded:
    figure = next(figure for figure in side.figures if figure.name == limit.figure)
    return Exceeded(
        limit=limit.text,
        backend=side.backend,
        handling=side.handling,
        before=figure.before or 0.0,
        after=figure.after or 0.0,
        at_one_speed=figure.at_one_speed,
    )
