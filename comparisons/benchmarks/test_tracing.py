"""What tracing costs at ten tool calls."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.figures import Figures, once
from benchmarks.measure import apart, ratio
from benchmarks.tracing_cost import tracing_cost

CALLS = 10
OWN_BAR = 1.10
OPENTELEMETRY_BAR = 1.25


@pytest.mark.parametrize("with_metrics", [False, True], ids=["spans", "spans and metrics"])
def test_cpu_of_tracing(benchmark: BenchmarkFixture, figures: Figures, with_metrics: bool) -> None:
    samples = once(benchmark, apart, tracing_cost, CALLS, with_metrics)
    none = samples["no spans"]
    how = f"custom, {CALLS} calls: CPU / without spans"
    theirs = "OpenTelemetry, metrics too" if with_metrics else "OpenTelemetry"
    figures.add(benchmark, f"{how}, A/A", ratio(samples["no spans again"], none))
    figures.add(benchmark, f"{how}, own spans", ratio(samples["own spans"], none), bar=OWN_BAR)
    figures.add(benchmark, f"{how}, {theirs}", ratio(samples["OpenTelemetry"], none), bar=OPENTELEMETRY_BAR)
