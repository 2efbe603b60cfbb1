"""Decisions about the calls of a run, as rows of its journal."""

from __future__ import annotations

import pytest

from unified_agents import ConfigError, MemoryJournal, approve
from unified_agents.agent.decisions import decision_rows
from unified_agents.journal.lease import Lease
from unified_agents.journal.record import RunRecord
from unified_agents.journal.rows import AnswerRow, EndRow, Row
from unified_agents.testing.journals import every_row, first_row


def record_of(*rows: Row) -> RunRecord:
    return RunRecord(MemoryJournal(), Lease("r", 1, len(rows) + 1), [first_row(), *rows])


def test_a_completed_run_takes_no_decision() -> None:
    """Also where a call has no end row, so that nothing is stored behind the end."""
    (answer,) = [row for row in every_row() if isinstance(row, AnswerRow)]
    (call,) = answer.calls
    decisions = {call.call_id: approve()}
    assert len(decision_rows(record_of(answer), decisions, [])) == 1
    completed = record_of(answer, EndRow(status="completed", output="x", error=None, ended=1.0))
    with pytest.raises(ConfigError, match="run r is completed: resume it without a decision"):
        decision_rows(completed, decisions, [])
