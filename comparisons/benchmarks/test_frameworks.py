"""Frameworks through us against the same frameworks alone, and tools that run at once."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.figures import Figures, once
from benchmarks.framework_baselines import ALONE
from benchmarks.measure import apart, interval, ratio
from benchmarks.scenarios import framework_against_itself, parallel_tools
from unified_agents import backend_info, backend_names

INSTALLED = [name for name in backend_names() if backend_info(name).installed]
PARALLEL = 8
PARALLEL_BAR = 60.0
PARALLEL_BARS = {"llamaindex": 75.0}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("calls", [1, 10])
@pytest.mark.parametrize("backend", [name for name in INSTALLED if name in ALONE])
def test_cpu_through_us(benchmark: BenchmarkFixture, figures: Figures, backend: str, calls: int, stream: bool) -> None:
    samples = once(benchmark, apart, framework_against_itself, backend, calls, stream)
    how = f"{backend}, {calls} calls, {'streamed' if stream else 'whole'}"
    same = ratio(samples["alone again"], samples["alone"])
    figures.add(benchmark, f"{how}: A/A of it alone", same)
    bar = max(1.0, same.high)
    figures.add(benchmark, f"{how}: CPU / alone", ratio(samples["through us"], samples["alone"]), bar=bar)


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("backend", INSTALLED)
def test_tools_run_at_once(benchmark: BenchmarkFixture, figures: Figures, backend: str, sync: bool) -> None:
    samples = once(benchmark, apart, parallel_tools, backend, sync, PARALLEL)
    added = [1e3 * (slow - quick) for slow, quick in zip(samples["slow"], samples["quick"], strict=True)]
    what = f"{backend}: {PARALLEL} {'sync' if sync else 'async'} tools of 50 ms − of 0 ms, wall"
    figures.add(benchmark, what, interval(added), unit="ms", bar=PARALLEL_BARS.get(backend, PARALLEL_BAR))
