"""A span of OpenTelemetry that begins when somebody first asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import SpanContext, Status, StatusCode
    from opentelemetry.util.types import Attributes, AttributeValue


class LateSpan(Span):
    """Stands for a span in OpenTelemetry's context until the first use of it begins the real one.

    Few tools look at the current span. For the others the span begins when its call has ended, with the call's own
    times, which costs a fraction.
    """

    def __init__(self, begun: Callable[[], Span]) -> None:
        """Make one from a function that returns the real span, begun at the first call."""
        self._begun = begun

    def get_span_context(self) -> SpanContext:
        """Return the real span's identifiers."""
        return self._begun().get_span_context()

    def is_recording(self) -> bool:
        """Return whether the real span takes what is recorded."""
        return self._begun().is_recording()

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set attributes of the real span."""
        self._begun().set_attributes(attributes)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set an attribute of the real span."""
        self._begun().set_attribute(key, value)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Record an event within the real span."""
        self._begun().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Link the real span to another."""
        self._begun().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Rename the real span."""
        self._begun().update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the real span's status."""
        self._begun().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an exception within the real span."""
        self._begun().record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """End the real span."""
        self._begun().end(end_time)

    def __getattr__(self, name: str) -> Any:
        """Return what the real span has beyond OpenTelemetry's interface, such as the attributes of the SDK's spans."""
        return getattr(self._begun(), name)
