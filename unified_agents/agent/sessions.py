"""Sessions: runs that share one conversation, one turn at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from unified_agents.agent.memory import remembered
from unified_agents.config import MemoryConfig
from unified_agents.errors import RunBusyError, RunNotFoundError
from unified_agents.journal.lease import Lease
from unified_agents.journal.ownership import begin_run, claim_run
from unified_agents.journal.protocol import SESSION_PREFIX, Journal
from unified_agents.journal.rows import Row, TurnRow
from unified_agents.messages import Message, Task, task_messages
from unified_agents.result import RunResult

LONGEST_POLL_SECONDS = 0.5
"""How long a turn that waits for another one sleeps at most: no process tells another that its turn has ended."""


class Sessions:
    """The sessions of one agent.

    Args:
        journal: Where their conversations are kept.
        memory: What of them a turn is given.
    """

    def __init__(self, journal: Journal, memory: MemoryConfig) -> None:
        self._journal = journal
        self._memory = memory

    async def turn(
        self, session: str, task: Task, run: Callable[[list[Message]], Awaitable[RunResult[Any]]]
    ) -> RunResult[Any]:
        """Carry out one turn of a session. A turn that is not completed leaves the conversation as it was.

        Args:
            session: The session's id; a new one begins.
            task: What the user says.
            run: Runs the agent on a conversation.

        Raises:
            RunBusyError: another turn is under way, and the agent does not wait for it.
            JournalError: the conversation cannot be read or written.
        """
        said = task_messages(task)
        lease, rows = await self._claim(SESSION_PREFIX + session)
        ended: list[Row] = []
        try:
            history = remembered([row.messages for row in rows if isinstance(row, TurnRow)], self._memory)
            result = await run([*history, *said])
            if result.status == "completed":
                ended = [TurnRow(run_id=result.run_id, messages=result.messages[len(history) :])]
        finally:
            storing = self._journal.append(lease, ended, release=True)
        await storing
        return result

    async def _claim(self, key: str) -> tuple[Lease, list[Row]]:
        seconds = 0.005
        while True:
            try:
                try:
                    return await claim_run(self._journal, key)
                except RunNotFoundError:
                    return await begin_run(self._journal, key, []), []
            except RunBusyError as error:
                if self._memory.when_busy == "refuse":
                    session = key.removeprefix(SESSION_PREFIX)
                    raise RunBusyError(f"session {session!r}: another turn of it is under way") from error
            await asyncio.sleep(seconds)
            seconds = min(2 * seconds, LONGEST_POLL_SECONDS)
