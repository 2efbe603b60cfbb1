"""What a span tree says in numbers: its spans and events by type, and the slowest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unified_agents.tracing.conventions import OPERATION
from unified_agents.tracing.spans import Span

SLOWEST = 5


@dataclass(slots=True, frozen=True)
class SpanType:
    """All spans of one type.

    Attributes:
        name: `invoke_agent`, `chat`, `execute_tool`, and of a tool its name too.
        count: How many there are.
        seconds: Their time in all; parallel ones count each.
        errors: How many ended in an error.
    """

    name: str
    count: int
    seconds: float
    errors: int


@dataclass(slots=True, frozen=True)
class EventType:
    """All events of one type.

    Attributes:
        name: The name, such as `retry`.
        count: How often it happened.
        seconds: How long they took in all, such as the waits before retries; None where such an event takes no time.
    """

    name: str
    count: int
    seconds: float | None


@dataclass(slots=True, frozen=True)
class TraceSummary:
    """A span tree in numbers.

    Attributes:
        types: The spans by type, the longest time first.
        events: The events within them by type, in the order in which each type first happened.
        slowest: The slowest spans below the root, the slowest first.
    """

    types: tuple[SpanType, ...]
    events: tuple[EventType, ...]
    slowest: tuple[Span, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        types = [
            {"name": one.name, "count": one.count, "seconds": one.seconds, "errors": one.errors} for one in self.types
        ]
        slowest = [{"name": span.name, "start": span.start, "seconds": _seconds(span)} for span in self.slowest]
        events = [{"name": one.name, "count": one.count, "seconds": one.seconds} for one in self.events]
        return {"types": types, "events": events, "slowest": slowest}


def summarise_trace(root: Span) -> TraceSummary:
    """Count a tree's spans and events."""
    spans = list(root.walk())
    by_type: dict[str, list[Span]] = {}
    events: dict[str, list[float | None]] = {}
    for span in spans:
        by_type.setdefault(_type(span), []).append(span)
        for name, _, attributes in span.events:
            events.setdefault(name, []).append(_duration(attributes.get("seconds")))
    types = (
        SpanType(name, len(some), sum(map(_seconds, some)), sum(span.error is not None for span in some))
        for name, some in by_type.items()
    )
    return TraceSummary(
        types=tuple(sorted(types, key=lambda one: -one.seconds)),
        events=tuple(EventType(name, len(some), _sum(some)) for name, some in events.items()),
        slowest=tuple(sorted(spans[1:], key=_seconds, reverse=True)[:SLOWEST]),
    )


def _duration(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _sum(durations: Sequence[float | None]) -> float | None:
    known = [one for one in durations if one is not None]
    return sum(known) if known else None


def _type(span: Span) -> str:
    operation = str(span.attributes.get(OPERATION) or span.name.partition(" ")[0])
    return span.name if operation == "execute_tool" else operation


def _seconds(span: Span) -> float:
    return 0.0 if span.end is None else span.end - span.start
