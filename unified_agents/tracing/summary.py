"""What a span tree says in numbers: its spans and events by type, and the slowest."""

from __future__ import annotations

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
class TraceSummary:
    """A span tree in numbers.

    Attributes:
        types: The spans by type, the longest time first.
        events: How often each event happened within them.
        slowest: The slowest spans below the root, the slowest first.
    """

    types: tuple[SpanType, ...]
    events: dict[str, int]
    slowest: tuple[Span, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        types = [
            {"name": one.name, "count": one.count, "seconds": one.seconds, "errors": one.errors} for one in self.types
        ]
        slowest = [{"name": span.name, "start": span.start, "seconds": _seconds(span)} for span in self.slowest]
        return {"types": types, "events": self.events, "slowest": slowest}


def summarise_trace(root: Span) -> TraceSummary:
    """Count a tree's spans and events."""
    spans = list(root.walk())
    by_type: dict[str, list[Span]] = {}
    events: dict[str, int] = {}
    for span in spans:
        by_type.setdefault(_type(span), []).append(span)
        for name, _, _ in span.events:
            events[name] = events.get(name, 0) + 1
    types = (
        SpanType(name, len(some), sum(map(_seconds, some)), sum(span.error is not None for span in some))
        for name, some in by_type.items()
    )
    return TraceSummary(
        types=tuple(sorted(types, key=lambda one: -one.seconds)),
        events=events,
        slowest=tuple(sorted(spans[1:], key=_seconds, reverse=True)[:SLOWEST]),
    )


def _type(span: Span) -> str:
    operation = str(span.attributes.get(OPERATION) or span.name.partition(" ")[0])
    return span.name if operation == "execute_tool" else operation


def _seconds(span: Span) -> float:
    return 0.0 if span.end is None else span.end - span.start
