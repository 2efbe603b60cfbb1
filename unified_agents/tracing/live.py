"""Open spans: those of our own tree, and OpenTelemetry's beside them where the user has set a provider."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unified_agents.tracing.spans import ERROR_TYPE, AttributeValue, Span

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

SCOPE = "unified_agents"


@dataclass(slots=True, eq=False, repr=False)
class OpenSpan:
    """A span that has not ended yet.

    Attributes:
        span: The span in our own tree.
    """

    _trace: LiveTrace
    span: Span
    _otel: Any

    def event(self, name: str, **attributes: AttributeValue) -> None:
        """Record an event within the span."""
        self.span.events.append((name, self._trace.now(), attributes))
        if self._otel is not None:
            self._otel.add_event(name, attributes)

    def close(self, error: str | None = None, message: str = "") -> None:
        """End the span; `error` is the value of `error.type`. Only the first call counts."""
        if self.span.end is not None:
            return
        self.span.end = self._trace.now()
        if error is not None:
            self.span.error = error
            self.span.attributes[ERROR_TYPE] = error
        if self._otel is None:
            return
        self._otel.set_attributes(self.span.attributes)
        if error is not None:
            from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415  # loaded already: there is a provider

            self._otel.set_status(Status(StatusCode.ERROR, message))
        self._otel.end()

    def context(self) -> Context | None:
        """Return OpenTelemetry's context with this span as the current one; None without a provider."""
        if self._otel is None:
            return None
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

        return set_span_in_context(self._otel)


class LiveTrace:
    """The trace of one run. Times are seconds since it was created."""

    __slots__ = ("_start", "_tracer")

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._tracer = _user_tracer()

    def now(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self._start

    def open(
        self,
        name: str,
        attributes: dict[str, AttributeValue],
        parent: OpenSpan | None,
        *,
        client: bool = False,
    ) -> OpenSpan:
        """Begin a span below `parent`; without one, below the caller's current OpenTelemetry span."""
        span = Span(name, self.now(), attributes=attributes)
        if parent is not None:
            parent.span.children.append(span)
        if self._tracer is None:
            return OpenSpan(self, span, None)
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
        otel = self._tracer.start_span(
            name, context=parent.context() if parent else None, kind=kind, attributes=attributes
        )
        return OpenSpan(self, span, otel)


def _user_tracer() -> Tracer | None:
    # A provider can only have been set by somebody who imported OpenTelemetry; asking it costs an import otherwise.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        return None
    tracer: Tracer = provider.get_tracer(SCOPE)
    return tracer
