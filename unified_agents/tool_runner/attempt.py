"""One attempt of one tool call: in the event loop, in a thread, or in a process, and never longer than its timeout."""

from __future__ import annotations

import asyncio
import functools
import inspect
import signal
import threading
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import nullcontext
from typing import Any

from unified_agents import wording
from unified_agents.concurrency.daemon_threads import DaemonThreads
from unified_agents.concurrency.timeouts import set_deadline
from unified_agents.errors import ToolFailedError, ToolTimeoutError, native_name
from unified_agents.messages import JsonObject
from unified_agents.tool_runner.coroutine import ToolCoroutine
from unified_agents.tool_runner.exclusive_lock import Turn
from unified_agents.tool_runner.observation import ObservedCall
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tracing.live import OpenSpan

_RUN_THREADS = DaemonThreads()
_STANDALONE_THREADS = DaemonThreads(name="unified-agents-standalone-tool")


class Attempt:
    """One attempt of a call.

    Args:
        tool: What to run.
        keywords: The validated arguments.
        text: The same as JSON text.
        context: What the tool may know of its call.
        observed: The call within a run; None for a call without a run.
    """

    __slots__ = ("_clock", "_context", "_keywords", "_observed", "_runs_on", "_started", "_text", "_tool", "_turn")

    def __init__(
        self, tool: Tool, keywords: JsonObject, text: str, context: ToolContext, observed: ObservedCall | None = None
    ) -> None:
        self._tool = tool
        self._keywords = keywords
        self._text = text
        self._context = context
        self._observed = observed
        self._turn: Turn | None = None
        self._clock = asyncio.timeout(None)
        self._started = 0.0
        self._runs_on = False

    def result(self) -> Awaitable[Any]:
        """Give what the handler returns, once the resource that an exclusive tool names is free.

        Raises:
            ToolTimeoutError: it took too long.
            ToolFailedError: it raised; or whoever holds the resource was given up, and did not end within the tool's
                own timeout.
            asyncio.CancelledError: the caller was cancelled, or the run has ended.
        """
        exclusive = self._tool.options.exclusive
        return self._result() if exclusive is None else self._result_alone(exclusive)

    async def _result_alone(self, exclusive: str) -> Any:
        tool, turn = self._tool, Turn(exclusive)
        with nullcontext() if self._observed is None else self._observed.waiting():
            if not await turn.take(tool.timeout):
                raise ToolFailedError(wording.turn_not_given(tool.name, turn.name, tool.timeout or 0.0))
        self._turn = turn
        try:
            return await self._result()
        finally:
            turn.give_back()

    async def _result(self) -> Any:
        tool, observed = self._tool, self._observed
        detach = _attach(observed.span) if observed is not None else _nothing
        try:
            self._started = asyncio.get_running_loop().time()
            async with self._clock:
                return await self._value()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if (observed is not None and observed.run.lifecycle.shut) or (task is not None and task.cancelling()):
                raise
            raise _failed(tool, error) from error  # something inside the tool was cancelled, not the tool
        except TimeoutError as error:
            if self._clock.expired() and tool.timeout is not None:
                text = wording.tool_timed_out(tool.name, tool.timeout, runs_on=self._runs_on)
                raise ToolTimeoutError(text) from error
            raise _failed(tool, error) from error
        except ToolFailedError:
            raise  # the handler has said itself what the model shall read
        except GeneratorExit:
            raise  # whoever awaits this call is closed
        except BaseException as error:
            if _is_by_signal(error):
                raise
            raise _failed(tool, error) from error
        finally:
            detach()

    def _start_clock(self) -> None:
        """Let the tool's timeout count, from when it began. A coroutine that waits for nothing needs no timer."""
        if self._tool.timeout is not None:
            set_deadline(self._clock, self._started + self._tool.timeout)

    async def _value(self) -> Any:
        tool = self._tool
        if tool.options.isolate is not None:
            self._start_clock()
            from unified_agents.tool_runner.process import in_process  # noqa: PLC0415  # only who isolates pays for it

            return await in_process(tool, self._keywords if tool.is_schema_only else self._text, self._context)
        arguments = tool.arguments_for(self._keywords, self._context)
        if tool.is_async:
            return await self._monitored(tool.handler(**arguments))
        self._start_clock()
        threads = _STANDALONE_THREADS if self._observed is None else _RUN_THREADS
        value = await threads.call(functools.partial(tool.handler, **arguments), self._abandoned)
        return await self._in_task_of_its_own(self._monitored(value)) if inspect.isawaitable(value) else value

    async def _in_task_of_its_own(self, work: Awaitable[Any]) -> Any:
        """Await what a function returned; never in the run's own task, in whose context it would leave what it sets."""
        observed = self._observed
        if observed is None or not observed.run.lifecycle.is_native_task():
            return await work

        async def awaited() -> Any:
            return await work

        task = observed.call.task = observed.run.lifecycle.spawn(awaited())
        return await task

    def _abandoned(self, thread: str, ended: Future[None]) -> None:
        """Note that a thread was given up, and runs on until `ended`; it keeps the tool's resource until then."""
        observed, turn = self._observed, self._turn
        self._runs_on = True
        if observed is not None:
            observed.run.abandon(observed.call.name, thread)
        if turn is not None:
            turn.keep_until(ended)
            if observed is not None:
                observed.left_behind = ended

    def _monitored(self, work: Awaitable[Any]) -> Awaitable[Any]:
        if self._observed is None or not inspect.iscoroutine(work):
            self._start_clock()
            return work
        observed = self._observed
        return ToolCoroutine(work, observed.run.lifecycle, observed.blocked, self._start_clock, self._left)

    def _left(self, runs_on: bool) -> None:
        """Note that a coroutine was left, and whether what it waited for runs on."""
        self._runs_on = runs_on
        if self._observed is not None:
            self._observed.run.abandon_coroutine(self._observed.call.name)


def _failed(tool: Tool, error: BaseException) -> ToolFailedError:
    return ToolFailedError(wording.tool_failed(tool.name, error), native_type=native_name(error))


def _is_by_signal(error: BaseException) -> bool:
    """Tell whether an interrupt is the user's, and none that a tool raised."""
    if not isinstance(error, KeyboardInterrupt) or threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        return True  # it leaves no trace of its own
    *_, (last, _) = traceback.walk_tb(error.__traceback__)
    return last.f_globals.get("__name__") == asyncio.Runner.__module__


def _attach(span: OpenSpan) -> Callable[[], object]:
    """Make a span OpenTelemetry's current one, and return what undoes that."""
    context = span.context()
    if context is None:
        return _nothing
    import opentelemetry.context as otel  # noqa: PLC0415  # loaded already when there is a provider

    return functools.partial(otel.detach, otel.attach(context))


def _nothing() -> None:
    return None
