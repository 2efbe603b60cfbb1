"""The span tree of a run, in the names of OpenTelemetry's GenAI conventions; see `conventions.py`."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

AttributeValue = str | int | float | bool | tuple[str, ...]

ERROR_SWALLOWED = "error_swallowed"
"""An event of a native run that failed, and whose framework ended it as if it had not."""


BAR_CHARS = 40
MAX_NAME_CHARS = 48
MAX_DEPTH = 100


@dataclass(slots=True)
class Span:
    """A timed part of a run.

    Attributes:
        name: `invoke_agent`, `chat <request model>` or `execute_tool <tool>`.
        start: Seconds since the run began.
        end: Seconds since the run began; None while it is open.
        attributes: Attributes by their names in the conventions, without the content of messages and arguments.
        error: The value of `error.type`; None when all went well.
        events: Events within, such as a retry: name, seconds since the run began, attributes.
        children: Spans within this one, in order of their start.
    """

    name: str
    start: float
    end: float | None = None
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    error: str | None = None
    events: list[tuple[str, float, dict[str, AttributeValue]]] = field(default_factory=list)
    children: list[Span] = field(default_factory=list)

    def walk(self) -> Iterator[Span]:
        """Yield this span and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as JSON values."""
        return {
            "name": self.name,
            "start": self.start,
            "end": self.end,
            "attributes": dict(self.attributes),
            "error": self.error,
            "events": [{"name": name, "time": time, "attributes": dict(attrs)} for name, time, attrs in self.events],
            "children": [child.to_dict() for child in self.children],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, depth: int = MAX_DEPTH) -> Self:
        """Return the tree that `to_dict` wrote.

        Args:
            values: What it wrote.
            depth: How deep the tree may be.

        Raises:
            ValueError: it is no such tree, or a deeper one.
        """
        if depth == 0:
            raise ValueError("spans that are nested too deep")
        try:
            end = values["end"]
            return cls(
                name=str(values["name"]),
                start=float(values["start"]),
                end=None if end is None else float(end),
                attributes=dict(values["attributes"]),
                error=None if values["error"] is None else str(values["error"]),
                events=[(str(one["name"]), float(one["time"]), dict(one["attributes"])) for one in values["events"]],
                children=[cls.from_dict(child, depth=depth - 1) for child in values["children"]],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no span: {error}") from error

    def __str__(self) -> str:
        """Return the waterfall: a line for each span, with a bar where it began and ended."""
        rows = list(self._rows(0))
        width = min(MAX_NAME_CHARS, max(len(name) for name, _ in rows))
        last = max(max(span.start, span.end or 0.0) for _, span in rows)
        return "\n".join(span._line(name, width, last) for name, span in rows)

    def _repr_html_(self) -> str:
        """Return the waterfall for a notebook."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def _rows(self, depth: int) -> Iterator[tuple[str, Span]]:
        yield "  " * depth + printable(self.name), self
        for child in self.children:
            yield from child._rows(depth + 1)

    def _line(self, name: str, width: int, last: float) -> str:
        shown = name if len(name) <= width else f"{name[: width - 1]}…"
        scale = BAR_CHARS / last if last > 0 else 0.0
        first = min(int(self.start * scale), BAR_CHARS - 1)
        length = max(1, round((self.end if self.end is not None else last) * scale) - first)
        bar = " " * first + "█" * min(length, BAR_CHARS - first)
        duration = "not ended" if self.end is None else f"{self.end - self.start:.3f} s"
        events = "".join(f", {printable(event)} at {time:.3f} s" for event, time, _ in self.events)
        error = f", error: {printable(self.error)}" if self.error else ""
        return f"{shown:<{width}}  {bar:<{BAR_CHARS}}  {duration}{error}{events}"

    def shape(self) -> str:
        """Return the tree without times and values, to compare runs: `invoke_agent(chat, execute_tool add, chat)`."""
        name = self.name if self.name.startswith("execute_tool") else self.name.partition(" ")[0]
        return f"{name}({', '.join(child.shape() for child in self.children)})" if self.children else name


def printable(text: str) -> str:
    """Return a text that moves no cursor and turns no line: what cannot be printed becomes U+FFFD."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
