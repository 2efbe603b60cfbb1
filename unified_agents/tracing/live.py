"""Open spans: those of our own tree, and OpenTelemetry's beside them where the user has set a provider."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from itertools import islice
from threading import RLock
from typing import TYPE_CHECKING, Any

from unified_agents.tracing.conventions import ERROR_TYPE, OLD_ATTRIBUTES
from unified_agents.tracing.spans import AttributeValue, Span
from unified_agents.tracing.user_providers import UserTelemetry, user_telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.trace import Span as OtelSpan

    from unified_agents.tracing.late_span import LateSpan

MAX_WAIT_SECONDS = 1.0
"""After so long spans that have ended go to the user's provider, though their run goes on."""


@dataclass(slots=True, eq=False, repr=False)
class OpenSpan:
    """A span that has not ended yet.

    Only a run's own span is begun at OpenTelemetry at once. Those below it are begun when they have ended, with their
    own times, or when a tool asks for the current span: once is cheaper than twice, and many in a row cheaper than one.

    Attributes:
        span: The span in our own tree.
    """

    _trace: LiveTrace
    span: Span
    _parent: OpenSpan | None = None
    _is_client: bool = False
    _otel: OtelSpan | None = None
    _given: int = 0
    _context: Context | None = None
    _content: dict[str, str] | None = None

    def event(self, name: str, **attributes: AttributeValue) -> None:
        """Record an event within the span."""
        self.span.events.append((name, self._trace.now(), attributes))

    def close(self, error: str | None = None, message: str = "") -> None:
        """End the span; `error` is the value of `error.type`. Only the first call counts."""
        if self.span.end is not None:
            return
        self.span.end = self._trace.now()
        if error is not None:
            self.span.error = error
            self.span.attributes[ERROR_TYPE] = error
        if self._trace.telemetry is not None:
            self._trace.ended(self, message)

    @property
    def takes_content(self) -> bool:
        """Whether the user wants content on spans."""
        telemetry = self._trace.telemetry
        return telemetry is not None and telemetry.has_content and telemetry.start_span is not None

    def content(self, name: str, text: str) -> None:
        """Give the user's span a content; our own tree holds none. Ask `takes_content` first."""
        if self._content is None:
            self._content = {}
        self._content[name] = text

    def context(self) -> Context | None:
        """Return OpenTelemetry's context with this span as the current one; None without a provider."""
        trace = self._trace
        if self._context is None and trace.otel is not None:
            current = trace.late_span(self.begin) if self._otel is None else self._otel
            self._context = trace.otel.set_span_in_context(current, trace.context)
        return self._context

    def begin(self) -> OtelSpan:
        """Return OpenTelemetry's span, begun now if it has not been. A tool may ask in a thread of its own."""
        own, trace = self.span, self._trace
        with trace.beginning:
            if self._otel is None:
                context = trace.context if self._parent is None else self._parent.context()
                kind = trace.otel.SpanKind.CLIENT if self._is_client else trace.otel.SpanKind.INTERNAL
                given, start = own.attributes.copy(), trace.clock(own.start)
                self._given = len(given)
                self._otel = trace.start_span(own.name, context, kind, given, None, start)
            return self._otel

    def hand_over(self, telemetry: UserTelemetry, message: str) -> None:
        """Give an ended span to the user's provider, with the message of its error."""
        own, trace, otel = self.span, self._trace, self.begin()
        if len(own.attributes) > self._given:
            otel.set_attributes(dict(islice(own.attributes.items(), self._given, None)))
        for name, seconds, attributes in own.events:
            otel.add_event(name, attributes, trace.clock(seconds))
        if self._content is not None:
            otel.set_attributes(self._content)
        if telemetry.has_old_names:
            found = own.attributes
            otel.set_attributes({old: found[new] for new, old in OLD_ATTRIBUTES.items() if new in found})
        if own.error is not None:
            otel.set_status(trace.otel.Status(trace.otel.StatusCode.ERROR, message))
        otel.end(trace.clock(own.end or 0.0))


class LiveTrace:
    """The trace of one run. Times are seconds since it was created.

    Attributes:
        telemetry: What the providers take that the user has set; None where none is set.
        otel: OpenTelemetry's module of spans, where spans go to a provider; else None.
        context: OpenTelemetry's context when the run began, which its spans stand below; None without a provider.
        start_span: Begins a span at the user's provider, where there is one.
        late_span: The class of spans that begin at first use, where there is a provider.
        beginning: Held while a span is begun, where there is a provider.
    """

    start_span: Callable[..., OtelSpan]
    late_span: type[LateSpan]
    beginning: RLock

    __slots__ = (
        "_handed_over",
        "_is_over",
        "_start",
        "_start_ns",
        "_waiting",
        "beginning",
        "context",
        "late_span",
        "otel",
        "start_span",
        "telemetry",
    )

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.telemetry = user_telemetry()
        self.context: Context | None = None
        self.otel: Any = None
        self._waiting: deque[tuple[OpenSpan, str]] = deque()
        self._handed_over = 0.0
        self._is_over = False
        if self.telemetry is not None and self.telemetry.start_span is not None:
            from opentelemetry import context, trace  # noqa: PLC0415  # loaded already: there is a provider

            from unified_agents.tracing.late_span import LateSpan  # noqa: PLC0415  # needs OpenTelemetry

            self.start_span, self.late_span, self.beginning = self.telemetry.start_span, LateSpan, RLock()
            self.context, self.otel = context.get_current(), trace
            self._start_ns = time.time_ns() - int(self.now() * 1e9)

    def now(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self._start

    def ended(self, span: OpenSpan, message: str) -> None:
        """Give ended spans to the user's providers: at the run's end, and before where some have waited for long.

        Many at once cost less, as the processor still knows the way. A thread of a framework may come here too.
        """
        telemetry, is_root = self.telemetry, span._parent is None
        if telemetry is None:
            return
        if telemetry.metrics is not None and is_root:
            telemetry.metrics.run_ended(span.span)
        if telemetry.start_span is None:
            return
        self._waiting.append((span, message))
        now = self.now()
        self._is_over = self._is_over or is_root  # what ends later waits for nothing
        if self._is_over or now - self._handed_over > MAX_WAIT_SECONDS:
            self._handed_over = now
            self._hand_over(telemetry)

    def _hand_over(self, telemetry: UserTelemetry) -> None:
        while self._waiting:
            try:
                span, message = self._waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            span.hand_over(telemetry, message)

    def clock(self, seconds: float) -> int:
        """Return a time of the run as OpenTelemetry wants it: nanoseconds since 1970."""
        return self._start_ns + int(seconds * 1e9)

    def open(
        self,
        name: str,
        attributes: dict[str, AttributeValue],
        parent: OpenSpan | None,
        *,
        client: bool = False,
    ) -> OpenSpan:
        """Begin a span below `parent`; without one, below the caller's current OpenTelemetry span.

        Args:
            name: Its name.
            attributes: Those that are known now.
            parent: The span above.
            client: Whether it is a call to a model.
        """
        opened = OpenSpan(self, Span(name, self.now(), attributes=attributes), parent, client)
        if parent is not None:
            parent.span.children.append(opened.span)
        elif self.otel is not None:
            opened.begin()
        return opened
