"""One attempt of one tool call: in the event loop, in a thread, or in a process, and never longer than its timeout."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import nullcontext
from typing import Any

from unified_agents import wording
from unified_agents.concurrency.daemon_threads import DaemonThreads
from unified_agents.errors import ToolFailedError, ToolTimeoutError, native_name
from unified_agents.messages import JsonObject
from unified_agents.tool_runner.exclusive_lock import Turn
from unified_agents.tool_runner.observation import ObservedCall
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tracing.live import OpenSpan

MAX_CLEANUP_SECONDS = 4.0
"""The time that a coroutine has for its cleanup when its run ends, before another cancel gives it up."""
MAX_STEP_SECONDS = 0.5
"""The time for which a coroutine may keep the event loop before a warning is logged."""


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

    __slots__ = ("_context", "_keywords", "_observed", "_text", "_tool", "_turn")

    def __init__(
        self, tool: Tool, keywords: JsonObject, text: str, context: ToolContext, observed: ObservedCall | None = None
    ) -> None:
        self._tool = tool
        self._keywords = keywords
        self._text = text
        self._context = context
        self._observed = observed
        self._turn: Turn | None = None

    async def result(self) -> Any:
        """Return what the handler returns, once the resource that an exclusive tool names is free.

        Raises:
            ToolTimeoutError: it took too long.
            ToolFailedError: it raised; or whoever holds the resource was given up, and did not end within the tool's
                own timeout.
            asyncio.CancelledError: the caller was cancelled, or the run has ended.
        """
        tool = self._tool
        if tool.options.exclusive is None:
            return await self._result()
        turn = Turn(tool.options.exclusive)
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
            async with asyncio.timeout(tool.timeout) as clock:
                return await self._value()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if (observed is not None and observed.run.lifecycle.shut) or (task is not None and task.cancelling()):
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
            detach()

    async def _value(self) -> Any:
        tool = self._tool
        if tool.options.isolate is not None:
            from unified_agents.tool_runner.process import in_process  # noqa: PLC0415  # only who isolates pays for it

            return await in_process(tool, self._keywords if tool.is_schema_only else self._text, self._context)
        arguments = tool.arguments_for(self._keywords, self._context)
        if tool.is_async:
            return await self._monitored(tool.handler(**arguments))
        threads = _STANDALONE_THREADS if self._observed is None else _RUN_THREADS
        value = await threads.call(functools.partial(tool.handler, **arguments), self._abandoned)
        return await self._monitored(value) if inspect.isawaitable(value) else value

    def _abandoned(self, thread: str, ended: Future[Any]) -> None:
        """Note that a thread was given up, and runs on until `ended`; it keeps the tool's resource until then."""
        observed, turn = self._observed, self._turn
        if observed is not None:
            observed.run.abandon(observed.call.name, thread)
        if turn is not None:
            turn.keep_until(ended)
            if observed is not None:
                observed.left_behind = ended

    def _monitored(self, work: Awaitable[Any]) -> Awaitable[Any]:
        if self._observed is None or not inspect.iscoroutine(work):
            return work
        return _MonitoredCoroutine(work, self._observed)


def _failed(tool: Tool, error: BaseException) -> ToolFailedError:
    return ToolFailedError(wording.tool_failed(tool.name, error), native_type=native_name(error))


class _MonitoredCoroutine:
    """A coroutine to await, each of whose steps is reported when it keeps the event loop too long.

    One that goes on in spite of a cancel, when its run has ended and cancels it again, is left where it stands: else
    the run, and the program's end, would wait for it.
    """

    __slots__ = ("_observed", "_work")

    def __init__(self, work: Coroutine[Any, Any, Any], observed: ObservedCall) -> None:
        self._work = work
        self._observed = observed

    def __await__(self) -> Generator[Any, Any, Any]:
        cancelled_at: float | None = None
        step: Callable[[], Any] = functools.partial(self._work.send, None)
        while True:
            start = time.monotonic()
            try:
                waits_for = step()
            except StopIteration as end:
                return end.value
            finally:
                seconds = time.monotonic() - start
                if seconds > MAX_STEP_SECONDS:
                    self._observed.blocked(seconds)
            try:
                sent = yield waits_for
            except GeneratorExit:
                self._work.close()
                raise
            except BaseException as error:  # handed to the coroutine, as `await` does
                if isinstance(error, asyncio.CancelledError):
                    now = time.monotonic()
                    cancelled_at = cancelled_at or now
                    if self._observed.run.lifecycle.shut and now - cancelled_at > MAX_CLEANUP_SECONDS:
                        self._observed.abandoned()
                        raise
                step = functools.partial(self._work.throw, error)
            else:
                step = functools.partial(self._work.send, sent)


def _attach(span: OpenSpan) -> Callable[[], object]:
    """Make a span OpenTelemetry's current one, and return what undoes that."""
    context = span.context()
    if context is None:
        return _nothing
    from opentelemetry import context as otel  # noqa: PLC0415  # loaded already when there is a provider

    return functools.partial(otel.detach, otel.attach(context))


def _nothing() -> None:
    return None
