"""Seam 2: the one function behind every translated tool."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from unified_agents import wording
from unified_agents.config import ToolPolicy
from unified_agents.errors import (
    BackendError,
    InvalidInputError,
    ToolCallError,
    ToolFailedError,
    UnsupportedCapabilityError,
)
from unified_agents.events import (
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallProgress,
    ToolCallRetried,
    ToolCallStarted,
)
from unified_agents.run.calls import Call, Step, ToolOutcome
from unified_agents.run.context import Run, RunningCall, current_call, current_run
from unified_agents.tool_runner import call_references as calls_between
from unified_agents.tool_runner.attempt import attempt, take_turn
from unified_agents.tool_runner.retries import given_up, wait_before_next
from unified_agents.tools.coercion import AcceptedArguments
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.parts import Part
from unified_agents.tools.results import to_content, to_text
from unified_agents.tracing import spans
from unified_agents.tracing.live import OpenSpan

logger = logging.getLogger("unified_agents.tools")

_DEFAULT_POLICY = ToolPolicy()


async def run_call(call_id: str) -> ToolOutcome:
    """Carry out a call that the model asked for.

    The arguments are those on the wire, whatever the framework made of them. A call that is claimed twice runs once.

    Args:
        call_id: The id under which the framework was given the call.

    Returns:
        What the model shall read.

    Raises:
        asyncio.CancelledError: the run is shut.
    """
    run = _run()
    call = run.calls.get(call_id)
    if call is None:
        run.fail(
            BackendError(f"the framework carried out a tool call {call_id!r} that no answer of the model asked for")
        )
        raise asyncio.CancelledError(f"run {run.id} has ended")
    return await _claim(run, call)


async def run_step(step: Step) -> list[ToolOutcome]:
    """Carry out all calls of a step at once; the outcomes are in call order.

    Raises:
        asyncio.CancelledError: the run is shut.
    """
    run = _run()
    if len(step.calls) == 1:
        return [await _claim(run, step.calls[0])]
    return await asyncio.gather(*(_claim(run, call) for call in step.calls))


def start_calls(run: Run, step: Step, given_ids: Sequence[str]) -> None:
    """Start all calls of a step at once, before anybody claims them: they may refer to each other.

    So a framework that carries out one call at a time, or waits for the first before it claims the second, never makes
    one wait for a call that is not started.

    Args:
        run: The run.
        step: The calls.
        given_ids: The id of each as the provider gave it.
    """
    calls_between.link(step, given_ids)
    for call in step.calls:
        if not run.admits(run.room_for_tool_call):
            return
        _start(run, call)


async def _claim(run: Run, call: Call) -> ToolOutcome:
    call.reached = True
    if call.task is not None:
        return await _started(run, call.task)
    await run.admit(run.room_for_tool_call)
    return await _start(run, call)


async def _started(run: Run, task: asyncio.Task[ToolOutcome]) -> ToolOutcome:
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled() and run.drained and not run.shut:
            await asyncio.wait([run.ended])  # it waited for a call that never started; others may still finish
        raise


def _start(run: Run, call: Call) -> asyncio.Task[ToolOutcome]:
    run.count(tool_calls=1)
    call.task = run.spawn(_carry_out(run, call))
    return call.task


async def _carry_out(run: Run, call: Call) -> ToolOutcome:
    span = _open(run, call)
    running = RunningCall(run, call, span)
    token = current_call.set(running)
    start = run.trace.now()
    error: ToolCallError | None = None
    try:
        content, parts = await _result(running)
    except ToolCallError as failure:
        error, content, parts = failure, str(failure), ()
    except BaseException:
        span.close("cancelled")
        raise
    finally:
        current_call.reset(token)
        _note_time(run, call, start)
    call.outcome = ToolOutcome(content, error is not None, parts)
    _close(run, call, span, error, content)
    return call.outcome


async def _result(running: RunningCall) -> tuple[str, tuple[Part, ...]]:
    run, call = running.run, running.call
    if call.problem is not None:
        raise call.problem
    tool = call.tool
    if tool is None:
        raise BackendError(f"tool {call.name!r} was claimed and does not exist")
    text = call.arguments
    if call.references:
        with _waiting(run, call):
            text = await calls_between.resolved(call)
    accepted = _accepted(tool, text)
    call.received, call.coerced = accepted.arguments, tuple(map(str, accepted.coerced))
    if accepted.coerced:
        running.span.event("coerced", paths=tuple(coerced.place for coerced in accepted.coerced))
    value = await _value(running, tool, text)
    try:
        if call.is_referred_to:
            call.whole = to_text(value)
        return to_content(value, tool.max_result_chars)
    except ToolFailedError as error:
        raise ToolFailedError(wording.unusable_result(tool.name, str(error))) from error


def _accepted(tool: Tool, text: str) -> AcceptedArguments:
    try:
        return tool.accept(text)
    except InvalidInputError as error:
        told = wording.invalid_arguments(tool.name, error.problems)
        raise InvalidInputError(told, problems=error.problems) from error


async def _value(running: RunningCall, tool: Tool, text: str) -> Any:
    """What the tool returns, after as many attempts as it may have."""
    run, call = running.run, running.call
    context = call_context(run, call, tool)
    arguments, tried = call.received or {}, 0
    while True:
        tried += 1
        try:
            return await _in_turn(running, tool, tool.arguments_for(arguments, context), text)
        except ToolCallError as error:
            policy = run.tool_policy or _DEFAULT_POLICY
            again = tool.options.idempotent and not run.drained and not _is_in_its_own_way(running)
            wait = wait_before_next(policy, error, tried) if again else None
            if wait is None:
                raise (error if tried == 1 else given_up(tool, error, tried)) from error.__cause__
            _notice_retry(running, error, tried, wait)
        with _waiting(run, call):
            await asyncio.sleep(wait)
        arguments = tool.validate(text)  # anew: the handler may have changed them


def _is_in_its_own_way(running: RunningCall) -> bool:
    """Whether the call's last attempt was given up, and still holds the resource that the next one would need."""
    return running.left_behind is not None and not running.left_behind.done()


async def _in_turn(running: RunningCall, tool: Tool, arguments: dict[str, Any], text: str) -> Any:
    run, call = running.run, running.call
    if run.slots.locked():
        with _waiting(run, call):
            await run.slots.acquire()
    else:
        await run.slots.acquire()
    try:
        if tool.options.exclusive is None:
            return await attempt(running, tool, arguments, text)
        with _waiting(run, call):
            turn = await take_turn(tool)
        try:
            return await attempt(running, tool, arguments, text, turn)
        finally:
            turn.give_back()
    finally:
        run.slots.release()


@contextmanager
def _waiting(run: Run, call: Call) -> Iterator[None]:
    start = run.trace.now()
    try:
        yield
    finally:
        pause = (start, run.trace.now())
        run.waiting_time.append(pause)
        call.pauses = [*(call.pauses or ()), pause]


def _note_time(run: Run, call: Call, start: float) -> None:
    """Note how long the tool ran; what it waited between is no tool time."""
    for pause, going_on in call.pauses or ():
        run.tool_time.append((start, pause))
        call.seconds += pause - start
        start = going_on
    end = run.trace.now()
    run.tool_time.append((start, end))
    call.seconds += end - start


def _notice_retry(running: RunningCall, error: ToolCallError, tried: int, wait: float) -> None:
    run, call = running.run, running.call
    running.span.event("retry", attempt=tried, reason=error.kind)
    logger.info("tool call: retry after %s", error.kind, extra={"run_id": run.id, "call_id": call.id})
    if run.sinks:
        now = run.trace.now()
        run.emit(ToolCallRetried(run.id, now, call.step, call.index, call.id, call.name, tried, error.record(), wait))


def call_context(run: Run, call: Call, tool: Tool) -> ToolContext:
    """What a tool's function may know of its call; progress that it reports becomes an event."""

    def tell(progress: float, total: float | None, message: str) -> None:
        if run.sinks and call.outcome is None and not run.shut:
            now = run.trace.now()
            run.emit_threadsafe(
                ToolCallProgress(run.id, now, call.step, call.index, call.id, call.name, progress, total, message)
            )

    return ToolContext(run_id=run.id, call_id=call.id, step=call.step, tool=tool.name, on_progress=tell)


def _open(run: Run, call: Call) -> OpenSpan:
    attributes: dict[str, spans.AttributeValue] = {
        spans.OPERATION: "execute_tool",
        spans.TOOL_NAME: call.name,
        spans.TOOL_CALL_ID: call.id,
        spans.TOOL_TYPE: "function",
    }
    span = run.trace.open(f"execute_tool {call.name}", attributes, run.root)
    if run.sinks:
        run.emit(ToolCallStarted(run.id, run.trace.now(), call.step, call.index, call.id, call.name, call.arguments))
    return span


def _close(run: Run, call: Call, span: OpenSpan, error: ToolCallError | None, content: str | None) -> None:
    now = run.trace.now()
    if error is None:
        span.close()
        if run.sinks:
            run.emit(
                ToolCallCompleted(run.id, now, call.step, call.index, call.id, call.name, content or "", call.seconds)
            )
        return
    call.error = error.record()
    run.errors.append(call.error)
    span.close(error.kind, type(error).__name__)
    logger.info("tool call failed: %s", error.kind, extra={"run_id": run.id, "call_id": call.id})
    if run.sinks:
        run.emit(
            ToolCallFailed(run.id, now, call.step, call.index, call.id, call.name, call.error, content, call.seconds)
        )


def refuse_sync() -> NoReturn:
    """What a translated tool does when a framework calls it synchronously.

    Raises:
        UnsupportedCapabilityError: always.
    """
    raise UnsupportedCapabilityError(
        "a synchronous tool call would go past unified-agents; use `agent.run_sync(…)`, or the asynchronous call"
    )


def _run() -> Run:
    run = current_run.get()
    if run is None:
        raise UnsupportedCapabilityError(
            "this tool belongs to an agent; call it through `agent.run(…)` or `agent.run_sync(…)`"
        )
    return run
