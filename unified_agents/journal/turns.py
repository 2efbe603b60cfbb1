"""Runs that are turns of a session: what they add to its conversation, and the turns before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from unified_agents.errors import JournalError, RunNotFoundError
from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import SESSION_PREFIX, Addition, Journal
from unified_agents.journal.rows import Row, RunRow, SummaryRow, TurnRow
from unified_agents.messages import Message


@dataclass(slots=True, eq=False)
class SessionTurn:
    """The part that a run has in a session.

    Attributes:
        session: The session's id.
        lease: The right to add to its conversation.
        turns: Which of its turns the run was given: the first, and the one after the last.
        history: How many of the run's messages are theirs.
        is_over: Whether the lease was given back, with the turn or without it.
    """

    session: str
    lease: Lease
    turns: tuple[int, int]
    history: int
    is_over: bool = False

    def ended(self, run_id: str, messages: Sequence[Message]) -> Addition:
        """Return what a completed run adds to the session, which is then given back.

        Args:
            run_id: The run.
            messages: All of its messages.
        """
        self.is_over = True
        return Addition(self.lease, [TurnRow(run_id=run_id, messages=tuple(messages[self.history :]))], release=True)

    def left(self) -> Addition:
        """Return what gives the session back as it is."""
        self.is_over = True
        return Addition(self.lease, [], release=True)


async def with_history(journal: Journal, run: RunRow) -> RunRow:
    """Return the first row of a run with all messages that the run was given: a journal holds each turn once.

    Raises:
        JournalError: the turns before it are not in the journal, or cannot be read.
    """
    if run.turns is None:
        return run
    first, end = run.turns
    rows: list[Row] = []
    if run.history:
        try:
            rows = await journal.read(f"{SESSION_PREFIX}{run.session}")
        except RunNotFoundError:
            rows = []
    kept = [row for row in rows if isinstance(row, TurnRow)][first:end]
    history = [message for row in kept for message in row.messages]
    if len(history) < run.history:
        history = [*(row.message for row in rows if isinstance(row, SummaryRow) and row.turns == first), *history]
    if len(kept) != end - first or len(history) != run.history:
        raise JournalError(f"the run is a turn of session {run.session!r}, whose turns before it are gone")
    return replace(run, messages=(*history, *run.messages), turns=None)
