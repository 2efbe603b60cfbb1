"""How much of their runs the frameworks' own spans tell, by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from unified_agents.config import Handling
from unified_agents_comparisons.analysis.sides import by_side
from unified_agents_comparisons.analysis.statistics import Interval, median_interval
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.native_tracing.score import TracingScore
from unified_agents_comparisons.records import Cell

GapKind = Literal[
    "fewer_model_calls",
    "more_model_calls",
    "no_repeats",
    "other_tokens",
    "fewer_tools",
    "more_tools",
    "no_error",
    "no_tree",
]

GAPS: Mapping[GapKind, tuple[str, Callable[[TracingScore], bool]]] = MappingProxyType(
    {
        "fewer_model_calls": (
            "tells fewer model calls than there were",
            lambda one: one.model_calls_seen < one.model_calls,
        ),
        "more_model_calls": (
            "tells more model calls than there were",
            lambda one: one.model_calls_seen > one.model_calls,
        ),
        "no_repeats": (
            "does not tell that requests were repeated",
            lambda one: one.requests > one.model_calls and one.model_calls_seen < one.requests,
        ),
        "other_tokens": ("tells other tokens than the wire counted", lambda one: not one.has_tokens_right),
        "fewer_tools": ("tells fewer tool calls than ran", lambda one: one.tools_seen < one.tools),
        "more_tools": ("tells more tool calls than ran", lambda one: one.tools_seen > one.tools),
        "no_error": ("does not tell an error", lambda one: one.errors_seen < one.errors),
        "no_tree": ("has spans that belong to no tree", lambda one: not one.has_parents_right),
    }
)
"""By the kind of a gap: what is said of it, and which runs have it."""


class Gap(FrozenModel):
    """What the own tracing of one side does not tell, or tells wrong.

    Attributes:
        kind: Which gap it is.
        text: The gap in words.
        runs: How many runs have it.
    """

    kind: GapKind
    text: str
    runs: int


class TracingRow(FrozenModel):
    """What the own tracing of one side told of its runs.

    Attributes:
        backend: The backend.
        handling: The handling.
        runs: Runs that were scored.
        model_calls: Model calls on the wire.
        model_calls_seen: Spans of model calls.
        with_model_calls_right: Runs with as many spans of model calls as there were model calls.
        with_tokens_right: Runs whose spans tell the tokens that the wire counted.
        tools: Tool calls that ran.
        tools_seen: Spans of tool calls.
        with_errors: Runs in which a tool failed, or the last model call.
        with_errors_seen: Those of them in which as many spans at least have an error.
        with_parents_right: Runs whose spans are one tree.
        cpu: CPU with that tracing by CPU without it, the median of the runs; None where it was not measured.
        gaps: What it does not tell, or tells wrong.
    """

    backend: str
    handling: Handling
    runs: int
    model_calls: int
    model_calls_seen: int
    with_model_calls_right: int
    with_tokens_right: int
    tools: int
    tools_seen: int
    with_errors: int
    with_errors_seen: int
    with_parents_right: int
    cpu: Interval | None
    gaps: tuple[Gap, ...]


def tracing_rows(cells: Iterable[Cell]) -> tuple[TracingRow, ...]:
    """Return a row for each side whose own tracing was scored."""
    scored = {side: [one.tracing for one in some if one.tracing is not None] for side, some in by_side(cells).items()}
    return tuple(_row(side.backend, side.handling, some) for side, some in scored.items() if some)


def _row(backend: str, handling: Handling, scores: Sequence[TracingScore]) -> TracingRow:
    failing = [one for one in scores if one.errors]
    ratios = [one.cpu_with / one.cpu_without for one in scores if one.cpu_with and one.cpu_without]
    return TracingRow(
        backend=backend,
        handling=handling,
        runs=len(scores),
        model_calls=sum(one.model_calls for one in scores),
        model_calls_seen=sum(one.model_calls_seen for one in scores),
        with_model_calls_right=sum(one.model_calls == one.model_calls_seen for one in scores),
        with_tokens_right=sum(one.has_tokens_right for one in scores),
        tools=sum(one.tools for one in scores),
        tools_seen=sum(one.tools_seen for one in scores),
        with_errors=len(failing),
        with_errors_seen=sum(one.errors_seen >= one.errors for one in failing),
        with_parents_right=sum(one.has_parents_right for one in scores),
        cpu=median_interval(ratios),
        gaps=tuple(_gaps(scores)),
    )


def _gaps(scores: Sequence[TracingScore]) -> Iterable[Gap]:
    counted = ((kind, text, sum(map(has_gap, scores))) for kind, (text, has_gap) in GAPS.items())
    return (Gap(kind=kind, text=text, runs=runs) for kind, text, runs in counted if runs)
