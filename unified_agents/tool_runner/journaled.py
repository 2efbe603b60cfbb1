"""Tool calls of a run that keeps a journal: what is finished is not run again, and what waits for a decision waits."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable
from typing import Any

from unified_agents import wording
from unified_agents.concurrency.daemon_threads import DaemonThreads
from unified_agents.elicitation import Elicitation
from unified_agents.errors import JournalError, ToolCallError, ToolFailedError
from unified_agents.journal.record import RunRecord
from unified_agents.journal.rows import ToolEndRow, ToolStartRow
from unified_agents.messages import JsonObject
from unified_agents.result import PendingReason
from unified_agents.run.calls import Call, ToolOutcome
from unified_agents.run.context import Run
from unified_agents.run.lifecycle import Suspended
from unified_agents.tool_runner.input_output import accept_arguments, read_result
from unified_agents.tools.definition import Tool
from unified_agents.tools.options import NEVER_RAN, Recover
from unified_agents.tools.results import to_text

logger = logging.getLogger("unified_agents.tools")

_THREADS = DaemonThreads(name="unified-agents-recover")


def finished_outcome(run: Run, record: RunRecord, call: Call) -> ToolOutcome | None:
    """Return the outcome of a call that is finished, and record it in the run; None where the call is not finished."""
    row = record.ends.get((call.step, call.index))
    if row is None:
        return None
    call.outcome = ToolOutcome(row.content, is_error=row.is_error, parts=row.parts)
    call.error, call.whole, call.seconds = row.error, row.whole, row.seconds
    if row.error is not None:
        run.errors.append(row.error)
    return call.outcome


async def commit_end(run: Run, record: RunRecord, call: Call, outcome: ToolOutcome) -> None:
    """Store that a call has ended.

    Raises:
        asyncio.CancelledError: it cannot be stored, and the run ends.
    """
    state = dict(run.state) if run.state and run.state != record.state else None
    row = ToolEndRow(
        step=call.step,
        index=call.index,
        content=outcome.content,
        is_error=outcome.is_error,
        parts=outcome.parts,
        whole=call.whole,
        error=call.error,
        seconds=call.seconds,
        state=state,
    )
    await _stored(run, record.commit(row))
    if state is not None:
        record.state = state


async def begin_call(run: Run, record: RunRecord, call: Call, tool: Tool, text: str) -> str | ToolOutcome:
    """Store that a call starts, once nothing speaks against it.

    Args:
        run: The run.
        record: What its journal holds of it.
        call: The call.
        tool: What it calls.
        text: Its arguments, which are valid.

    Returns:
        The arguments to run it with: those given, or others that somebody decided on. Or its outcome, where it is not
        run.

    Raises:
        ToolFailedError: somebody denied it.
        asyncio.CancelledError: it waits for a decision, or cannot be stored, and the run ends.
    """
    start = record.starts.get((call.step, call.index))
    decision = record.decisions.get(call.id)
    edited = None if start is None else start.edited
    if decision is not None:
        if decision.decision == "deny":
            raise ToolFailedError(wording.call_denied(tool.name, decision.text))
        if decision.decision == "finished":
            return ToolOutcome(decision.text)
        if decision.decision == "edit":
            edited = decision.text
    elif call.id in record.open_elicitations:
        raise _suspended(run, record, call, "elicitation")
    elif start is not None:
        outcome = await _recovered(run, record, call, tool, start)
        if outcome is not None:
            return outcome
    elif _asks_for_approval(tool, text):
        raise _suspended(run, record, call, "approval")
    key = record.idempotency_key(call.step, call.index)
    row = ToolStartRow(step=call.step, index=call.index, call_id=call.id, tool=tool.name, key=key, edited=edited)
    await _stored(run, record.commit(row))
    return text if edited is None else edited


async def elicited(run: Run, record: RunRecord, call: Call, elicitation: Elicitation) -> asyncio.CancelledError:
    """Store what the MCP server of a call asked before it carries the call out, and suspend the run.

    Returns:
        What ends this call.

    Raises:
        asyncio.CancelledError: it cannot be stored, and the run ends.
    """
    await _stored(run, record.elicited(call.id, elicitation))
    return _suspended(run, record, call, "elicitation")


async def _recovered(run: Run, record: RunRecord, call: Call, tool: Tool, start: ToolStartRow) -> ToolOutcome | None:
    """Return the outcome of a call that was in flight when its process died; None where it is to be run again.

    Raises:
        asyncio.CancelledError: nobody can tell, and the run suspends.
    """
    if tool.options.recover is not None:
        try:
            found = await _found(tool.options.recover, start.key)
            if found is NEVER_RAN:
                return None
            content, parts = read_result(tool, found)
        except Exception:
            logger.exception("tool %r could not find out what became of a call (run %s)", tool.name, run.label)
        else:
            call.whole = to_text(found) if call.is_referred_to else None
            return ToolOutcome(content, parts=parts)
    elif tool.options.idempotent:
        return None
    raise _suspended(run, record, call, "in_flight")


async def _found(recover: Recover, key: str) -> Any:
    if inspect.iscoroutinefunction(recover):
        return await recover(key)
    found = await _THREADS.call(functools.partial(recover, key))
    return await found if inspect.isawaitable(found) else found


def _asks_for_approval(tool: Tool, text: str) -> bool:
    approval = tool.options.approval
    if not callable(approval):
        return approval == "always"
    arguments: JsonObject = accept_arguments(tool, text).arguments
    try:
        return bool(approval(arguments))
    except Exception:
        logger.exception("tool %r: its approval raised; somebody is asked", tool.name)
        return True


def _suspended(run: Run, record: RunRecord, call: Call, reason: PendingReason) -> asyncio.CancelledError:
    """End the run as suspended, once what runs has ended, and note which calls of the step wait.

    Returns:
        What ends this call.
    """
    run.pending[call.id] = reason
    (step,) = [step for step in run.steps if step.index == call.step]
    for other in step.calls:
        if (why := _waits_for(record, other)) is not None:
            run.pending[other.id] = why
    names = ", ".join(f"{run.calls[call_id].name} ({call_id})" for call_id in run.pending)
    run.lifecycle.drain(Suspended(f"waiting for a decision on {names}"))
    return asyncio.CancelledError(f"run {run.id} is suspended")


def _waits_for(record: RunRecord, call: Call) -> PendingReason | None:
    """Return why a call waits for a decision; None where it does not, or cannot run at all."""
    key, tool = (call.step, call.index), call.tool
    is_settled = call.outcome is not None or key in record.ends or call.id in record.decisions
    if is_settled or call.problem is not None or tool is None:
        return None
    if call.id in record.open_elicitations:
        return "elicitation"
    if key in record.starts:
        return None if tool.options.idempotent or tool.options.recover is not None else "in_flight"
    if call.references:  # its arguments are not known yet
        return None
    try:
        return "approval" if _asks_for_approval(tool, call.arguments) else None
    except ToolCallError:
        return None


async def _stored(run: Run, storing: Awaitable[None]) -> None:
    try:
        await storing
    except JournalError as error:
        run.lifecycle.fail(error)
        raise asyncio.CancelledError(f"run {run.id} has ended") from error
