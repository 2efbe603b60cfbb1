"""An executor of daemon threads, for synchronous tools.

The standard library's pool is joined when the interpreter ends, so one hung tool would keep a program alive for ever.
These threads are daemons, and one that is given up does not count against the bound while it runs on.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, ParamSpec, TypeAlias, TypeVar

from unified_agents import wording

P = ParamSpec("P")
T = TypeVar("T")
OnAbandoned: TypeAlias = Callable[[str, "Future[Any]"], None]
"""Called when a thread is given up, with its name and a future that is done when its call ends after all."""


class _Current(threading.local):
    pool: DaemonThreads | None = None


current = _Current()
"""The pool that the running thread belongs to; None for all other threads."""


class _Call(Future[Any]):
    """The future of one call."""

    is_over = False  # its function has ended, though nobody may have been told yet
    is_abandoned = False


_Job = tuple[_Call, Callable[[], Any]]


class DaemonThreads(Executor):
    """An executor whose threads do not keep the interpreter alive.

    Args:
        max_threads: How many calls run at once; more wait in line.
        name: The prefix of each thread's name.
    """

    def __init__(self, max_threads: int = 64, name: str = "unified-agents-tool") -> None:
        self._bound = max_threads
        self._name = name
        self._begin()
        _pools.add(self)

    def _begin(self) -> None:
        """Begin without a thread or a job: at first, and in a process that is forked."""
        self._max_threads = self._bound
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._numbers = itertools.count(1)
        self._idle = 0  # threads that wait and that no job is meant for yet
        self._backlog = 0  # jobs that no thread is meant for yet

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function in one of the threads.

        Raises:
            RuntimeError: no thread can be started; then the function never runs.
        """
        future = _Call()
        self._jobs.put((future, lambda: fn(*args, **kwargs)))
        with self._lock:
            self._backlog += 1
            try:
                self._assign()
            except RuntimeError:
                future.cancel()  # whoever takes it from the queue passes over it
                raise
        return future

    async def call(self, function: Callable[[], T], on_abandoned: OnAbandoned | None = None) -> T:
        """Run a function in one of the threads, in the caller's context, and wait for it.

        When the caller is cancelled, a function that has not begun never runs, and one that runs is abandoned.

        Args:
            function: What to run. A cancel that it raises comes through, and is none of the caller's task.
            on_abandoned: Called when it is abandoned.

        Raises:
            RuntimeError: the function raised what no future can carry, or what would end the event loop.
        """
        name = ""

        def work() -> T:
            nonlocal name
            name = threading.current_thread().name
            return _with_safe_errors(function)

        future = self.submit(copy_context().run, work)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if self.abandon(future) and on_abandoned is not None:
                on_abandoned(name or "that was just beginning", future)
            raise

    def abandon(self, future: Future[Any]) -> bool:
        """Give up the thread that runs a call: until it ends after all, another may run in its place.

        Returns:
            Whether the call was running.
        """
        with self._lock:
            if not isinstance(future, _Call) or not future.running() or future.is_over:
                return False
            if not future.is_abandoned:
                future.is_abandoned = True
                self._max_threads += 1
                self._assign()
            return True

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let another thread run while one waits for work that may need threads itself."""
        with self._lock:
            self._max_threads += 1
            self._assign()
        try:
            yield
        finally:
            with self._lock:
                self._max_threads -= 1

    def _assign(self) -> None:
        if not self._backlog:
            return
        if self._idle:
            self._idle -= 1
        elif self._threads < self._max_threads:
            threading.Thread(target=self._work, name=f"{self._name}-{next(self._numbers)}", daemon=True).start()
            self._threads += 1
        else:
            return
        self._backlog -= 1

    def _work(self) -> None:
        current.pool = self
        stays = True
        while stays:
            future, job = self._jobs.get()
            value: Any = None
            error: BaseException | None = None
            runs = future.set_running_or_notify_cancel()
            if runs:
                try:
                    value = job()
                except BaseException as raised:  # handed to whoever waits for the future
                    error = raised
            stays = self._ended(future)  # first, so that whoever gets the result finds this thread idle
            if error is not None:
                future.set_exception(error)
            elif runs:
                future.set_result(value)
            del future, job, value, error

    def _ended(self, call: _Call) -> bool:
        """Note the end of a call, and tell whether its thread stays."""
        with self._lock:
            call.is_over = True
            self._max_threads -= call.is_abandoned
            if self._threads > self._max_threads:  # another thread runs in this one's place
                self._threads -= 1
                return False
            self._idle += 1
            self._assign()
            return True


_pools: weakref.WeakSet[DaemonThreads] = weakref.WeakSet()


def _begin_in_child() -> None:
    current.pool = None
    for pool in tuple(_pools):
        pool._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


def _with_safe_errors(function: Callable[[], T]) -> T:
    try:
        return function()
    except (StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        # A future cannot carry the first, and the others would end the event loop.
        raise RuntimeError(wording.tool_raised(type(error).__name__)) from error
