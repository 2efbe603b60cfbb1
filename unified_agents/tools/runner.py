"""Seam 2: the one function behind every translated tool."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, NoReturn

from unified_agents import wording
from unified_agents.errors import (
    BackendError,
    InvalidInputError,
    ToolCallError,
    ToolFailedError,
    ToolTimeoutError,
    UnsupportedCapabilityError,
    native_name,
)
from unified_agents.events import ToolCallCompleted, ToolCallFailed, ToolCallStarted
from unified_agents.messages import JsonObject
from unified_agents.run.calls import Call, Step, ToolOutcome
from unified_agents.run.context import Run, RunningCall, current_call, current_run
from unified_agents.run.threads import DaemonThreads
from unified_agents.tools.content import to_text
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tracing import spans
from unified_agents.tracing.live import OpenSpan

logger = logging.getLogger("unified_agents.tools")

_threads = DaemonThreads()


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


async def _claim(run: Run, call: Call) -> ToolOutcome:
    if call.task is not None:
        return await asyncio.shield(call.task)
    call.reached = True
    await run.admit(run.room_for_tool_call)
    run.count(tool_calls=1)
    call.task = run.spawn(_carry_out(run, call))
    return await call.task


async def _carry_out(run: Run, call: Call) -> ToolOutcome:
    span = _open(run, call)
    token = current_call.set(RunningCall(run, call, span))
    start = run.trace.now()
    error: ToolCallError | None = None
    try:
        content = await _result(run, call, span)
    except ToolCallError as failure:
        error, content = failure, str(failure)
    except BaseException:
        span.close("cancelled")
        raise
    finally:
        current_call.reset(token)
        end = run.trace.now()
        run.tool_time.append((start, end))
        call.seconds = end - start
    call.outcome = ToolOutcome(content, error is not None)
    _close(run, call, span, error, content)
    return call.outcome


async def _result(run: Run, call: Call, span: OpenSpan) -> str:
    if call.problem is not None:
        raise call.problem
    tool = call.tool
    if tool is None:
        raise BackendError(f"tool {call.name!r} was claimed and does not exist")
    try:
        call.received = tool.validate(call.arguments)
    except InvalidInputError as error:
        text = wording.invalid_arguments(tool.name, error.problems)
        raise InvalidInputError(text, problems=error.problems) from error
    context = ToolContext(run_id=run.id, call_id=call.id, step=call.step, tool=tool.name)
    value = await _bounded(run, call, tool, tool.arguments_for(call.received, context), span)
    try:
        return to_text(value)
    except ToolFailedError as error:
        raise ToolFailedError(wording.unusable_result(tool.name, str(error))) from error


async def _bounded(run: Run, call: Call, tool: Tool, arguments: JsonObject, span: OpenSpan) -> Any:
    attached = _attach(span)
    try:
        async with asyncio.timeout(tool.timeout) as clock:
            if tool.is_async:
                return await tool.handler(**arguments)
            value = await _in_thread(run, call, functools.partial(tool.handler, **arguments))
            return await value if inspect.isawaitable(value) else value
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if run.shut or (task is not None and task.cancelling()):
            raise
        raise _failed(tool, error) from error  # something inside the tool was cancelled, not the tool
    except TimeoutError as error:
        if clock.expired() and tool.timeout is not None:
            raise ToolTimeoutError(wording.tool_timed_out(tool.name, tool.timeout)) from error
        raise _failed(tool, error) from error
    except Exception as error:
        raise _failed(tool, error) from error
    finally:
        attached()


def _failed(tool: Tool, error: BaseException) -> ToolFailedError:
    return ToolFailedError(wording.tool_failed(tool.name, error), native_type=native_name(error))


async def _in_thread(run: Run, call: Call, function: Callable[[], Any]) -> Any:
    thread: list[str] = []

    def work() -> Any:
        thread.append(threading.current_thread().name)
        try:
            return function()
        except StopIteration as error:
            raise RuntimeError("the tool raised StopIteration") from error  # a future cannot carry it

    future = _threads.submit(copy_context().run, work)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        if future.running():
            _threads.abandon()
            run.abandon(call.name, thread[0])
        raise


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


def _attach(span: OpenSpan) -> Callable[[], None]:
    context = span.context()
    if context is None:
        return _nothing
    from opentelemetry import context as otel  # noqa: PLC0415  # loaded already when there is a provider

    token = otel.attach(context)
    return lambda: otel.detach(token)


def _nothing() -> None:
    return None


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
