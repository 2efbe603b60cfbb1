"""Drives a run from its task to its result: starts the native loop, waits for its end, and cleans up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from unified_agents.concurrency.abandoned_tasks import give_up
from unified_agents.errors import ErrorRecord, LimitError, ModelError, RunError
from unified_agents.events import RunStarted
from unified_agents.result import RunResult
from unified_agents.run.context import Run, current_call, current_run
from unified_agents.run.lifecycle import Cancelled
from unified_agents.run.outcome import finish, outcome

logger = logging.getLogger("unified_agents.run")

CANCEL_GRACE_SECONDS = 5.0
"""How long a cancelled task may take to end, before it is cancelled once more."""


@dataclass(slots=True, frozen=True)
class Loop:
    """The native loop of one run, and what is done with its answer and its errors.

    Attributes:
        start: Starts the native loop; its result is the final answer.
        translate: Returns our error for a foreign one; None for one that it does not know.
        last_answer: Asks the model once more, without tools, after a limit.
        parse: Makes a value of the final answer; None for free text.
    """

    start: Callable[[], Coroutine[Any, Any, str | None]]
    translate: Callable[[Exception], RunError | None]
    last_answer: Callable[[], Coroutine[Any, Any, str | None]]
    parse: Callable[[str], Any] | None = None


async def drive(run: Run, loop: Loop) -> RunResult:
    """Carry out a run to its end.

    Args:
        run: A new run.
        loop: Its native loop.

    Returns:
        The result, whatever its status.

    Raises:
        RunError: the run failed; `result` holds it.
        asyncio.CancelledError: the caller cancelled; the run has ended and left nothing behind.
    """
    if run.sinks:
        run.emit(RunStarted(run.id, run.trace.now(), run.backend, run.handling))
    logger.info("run started: %s", run.label, extra={"run_id": run.id})
    over = run.lifecycle.over
    task = asyncio.create_task(_native(run, loop.start, over), name=f"unified-agents run {run.id}")
    # Counted from the run's first moment, as for the runs of its tools: else a child may end before its parent.
    clock = asyncio.get_running_loop().call_later(
        run.limits.timeout - run.trace.now(),
        run.lifecycle.end,
        LimitError("timeout", f"{run.limits.timeout:g} seconds"),
    )
    cancelled: asyncio.CancelledError | None = None
    try:
        await over
    except asyncio.CancelledError as error:
        cancelled = error
        run.lifecycle.end(Cancelled("the caller cancelled the run"))
    finally:
        clock.cancel()
    cancelled = await _settle(run, task) or cancelled
    output = outcome(run, task, loop.translate)
    is_cancelled = cancelled is not None or run.lifecycle.is_cancelled
    met_limit = run.lifecycle.draining and isinstance(run.lifecycle.cause, LimitError)
    if met_limit and run.limits.on_limit == "answer" and not is_cancelled:
        try:
            output = await _last_answer(run, loop)
        except asyncio.CancelledError as error:
            cancelled = error
    result = finish(run, output, loop.parse)
    if cancelled is not None:
        raise cancelled
    if isinstance(run.lifecycle.cause, RunError) and result.status == "failed":
        run.lifecycle.cause.result = result
        raise run.lifecycle.cause
    return result


async def _native(
    run: Run, native: Callable[[], Coroutine[Any, Any, str | None]], over: asyncio.Future[None]
) -> str | None:
    current_run.set(run)
    current_call.set(None)
    run.lifecycle.native = asyncio.current_task()
    try:
        return await native()
    finally:
        run.lifecycle.native = None  # the task's context holds the run
        if not over.done():  # wakes the driver one round of the event loop earlier than the end of this task would
            over.set_result(None)


async def _settle(run: Run, task: asyncio.Task[str | None]) -> asyncio.CancelledError | None:
    """End all tasks that are left. Return a cancel that came meanwhile: raised at once, it would leave tasks behind."""
    if not run.lifecycle.shut and not run.lifecycle.tasks:
        run.lifecycle.end(None)
        return None
    cleaning = asyncio.create_task(_clean(run, task))
    cancelled: asyncio.CancelledError | None = None
    while not cleaning.done():
        try:
            await asyncio.wait([cleaning])
        except asyncio.CancelledError as error:
            cancelled = error
    cleaning.result()
    return cancelled


async def _clean(run: Run, task: asyncio.Task[str | None]) -> None:
    run.lifecycle.end(None)
    await _stop(run, run.lifecycle.tasks)
    await _stop(run, [task])
    await _stop(run, run.lifecycle.tasks)  # what the native loop may have started while it was ending


async def _stop(run: Run, tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they end; those that do not are given up. What waits for those may wait for ever."""
    left = {task for task in tasks if not task.done()} - run.given_up
    for number in range(3):
        # One that the end of the run has cancelled already may be cleaning up.
        left = await _cancel(left, again=number > 0)
    if not left:
        return
    run.lifecycle.gives_up = True
    names = {call.task: f"tool {call.name!r}" for call in run.calls.values()}
    for task in left:
        name = names.get(task) or f"task {task.get_name()!r}"
        message = f"{name} does not end when it is cancelled, and was abandoned"
        logger.error("%s (run %s)", message, run.label, extra={"run_id": run.id})
        run.abandoned.append(ErrorRecord(kind="backend", type="BackendError", message=message))
    if left := await _cancel(left):
        run.given_up |= left
        give_up(left)


async def _cancel(tasks: set[asyncio.Task[Any]], *, again: bool = True) -> set[asyncio.Task[Any]]:
    """Cancel tasks, wait for them for a while, and return those that have not ended."""
    for task in tasks:
        if again or not task.cancelling():
            task.cancel()
    return (await asyncio.wait(tasks, timeout=CANCEL_GRACE_SECONDS))[1] if tasks else tasks


async def _last_answer(run: Run, loop: Loop) -> str | None:
    left = max(run.limits.timeout - run.trace.now(), 0.001)
    answering = run.lifecycle.last_answer = asyncio.create_task(loop.last_answer())
    try:
        async with asyncio.timeout(left):
            return await answering
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        run.errors.append(ErrorRecord(kind="cancelled", type="CancelledError", message="the last answer was cancelled"))
    except ModelError as error:
        run.errors.append(error.record())
    except TimeoutError:
        run.errors.append(
            ErrorRecord(kind="timeout", type="ModelTimeoutError", message="no time left for a last answer")
        )
    return None
