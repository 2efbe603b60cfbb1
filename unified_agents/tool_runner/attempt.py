"""One attempt of one tool call: in the event loop, in a thread, or in a process, and never longer than it may take."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from typing import Any

from unified_agents import wording
from unified_agents.concurrency.daemon_threads import DaemonThreads
from unified_agents.errors import ToolFailedError, ToolTimeoutError, native_name
from unified_agents.messages import JsonObject
from unified_agents.run.context import RunningCall
from unified_agents.tool_runner.exclusive_lock import Turn
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tracing.live import OpenSpan

logger = logging.getLogger("unified_agents.tools")

LONGEST_STEP = 0.5
"""Seconds for which a coroutine may keep the event loop before somebody is told."""


async def take_turn(tool: Tool) -> Turn:
    """Wait until the resource that an exclusive tool names is free, and take it; whoever gets the turn gives it back.

    Raises:
        ToolFailedError: whoever holds it was given up, and did not end within the tool's own timeout.
    """
    turn = Turn(tool.options.exclusive or tool.name)
    if not await turn.take(tool.timeout):
        raise ToolFailedError(wording.turn_not_given(tool.name, turn.name, tool.timeout or 0.0))
    return turn


async def attempt(running: RunningCall, tool: Tool, arguments: JsonObject, text: str, turn: Turn | None = None) -> Any:
    """Run a tool once, for a run.

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
    attached = _attach(running.span)
    try:
        return await _OfRun(running, tool, arguments, text, turn).result()
    finally:
        attached()


class Attempt(ABC):
    """One attempt of a call, whoever makes it.

    Args:
        tool: What to run.
        arguments: For its handler, as keywords.
        asked: For a process of its own: the arguments as JSON text, or as values where there is only a schema.
        turn: What it holds meanwhile; a thread that is given up keeps it until it ends.
    """

    __slots__ = ("_arguments", "_asked", "_tool", "_turn")
    threads = DaemonThreads()

    def __init__(self, tool: Tool, arguments: JsonObject, asked: JsonObject | str, turn: Turn | None) -> None:
        self._tool = tool
        self._arguments = arguments
        self._asked = asked
        self._turn = turn

    async def result(self) -> Any:
        """What the handler returns.

        Raises:
            ToolTimeoutError: it took too long.
            ToolFailedError: it raised.
            asyncio.CancelledError: the caller was cancelled, or the attempt is over.
        """
        tool = self._tool
        try:
            async with asyncio.timeout(tool.timeout) as clock:
                return await self._value()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if self.is_over() or (task is not None and task.cancelling()):
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

    async def _value(self) -> Any:
        tool = self._tool
        if tool.options.isolate is not None:
            from unified_agents.tool_runner.process import in_process  # noqa: PLC0415  # only who isolates pays for it

            return await in_process(tool, self._asked, self.context())
        if tool.is_async:
            return await self.watched(tool.handler(**self._arguments))
        value = await self.threads.call(functools.partial(tool.handler, **self._arguments), self.abandoned)
        return await self.watched(value) if inspect.isawaitable(value) else value

    @abstractmethod
    def context(self) -> ToolContext:
        """What the tool may know of its call in a process of its own."""

    def abandoned(self, thread: str, ended: Future[Any]) -> None:
        """Note that a thread was given up, and runs on until `ended`."""
        if self._turn is not None:
            self._turn.keep_until(ended)

    def watched(self, work: Awaitable[Any]) -> Awaitable[Any]:
        """The work, as it is awaited."""
        return work

    def is_over(self) -> bool:
        """Whether a cancel ends the attempt, whatever it comes from."""
        return False


class _OfRun(Attempt):
    __slots__ = ("_running",)

    def __init__(self, running: RunningCall, tool: Tool, arguments: JsonObject, text: str, turn: Turn | None) -> None:
        received = running.call.received if tool.is_schema_only else None
        super().__init__(tool, arguments, text if received is None else received, turn)
        self._running = running

    def context(self) -> ToolContext:
        run, call = self._running.run, self._running.call
        return ToolContext(run_id=run.id, call_id=call.id, step=call.step, tool=self._tool.name)

    def abandoned(self, thread: str, ended: Future[Any]) -> None:
        self._running.run.abandon(self._running.call.name, thread)
        super().abandoned(thread, ended)
        if self._turn is not None:
            self._running.left_behind = ended

    def watched(self, work: Awaitable[Any]) -> Awaitable[Any]:
        return _watched(work, self._running)

    def is_over(self) -> bool:
        return self._running.run.lifecycle.shut


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
