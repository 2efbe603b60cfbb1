"""The background event loop on which synchronous code runs asynchronous work."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import nullcontext
from typing import Any, TypeVar

from unified_agents.concurrency.daemon_threads import current
from unified_agents.errors import BackendError, UnsupportedCapabilityError

T = TypeVar("T")

logger = logging.getLogger("unified_agents.concurrency")

_EXIT_SECONDS = 2.0
_HELD_UP_SECONDS = 1.0
"""How long work that was cancelled may take to end before that is told."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_waiting: set[Future[Any]] = set()
"""Of the calls that wait for the loop; they fail when its thread ends."""


def run_in_background(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run asynchronous work from synchronous code, in the caller's context, and wait for it.

    Raises:
        UnsupportedCapabilityError: the caller is itself on the background loop, and would wait for itself.
        KeyboardInterrupt: the user interrupted; the work was cancelled and has ended.
        BackendError: the loop was stopped.
    """
    if threading.current_thread() is _thread:
        raise UnsupportedCapabilityError(
            "run_sync inside an asynchronous tool would wait for itself: await agent.run(…) there"
        )
    ended: Future[T] = Future()
    loop = background_loop(ended)
    tasks: list[asyncio.Task[T]] = []

    def start() -> None:
        tasks.append(loop.create_task(work()))
        tasks[0].add_done_callback(lambda task: _hand_on(task, ended))

    def cancel() -> None:
        for task in tasks:
            task.cancel()
        if not tasks:  # the interrupt came before the loop was told to start
            ended.cancel()
            ended.set_running_or_notify_cancel()

    try:
        loop.call_soon_threadsafe(start)
        with nullcontext() if current.pool is None else current.pool.lent():
            return ended.result()
    except BaseException:  # a signal's, where the work has not ended
        if not ended.done():
            loop.call_soon_threadsafe(cancel)
            if not wait([ended], timeout=_HELD_UP_SECONDS).done:
                logger.warning(
                    "interrupted: an async tool that blocks holds the event loop up; interrupt again to end without it"
                )
            wait([ended])
        raise
    finally:
        _waiting.discard(ended)


def _hand_on(task: asyncio.Task[T], ended: Future[T]) -> None:
    if ended.done():
        return
    if task.cancelled():
        ended.cancel()
        ended.set_running_or_notify_cancel()
    elif (error := task.exception()) is not None:
        ended.set_exception(error)
    else:
        ended.set_result(task.result())


def background_loop(waits: Future[Any] | None = None) -> asyncio.AbstractEventLoop:
    """Return the loop, which is started at first use and ends with the program.

    Args:
        waits: Fails when the loop ends before it is done; None where nobody waits.
    """
    global _loop, _thread  # noqa: PLW0603  # one loop for the process
    with _lock:
        if _loop is None or _thread is None or not _thread.is_alive():
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_run, args=(_loop,), name="unified-agents-sync", daemon=True)
            _thread.start()
            atexit.register(_end, _loop, _thread)
        if waits is not None:
            _waiting.add(waits)
        return _loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until somebody stops it. What one task raises to end the program does not end all others' work."""
    global _loop  # noqa: PLW0603
    try:
        while True:
            try:
                loop.run_forever()
            except BaseException:  # who awaits the task gets it too
                logger.exception("a task of the background event loop raised what would have ended the loop")
            else:
                return
    finally:
        with _lock:
            _loop = None if _loop is loop else _loop
            left = [future for future in _waiting if not future.done()]
            _waiting.clear()
        for future in left:
            future.set_exception(BackendError("the event loop behind run_sync was stopped, perhaps by a tool"))


def _forget_in_child() -> None:
    # After a fork the thread is not there, and the lock may be held by one that is not there either.
    global _lock, _loop, _thread  # noqa: PLW0603
    _lock = threading.Lock()
    _loop = _thread = None
    _waiting.clear()
    atexit.unregister(_end)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    try:
        asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result(timeout=_EXIT_SECONDS)
    except TimeoutError:
        return  # work holds the loop up; its thread ends with the process
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=_EXIT_SECONDS)
    if not thread.is_alive():
        loop.close()
