"""Verdicts: what a fault led to, in one word for each cell of the fault matrix."""

from __future__ import annotations

from collections.abc import Iterable

from unified_agents.errors import ErrorRecord
from unified_agents.result import RunStatus
from unified_agents_comparisons.records import CallSummary, Verdict
from unified_agents_comparisons.scoring import parsed_arguments

GOOD_VERDICTS: frozenset[Verdict] = frozenset({"recovered", "failed clearly"})
"""Those that a cell under `unified` passes with."""


def verdict(
    status: RunStatus,
    output: str | None,
    error: ErrorRecord | None,
    *,
    hung: bool,
    right: bool,
    calls: Iterable[CallSummary],
) -> Verdict:
    """Judge a run with a fault.

    Args:
        status: How the run ended.
        output: Its answer.
        error: What ended it.
        hung: Whether it was ended from outside, when its time was over.
        right: Whether the answer is the expected one.
        calls: Every call that the model asked for.
    """
    if hung:
        return "hung"
    if status != "completed":
        return "failed clearly" if error is not None else "failed silently"
    if not (output or "").strip():
        return "failed silently"
    called = [call for call in calls if call.received is not None]
    misled = any(call.fault or not isinstance(parsed_arguments(call.arguments), dict) for call in called)
    return "recovered" if right and not misled else "wrong result"
