"""Threads for synchronous tools.

The standard library's pool is joined when the interpreter ends, so one hung tool would keep a program alive for ever.
These threads are daemons, and one that is given up no longer counts against the bound.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Job = tuple["Future[Any]", Callable[[], Any]]


class _Current(threading.local):
    pool: DaemonThreads | None = None


current = _Current()
"""The pool that the running thread belongs to; None for all other threads."""


class DaemonThreads(Executor):
    """An executor whose threads do not keep the interpreter alive.

    Args:
        max_threads: How many calls run at once; more wait in line.
        name: The beginning of each thread's name.
    """

    def __init__(self, max_threads: int = 64, name: str = "unified-agents-tool") -> None:
        self._max_threads = max_threads
        self._name = name
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0  # threads that wait and that no job is meant for yet
        self._backlog = 0  # jobs that no thread is meant for yet

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function in one of the threads."""
        future: Future[T] = Future()
        self._jobs.put((future, lambda: fn(*args, **kwargs)))
        with self._lock:
            self._backlog += 1
            self._assign()
        return future

    def abandon(self) -> None:
        """Give up one running thread: another may be started in its place."""
        with self._lock:
            self._max_threads += 1
            self._assign()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """While a thread waits for work that may need threads itself, another may run in its place."""
        self.abandon()
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
            self._threads += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        else:
            return
        self._backlog -= 1

    def _work(self) -> None:
        current.pool = self
        while True:
            future, job = self._jobs.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:  # handed to whoever waits for the future
                    future.set_exception(error)
            del future, job
            with self._lock:
                self._idle += 1
                self._assign()
