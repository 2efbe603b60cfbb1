"""What a journal holds of one run, and how the run that goes on adds to it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from unified_agents.elicitation import Elicitation, ElicitationAnswer, is_elicitation_action
from unified_agents.errors import ErrorRecord, JournalError
from unified_agents.journal.fingerprint import Fingerprint
from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import Addition, Journal
from unified_agents.journal.rows import (
    AnswerRow,
    DecisionRow,
    ElicitationRow,
    EndRow,
    Row,
    RunRow,
    ToolEndRow,
    ToolStartRow,
)
from unified_agents.messages import JsonObject
from unified_agents.result import RunStatus

Key = tuple[int, int]
"""The key of a call: its step and its place in it."""


class RunRecord:
    """The rows of one run: those that it can be answered from, and the way to further ones.

    Args:
        journal: Where the rows are kept.
        lease: The right to write them.
        rows: What the journal holds already.
        hide: Takes secrets out of what fingerprints are made of, so that a new key changes none.
        goes_on: Whether the run goes on where it asks something else than the journal holds.

    Attributes:
        run: The run's first row.
        answers: The model's answers by step.
        starts: Calls that were started.
        ends: Calls that are finished.
        decisions: What was decided about calls, by call id, and not used yet.
        open_elicitations: What MCP servers asked and nobody has answered, by call id.
        end: How the run ended; None where it goes on.
        state: `ToolContext.state` as the last finished call left it.
        fingerprint: Of the conversation so far.
    """

    def __init__(
        self,
        journal: Journal,
        lease: Lease,
        rows: Sequence[Row],
        *,
        hide: Callable[[bytes], bytes] = bytes,
        goes_on: bool = False,
    ) -> None:
        first = rows[0] if rows else None
        if not isinstance(first, RunRow):
            raise JournalError(f"run {lease.run_id} is damaged: its first row does not say what the run is")
        self.run = first
        self.goes_on = goes_on
        self._journal = journal
        self._lease = lease
        self._waiting: list[Row] = []
        self._keys: dict[Key, str] = {}
        self.answers: dict[int, AnswerRow] = {}
        self.starts: dict[Key, ToolStartRow] = {}
        self.ends: dict[Key, ToolEndRow] = {}
        self.decisions: dict[str, DecisionRow] = {}
        self.open_elicitations: dict[str, Elicitation] = {}
        self._answers: dict[str, tuple[ElicitationAnswer, ...]] = {}
        self.end: EndRow | None = None
        self.state: JsonObject = {}
        self.fingerprint = Fingerprint(hide)
        for row in rows[1:]:
            self._learn(row)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._lease.run_id

    def _learn(self, row: Row) -> None:
        self.end = row if isinstance(row, EndRow) else None
        if isinstance(row, AnswerRow):
            self.answers[row.step] = row
        elif isinstance(row, ToolStartRow):
            self.starts[row.step, row.index] = row
            self.decisions.pop(row.call_id, None)
        elif isinstance(row, ToolEndRow):
            self.ends[row.step, row.index] = row
            if row.state is not None:
                self.state = row.state
        elif isinstance(row, DecisionRow):
            self.decisions[row.call_id] = row
            self._note_answer(row)
        elif isinstance(row, ElicitationRow):
            self.open_elicitations[row.call_id] = row.elicitation

    def _note_answer(self, row: DecisionRow) -> None:
        asked = self.open_elicitations.pop(row.call_id, None)
        if asked is not None and is_elicitation_action(row.decision):
            content = json.loads(row.text) if row.decision == "accept" else None
            answer = ElicitationAnswer(asked, row.decision, content)
            self._answers[row.call_id] = (*self._answers.get(row.call_id, ()), answer)

    def elicitation_answers(self, call_id: str) -> tuple[ElicitationAnswer, ...]:
        """Return what was answered to what the MCP server of a call asked, in the order in which it asked."""
        return self._answers.get(call_id, ())

    def idempotency_key(self, step: int, index: int) -> str:
        """Return the key of a call: the same in each process that carries it out, and no other call's."""
        key = self._keys.get((step, index))
        if key is None:
            key = hashlib.sha256(f"{self.run_id}/{step}/{index}".encode()).hexdigest()[:32]
            self._keys[step, index] = key
        return key

    def note(self, row: Row) -> None:
        """Add a row. It is stored before, or together with, the next one that is committed."""
        self._waiting.append(row)

    def commit(self, row: Row) -> Awaitable[None]:
        """Add a row; what is returned ends when the row and all before it are durable.

        Raises:
            JournalError: they cannot be stored, or the run has another owner by now.
        """
        rows = [*self._waiting, row]
        self._waiting.clear()
        return self._journal.append(self._lease, rows)

    async def elicited(self, call_id: str, elicitation: Elicitation) -> None:
        """Store what the MCP server of a call asked; see `commit`."""
        row = ElicitationRow(call_id=call_id, elicitation=elicitation)
        await self.commit(row)
        self._learn(row)

    async def decide(self, rows: Sequence[DecisionRow]) -> None:
        """Store decisions; see `commit`."""
        if rows:
            await self._journal.append(self._lease, rows)
        for row in rows:
            self._learn(row)

    @property
    def is_completed(self) -> bool:
        """Whether the run needs nothing more."""
        return self.end is not None and self.end.status == "completed"

    def finish(
        self, status: RunStatus, output: str | None, error: ErrorRecord | None, also: Addition | None = None
    ) -> Awaitable[None]:
        """Add how the run ended, and give the run back; see `commit`. What is `also` stored is so with it."""
        end = EndRow(status=status, output=output, error=error, ended=time.time())
        rows = [*self._waiting, end]
        self._waiting.clear()
        return self._journal.append(self._lease, rows, release=True, also=also)

    def release(self) -> Awaitable[None]:
        """Give the run back as it is."""
        rows = [] if self.end is None or self.is_completed else [self.end]
        return self._journal.append(self._lease, rows, release=True)


def tool_differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return a line for each tool that an agent has changed or lost since a run began.

    Args:
        then: The tools' names, each with a hash of its schema.
        now: Those of today.
    """
    lines = []
    for name, schema in then.items():
        if name not in now:
            lines.append(f"tool {name!r} is gone")
        elif now[name] != schema:
            lines.append(f"the schema of tool {name!r} has changed")
    return lines


@dataclass(slots=True, frozen=True)
class UnfinishedCall:
    """A call that the model asked for and that has no end row.

    Attributes:
        call_id: Its id.
        tool: Its name on the wire.
        arguments: JSON text as the model wrote it.
        is_started: Whether it was started.
    """

    call_id: str
    tool: str
    arguments: str
    is_started: bool


def waiting_calls(rows: Sequence[Row]) -> list[UnfinishedCall]:
    """Return the calls of a run that are not finished, in the model's order."""
    ended = {(row.step, row.index) for row in rows if isinstance(row, ToolEndRow)}
    started = {(row.step, row.index) for row in rows if isinstance(row, ToolStartRow)}
    return [
        UnfinishedCall(call.call_id, call.name, call.arguments, (row.step, index) in started)
        for row in rows
        if isinstance(row, AnswerRow)
        for index, call in enumerate(row.calls)
        if (row.step, index) not in ended
    ]
