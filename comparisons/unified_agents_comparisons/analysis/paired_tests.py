"""Tests of two sides against each other: each run of a task with the same run on the other side.

The claim of a test is about the tasks that were run, so repeats count. Whether it holds for tasks like these too is
tested apart, by sources: tasks that share one stand or fall together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from unified_agents_comparisons.analysis.power import (
    POWER,
    change_for_pairs,
    least_p,
    least_pairs,
    noise,
    pairs_for_change,
    pairs_for_failing,
)
from unified_agents_comparisons.analysis.sides import Side, by_side, is_infrastructure
from unified_agents_comparisons.analysis.statistics import (
    ALPHA,
    Interval,
    holm,
    mcnemar,
    paired_permutation,
    rate_difference,
    same_mean,
    same_rate,
    weighted_mean_interval,
)
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import Cell

Metric = Literal["passed", "total", "overhead"]
Conclusion = Literal["more", "less", "alike", "inconclusive"]

METRICS: tuple[Metric, ...] = ("passed", "total", "overhead")
MARGIN = 0.05
"""Rates that differ by less than 5 points, and times by less than 5 %, are called alike."""


class PairedTest(FrozenModel):
    """A statistical test of two sides, run by run.

    Attributes:
        metric: `passed` (McNemar's exact test), or `total` or `overhead` (paired permutation test of the logarithms).
        left: The first side.
        right: The second side.
        tasks: How many tasks both sides have a value for.
        pairs: How many runs of these.
        effect: Left against right: the difference of pass rates, or the relative change of the time, such as 0.12
            for 12 % more.
        p: The two-sided p-value of this test alone.
        p_adjusted: The p-value after Holm's correction for all tests of the report and all looks at it.
        shown: Whether a difference was shown on these tasks, at 5 %.
        generalises: Whether it was also shown for tasks like these.
        p_alike: The adjusted p-value of the two one-sided tests for "no difference" (TOST).
        conclusion: `more` or `less` of the metric on the left; `alike`, within 5 % or 5 points; or `inconclusive`.
        why: Of an inconclusive test, what its sample can show, and how large it would have to be.
    """

    metric: Metric
    left: Side
    right: Side
    tasks: int
    pairs: int
    effect: Interval
    p: float
    p_adjusted: float
    shown: bool
    generalises: bool
    p_alike: float
    conclusion: Conclusion
    why: str = ""


class Sample(NamedTuple):
    """The differences that one test is about.

    Attributes:
        metric: What is compared.
        left: The first side.
        right: The second side.
        differences: Left minus right, by task: of passes, or of the logarithms of times.
        left_passes: How many of the pairs passed on the left.
        right_passes: How many of the pairs passed on the right.
        beyond: A difference is shown only where it is larger than this.
    """

    metric: Metric
    left: Side
    right: Side
    differences: dict[str, list[float]]
    left_passes: int = 0
    right_passes: int = 0
    beyond: float = 0.0

    @property
    def values(self) -> list[float]:
        """Return the differences of all tasks."""
        return [value for some in self.differences.values() for value in some]

    @property
    def weights(self) -> list[float]:
        """Return the weight of each difference: every task has the same."""
        return [1 / len(some) for some in self.differences.values() for _ in some]

    @property
    def effective(self) -> float:
        """Return how many evenly spread pairs would tell as much: a task with few pairs has the weight of others."""
        return len(self.differences) ** 2 / math.fsum(1 / len(some) for some in self.differences.values())

    @property
    def informative(self) -> int:
        """Return how many pairs the exact test rests on: of passes, those in which the two sides differ."""
        values = self.values
        return sum(value != 0 for value in values) if self.metric == "passed" else len(values)


class _PValues(NamedTuple):
    alone: float
    adjusted: float
    of_sources: float
    alike: float


def paired_tests(
    cells: Iterable[Cell], sources: Mapping[str, str] | None = None, *, looks: int = 1
) -> tuple[PairedTest, ...]:
    """Test backends against each other under one handling, and the two handlings of each backend.

    Args:
        cells: The cells of a comparison; those that failed for want of infrastructure are left out.
        sources: The source of a task, where it shares one with others.
        looks: How often the same comparison was looked at, to stop when it is decided.
    """
    return evaluate_samples(_samples(cells), sources or {}, looks=looks)


def evaluate_samples(
    samples: Sequence[Sample], sources: Mapping[str, str], *, looks: int = 1
) -> tuple[PairedTest, ...]:
    """Test samples, corrected for their number and for the looks at them."""
    alone = [_p(sample) for sample in samples]
    # A test whose sample allows no small p-value cannot be a false alarm: it does not count (Tarone).
    counted = {
        at: min(1.0, alone[at] * looks)
        for at, sample in enumerate(samples)
        if least_p(sample.informative) * looks <= ALPHA
    }
    adjusted = holm(counted)
    shown = [at for at, p in adjusted.items() if p < ALPHA]
    wider = holm({at: min(1.0, _p_of_sources(samples[at], sources) * looks) for at in shown}, of=len(counted))
    alike = holm({at: min(1.0, _p_alike(sample) * looks) for at, sample in enumerate(samples)})
    found = (_PValues(alone[at], adjusted.get(at, 1.0), wider.get(at, 1.0), alike[at]) for at, _ in enumerate(samples))
    return tuple(_test(sample, p, len(samples) * looks) for sample, p in zip(samples, found, strict=True))


def power_line(cells: Sequence[Cell], repeats: int, *, looks: int = 1) -> str | None:
    """Say which change so many repeats find 9 times in 10, from the noise of the cells; None where it cannot be told.

    Args:
        cells: What was measured so far.
        repeats: How often each task is to be run.
        looks: How often the comparison is looked at.
    """
    samples = _samples(cells)
    if not samples:
        return None
    tests = len(samples) * looks
    parts = []
    for metric, name in (("total", "total time"), ("overhead", "overhead")):
        known = _power_of([sample for sample in samples if sample.metric == metric], cells)
        if known is None or known.of_each * repeats < 2:
            continue
        found = change_for_pairs(known.deviation, int(known.of_each * repeats), tests)
        needed = math.ceil(pairs_for_change(known.deviation, tests) / known.of_each)
        parts.append(f"a change of {name} by {_percent(found)} (5 % needs {_counted(needed, 'repeat')})")
    tasks = max(len(sample.differences) for sample in samples)
    needed = math.ceil(pairs_for_failing(tests) / tasks)
    parts.append(f"with {_counted(needed, 'repeat')}, a backend that alone fails one run in ten")
    return f"Power: {_counted(repeats, 'repeat')} of {_counted(tasks, 'task')} find 9 times in 10: {'; '.join(parts)}."


def repeats_for_change(cells: Sequence[Cell], metric: Metric = "total", *, looks: int = 1) -> int | None:
    """Return how many repeats find a change of a time by 5 % 9 times in 10; None where it cannot be told."""
    samples = _samples(cells)
    known = _power_of([sample for sample in samples if sample.metric == metric], cells)
    if known is None:
        return None
    return math.ceil(pairs_for_change(known.deviation, len(samples) * looks) / known.of_each)


class _Power(NamedTuple):
    deviation: float
    of_each: float
    """Effective pairs of each repeat: where runs fail there are less than tasks."""


def _power_of(samples: Sequence[Sample], cells: Sequence[Cell]) -> _Power | None:
    found = [noise(list(sample.differences.values())) for sample in samples]
    known = [value for value in found if value is not None]
    if not samples or len(known) < len(samples):
        return None
    repeats = max(cell.repeat for cell in cells) + 1
    return _Power(max(known), min(sample.effective for sample in samples) / repeats)


def is_decided(tests: Iterable[PairedTest]) -> bool:
    """Tell whether further repeats would change no conclusion."""
    return all(test.conclusion != "inconclusive" for test in tests)


def _samples(cells: Iterable[Cell]) -> list[Sample]:
    sides = by_side(cells)
    found: list[Sample] = []
    for left, right in combinations(sides, 2):
        if left.backend != right.backend and left.handling != right.handling:
            continue
        found += samples_of(left, right, sides[left], sides[right])
    return found


def samples_of(
    left: Side,
    right: Side,
    ours: Iterable[Cell],
    theirs: Iterable[Cell],
    *,
    metrics: Sequence[Metric] = METRICS,
    beyond: float = 0.0,
) -> list[Sample]:
    """Return the samples of two sides, of each metric that both have; a run is paired with that of its repeat.

    Args:
        left: The first side.
        right: The second side.
        ours: The cells of the first.
        theirs: The cells of the second.
        metrics: What is compared.
        beyond: Times have to differ by more than this, relatively.
    """
    known = {(cell.task, cell.repeat): cell for cell in theirs}
    pairs = [(cell, known[cell.task, cell.repeat]) for cell in ours if (cell.task, cell.repeat) in known]
    pairs = [pair for pair in pairs if not any(map(is_infrastructure, pair))]
    limit = math.log1p(beyond)
    made = [_sample(metric, left, right, pairs, 0.0 if metric == "passed" else limit) for metric in metrics]
    return [sample for sample in made if sample.differences]


def _sample(metric: Metric, left: Side, right: Side, pairs: Sequence[tuple[Cell, Cell]], beyond: float) -> Sample:
    differences: dict[str, list[float]] = {}
    for one, other in pairs:
        if metric == "passed":
            differences.setdefault(one.task, []).append(float(one.passed) - float(other.passed))
        elif (ours := _time(one, metric)) and (theirs := _time(other, metric)):
            differences.setdefault(one.task, []).append(math.log(ours / theirs))
    passes = (sum(one.passed for one, _ in pairs), sum(other.passed for _, other in pairs))
    return Sample(metric, left, right, differences, *passes, beyond)


def _time(cell: Cell, metric: Metric) -> float | None:
    """Return a time of a run that passed; of any other there is none."""
    if not cell.passed or cell.seconds is None:
        return None
    return cell.seconds.total if metric == "total" else cell.seconds.overhead


def _p(sample: Sample) -> float:
    values = sample.values
    if sample.metric == "passed":
        return mcnemar(sum(value > 0 for value in values), sum(value < 0 for value in values))
    return _p_beyond(values, sample.weights, sample.beyond)


def _p_beyond(values: Sequence[float], weights: Sequence[float], beyond: float) -> float:
    """Return the p-value for "the mean is no further from 0 than this"."""
    if not beyond:
        return paired_permutation(values, weights)
    mean = math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / math.fsum(weights)
    if abs(mean) <= beyond:
        return 1.0
    return paired_permutation([value - math.copysign(beyond, mean) for value in values], weights)


def _p_of_sources(sample: Sample, sources: Mapping[str, str]) -> float:
    means: dict[str, list[float]] = {}
    for task, values in sample.differences.items():
        means.setdefault(sources.get(task) or f"task {task}", []).append(math.fsum(values) / len(values))
    # Each source counts as much as it has tasks, as in the estimate itself.
    sizes = [float(len(some)) for some in means.values()]
    return _p_beyond([math.fsum(some) / len(some) for some in means.values()], sizes, sample.beyond)


def _p_alike(sample: Sample) -> float:
    if sample.metric == "passed":
        return same_rate(sample.left_passes, sample.right_passes, len(sample.values), MARGIN)
    return same_mean(sample.values, math.log1p(MARGIN))


def _test(sample: Sample, p: _PValues, tests: int) -> PairedTest:
    effect = _effect(sample)
    shown = p.adjusted < ALPHA
    direction: Conclusion = "more" if effect.estimate > 0 else "less"
    conclusion = direction if shown else "alike" if p.alike < ALPHA else "inconclusive"
    return PairedTest(
        metric=sample.metric,
        left=sample.left,
        right=sample.right,
        tasks=len(sample.differences),
        pairs=len(sample.values),
        effect=effect,
        p=p.alone,
        p_adjusted=p.adjusted,
        shown=shown,
        generalises=p.of_sources < ALPHA,
        p_alike=p.alike,
        conclusion=conclusion,
        why=_why(sample, tests) if conclusion == "inconclusive" else "",
    )


def _effect(sample: Sample) -> Interval:
    if sample.metric == "passed":
        return rate_difference(sample.left_passes, sample.right_passes, len(sample.values))
    found = weighted_mean_interval(sample.values, sample.weights)
    as_change: Callable[[float], float] = math.expm1
    return Interval(estimate=as_change(found.estimate), low=as_change(found.low), high=as_change(found.high))


def _why(sample: Sample, tests: int) -> str:
    pairs, tasks = len(sample.values), len(sample.differences)
    needed, what = least_pairs(tests), "show anything"
    if pairs >= needed:
        if sample.metric == "passed":
            needed, what = pairs_for_failing(tests), "find a backend that alone fails one run in ten"
        else:
            deviation = noise(list(sample.differences.values()))
            if deviation is None:
                return ""
            needed, what = pairs_for_change(deviation, tests), "find a change of 5 %"
        if sample.effective >= needed:
            return ""
        what += f" {POWER:.0%} of the time".replace("%", " %")
    repeats_now = max(map(len, sample.differences.values()))
    repeats, more_tasks = (math.ceil(needed * each / sample.effective) for each in (repeats_now, tasks))
    cannot = f"{_counted(pairs, 'pair')} cannot {what} among {_counted(tests, 'test')}"
    return f"{cannot}: {_counted(repeats, 'repeat')} of these tasks could, or {more_tasks} tasks"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %") if share < 0.1 else f"{share:.0%}".replace("%", " %")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
