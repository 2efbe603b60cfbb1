"""What spans and metrics cost: the custom loop without spans, with its own, and with OpenTelemetry's providers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics_api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.contenders import ours
from benchmarks.measure import Samples, Work, cpu
from benchmarks.model_server import one_by_one, serving
from unified_agents.tracing.live import LiveTrace, OpenSpan
from unified_agents.tracing.spans import Span

ROUNDS = 75
REPEATS = 5


@dataclass(slots=True, eq=False)
class NoSpan(OpenSpan):
    """Takes no event, and has no end."""

    def event(self, name: str, **attributes: Any) -> None:
        return None

    def close(self, error: str | None = None, message: str = "") -> None:
        return None


NO_SPAN = NoSpan(LiveTrace(), Span("none", 0.0), None)
"""Stands for every span of a run that makes none."""


class Discarding(SpanExporter):
    """Takes what is exported, and forgets it."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def tracing_cost(calls: int, with_metrics: bool) -> Samples:
    """Measure the CPU of the custom loop: without spans, with its own, and with providers of OpenTelemetry.

    Args:
        calls: Tool calls of each run.
        with_metrics: Whether OpenTelemetry has a provider of meters beside the one of tracers.
    """
    return asyncio.run(_tracing_cost(calls, with_metrics))


async def _tracing_cost(calls: int, with_metrics: bool) -> Samples:
    tracers, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    tracers.add_span_processor(BatchSpanProcessor(Discarding()))
    spans, nothing = LiveTrace.open, _open_none
    providers = (tracers, meters if with_metrics else None)
    try:
        with serving(one_by_one(calls)) as url:
            async with ours(url) as run:
                contenders = {
                    "no spans": _within(run, nothing, (None, None)),
                    "no spans again": _within(run, nothing, (None, None)),
                    "own spans": _within(run, spans, (None, None)),
                    "OpenTelemetry": _within(run, spans, providers),
                }
                return await cpu(contenders, repeats=REPEATS, rounds=ROUNDS)
    finally:
        tracers.shutdown()
        meters.shutdown()


def _open_none(*_: Any, **__: Any) -> OpenSpan:
    return NO_SPAN


def _within(work: Work, opens: Any, providers: tuple[TracerProvider | None, MeterProvider | None]) -> Work:
    # The providers are global and may be set once only, so they are put into their places by hand.
    async def carried_out() -> str | None:
        trace._TRACER_PROVIDER, metrics_api._METER_PROVIDER = providers
        LiveTrace.open = opens  # type: ignore[method-assign]
        return await work()

    return carried_out
