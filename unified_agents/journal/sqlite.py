"""A journal in a SQLite file, which several processes of one machine may share."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path

from unified_agents.errors import JournalError, RunBusyError, RunNotFoundError
from unified_agents.journal.commit_thread import Append, CommitThread
from unified_agents.journal.encoding import (
    claimed_rows,
    earlier_failure,
    entries_of,
    last_status,
    lost,
    read_rows,
    status_of,
)
from unified_agents.journal.lease import LEASE_SECONDS, Lease, Owner, this_owner
from unified_agents.journal.protocol import SESSION_PREFIX, Addition, RunInfo
from unified_agents.journal.rows import FORMAT, Row, write_row

_APPLICATION_ID = 0x75614A31
"""Marks a file as a journal of this library."""

_SCHEMA = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE, created REAL NOT NULL, status TEXT,
    fence INTEGER NOT NULL,
    owner TEXT, host TEXT, pid INTEGER, started TEXT, expires REAL
);
CREATE TABLE rows (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX rows_of_run ON rows (run, number);
"""

_INSERT_RUN = (
    "INSERT INTO runs (run_id, created, status, fence, owner, host, pid, started, expires) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_ROW = "INSERT INTO rows (run, number, body) VALUES (?, ?, ?)"

_TAKE_RUN = (
    "UPDATE runs SET fence = fence + 1, status = CASE WHEN status = 'completed' THEN status END, "
    "owner = ?, host = ?, pid = ?, started = ?, expires = ? WHERE id = ?"
)
_SET_STATUS = (
    "UPDATE runs SET status = coalesce(?, CASE WHEN status = 'completed' THEN status END), "
    "owner = CASE WHEN ? THEN NULL ELSE owner END WHERE id = ?"
)

_BUSY_SECONDS = 30.0
"""How long a transaction waits for that of another process."""


class SqliteJournal:
    """A journal in a SQLite file, in WAL mode with `synchronous=FULL`: what is committed survives a loss of power.

    One thread writes. What several runs of the process write at the same time shares one commit.

    Args:
        path: The file; it is made where there is none.
        lease_seconds: How long a run stays with an owner that no longer renews its lease.
    """

    def __init__(self, path: str | Path, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self.path = Path(path)
        self._thread = CommitThread(
            _SqliteFile(self.path, lease_seconds), lease_seconds / 3, f"unified-agents journal {self.path.name}"
        )
        self._lease_seconds = lease_seconds

    def __repr__(self) -> str:
        return f"SqliteJournal({str(self.path)!r})"

    async def begin(self, run_id: str, rows: Sequence[Row]) -> Lease:
        """Store the first rows of a new run; see `Journal.begin`."""
        bodies, status = list(map(write_row, rows)), last_status(rows)

        def work(connection: sqlite3.Connection) -> int:
            if connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)).fetchone():
                raise RunBusyError(f"the journal {self.path} has a run {run_id!r} already: resume it, or name another")
            now, owner = time.time(), this_owner()
            values = (run_id, now, status, 1, owner.id, owner.host, owner.pid, owner.started, now + self._lease_seconds)
            key = connection.execute(_INSERT_RUN, values).lastrowid or 0
            connection.executemany(_INSERT_ROW, [(key, number, body) for number, body in enumerate(bodies)])
            return key

        return Lease(run_id, 1, len(bodies), await self._thread.submit(work))

    async def claim(self, run_id: str) -> tuple[Lease, list[Row]]:
        """Become the owner of a run; see `Journal.claim`."""

        def work(connection: sqlite3.Connection) -> tuple[int, int, list[bytes]]:
            now, owner = time.time(), this_owner()
            row = connection.execute(
                "SELECT id, fence, owner, host, pid, started, expires FROM runs WHERE run_id = ?", (run_id,)
            ).fetchone()
            if row is None:
                raise self._unknown(run_id)
            key, fence, holder, *place, expires = row
            if holder is not None and _holds(Owner(holder, *place), expires, now):
                raise RunBusyError(f"run {run_id} is driven by process {place[1]}, which lives: wait for it, or end it")
            values = (owner.id, owner.host, owner.pid, owner.started, now + self._lease_seconds, key)
            connection.execute(_TAKE_RUN, values)
            return key, fence + 1, _bodies(connection, key)

        key, fence, bodies = await self._thread.submit(work)
        return await claimed_rows(self, Lease(run_id, fence, len(bodies), key), bodies)

    def append(
        self, lease: Lease, rows: Sequence[Row], *, release: bool = False, also: Addition | None = None
    ) -> Awaitable[None]:
        """Store rows; see `Journal.append`."""
        return self._thread.append(entries_of(lease, rows, release, also))

    async def read(self, run_id: str) -> list[Row]:
        """Return the rows of a run; see `Journal.read`."""
        query = "SELECT id FROM runs WHERE run_id = ?"

        def work(connection: sqlite3.Connection) -> list[bytes] | None:
            row = connection.execute(query, (run_id,)).fetchone()
            return None if row is None else _bodies(connection, row[0])

        bodies = await self._thread.submit(work)
        if bodies is None:
            raise self._unknown(run_id)
        return read_rows(run_id, bodies)

    async def runs(self) -> list[RunInfo]:
        """Return all runs, the newest first; see `Journal.runs`."""
        query = (
            "SELECT run_id, status, created, owner, host, pid, started, expires, "
            "(SELECT count(*) FROM rows WHERE rows.run = runs.id), "
            "CASE WHEN status IS NULL AND fence = 1 "
            "THEN (SELECT CAST(body AS BLOB) FROM rows WHERE rows.run = runs.id AND number = 0) END "
            "FROM runs ORDER BY created DESC, run_id"
        )
        found = await self._thread.submit(lambda connection: connection.execute(query).fetchall())
        now = time.time()
        return [
            RunInfo(
                run_id,
                status_of(status, run_id, first),
                created,
                holder is not None and _holds(Owner(holder, *place), expires, now),
                count,
            )
            for run_id, status, created, holder, *place, expires, count, first in found
            if not run_id.startswith(SESSION_PREFIX)
        ]

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs that nobody drives; see `Journal.delete`."""

        def work(connection: sqlite3.Connection) -> int:
            deleted, now = 0, time.time()
            for run_id in run_ids:
                row = connection.execute(
                    "SELECT id, owner, host, pid, started, expires FROM runs WHERE run_id = ?", (run_id,)
                ).fetchone()
                if row is None or (row[1] is not None and _holds(Owner(*row[1:5]), row[5], now)):
                    continue
                connection.execute("DELETE FROM rows WHERE run = ?", row[:1])
                connection.execute("DELETE FROM runs WHERE id = ?", row[:1])
                deleted += 1
            return deleted

        return await self._thread.submit(work)

    async def aclose(self) -> None:
        """Close the file, after all rows that were given are stored."""
        await self._thread.aclose()

    def _unknown(self, run_id: str) -> RunNotFoundError:
        return RunNotFoundError(f"the journal {self.path} has no run {run_id!r}; `unified-agents runs list` shows them")


def _holds(owner: Owner, expires: float, now: float) -> bool:
    return expires >= now and not owner.is_dead()


def _bodies(connection: sqlite3.Connection, key: int) -> list[bytes]:
    rows = connection.execute("SELECT body FROM rows WHERE run = ? ORDER BY number", (key,))
    return [body if isinstance(body, bytes) else str(body).encode() for (body,) in rows]


def _set_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite does not wait for another process that does the same at this moment."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class _SqliteFile:
    """The file of a journal, as its thread uses it."""

    patience = 0.0

    def __init__(self, path: Path, lease_seconds: float) -> None:
        self._path = path
        self._lease_seconds = lease_seconds

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise JournalError(
                f"the journal {self._path} has format {version}, and this version of unified-agents reads {FORMAT}: "
                "take a newer one"
            )
        _set_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        if version == FORMAT:
            return
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            is_ours = connection.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION_ID
            if is_ours:  # of an earlier format, whose tables are the same; or another process has just made them
                connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")
            if not is_ours:
                raise JournalError(f"{self._path} is another program's database, and no journal: name another file")
            return
        for statement in _SCHEMA.split(";")[:-1]:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")

    def begin(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")

    def commit(self, connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")

    def roll_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def close(self, connection: sqlite3.Connection) -> None:
        connection.close()

    def store(self, connection: sqlite3.Connection, appends: Sequence[Append]) -> None:
        rows: list[tuple[int, int, bytes]] = []
        for append in appends:
            for entry in append.entries:
                if (refusal := self._refusal(connection, entry.lease)) is not None:
                    append.fail(refusal)
                    break
            else:
                for entry in append.entries:
                    key = entry.lease.key
                    rows += [(key, number, body) for number, body in enumerate(entry.bodies, entry.number)]
                    if entry.status is not None or entry.release:
                        connection.execute(_SET_STATUS, (entry.status, entry.release, key))
        connection.executemany(_INSERT_ROW, rows)

    def _refusal(self, connection: sqlite3.Connection, lease: Lease) -> JournalError | None:
        if lease.failure is not None:
            return earlier_failure(lease)
        row = connection.execute("SELECT fence FROM runs WHERE id = ?", (lease.key,)).fetchone()
        if row is not None and row[0] == lease.fence:
            return None
        return lost(lease, is_deleted=row is None)

    def renew(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE runs SET expires = ? WHERE owner = ?", (time.time() + self._lease_seconds, this_owner().id)
        )

    def give_back(self, connection: sqlite3.Connection, lease: Lease) -> None:
        connection.execute("UPDATE runs SET owner = NULL WHERE id = ? AND fence = ?", (lease.key, lease.fence))

    def is_passing(self, error: Exception) -> bool:
        return False

    def is_open(self, connection: sqlite3.Connection) -> bool:
        return True

    def translated(self, error: Exception) -> Exception:
        if isinstance(error, JournalError) or not isinstance(error, sqlite3.Error | OSError):
            return error
        wrapped = JournalError(f"the journal {self._path} cannot be used: {error}")
        wrapped.__cause__ = error
        return wrapped
