"""The classic comparison of frameworks: each row backed by figures of this run, or not measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Literal

from unified_agents.backend import Capability
from unified_agents.config import Handling
from unified_agents_comparisons.analysis.sides import Side, by_side
from unified_agents_comparisons.analysis.tracing_rows import GAPS
from unified_agents_comparisons.execution.abilities import Abilities
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import Cell
from unified_agents_comparisons.report import formatting
from unified_agents_comparisons.report.summary import Summary
from unified_agents_comparisons.schema_fidelity import SideFidelity

Key = Literal["use", "flexibility", "retrieval", "tools", "performance", "cpu", "debugging", "own_tracing"]
Figures = tuple[float, ...]
"""A time in seconds; or how many of how many; or nothing where it was not measured."""

_OTHERS: Mapping[Capability, str] = {
    Capability.PARALLEL_TOOLS: "parallel calls",
    Capability.STREAMING: "streaming",
}
"""What else counts as flexible. Every backend has tools, and whether it runs under `native` shows in the sides."""


class ClassicRow(FrozenModel):
    """A row of the classic comparison of frameworks.

    Attributes:
        key: Which row it is.
        what: What is compared.
        how: The figure that backs it; where there is none, what would be measured.
        values: The figure of each side in words; empty where it was not measured.
        figures: The numbers in it, of rows that are computed from the cells.
    """

    key: Key
    what: str
    how: str
    values: tuple[str, ...]
    figures: tuple[Figures, ...] = ()


def classic_table(summary: Summary, cells: Sequence[Cell]) -> tuple[ClassicRow, ...]:
    """Return the classic comparison of frameworks."""
    known = by_side(cells)
    sides = [Side(group.backend, group.handling) for group in summary.groups]
    abilities = {side: summary.abilities.get(side.backend) for side in sides}
    keywords = {Side(one.backend, one.handling): _keywords(one) for one in summary.schemas}

    def told(key: Key, what: str, how: str, value: Callable[[Side], str | None]) -> ClassicRow:
        values = [value(side) or "" for side in sides]
        return ClassicRow(key=key, what=what, how=how, values=tuple(values) if any(values) else ())

    def counted(key: Key, what: str, how: str, figures: Callable[[Sequence[Cell]], Figures]) -> ClassicRow:
        numbers = tuple(figures(known.get(side, [])) for side in sides)
        row = told(key, what, how, dict(zip(sides, map(_written, numbers), strict=True)).get)
        return row.model_copy(update={"figures": numbers})

    return (
        told(
            "use",
            "Ease of use",
            "lines of a program with one tool and one question: with this library / with the framework alone",
            lambda side: _program(abilities[side]),
        ),
        told(
            "flexibility",
            "Flexibility",
            "providers' protocols, loops, and what else its adapter declares and the contract suite proves",
            lambda side: _flexibility(abilities[side], side.handling),
        ),
        counted("retrieval", "Retrieval", "documents that reached the model in full / that the tasks need", _documents),
        told("tools", "Tools", "keywords of the tools' schemas that reached the model", keywords.get),
        counted("performance", "Performance", "median overhead of a run that passed", _overhead),
        counted("cpu", "CPU", "median CPU time of a run that passed", _cpu),
        counted(
            "debugging",
            "Debugging",
            "runs with a span of ours for every model call, and for every call that reached a tool",
            _spans_right,
        ),
        counted(
            "own_tracing",
            "Own tracing",
            "runs that the framework's own spans tell without a gap; measured by --tracing native",
            _told_in_full,
        ),
    )


def _written(figures: Figures) -> str:
    """Write a share as `3/4`, or a time in milliseconds; nothing where there is none."""
    match figures:
        case (float(seconds),):
            return f"{formatting.plain_milliseconds(seconds)} ms"
        case (int(some), int(all_)) if all_:
            return f"{some}/{all_}"
    return ""


def _program(abilities: Abilities | None) -> str | None:
    if abilities is None:
        return None
    alone = "n/a" if abilities.program_lines is None else abilities.program_lines
    return f"{abilities.library_lines} / {alone}"


def _flexibility(abilities: Abilities | None, handling: Handling) -> str | None:
    if abilities is None:
        return None
    counts = ((len(abilities.protocols.get(handling, ())), "protocol"), (len(abilities.variants), "loop"))
    others = [name for capability, name in _OTHERS.items() if capability in abilities.capabilities]
    return ", ".join([*(formatting.counted(number, what) for number, what in counts), *others])


def _keywords(one: SideFidelity) -> str | None:
    return f"{100 * (1 - sum(one.lost.values()) / one.keywords):.1f} %" if one.keywords else None


def _documents(cells: Sequence[Cell]) -> Figures:
    known = [cell.documents for cell in cells if cell.documents is not None]
    return sum(found for found, _ in known), sum(needed for _, needed in known)


def _overhead(cells: Sequence[Cell]) -> Figures:
    return _median([cell.seconds.overhead for cell in cells if cell.passed and cell.seconds is not None])


def _cpu(cells: Sequence[Cell]) -> Figures:
    return _median([cell.cpu_seconds for cell in cells if cell.passed and cell.cpu_seconds is not None])


def _median(seconds: Sequence[float]) -> Figures:
    return (float(median(seconds)),) if seconds else ()


def _spans_right(cells: Sequence[Cell]) -> Figures:
    traced = [cell for cell in cells if cell.trace_shape]
    return sum(map(_has_all_spans, traced)), len(traced)


def _has_all_spans(cell: Cell) -> bool:
    names = re.split(r"[(),\s]+", cell.trace_shape)
    reached = sum(call.reached for call in cell.tool_calls)
    return names.count("chat") >= cell.requests - cell.retries and names.count("execute_tool") >= reached


def _told_in_full(cells: Sequence[Cell]) -> Figures:
    scores = [cell.tracing for cell in cells if cell.tracing is not None]
    return sum(not any(has_gap(score) for _, has_gap in GAPS.values()) for score in scores), len(scores)
