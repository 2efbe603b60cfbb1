"""Daemon threads for synchronous tools.

The standard library's pool is joined when the interpreter ends, so one hung tool would keep a program alive for ever.
These threads are daemons, and one that is given up does not count against the bound while it runs on. A call needs one
future, that of its event loop, and so little more than half of the CPU time of `asyncio.to_thread`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from typing import Any, Literal, TypeAlias, TypeVar

from unified_agents import wording

T = TypeVar("T")
OnAbandoned: TypeAlias = Callable[[str, "Future[None]"], None]
"""Called when a thread is given up, with its name and a future that is done when its call ends after all."""


class _Current(threading.local):
    pool: DaemonThreads | None = None


current = _Current()
"""The pool that the running thread belongs to; None for all other threads."""


class _ThreadJob:
    """One call, on its way to a thread and back to the event loop that waits for it.

    Attributes:
        waiter: Done on the event loop, with what the function returned or raised.
        state: How far it has come; guarded by the pool's lock.
        thread: The name of the thread that runs it.
        ended: Done when a call that was given up ends after all; None where it was not given up.
    """

    __slots__ = ("_context", "_function", "_loop", "ended", "state", "thread", "waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context, function: Callable[[], Any]) -> None:
        self._loop = loop
        self._context = context
        self._function = function
        self.waiter: asyncio.Future[Any] = loop.create_future()
        self.state: Literal["waits", "runs", "is over"] = "waits"
        self.thread = ""
        self.ended: Future[None] | None = None

    def run(self) -> tuple[Any, BaseException | None]:
        """Return what the function returns, or what it raises."""
        try:
            return self._context.run(self._function), None
        except (StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            # A future cannot carry the first, and the others would end the event loop.
            failure = RuntimeError(wording.tool_raised(type(error).__name__))
            failure.__cause__ = error
            return None, failure
        except BaseException as error:  # handed to whoever waits
            return None, error

    def hand_over(self, value: Any, error: BaseException | None) -> None:
        """Tell whoever waits; from any thread."""
        if self.ended is not None:
            self.ended.set_result(None)
            return
        with suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._settle, value, error)

    def _settle(self, value: Any, error: BaseException | None) -> None:
        waiter = self.waiter
        del self.waiter  # else an error would hold itself, by the frames of its traceback
        if waiter.done():  # it was cancelled when the function had just ended
            return
        if error is None:
            waiter.set_result(value)
        else:
            waiter.set_exception(error)


class DaemonThreads:
    """Threads that do not keep the interpreter alive.

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
        self._jobs: queue.SimpleQueue[_ThreadJob] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._numbers = itertools.count(1)
        self._idle = 0  # threads that wait and that no job is meant for yet
        self._backlog = 0  # jobs that no thread is meant for yet

    async def call(self, function: Callable[[], T], on_abandoned: OnAbandoned | None = None) -> T:
        """Run a function in one of the threads, in the caller's context, and wait for it.

        When the caller is cancelled, a function that has not begun never runs, and one that runs is abandoned.

        Args:
            function: What to run. A cancel that it raises comes through, and is none of the caller's task.
            on_abandoned: Called when it is abandoned.

        Raises:
            RuntimeError: no thread can be started; then the function never runs. Or the function raised what no future
                can carry, or what would end the event loop.
        """
        job = _ThreadJob(asyncio.get_running_loop(), copy_context(), function)
        with self._lock:
            self._backlog += 1
            try:
                self._assign()
            except RuntimeError:
                self._backlog -= 1
                raise
        self._jobs.put(job)
        try:
            value: T = await job.waiter
        except asyncio.CancelledError:
            if (ended := self._give_up(job)) is not None and on_abandoned is not None:
                on_abandoned(job.thread, ended)
            raise
        return value

    def _give_up(self, job: _ThreadJob) -> Future[None] | None:
        """Let a call that waits never begin, and another thread run in the place of one that runs.

        Returns:
            A future that is done when the call ends after all; None where it was not running.
        """
        with self._lock:
            if job.state == "runs":
                job.ended = Future()
                self._widen()
            elif job.state == "waits":
                job.state = "is over"
            return job.ended

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let another thread run while one waits for work that may need threads itself."""
        with self._lock:
            self._widen()
        try:
            yield
        finally:
            with self._lock:
                self._max_threads -= 1

    def _widen(self) -> None:
        """Let one more thread run. Where none can be started, the next that is idle takes what waits."""
        self._max_threads += 1
        with suppress(RuntimeError):
            self._assign()

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
        name = threading.current_thread().name
        stays = True
        while stays:
            job = self._jobs.get()
            if self._begins(job, name):
                value, error = job.run()
                stays = self._ended(job)  # first, so that whoever gets the result finds this thread idle
                job.hand_over(value, error)
                del value, error
            else:
                stays = self._ended(job)
            del job

    def _begins(self, job: _ThreadJob, thread: str) -> bool:
        """Note the beginning of a call, and tell whether it still waits for it."""
        with self._lock:
            if job.state != "waits":
                return False
            job.state, job.thread = "runs", thread
            return True

    def _ended(self, job: _ThreadJob) -> bool:
        """Note the end of a call, and tell whether its thread stays."""
        with self._lock:
            job.state = "is over"
            self._max_threads -= job.ended is not None
            if self._threads > self._max_threads:  # another thread runs in this one's place
                self._threads -= 1
                return False
            self._idle += 1
            self._assign()  # a job that had no thread until now
            return True


_pools: weakref.WeakSet[DaemonThreads] = weakref.WeakSet()


def _begin_in_child() -> None:
    current.pool = None
    for pool in tuple(_pools):
        pool._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
