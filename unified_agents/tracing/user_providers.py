"""What the user's own OpenTelemetry providers take: spans, metrics, and content where the user opts in."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unified_agents.tracing.metrics import GenAIMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span as OtelSpan

SCOPE = "unified_agents"
OLD_NAMES_VARIABLE = "OTEL_SEMCONV_STABILITY_OPT_IN"
OLD_NAMES = "gen_ai/dup"
"""The entry of the variable that asks for the conventions' older names beside the new ones."""
CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CONTENT_ON_SPANS = frozenset({"true", "span_only", "span_and_event"})


@dataclass(slots=True, frozen=True, eq=False)
class UserTelemetry:
    """Where a user has set a provider: what goes to it.

    Attributes:
        start_span: Begins a span; None where only metrics are wanted.
        metrics: Takes measurements; None where only spans are wanted.
        has_old_names: Whether spans carry the conventions' older names too.
        has_content: Whether spans carry what models and tools were told and said.
    """

    start_span: Callable[..., OtelSpan] | None
    metrics: GenAIMetrics | None
    has_old_names: bool
    has_content: bool


_known: tuple[object, object, UserTelemetry | None] = (None, None, None)
"""The providers that were seen last, and what was made for them."""


def user_telemetry() -> UserTelemetry | None:
    """Return what the providers that the user has set take; None where none is set.

    The environment is read when a provider is first seen.
    """
    global _known  # noqa: PLW0603  # OpenTelemetry's providers are global too
    tracers, meters = _tracer_provider(), _meter_provider()
    if tracers is None and meters is None:
        return None
    if _known[0] is not tracers or _known[1] is not meters:
        _known = (tracers, meters, _made(tracers, meters))
    return _known[2]


def _tracer_provider() -> Any:
    # A provider can only have been set by somebody who imported OpenTelemetry; asking it costs an import otherwise.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider


def _meter_provider() -> Any:
    metrics = sys.modules.get("opentelemetry.metrics")
    if metrics is None:
        return None
    provider = metrics.get_meter_provider()
    # The API's own providers do nothing: they stand for one that is not set.
    return None if type(provider).__module__.startswith("opentelemetry.metrics") else provider


def _made(tracers: Any, meters: Any) -> UserTelemetry:
    asked = {one.strip() for one in os.environ.get(OLD_NAMES_VARIABLE, "").split(",")}
    has_old_names = OLD_NAMES in asked
    return UserTelemetry(
        start_span=None if tracers is None else tracers.get_tracer(SCOPE).start_span,
        metrics=None if meters is None else GenAIMetrics(meters.get_meter(SCOPE), has_old_names=has_old_names),
        has_old_names=has_old_names,
        has_content=os.environ.get(CONTENT_VARIABLE, "").strip().lower() in CONTENT_ON_SPANS,
    )
