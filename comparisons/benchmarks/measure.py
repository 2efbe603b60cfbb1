"""Paired measurements: in each round every contender, in random order, so that what disturbs one disturbs all."""

from __future__ import annotations

import gc
import multiprocessing
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

from unified_agents_comparisons.analysis.statistics import Interval, median_interval

P = ParamSpec("P")
T = TypeVar("T")

Work = Callable[[], Awaitable[str | None]]
Samples = dict[str, list[float]]

SEED = 20_261_122
ROUNDS = 25


def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of a module in a fresh process, so that no measurement inherits imports or memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


async def sampled(
    contenders: Mapping[str, Work], *, repeats: int, clock: Callable[[], float], rounds: int = ROUNDS
) -> Samples:
    """Measure the seconds for one repeat of each contender, in each round.

    Args:
        contenders: What to measure. Each runs once before, and must end with `done` then.
        repeats: How often each runs in a round.
        clock: `time.process_time` for CPU, `time.perf_counter` for wall clock.
        rounds: How many rounds.
    """
    chance = random.Random(SEED)
    samples: Samples = {name: [] for name in contenders}
    for name, work in contenders.items():
        answer = await work()
        assert answer == "done", f"{name} ended with {answer!r}"
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name in chance.sample(list(contenders), len(contenders)):
            gc.collect()
            start = clock()
            for _ in range(repeats):
                await contenders[name]()
            samples[name].append((clock() - start) / repeats)
    return samples


async def cpu(contenders: Mapping[str, Work], *, repeats: int, rounds: int = ROUNDS) -> Samples:
    """Measure the CPU seconds of this process for one repeat of each contender, in each round; see `sampled`."""
    return await sampled(contenders, repeats=repeats, clock=time.process_time, rounds=rounds)


async def wall(contenders: Mapping[str, Work], *, repeats: int, rounds: int = ROUNDS) -> Samples:
    """Measure the seconds of wall clock for one repeat of each contender, in each round; see `sampled`."""
    return await sampled(contenders, repeats=repeats, clock=time.perf_counter, rounds=rounds)


def ratio(of: Sequence[float], to: Sequence[float]) -> Interval:
    """Return the median of the paired ratios, with its 95 % bootstrap interval."""
    return interval([one / other for one, other in zip(of, to, strict=True)])


def interval(values: Sequence[float]) -> Interval:
    """Return the median with its 95 % bootstrap interval."""
    found = median_interval(values, seed=SEED)
    assert found is not None
    return found
