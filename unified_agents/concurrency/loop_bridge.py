"""The bridge between a synchronous agent loop, which runs in a thread, and the event loop of its run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError as FutureCancelledError, Future
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from unified_agents.errors import UnsupportedCapabilityError

T = TypeVar("T")

ENDING_SECONDS = 2.0
"""Seconds that a thread has to end after its run was cancelled, before the run stops waiting for it."""

_current: ContextVar[_LoopBridge | None] = ContextVar("unified_agents_loop_bridge", default=None)


class _LoopBridge:
    """The way of one synchronous loop's threads to the event loop that it was made on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do asynchronous work on the event loop, in the thread's context, and wait for it in the thread."""
        ended: Future[T] = Future()

        def start() -> None:
            if self._closed:
                work.close()
                ended.cancel()
                return
            task = self._loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(hand_on)

        def hand_on(task: asyncio.Task[T]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                ended.cancel()
            elif (error := task.exception()) is not None:
                ended.set_exception(error)
            else:
                ended.set_result(task.result())

        try:
            self._loop.call_soon_threadsafe(start, context=copy_context())
        except RuntimeError as error:  # the event loop is closed
            work.close()
            raise asyncio.CancelledError from error
        try:
            return ended.result()
        except FutureCancelledError:  # an `Exception`, which frameworks make a message to the model of
            raise asyncio.CancelledError from None

    def close(self) -> None:
        """Cancel what goes on, and let nothing new begin. Called on the event loop."""
        self._closed = True
        for task in tuple(self._tasks):
            task.cancel()


async def run_synchronous_loop(function: Callable[[], T], *, interrupt: Callable[[], None]) -> T:
    """Run a synchronous agent loop in a daemon thread of its own, in the caller's context, and wait for its end.

    What it asks of a model and of tools by `call_event_loop` is done on the caller's event loop.

    Args:
        function: The loop.
        interrupt: Asks it to end, when the caller is cancelled. What it waits for by then is cancelled.

    Raises:
        asyncio.CancelledError: the caller was cancelled, or the loop ended by a cancel.
    """
    bridge = _LoopBridge()
    event_loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = event_loop.create_future()
    context = copy_context()
    context.run(_current.set, bridge)

    def settle(value: T | None, error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            ended.cancel()
        elif error is not None:
            ended.set_exception(RuntimeError(str(error)) if isinstance(error, StopIteration) else error)
            ended.exception()  # retrieved: nobody may wait any more
        else:
            ended.set_result(value)  # type: ignore[arg-type]  # the value is there where no error is

    def work() -> None:
        value: T | None = None
        error: BaseException | None = None
        try:
            value = context.run(function)
        except BaseException as raised:  # handed to whoever waits
            error = raised
        try:
            event_loop.call_soon_threadsafe(settle, value, error)
        except RuntimeError:  # the event loop was closed while the thread went on
            return

    threading.Thread(target=work, name="unified-agents-loop", daemon=True).start()
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        interrupt()
        bridge.close()
        await asyncio.wait([ended], timeout=ENDING_SECONDS)
        raise


def call_event_loop(work: Coroutine[Any, Any, T]) -> T:
    """Do asynchronous work for a synchronous loop that `run_synchronous_loop` has started, and wait for it.

    Raises:
        asyncio.CancelledError: the run has ended, or the work was cancelled.
        UnsupportedCapabilityError: no such loop runs here.
    """
    bridge = _current.get()
    if bridge is None:
        work.close()
        raise UnsupportedCapabilityError(
            "a synchronous call would go past unified-agents; use `agent.run(…)` or `agent.run_sync(…)`"
        )
    return bridge.call(work)
