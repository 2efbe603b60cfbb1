"""What a comparison shows, in sentences that are no stronger than its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from unified_agents_comparisons.analysis.paired_tests import METRICS, PairedTest
from unified_agents_comparisons.analysis.sides import Side
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import Cell
from unified_agents_comparisons.report import formatting
from unified_agents_comparisons.report.summary import Summary

MAX_SENTENCES = 8


class Sentence(FrozenModel):
    """A sentence of the verdict.

    Attributes:
        kind: `good`, `bad`, `shown` (a difference), `open` (inconclusive) or `note`.
        text: The sentence.
    """

    kind: Literal["good", "bad", "shown", "open", "note"]
    text: str


class ClassicRow(FrozenModel):
    """A row of the classic comparison of frameworks.

    Attributes:
        what: What is compared.
        how: The figure that backs it; where there is none, what would be measured.
        values: The figure of each side; empty where it was not measured.
    """

    what: str
    how: str
    values: tuple[str, ...]


def conclusions(summary: Summary) -> tuple[Sentence, ...]:
    """Return the verdict on a comparison, the most important sentence first."""
    found = [Sentence(kind="good" if summary.ok else "bad", text=summary.verdict)]
    if summary.outcomes:
        differing = len(summary.differing)
        alike = f"All {len(summary.outcomes)} tasks had the same outcome on every side."
        some = f"{differing} of {formatting.counted(len(summary.outcomes), 'task')} came out differently somewhere."
        found.append(Sentence(kind="shown" if differing else "note", text=some if differing else alike))
    shown = sorted((test for test in summary.tests if test.shown), key=lambda test: METRICS.index(test.metric))
    found += [Sentence(kind="shown", text=difference(test)) for test in shown[:MAX_SENTENCES]]
    if len(shown) > MAX_SENTENCES:
        text = f"{formatting.counted(len(shown) - MAX_SENTENCES, 'more difference')} shown in the table of tests."
        found.append(Sentence(kind="shown", text=text))
    alike_tests = sum(test.conclusion == "alike" for test in summary.tests)
    if alike_tests:
        text = f"{formatting.counted(alike_tests, 'comparison')} shown to be alike, within 5 % or 5 points."
        found.append(Sentence(kind="note", text=text))
    still_open = [test for test in summary.tests if test.conclusion == "inconclusive"]
    if still_open:
        reasons = dict.fromkeys(test.why for test in still_open if test.why)
        reason = f" {next(iter(reasons))}." if reasons else ""
        text = f"{len(still_open)} of {formatting.counted(len(summary.tests), 'comparison')} inconclusive.{reason}"
        found.append(Sentence(kind="open", text=text))
    infrastructure = sum(group.infrastructure for group in summary.groups)
    if infrastructure:
        text = f"{formatting.counted(infrastructure, 'run')} failed for want of the model's server, and judge nobody."
        found.append(Sentence(kind="open", text=text))
    found.append(Sentence(kind="note", text=f"Mind that {summary.note}."))
    return tuple(found)


def difference(test: PairedTest) -> str:
    """Say what a test shows: `custom, unified passes 17 points more often than custom, native (11 to 24)`."""
    signed = 100 if test.effect.estimate > 0 else -100
    size, ends = signed * test.effect.estimate, sorted((signed * test.effect.low, signed * test.effect.high))
    left, right = formatting.side(test.left), formatting.side(test.right)
    what = {
        "passed": f"passes {size:.0f} points {test.conclusion} often than",
        "total": f"takes {size:.0f} % {test.conclusion} time than",
        "overhead": f"has {size:.0f} % {test.conclusion} overhead than",
    }[test.metric]
    beyond = "" if test.generalises else ", on these tasks alone"
    return f"{left} {what} {right} ({ends[0]:.0f} to {ends[1]:.0f}){beyond}."


def classic_table(summary: Summary, cells: Sequence[Cell]) -> tuple[ClassicRow, ...]:
    """Return the classic comparison of frameworks, each row backed by a figure of this run, or not measured."""
    sides = [Side(group.backend, group.handling) for group in summary.groups]
    kept = {
        (one.backend, one.handling): f"{1 - sum(one.lost.values()) / one.keywords:.1%}".replace("%", " %")
        for one in summary.schemas
        if one.keywords
    }
    overhead = tuple(f"{formatting.median_milliseconds(group.overhead)} ms" for group in summary.groups)
    return (
        ClassicRow(what="Ease of use", how="lines of a minimal program", values=()),
        ClassicRow(what="Flexibility", how="options that reach the model", values=()),
        ClassicRow(what="Retrieval", how="recall over shipped documents", values=()),
        ClassicRow(
            what="Tools",
            how="keywords of the tools' schemas that reached the model",
            values=tuple(kept.get(side, "n/a") for side in sides) if kept else (),
        ),
        ClassicRow(what="Performance", how="median overhead of a run that passed", values=overhead),
        ClassicRow(
            what="Debugging",
            how="runs with a span for every request and every call that reached a tool",
            values=tuple(_spans_right(cell for cell in cells if Side.of(cell) == side) for side in sides),
        ),
    )


def _spans_right(cells: Iterable[Cell]) -> str:
    traced = [cell for cell in cells if cell.trace_shape]
    right = sum(_has_all_spans(cell) for cell in traced)
    return f"{right}/{len(traced)}" if traced else "n/a"


def _has_all_spans(cell: Cell) -> bool:
    shape = cell.trace_shape
    calls = sum(call.reached for call in cell.tool_calls)
    names = shape.replace("(", " ").replace(")", " ").replace(",", " ").split()
    return names.count("chat") >= min(cell.requests, 1) and names.count("execute_tool") >= calls
