"""One thread that carries out the work of a database: what waits at the same time shares one transaction."""

from __future__ import annotations

import asyncio
import functools
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

from unified_agents.errors import JournalError
from unified_agents.journal.lease import Lease
from unified_agents.journal.rows import StoredStatus

T = TypeVar("T")
ConnectionT = TypeVar("ConnectionT")

MAX_BATCH = 1000
"""With so many pieces of work a transaction waits for no more."""

LONGEST_PAUSE_SECONDS = 1.0
"""How long the thread sleeps at most before it tries again to reach its database."""


class Database(Protocol[ConnectionT]):
    """What the thread needs of a database. All of it is called in the thread.

    Attributes:
        patience: Seconds for which work is tried again while the database cannot be reached.
    """

    patience: float

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
        """Store entries within a transaction, and call `fail` of those that it refuses."""

    def renew(self, connection: ConnectionT) -> None:
        """Renew the leases of this process, within a transaction."""

    def give_back(self, connection: ConnectionT, lease: Lease) -> None:
        """Give back a run whose owner ended when its rows could not be stored, within a transaction."""

    def is_passing(self, error: Exception) -> bool:
        """Tell whether the same work may succeed a little later. Where it was done already, doing it again is none."""

    def is_open(self, connection: ConnectionT) -> bool:
        """Tell whether a connection can be used after an error."""

    def translated(self, error: Exception) -> Exception:
        """Return our error for one of the database's."""


@dataclass(slots=True, eq=False)
class EncodedRows:
    """Rows of one run as a database stores them.

    Attributes:
        lease: The right to write them.
        number: The number of the first.
        bodies: The rows as JSON.
        status: How the run ends with them; None where it goes on.
        release: Whether the run is given back.
    """

    lease: Lease
    number: int
    bodies: list[bytes]
    status: StoredStatus | None
    release: bool


@dataclass(slots=True, eq=False)
class Append:
    """Entries that wait to be stored, all of them or none.

    Attributes:
        entries: One, or those of several runs.
        future: Ends when they are durable.
        error: Why they could not be stored.
    """

    entries: tuple[EncodedRows, ...]
    future: asyncio.Future[Any]
    error: Exception | None = None
    value: None = None

    def fail(self, error: Exception) -> None:
        """Note why the entries could not be stored."""
        self.error = error
        for entry in self.entries:
            entry.lease.fail(error)


@dataclass(slots=True, eq=False)
class _Job(Generic[ConnectionT]):
    work: Callable[[ConnectionT], Any] | None  # None ends the thread
    future: asyncio.Future[Any]
    undo: Callable[[ConnectionT], object] | None = None
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
        self._given_up: list[Callable[[ConnectionT], object]] = []
        self._connection: ConnectionT | None = None
        self._reset()
        _threads.add(self)

    def _reset(self) -> None:
        """Begin without a thread: at first, and in a process that is forked."""
        if self._connection is not None:
            self._lost.append(self._connection)  # it is the parent's: closing it here would disturb the parent
        self._connection = None
        self._has_connected = False
        self._given_up.clear()
        self._jobs: queue.SimpleQueue[Sequence[_Job[ConnectionT] | Append]] = queue.SimpleQueue()
        self._waiting_appends: dict[asyncio.AbstractEventLoop, list[Append]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._renew_at = time.monotonic() + self._renewal

    def submit(
        self, work: Callable[[ConnectionT], T], undo: Callable[[ConnectionT], object] | None = None
    ) -> asyncio.Future[T]:
        """Have a piece of work done, in the order of the calls, and return what ends when it is durable.

        Args:
            work: It may be carried out twice, where another piece failed that shared its transaction. Errors that it
                raises before it changes anything reach the caller alone.
            undo: Undoes it, where it may have been done although the caller is told that it failed.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._flush(future.get_loop())
        self._put([_Job(work, future, undo)])
        return future

    def append(self, entries: tuple[EncodedRows, ...]) -> asyncio.Future[None]:
        """Have entries stored together, in the order of the calls, and return what ends when they are durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        waiting = self._waiting_appends.get(loop)
        if waiting is None:  # what the loop appends in this round goes to the thread at once, and wakes it once
            waiting = self._waiting_appends[loop] = []
            loop.call_soon(self._flush, loop)
        waiting.append(Append(entries, future))
        return future

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        if waiting := self._waiting_appends.pop(loop, None):
            self._put(waiting)

    async def aclose(self) -> None:
        """End the thread, after all work that was given to it."""
        for loop in list(self._waiting_appends):
            self._flush(loop)
        with self._lock:
            if self._thread is None:
                return
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._jobs.put([_Job(None, future)])
        await asyncio.shield(future)

    def _put(self, jobs: Sequence[_Job[ConnectionT] | Append]) -> None:
        with self._lock:
            self._jobs.put(jobs)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            jobs = self._waiting()
            last = next((job for job in jobs if isinstance(job, _Job) and job.work is None), None)
            work = [job for job in jobs if job is not last]
            self._carry_out(work)
            self._give_up([job for job in work if job.error is not None])
            _deliver(work)
            if last is not None and self._end(last):
                return

    def _give_up(self, failed: Sequence[_Job[ConnectionT] | Append]) -> None:
        """Note what is to be undone, once the database can be written, of work whose callers are told that it failed.

        This process lives, so no other could take these runs over.
        """
        for job in failed:
            if isinstance(job, Append):
                released = [rows.lease for rows in job.entries if rows.release]
                self._given_up += [functools.partial(self._database.give_back, lease=lease) for lease in released]
            elif job.undo is not None and isinstance(job.error, JournalError):
                self._given_up.append(job.undo)

    def _waiting(self) -> list[_Job[ConnectionT] | Append]:
        """Return what waits, once something does; nothing when it is time to renew leases."""
        jobs: list[_Job[ConnectionT] | Append] = []
        with suppress(queue.Empty):
            jobs += self._jobs.get(timeout=max(0.0, self._renew_at - time.monotonic()))
            while len(jobs) < MAX_BATCH:
                jobs += self._jobs.get_nowait()
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
            self._jobs.put([last])
            return False
        _deliver([last])
        return True

    def _carry_out(self, jobs: list[_Job[ConnectionT] | Append]) -> None:
        try:
            self._persist(jobs)
        except Exception as error:  # of the database; whoever waits is told
            self._renew_at = time.monotonic() + min(self._renewal, LONGEST_PAUSE_SECONDS)
            if len(jobs) > 1 and not self._database.is_passing(error):
                for job in jobs:
                    self._carry_out([job])
                return
            for job in jobs:
                failure = job.error = self._database.translated(error)
                if isinstance(job, Append):
                    job.fail(failure)

    def _persist(self, jobs: list[_Job[ConnectionT] | Append]) -> None:
        """Carry out one transaction, and again for a while where the database is away."""
        deadline, pause = time.monotonic() + self._database.patience, 0.02
        while True:
            try:
                self._transaction(jobs)
                return
            except Exception as error:
                if self._connection is not None and not self._database.is_open(self._connection):
                    self._database.close(self._connection)
                    self._connection = None
                is_waited_for = self._has_connected and self._database.is_passing(error)
                if not is_waited_for or time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _transaction(self, jobs: list[_Job[ConnectionT] | Append]) -> None:
        is_due = time.monotonic() >= self._renew_at
        if not jobs and not self._has_connected:
            self._renew_at = time.monotonic() + self._renewal
            return
        if self._connection is None:
            self._connection = self._database.connect()
            self._has_connected = True
        database, connection = self._database, self._connection
        database.begin(connection)
        try:
            for undo in self._given_up:
                undo(connection)
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
        self._given_up.clear()
        if is_due:
            self._renew_at = time.monotonic() + self._renewal


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
