"""Runs something once without and once with the framework's own tracing, and measures what that costs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from unified_agents_comparisons.native_tracing.collector import NativeSpans
from unified_agents_comparisons.native_tracing.spans import ForeignSpan

T = TypeVar("T")


async def measured(
    native: NativeSpans, run: Callable[[], Awaitable[T]]
) -> tuple[T, tuple[ForeignSpan, ...], tuple[float, float]]:
    """Return what the second run returns, the spans of it, and the CPU seconds of this process in both runs.

    Args:
        native: The framework's tracing, which is off.
        run: What is run twice.
    """
    start = time.process_time()
    await run()
    without = time.process_time() - start
    result, spans, seconds = await traced(native, run)
    return result, spans, (without, seconds)


async def traced(native: NativeSpans, run: Callable[[], Awaitable[T]]) -> tuple[T, tuple[ForeignSpan, ...], float]:
    """Return what a run returns, the framework's spans of it, and the CPU seconds of this process."""
    native.switch_on()
    try:
        start = time.process_time()
        result = await run()
        seconds = time.process_time() - start
    finally:
        spans = native.switch_off()
    return result, spans, seconds
