"""One attempt of one tool call: in the event loop, in a thread, or in a process, and never longer than it may take."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from typing import Any

from unified_agents import wording
from unified_agents.errors import ToolFailedError, ToolTimeoutError, native_name
from unified_agents.messages import JsonObject
from unified_agents.run.context import RunningCall
from unified_agents.run.threads import DaemonThreads
from unified_agents.tools.definition import Tool
from unified_agents.tools.turns import Turn
from unified_agents.tracing.live import OpenSpan

logger = logging.getLogger("unified_agents.tools")

LONGEST_STEP = 0.5
"""Seconds for which a coroutine may keep the event loop before somebody is told."""

_threads = DaemonThreads()


async def attempt(running: RunningCall, tool: Tool, arguments: JsonObject, text: str, turn: Turn | None = None) -> Any:
    """Run a tool once.

    Args:
        running: The call.
        tool: What to run.
        arguments: For its handler, as keywords.
        text: The same as JSON text.
        turn: What it holds meanwhile; a thread that is given up keeps it until it ends.

    Returns:
        What the handler returned.

    Raises:
        ToolTimeoutError: it took too long.
        ToolFailedError: it raised.
        asyncio.CancelledError: the run has ended.
    """
    run, call = running.run, running.call

    def abandoned(thread: str, ended: Future[Any]) -> None:
        run.abandon(call.name, thread)
        if turn is not None:
            turn.keep_until(ended)

    attached = _attach(running.span)
    try:
        async with asyncio.timeout(tool.timeout) as clock:
            if tool.options.isolate is not None:
                from unified_agents.tools.isolation import in_process  # noqa: PLC0415  # only who isolates pays for it

                return await in_process(run, call, tool, text)
            if tool.is_async:
                return await _watched(tool.handler(**arguments), running)
            value = await _threads.call(functools.partial(tool.handler, **arguments), abandoned)
            return await _watched(value, running) if inspect.isawaitable(value) else value
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if run.shut or (task is not None and task.cancelling()):
            raise
        raise _failed(tool, error) from error  # something inside the tool was cancelled, not the tool
    except TimeoutError as error:
        if clock.expired() and tool.timeout is not None:
            raise ToolTimeoutError(wording.tool_timed_out(tool.name, tool.timeout)) from error
        raise _failed(tool, error) from error
    except ToolFailedError:
        raise  # the handler has said itself what the model shall read
    except (Exception, SystemExit) as error:
        raise _failed(tool, error) from error
    finally:
        attached()


def _failed(tool: Tool, error: BaseException) -> ToolFailedError:
    return ToolFailedError(wording.tool_failed(tool.name, error), native_type=native_name(error))


def _watched(work: Awaitable[Any], running: RunningCall) -> Awaitable[Any]:
    if not inspect.iscoroutine(work):
        return work

    def blocked(seconds: float) -> None:
        running.span.event("blocked_event_loop", seconds=seconds)
        logger.warning(
            "tool %r blocked the event loop for %.1f seconds, and with it every run; make it a plain function, which"
            " runs in a thread, or await what it waits for",
            running.call.name,
            seconds,
            extra={"run_id": running.run.id},
        )

    return _Watched(work, blocked)


class _Watched:
    """Awaits a coroutine, and tells of each of its steps that keeps the event loop too long."""

    __slots__ = ("_blocked", "_work")

    def __init__(self, work: Coroutine[Any, Any, Any], blocked: Callable[[float], None]) -> None:
        self._work = work
        self._blocked = blocked

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[], Any] = functools.partial(self._work.send, None)
        while True:
            start = time.monotonic()
            try:
                waits_for = step()
            except StopIteration as end:
                return end.value
            finally:
                seconds = time.monotonic() - start
                if seconds > LONGEST_STEP:
                    self._blocked(seconds)
            try:
                sent = yield waits_for
            except GeneratorExit:
                self._work.close()
                raise
            except BaseException as error:  # handed to the coroutine, as `await` does
                step = functools.partial(self._work.throw, error)
            else:
                step = functools.partial(self._work.send, sent)


def _attach(span: OpenSpan) -> Callable[[], None]:
    context = span.context()
    if context is None:
        return _nothing
    from opentelemetry import context as otel  # noqa: PLC0415  # loaded already when there is a provider

    token = otel.attach(context)
    return lambda: otel.detach(token)


def _nothing() -> None:
    return None
