"""One attempt of one tool call: in the event loop, in a thread, or in a process, and never longer than its timeout."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from unified_agents import wording
from unified_agents.concurrency.daemon_threads import DaemonThreads
from unified_agents.errors import ToolFailedError, ToolTimeoutError, native_name
from unified_agents.messages import JsonObject
from unified_agents.tool_runner.exclusive_lock import Turn
from unified_agents.tool_runner.observation import ObservedCall
from unified_agents.tools.definition import Tool, ToolContext

logger = logging.getLogger("unified_agents.tools")

MAX_STEP_SECONDS = 0.5
"""How long a coroutine may keep the event loop before a warning is logged."""


def attempt(observed: ObservedCall, tool: Tool, arguments: JsonObject, text: str) -> Awaitable[Any]:
    """Run a tool once, within a run; see `Attempt.result`.

    Args:
        observed: The call.
        tool: What to run.
        arguments: For its handler, as keywords.
        text: The same as JSON text.
    """
    return _RunAttempt(observed, tool, arguments, text).result()


class Attempt(ABC):
    """One attempt of a call, within a run or without one.

    Args:
        tool: What to run.
        arguments: For its handler, as keywords.
        sent: For a process of its own: the arguments as JSON text, or as values where there is only a schema.
    """

    __slots__ = ("_arguments", "_sent", "_tool", "_turn")
    threads = DaemonThreads()

    def __init__(self, tool: Tool, arguments: JsonObject, sent: JsonObject | str) -> None:
        self._tool = tool
        self._arguments = arguments
        self._sent = sent
        self._turn: Turn | None = None

    async def result(self) -> Any:
        """Return what the handler returns, once the resource that an exclusive tool names is free.

        Raises:
            ToolTimeoutError: it took too long.
            ToolFailedError: it raised; or whoever holds the resource was given up, and did not end within the tool's
                own timeout.
            asyncio.CancelledError: the caller was cancelled, or the attempt is over.
        """
        tool = self._tool
        if tool.options.exclusive is None:
            return await self._result()
        turn = Turn(tool.options.exclusive)
        with self.waiting():
            if not await turn.take(tool.timeout):
                raise ToolFailedError(wording.turn_not_given(tool.name, turn.name, tool.timeout or 0.0))
        self._turn = turn
        try:
            return await self._result()
        finally:
            turn.give_back()

    async def _result(self) -> Any:
        tool = self._tool
        detach = self.attach_span()
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
        finally:
            detach()

    async def _value(self) -> Any:
        tool = self._tool
        if tool.options.isolate is not None:
            from unified_agents.tool_runner.process import in_process  # noqa: PLC0415  # only who isolates pays for it

            return await in_process(tool, self._sent, self.context())
        if tool.is_async:
            return await self.monitored(tool.handler(**self._arguments))
        value = await self.threads.call(functools.partial(tool.handler, **self._arguments), self.abandoned)
        return await self.monitored(value) if inspect.isawaitable(value) else value

    @abstractmethod
    def context(self) -> ToolContext:
        """Return what the tool may know of its call in a process of its own."""

    def attach_span(self) -> Callable[[], object]:
        """Make the call's span OpenTelemetry's current one, and return what undoes that."""
        return _nothing

    def waiting(self) -> AbstractContextManager[None]:
        """Return what is entered while the tool waits for its resource."""
        return nullcontext()

    def abandoned(self, thread: str, ended: Future[Any]) -> None:
        """Note that a thread was given up, and runs on until `ended`; it keeps the tool's resource until then."""
        if self._turn is not None:
            self._turn.keep_until(ended)

    def monitored(self, work: Awaitable[Any]) -> Awaitable[Any]:
        """Return the work as it is to be awaited."""
        return work

    def is_over(self) -> bool:
        """Tell whether a cancel ends the attempt, whatever it comes from."""
        return False


class _RunAttempt(Attempt):
    __slots__ = ("_observed",)

    def __init__(self, observed: ObservedCall, tool: Tool, arguments: JsonObject, text: str) -> None:
        received = observed.call.received if tool.is_schema_only else None
        super().__init__(tool, arguments, text if received is None else received)
        self._observed = observed

    def context(self) -> ToolContext:
        run, call = self._observed.run, self._observed.call
        return ToolContext(run_id=run.id, call_id=call.id, step=call.step, tool=self._tool.name)

    def attach_span(self) -> Callable[[], object]:
        context = self._observed.span.context()
        if context is None:
            return _nothing
        from opentelemetry import context as otel  # noqa: PLC0415  # loaded already when there is a provider

        return functools.partial(otel.detach, otel.attach(context))

    def waiting(self) -> AbstractContextManager[None]:
        return self._observed.waiting()

    def abandoned(self, thread: str, ended: Future[Any]) -> None:
        self._observed.run.abandon(self._observed.call.name, thread)
        super().abandoned(thread, ended)
        if self._turn is not None:
            self._observed.left_behind = ended

    def monitored(self, work: Awaitable[Any]) -> Awaitable[Any]:
        return _MonitoredCoroutine(work, self._blocked) if inspect.iscoroutine(work) else work

    def is_over(self) -> bool:
        return self._observed.run.shut

    def _blocked(self, seconds: float) -> None:
        self._observed.span.event("blocked_event_loop", seconds=seconds)
        logger.warning(
            "tool %r blocked the event loop for %.1f seconds, and with it every run; make it a plain function, which"
            " runs in a thread, or await what it waits for",
            self._observed.call.name,
            seconds,
            extra={"run_id": self._observed.run.id},
        )


def _failed(tool: Tool, error: BaseException) -> ToolFailedError:
    return ToolFailedError(wording.tool_failed(tool.name, error), native_type=native_name(error))


class _MonitoredCoroutine:
    """A coroutine to await, each of whose steps is reported when it keeps the event loop too long."""

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
                if seconds > MAX_STEP_SECONDS:
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


def _nothing() -> None:
    return None
