"""Simulated suites: cells whose truth is known, to see how often a verdict on them is false."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from unified_agents.messages import Usage
from unified_agents.result import Timing
from unified_agents_comparisons.execution.yardstick import WORK
from unified_agents_comparisons.records import Cell, Yardstick

NOISE = 0.08


def suites(
    count: int,
    *,
    seed: int,
    tasks: int = 6,
    repeats: int = 5,
    backends: Sequence[str] = ("a", "b"),
    slower: float = 1.0,
) -> Iterator[list[Cell]]:
    """Yield suites of backends that are alike but for the last, which is slower by a factor.

    Tasks differ in length and in how often they pass; times have pauses now and then, as real ones do.
    """
    chance = np.random.default_rng(seed)
    for _ in range(count):
        lengths, rates = chance.lognormal(-3, 0.7, tasks), chance.beta(4, 1, tasks)
        yield [
            cell(
                f"t{task}",
                backend,
                repeat,
                passed=bool(chance.random() < rates[task]),
                seconds=lengths[task]
                * chance.lognormal(0, NOISE)
                * (1.5 if chance.random() < 0.01 else 1.0)
                * (slower if backend == backends[-1] else 1.0),
            )
            for task in range(tasks)
            for repeat in range(repeats)
            for backend in backends
        ]


def on_machine(cells: Iterable[Cell], *, seed: int, slower: float = 1.0) -> list[Cell]:
    """Return cells as a machine that is slower by a factor would have run them, with the yardstick that it measures."""
    chance = np.random.default_rng(seed)
    found = []
    for one in cells:
        assert one.seconds is not None
        work = 0.002 * slower * chance.lognormal(0, NOISE / 2)
        times = {name: getattr(one.seconds, name) * slower for name in ("total", "model", "tool", "overhead")}
        changes = {
            "seconds": one.seconds.model_copy(update=times),
            "yardstick": Yardstick(seconds=work, cpu_seconds=work, work=WORK),
        }
        found.append(one.model_copy(update=changes))
    return found


def clustered_suites(
    count: int, *, seed: int, sources: int = 12, of_each: int = 5, correlation: float = 0.3
) -> Iterator[tuple[list[Cell], dict[str, str]]]:
    """Yield suites in which no backend is better for tasks of this kind, but the tasks of a source go together."""
    chance = np.random.default_rng(seed)
    names = {f"t{number}": f"s{number % sources}" for number in range(sources * of_each)}
    for _ in range(count):
        shared = dict(zip(set(names.values()), chance.normal(0, math.sqrt(correlation), sources), strict=True))
        own = math.sqrt(1 - correlation)
        yield (
            [
                cell(task, backend, 0, seconds=math.exp(0.1 * sign * (shared[source] + own * chance.normal()) / 2))
                for task, source in names.items()
                for backend, sign in (("a", 1), ("b", -1))
            ],
            names,
        )


def cell(task: str, backend: str, repeat: int, *, seconds: float, passed: bool = True) -> Cell:
    """Return a cell; half of its time is overhead. It is not validated: there are millions of them."""
    return Cell.model_construct(
        suite="simulated",
        task=task,
        backend=backend,
        handling="unified",
        repeat=repeat,
        status="completed",
        passed=passed,
        score=float(passed),
        usage=Usage(),
        seconds=Timing.model_construct(total=seconds, model=0, tool=0, waiting=0, overhead=seconds / 2),
        model="oracle",
        versions={},
    )
