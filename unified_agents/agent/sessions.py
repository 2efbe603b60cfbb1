"""Sessions: runs that share one conversation, one turn at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from unified_agents.agent.memory import first_remembered, summarised_turns
from unified_agents.config import MemoryConfig
from unified_agents.errors import RunBusyError, RunNotFoundError
from unified_agents.journal.lease import Lease
from unified_agents.journal.ownership import begin_run, claim_run
from unified_agents.journal.protocol import SESSION_PREFIX, Addition, Journal
from unified_agents.journal.rows import Row, SummaryRow, TurnRow
from unified_agents.journal.turns import SessionTurn
from unified_agents.messages import Message, Task, task_messages
from unified_agents.result import RunResult

LONGEST_POLL_SECONDS = 0.5
"""How long a turn that waits for another one sleeps at most: no process tells another that its turn has ended."""


class Sessions:
    """The sessions of one agent.

    Args:
        journal: Where their conversations are kept.
        memory: What of them a turn is given.
        summarise: Has the model summarise a conversation, and returns the message that stands in its place.
    """

    def __init__(
        self, journal: Journal, memory: MemoryConfig, summarise: Callable[[list[Message]], Awaitable[Message]]
    ) -> None:
        self._journal = journal
        self._memory = memory
        self._summarise = summarise

    async def turn(
        self, session: str, task: Task, run: Callable[[list[Message], SessionTurn], Awaitable[RunResult[Any]]]
    ) -> RunResult[Any]:
        """Carry out one turn of a session. A turn that is not completed leaves the conversation as it was.

        Args:
            session: The session's id; a new one begins.
            task: What the user says.
            run: Runs the agent on a conversation, as a turn of the session. A run that keeps a journal stores the turn
                together with its end.

        Raises:
            RunBusyError: another turn is under way, and the agent does not wait for it.
            RunError: the model gave no summary of the turns before.
            JournalError: the conversation cannot be read or written.
        """
        said = task_messages(task)
        lease, rows = await claim_session(self._journal, session, waits=self._memory.when_busy == "wait")
        turn = SessionTurn(session, lease, (0, 0), 0)
        storing: Awaitable[None] | None = None
        try:
            turn.turns, history = await self._remembered(lease, rows)
            turn.history = len(history)
            result = await run([*history, *said], turn)
            if not turn.is_over and result.status == "completed":
                storing = self._store(turn.ended(result.run_id, result.messages))
        finally:
            if not turn.is_over:
                storing = self._store(turn.left())
        if storing is not None:
            await storing
        return result

    async def _remembered(self, lease: Lease, rows: Sequence[Row]) -> tuple[tuple[int, int], list[Message]]:
        """Return which turns a further one is given, and what it is given of the conversation."""
        turns = [row.messages for row in rows if isinstance(row, TurnRow)]
        front: list[Message] = []
        if self._memory.summary:
            known = next((row for row in reversed(rows) if isinstance(row, SummaryRow)), None)
            covered = 0 if known is None else known.turns
            front = [] if known is None else [known.message]
            first = summarised_turns(turns, self._memory, covered)
            if first > covered:
                older = [message for messages in turns[covered:first] for message in messages]
                front = [await self._summarise([*front, *older])]
                await self._journal.append(lease, [SummaryRow(turns=first, message=front[0])])
        else:
            first = first_remembered(turns, self._memory)
        return (first, len(turns)), [*front, *(message for messages in turns[first:] for message in messages)]

    def _store(self, ending: Addition) -> Awaitable[None]:
        return self._journal.append(ending.lease, ending.rows, release=ending.release)


async def claim_session(journal: Journal, session: str, *, waits: bool) -> tuple[Lease, list[Row]]:
    """Become the one whose turn of a session it is, and return the session's rows.

    Args:
        journal: Where the session is kept.
        session: The session's id; a new one begins.
        waits: Whether to wait for another turn that is under way.

    Raises:
        RunBusyError: another turn is under way, and nobody waits.
        JournalError: the conversation cannot be read or written.
    """
    key, seconds = SESSION_PREFIX + session, 0.005
    while True:
        try:
            try:
                return await claim_run(journal, key)
            except RunNotFoundError:
                return await begin_run(journal, key, []), []
        except RunBusyError as error:
            if not waits:
                raise RunBusyError(f"session {session!r}: another turn of it is under way") from error
        await asyncio.sleep(seconds)
        seconds = min(2 * seconds, LONGEST_POLL_SECONDS)
