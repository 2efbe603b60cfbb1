"""What a comparison shows, in sentences that are no stronger than its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

from unified_agents_comparisons.analysis.paired_tests import METRICS, PairedTest
from unified_agents_comparisons.analysis.sides import Side
from unified_agents_comparisons.analysis.tracing_rows import TracingRow
from unified_agents_comparisons.frozen_model import FrozenModel
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


def conclusions(summary: Summary) -> tuple[Sentence, ...]:
    """Return the verdict on a comparison, the most important sentence first."""
    found = [Sentence(kind="good" if summary.ok else "bad", text=summary.verdict)]
    if summary.outcomes:
        differing = len(summary.differing)
        alike = f"All {len(summary.outcomes)} tasks had the same outcome on every side."
        some = f"{differing} of {formatting.counted(len(summary.outcomes), 'task')} came out differently somewhere."
        found.append(Sentence(kind="shown" if differing else "note", text=some if differing else alike))
    shown = [test for test in summary.tests if test.shown]
    found += [Sentence(kind="shown", text=difference(test)) for test in _told(shown)]
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
    if summary.tracing:
        found.append(_of_native_tracing(summary.tracing))
    infrastructure = sum(group.infrastructure for group in summary.groups)
    if infrastructure:
        text = f"{formatting.counted(infrastructure, 'run')} failed for want of the model's server, and judge nobody."
        found.append(Sentence(kind="open", text=text))
    found.append(Sentence(kind="note", text=f"Mind that {summary.note}."))
    return tuple(found)


def _told(shown: Sequence[PairedTest]) -> list[PairedTest]:
    """Return the differences that have a sentence: the largest, with as many of each metric as there is room for."""
    by_size = [sorted((test for test in shown if test.metric == metric), key=_size, reverse=True) for metric in METRICS]
    ranked = [test for rank in zip_longest(*by_size) for test in rank if test is not None]
    return sorted(ranked[:MAX_SENTENCES], key=lambda test: METRICS.index(test.metric))


def _size(test: PairedTest) -> float:
    """Return how large an effect is: of times the same for twice as much and for half of it."""
    return abs(test.effect.estimate if test.metric == "passed" else math.log1p(test.effect.estimate))


def _of_native_tracing(rows: Sequence[TracingRow]) -> Sentence:
    incomplete = [formatting.side(Side(row.backend, row.handling)) for row in rows if row.gaps]
    if not incomplete:
        return Sentence(kind="note", text="The frameworks' own tracing told all of the runs that it was scored on.")
    text = f"The frameworks' own tracing does not tell all, or tells it wrong, under {'; '.join(incomplete)}."
    return Sentence(kind="shown", text=text)


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
