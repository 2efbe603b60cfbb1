"""What a journal costs."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.figures import Figures, once
from benchmarks.journal_scenarios import entry_alone, journal_on_and_off, resumed
from benchmarks.measure import apart, interval, ratio

ENTRY_BAR = 2.0
AT_ONCE_BAR = 1.15
RESUME_BAR_MS = 100.0
AT_ONCE, CALLS, STEPS = 200, 10, 100


def test_wall_clock_of_an_entry_alone(benchmark: BenchmarkFixture, figures: Figures) -> None:
    samples = once(benchmark, apart, entry_alone)
    figures.add(benchmark, "A/A of a bare commit", ratio(samples["bare again"], samples["bare"]))
    figures.add(benchmark, "journal entry / bare commit", ratio(samples["journal"], samples["bare"]), bar=ENTRY_BAR)


def test_cpu_of_many_runs_at_once(benchmark: BenchmarkFixture, figures: Figures) -> None:
    samples = once(benchmark, apart, journal_on_and_off, AT_ONCE, CALLS)
    how = f"custom, {AT_ONCE} runs at once of {CALLS} calls"
    figures.add(benchmark, f"{how}: A/A without a journal", ratio(samples["off again"], samples["off"]))
    figures.add(benchmark, f"{how}: CPU journal on / off", ratio(samples["on"], samples["off"]), bar=AT_ONCE_BAR)


@pytest.mark.parametrize("backend", ["custom", "langchain", "llamaindex"])
def test_cpu_until_a_resumed_run_asks_anew(benchmark: BenchmarkFixture, figures: Figures, backend: str) -> None:
    """Of the frameworks, what their own loops take for the same steps is part of it."""
    samples = once(benchmark, apart, resumed, backend, STEPS)
    how = f"{backend}, {STEPS} steps of the journal"
    bar = RESUME_BAR_MS if backend == "custom" else None
    in_ms = [1000 * seconds for seconds in samples["resumed"]]
    figures.add(benchmark, f"{how}: CPU until the first request", interval(in_ms), unit="ms", bar=bar)
    figures.add(benchmark, f"{how}: resumed / made anew", ratio(samples["resumed"], samples["anew"]))
