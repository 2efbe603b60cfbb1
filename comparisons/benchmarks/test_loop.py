"""Our own loop against the bare one."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.figures import Figures, once
from benchmarks.measure import Samples, apart, interval, ratio
from benchmarks.scenarios import (
    OTHER_PROTOCOLS,
    custom_against_bare,
    custom_with_key_against_bare,
    custom_with_key_and_sync_tool_against_bare,
    growth,
    many_at_once,
    memory_of_many,
    protocols_against_chat,
)

BAR = 0.6
WITH_KEY_AND_SYNC_TOOL = {1: 0.5, 10: 0.45}
"""The bars by the number of calls."""
PROTOCOL_BAR = 1.15
GROWTH_BAR = 1.3
AT_ONCE_BAR = 0.5
AT_ONCE = 200
SHORT, LONG = 10, 100


@pytest.mark.parametrize("opentelemetry", [False, True], ids=["own spans", "OpenTelemetry"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("calls", [1, 10])
def test_cpu_of_a_run(
    benchmark: BenchmarkFixture, figures: Figures, calls: int, stream: bool, opentelemetry: bool
) -> None:
    samples = once(benchmark, apart, custom_against_bare, calls, stream, opentelemetry)
    how = f"custom, {calls} calls, {'streamed' if stream else 'whole'}{', OpenTelemetry' if opentelemetry else ''}"
    bar = None if stream or opentelemetry else BAR
    _add_ratios(benchmark, figures, how, samples, bar)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_cpu_of_a_run_with_a_key(benchmark: BenchmarkFixture, figures: Figures, stream: bool) -> None:
    samples = once(benchmark, apart, custom_with_key_against_bare, SHORT, stream)
    how = f"custom, {SHORT} calls, {'streamed' if stream else 'whole'}, API key"
    _add_ratios(benchmark, figures, how, samples, None)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("calls", WITH_KEY_AND_SYNC_TOOL)
def test_cpu_of_a_run_with_a_key_and_a_sync_tool(
    benchmark: BenchmarkFixture, figures: Figures, calls: int, stream: bool
) -> None:
    samples = once(benchmark, apart, custom_with_key_and_sync_tool_against_bare, calls, stream)
    how = f"custom, {calls} calls, {'streamed' if stream else 'whole'}, API key, sync tool"
    _add_ratios(benchmark, figures, how, samples, None if stream else WITH_KEY_AND_SYNC_TOOL[calls])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_cpu_of_a_run_over_other_protocols(benchmark: BenchmarkFixture, figures: Figures, stream: bool) -> None:
    samples = once(benchmark, apart, protocols_against_chat, SHORT, stream)
    chat, how = samples["chat_completions"], f"custom, {SHORT} calls, {'streamed' if stream else 'whole'}"
    figures.add(benchmark, f"{how}: A/A of Chat Completions", ratio(samples["chat_completions again"], chat))
    for protocol in OTHER_PROTOCOLS:
        named = f"{how}: CPU over {protocol} / over Chat Completions"
        figures.add(benchmark, named, ratio(samples[protocol], chat), bar=PROTOCOL_BAR)


def _add_ratios(benchmark: BenchmarkFixture, figures: Figures, how: str, samples: Samples, bar: float | None) -> None:
    bare = samples["bare"]
    figures.add(benchmark, f"{how}: A/A of the bare loop", ratio(samples["bare again"], bare))
    figures.add(benchmark, f"{how}: CPU / bare loop", ratio(samples["ours"], bare), bar=bar)
    figures.add(benchmark, f"{how}, listener: CPU / bare loop", ratio(samples["ours, listened to"], bare), bar=bar)


def test_cpu_of_a_step_as_runs_grow(benchmark: BenchmarkFixture, figures: Figures) -> None:
    samples = once(benchmark, apart, growth, SHORT, LONG)
    for other in ("bare", "carrier"):
        for calls in (SHORT, LONG):
            own = interval([1e6 * seconds for seconds in _beyond(samples, other, calls)])
            figures.add(benchmark, f"custom: CPU of a step − {other}, at {calls} steps", own, unit="µs")
    # The bare loop's JSON grows faster than ours, so what is held to the bar is our CPU beyond carrying the bodies.
    grown = ratio(_beyond(samples, "carrier", LONG), _beyond(samples, "carrier", SHORT))
    figures.add(benchmark, f"custom: own CPU of a step, at {LONG} / at {SHORT}", grown, bar=GROWTH_BAR)


def _beyond(samples: Samples, other: str, calls: int) -> list[float]:
    """What a step of ours takes beyond one of the other's."""
    pairs = zip(samples[f"ours {calls}"], samples[f"{other} {calls}"], strict=True)
    return [ours - theirs for ours, theirs in pairs]


def test_many_at_once(benchmark: BenchmarkFixture, figures: Figures) -> None:
    samples = once(benchmark, apart, many_at_once, AT_ONCE)
    bare = samples["bare"]
    figures.add(benchmark, f"{AT_ONCE} at once: A/A of the bare loop, wall", ratio(samples["bare again"], bare))
    figures.add(benchmark, f"{AT_ONCE} at once: wall / bare loop", ratio(samples["ours"], bare), bar=AT_ONCE_BAR)
    few = samples["bare, few connections"]
    figures.add(
        benchmark, f"{AT_ONCE} at once: wall / bare loop, few connections", ratio(samples["ours"], few), bar=AT_ONCE_BAR
    )
    figures.add(benchmark, f"{AT_ONCE} at once: bare loop, few connections, wall", interval(few), unit="s")
    figures.add(benchmark, f"{AT_ONCE} at once: bare loop, wall", interval(bare), unit="s")
    figures.add(benchmark, f"{AT_ONCE} at once: custom, wall", interval(samples["ours"]), unit="s")


@pytest.mark.parametrize("traced", [True, False], ids=["allocated", "resident"])
@pytest.mark.parametrize("contender", ["bare", "ours"])
def test_memory_of_many(benchmark: BenchmarkFixture, figures: Figures, contender: str, traced: bool) -> None:
    added = once(benchmark, lambda: [apart(memory_of_many, contender, AT_ONCE, traced) / 2**20 for _ in range(3)])
    kind = "allocated" if traced else "resident"
    figures.add(benchmark, f"{AT_ONCE} at once: {contender}, peak {kind}", interval(added), unit="MiB")
