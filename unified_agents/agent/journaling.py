"""The journal of an agent's runs: how a run begins in it, ends in it, and goes on from it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

import orjson

from unified_agents.agent.decisions import Decision, decision_rows
from unified_agents.agent.sessions import claim_session
from unified_agents.agent.settings import AgentSettings
from unified_agents.errors import DivergenceError, JournalError
from unified_agents.journal.addresses import journal_secrets
from unified_agents.journal.hidden_secrets import JournalWithoutSecrets
from unified_agents.journal.lease import Lease
from unified_agents.journal.opening import OpenJournal
from unified_agents.journal.ownership import begin_run, claim_run
from unified_agents.journal.protocol import Journal
from unified_agents.journal.record import RunRecord, tool_differences
from unified_agents.journal.rows import RunRow, TurnRow, is_word_of_rows
from unified_agents.journal.turns import SessionTurn, with_history
from unified_agents.redaction.placeholders import Placeholders
from unified_agents.result import RunResult, RunStatus
from unified_agents.run.calls import Step
from unified_agents.run.context import Run
from unified_agents.tool_runner.journaled import finished_outcome
from unified_agents.tools.definition import Tool
from unified_agents.wire.replay import JournaledStep, answer_of, count_answer
from unified_agents.wire.steps import record_step

OnDivergence = Literal["stop", "continue"]
"""What becomes of a resumed run that asks something else than its journal holds."""

logger = logging.getLogger("unified_agents.journal")


class AgentJournal:
    """The journal of one agent.

    Args:
        settings: What the agent is made of.
        tools: The agent's tools.
        secrets: What must not be in a journal, by name; with it goes the journal's own password.

    Attributes:
        store: The journal itself, which takes no secret.

    Raises:
        ConfigError: the settings name no journal.
    """

    def __init__(self, settings: AgentSettings, tools: Sequence[Tool], secrets: Mapping[str, str]) -> None:
        self._open = OpenJournal(settings.journal or "")
        own = journal_secrets(settings.journal)
        secrets = {**secrets, **{name: secret for name, secret in own.items() if not is_word_of_rows(secret)}}
        self._placeholders = Placeholders(secrets)
        self.store: Journal = self._open.store
        if secrets:
            self.store = JournalWithoutSecrets(self.store, self._placeholders)
        self._settings = settings
        self._tools = tools
        self._hashes: dict[str, str] | None = None

    def _schemas(self) -> dict[str, str]:
        """Return the tools' names, each with a hash of its schema."""
        if self._hashes is None:
            self._hashes = {
                tool.name: hashlib.sha256(orjson.dumps(tool.parameters, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
                for tool in self._tools
            }
        return self._hashes

    async def aclose(self) -> None:
        """Close the journal, where no other agent has it open."""
        await self._open.aclose()

    async def _begin(self, run: Run) -> RunRecord:
        """Store that a run begins.

        Raises:
            RunBusyError: the journal has a run of that id.
            JournalError: the journal cannot be written.
        """
        settings, turn = self._settings, run.turn
        row = RunRow(
            created=time.time(),
            agent=settings.name,
            file=settings.file,
            backend=settings.backend,
            model=settings.model.name,
            instructions=settings.instructions,
            messages=run.messages if turn is None else run.messages[turn.history :],
            session=None if turn is None else turn.session,
            history=0 if turn is None else turn.history,
            turns=None if turn is None else turn.turns,
            tools=self._schemas(),
        )
        lease = await begin_run(self.store, run.id, [row])
        return RunRecord(self.store, lease, [row], hide=self._placeholders.hide)

    async def driven(self, run: Run, driving: Callable[[], Awaitable[RunResult]]) -> RunResult:
        """Carry out a run, and store how it begins and ends.

        Raises:
            RunBusyError: the journal has a run of that id.
            RunError: the run failed, or cannot be stored.
        """
        if run.journal is None:
            run.journal = await self._begin(run)
        try:
            result = await driving()
        except BaseException as error:
            await _finish(run, run.journal, getattr(error, "result", None), error)
            raise
        if run.turn is None and run.journal.run.session is not None and result.status == "completed":
            run.turn = await self._turn_of_resumed(run.journal)
        await _finish(run, run.journal, result, None)
        return result

    async def _turn_of_resumed(self, record: RunRecord) -> SessionTurn | None:
        """Return the part that a run which was resumed has in its session; None where the session has it already.

        Raises:
            JournalError: the session cannot be read or written.
        """
        session = record.run.session or ""
        try:
            lease, rows = await claim_session(self.store, session, waits=True)
        except BaseException:
            record.release()  # its end is not stored: it can be resumed again
            raise
        turn = SessionTurn(session, lease, (0, 0), record.run.history)
        if any(isinstance(row, TurnRow) and row.run_id == record.run_id for row in rows):
            ending = turn.left()
            await self.store.append(ending.lease, ending.rows, release=ending.release)
            return None
        return turn

    async def completed(self, run_id: str, decisions: Mapping[str, Decision] | None) -> RunRecord | None:
        """Return what the journal holds of a run that is completed; None where the run can go on.

        Raises:
            ConfigError: there are decisions, and the run is completed.
            RunNotFoundError: there is no such run.
            JournalError: the journal cannot be read.
        """
        rows = await self.store.read(run_id)
        record = RunRecord(self.store, Lease(run_id, fence=0, next_number=len(rows)), rows)
        if not record.is_completed:
            return None
        decision_rows(record, decisions or {}, self._tools)
        record.run = await with_history(self.store, record.run)
        return record

    async def claim(
        self, run_id: str, decisions: Mapping[str, Decision] | None, on_divergence: OnDivergence
    ) -> RunRecord:
        """Become the owner of a run that goes on. Where another has completed it meanwhile, nobody owns it.

        Raises:
            RunNotFoundError: there is no such run.
            RunBusyError: it has an owner that lives.
            DivergenceError: the agent has other tools than when the run began.
            ConfigError: a decision is about a call that does not wait for one.
            JournalError: the journal cannot be read or written.
        """
        lease, rows = await claim_run(self.store, run_id)
        record = RunRecord(self.store, lease, rows, hide=self._placeholders.hide, goes_on=on_divergence == "continue")
        try:
            changed = tool_differences(record.run.tools, self._schemas())
            if changed and on_divergence == "stop":
                raise DivergenceError(
                    f"run {run_id} cannot go on as it began: {'; '.join(changed)}; "
                    'on_divergence="continue" goes on all the same'
                )
            await record.decide(decision_rows(record, decisions or {}, self._tools))
            record.run = await with_history(self.store, record.run)
        except BaseException:
            await record.release()
            raise
        if record.is_completed:
            await record.release()
        return record


async def _finish(run: Run, record: RunRecord, result: RunResult | None, error: BaseException | None) -> None:
    """Store how a run has ended, and give it back.

    Args:
        run: The run.
        record: What its journal holds of it.
        result: Its result; None where it was cancelled before it had one.
        error: What it raised.

    Raises:
        JournalError: a run that has ended well cannot be stored.
    """
    failure = run.errors[-1] if run.errors and run.lifecycle.cause is not None else None
    status: RunStatus = "cancelled" if result is None else result.status
    output = None if result is None else result.output
    turn = run.turn if result is not None and result.status == "completed" and error is None else None
    also = None if turn is None or result is None else turn.ended(run.id, result.messages)
    storing = record.finish(status, output, failure, also)
    if isinstance(error, asyncio.CancelledError):
        return  # the caller does not wait; the row is stored all the same
    try:
        await storing
    except JournalError as failed:
        if error is not None:
            logger.warning("the end of a failed run is not in its journal: %s (run %s)", failed, run.label)
            return
        failed.result = result
        raise failed


def replay_whole(run: Run, record: RunRecord) -> str | None:
    """Put all steps of a completed run into it, and return its final answer."""
    for number in sorted(record.answers):
        row = record.answers[number]
        count_answer(run, row)
        _replay_calls(run, record, record_step(run, answer_of(row), number))
    return record.end.output if record.end is not None else None


def replay_finished_steps(run: Run, record: RunRecord) -> None:
    """Put the steps whose calls are all finished into a run that is resumed: the native loop begins behind them.

    The wire tells the model of them, whatever the framework knows, so no framework has to be led through them again.

    Raises:
        asyncio.CancelledError: the run asks something else than its journal holds, and ends.
    """
    while (row := record.answers.get(number := run.budget.steps_started)) is not None and row.calls:
        if not all((number, index) in record.ends for index in range(len(row.calls))):
            return
        answer = JournaledStep(run, record).answer()
        if answer is None:
            return
        step = record_step(run, answer, number)
        for _ in step.calls:
            run.budget.count_tool_call()
        _replay_calls(run, record, step)


def _replay_calls(run: Run, record: RunRecord, step: Step) -> None:
    for call in step.calls:
        call.reached = True
        finished_outcome(run, record, call)
