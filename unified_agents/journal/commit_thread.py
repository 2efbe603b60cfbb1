"""One thread that carries out the work of a database: what waits at the same time shares one transaction."""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from unified_agents.journal.lease import Lease
from unified_agents.result import RunStatus

T = TypeVar("T")
ConnectionT = TypeVar("ConnectionT")

MAX_BATCH = 1000
"""How many pieces of work one transaction holds at most."""


class Database(Protocol[ConnectionT]):
    """What the thread needs of a database. All of it is called in the thread."""

    def connect(self) -> ConnectionT:
        """Open the connection."""

    def begin(self, connection: ConnectionT) -> None:
        """Begin a transaction that writes."""

    def commit(self, connection: ConnectionT) -> None:
        """Commit it, durably."""

    def roll_back(self, connection: ConnectionT) -> None:
        """Undo it."""

    def close(self, connection: ConnectionT) -> None:
        """Close the connection."""

    def store(self, connection: ConnectionT, appends: Sequence[Append]) -> None:
        """Store rows within a transaction; of those that it refuses it sets `error`."""

    def renew(self, connection: ConnectionT) -> None:
        """Renew the leases of this process, within a transaction."""

    def translated(self, error: Exception) -> Exception:
        """Return our error for one of the database's."""


@dataclass(slots=True, eq=False)
class Append:
    """Rows of one run that wait to be stored.

    Attributes:
        lease: The right to write them.
        number: The number of the first.
        bodies: The rows as JSON.
        status: How the run ends with them; None where it goes on.
        release: Whether the run is given back.
        future: Ends when they are durable.
        error: Why they could not be stored.
    """

    lease: Lease
    number: int
    bodies: list[bytes]
    status: RunStatus | None
    release: bool
    future: asyncio.Future[Any]
    error: Exception | None = None
    value: None = None


@dataclass(slots=True, eq=False)
class _Job(Generic[ConnectionT]):
    work: Callable[[ConnectionT], Any] | None  # None ends the thread
    future: asyncio.Future[Any]
    value: Any = None
    error: Exception | None = None


class CommitThread(Generic[ConnectionT]):
    """The thread of one database. It begins with the first piece of work, and never keeps the interpreter alive.

    Args:
        database: The database.
        renewal: Seconds between two renewals of leases.
        name: The thread's name.
    """

    def __init__(self, database: Database[ConnectionT], renewal: float, name: str) -> None:
        self._database = database
        self._renewal = renewal
        self._name = name
        self._lost: list[ConnectionT] = []
        self._connection: ConnectionT | None = None
        self._reset()
        _threads.add(self)

    def _reset(self) -> None:
        """Begin without a thread: at first, and in a process that is forked."""
        if self._connection is not None:
            self._lost.append(self._connection)  # it is the parent's: closing it here would disturb the parent
        self._connection = None
        self._jobs: queue.SimpleQueue[_Job[ConnectionT] | Append] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._renewed = time.monotonic()

    def submit(self, work: Callable[[ConnectionT], T]) -> asyncio.Future[T]:
        """Have a piece of work done, in the order of the calls, and return what ends when it is durable.

        Args:
            work: It may be carried out twice, where another piece failed that shared its transaction. Errors that it
                raises before it changes anything reach the caller alone.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(_Job(work, future))
        return future

    def append(
        self, lease: Lease, number: int, bodies: list[bytes], status: RunStatus | None, *, release: bool
    ) -> asyncio.Future[None]:
        """Have rows stored, in the order of the calls, and return what ends when they are durable."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(Append(lease, number, bodies, status, release, future))
        return future

    async def aclose(self) -> None:
        """End the thread, after all work that was given to it."""
        with self._lock:
            if self._thread is None:
                return
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._jobs.put(_Job(None, future))
        await asyncio.shield(future)

    def _put(self, job: _Job[ConnectionT] | Append) -> None:
        with self._lock:
            self._jobs.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            jobs = self._waiting()
            last = next((job for job in jobs if isinstance(job, _Job) and job.work is None), None)
            work = [job for job in jobs if job is not last]
            self._carry_out(work)
            _deliver(work)
            if last is not None and self._end(last):
                return

    def _waiting(self) -> list[_Job[ConnectionT] | Append]:
        """Return what waits, once something does; nothing when it is time to renew leases."""
        jobs: list[_Job[ConnectionT] | Append] = []
        with suppress(queue.Empty):
            jobs.append(self._jobs.get(timeout=max(0.0, self._renewed + self._renewal - time.monotonic())))
            while len(jobs) < MAX_BATCH:
                jobs.append(self._jobs.get_nowait())
        return jobs

    def _end(self, last: _Job[ConnectionT]) -> bool:
        """Close the connection and end, unless more work has come."""
        with self._lock:
            ends = self._jobs.empty()
            if ends:
                self._thread = None
                if self._connection is not None:
                    self._database.close(self._connection)
                self._connection = None
        if not ends:
            self._jobs.put(last)
            return False
        _deliver([last])
        return True

    def _carry_out(self, jobs: list[_Job[ConnectionT] | Append]) -> None:
        try:
            self._transaction(jobs)
        except Exception as error:  # of the database; whoever waits is told
            if len(jobs) > 1:
                for job in jobs:
                    self._carry_out([job])
                return
            for job in jobs:
                job.error = self._database.translated(error)
                if isinstance(job, Append):
                    job.lease.fail(job.error)

    def _transaction(self, jobs: list[_Job[ConnectionT] | Append]) -> None:
        is_due = time.monotonic() >= self._renewed + self._renewal
        if is_due:
            self._renewed = time.monotonic()
        if not jobs and self._connection is None:
            return
        if self._connection is None:
            self._connection = self._database.connect()
        database, connection = self._database, self._connection
        database.begin(connection)
        try:
            for is_append, group in itertools.groupby(jobs, lambda job: isinstance(job, Append)):
                if is_append:
                    database.store(connection, [job for job in group if isinstance(job, Append)])
                    continue
                for job in group:
                    if isinstance(job, _Job) and job.work is not None:
                        job.value, job.error = _attempt(job.work, connection, database)
            if is_due:
                database.renew(connection)
            database.commit(connection)
        except BaseException:
            database.roll_back(connection)
            raise


def _attempt(
    work: Callable[[ConnectionT], Any], connection: ConnectionT, database: Database[ConnectionT]
) -> tuple[Any, Exception | None]:
    try:
        return work(connection), None
    except Exception as error:
        if database.translated(error) is not error:
            raise
        return None, error


def _deliver(jobs: Sequence[_Job[Any] | Append]) -> None:
    """Hand the outcomes over, with one wake-up for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job[Any] | Append]] = {}
    for job in jobs:
        by_loop.setdefault(job.future.get_loop(), []).append(job)
    for loop, its_jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, its_jobs)
        except RuntimeError:  # the loop is closed, and nobody waits any more
            continue


def _resolve(jobs: Sequence[_Job[Any] | Append]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
            job.future.exception()  # it may be awaited or not
        else:
            job.future.set_result(job.value)


_threads: weakref.WeakSet[CommitThread[Any]] = weakref.WeakSet()


def _begin_in_child() -> None:
    for thread in tuple(_threads):
        thread._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
