"""A journal in a PostgreSQL database, which processes of several machines may share."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from unified_agents.errors import ConfigError, RunBusyError, RunNotFoundError
from unified_agents.extras import remedy_of_extra
from unified_agents.journal.commit_thread import CommitThread
from unified_agents.journal.encoding import claimed_rows, entries_of, last_status, read_rows, status_of
from unified_agents.journal.lease import LEASE_SECONDS, Lease, Owner, this_owner
from unified_agents.journal.protocol import SESSION_PREFIX, Addition, RunInfo
from unified_agents.journal.rows import Row, write_row

if TYPE_CHECKING:
    import psycopg

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_INSERT_RUN = """
INSERT INTO unified_agents_runs (run_id, status, fence, claim, owner, host, pid, started, expires)
VALUES (%s, %s, 1, %s, %s, %s, %s, %s, clock_timestamp() + make_interval(secs => %s))
ON CONFLICT (run_id) DO NOTHING RETURNING id
"""
_LOCK_RUN = """
SELECT id, fence, claim, owner, host, pid, started, coalesce(expires >= clock_timestamp(), false)
FROM unified_agents_runs WHERE run_id = %s FOR NO KEY UPDATE SKIP LOCKED
"""
_LOCK_RUNS = """
SELECT id, owner, host, pid, started, coalesce(expires >= clock_timestamp(), false)
FROM unified_agents_runs WHERE run_id = ANY(%s) ORDER BY id FOR UPDATE SKIP LOCKED
"""
_TAKE_RUN = """
UPDATE unified_agents_runs SET fence = fence + 1, status = CASE WHEN status = 'completed' THEN status END, claim = %s,
owner = %s, host = %s, pid = %s, started = %s, expires = clock_timestamp() + make_interval(secs => %s)
WHERE id = %s RETURNING fence
"""
_GIVE_BACK = "UPDATE unified_agents_runs SET owner = NULL WHERE run_id = %s AND claim = %s"

_FORGET_RUN = """
WITH gone AS (DELETE FROM unified_agents_runs WHERE run_id = %s AND claim = %s RETURNING id)
DELETE FROM unified_agents_rows USING gone WHERE run = gone.id
"""
_LIST = """
SELECT run_id, status, extract(epoch FROM created)::float8, (
    SELECT count(*) FROM unified_agents_rows WHERE run = unified_agents_runs.id
), CASE WHEN status IS NULL AND fence = 1 THEN (
    SELECT body FROM unified_agents_rows WHERE run = unified_agents_runs.id AND number = 0
) END, owner, host, pid, started, coalesce(expires >= clock_timestamp(), false)
FROM unified_agents_runs WHERE NOT starts_with(run_id, %s) ORDER BY created DESC, run_id
"""


class PostgresJournal:
    """A journal in a PostgreSQL database: what is committed is on the server's disk.

    One thread writes. What several runs of the process write at the same time shares one commit. While the server is
    away, such as for a restart, a run waits as long as its lease lasts.

    Args:
        url: `postgresql://user:password@host:port/database`, with any parameter of libpq. The tables
            `unified_agents_runs` and `unified_agents_rows` are made where there are none.
        lease_seconds: How long a run stays with an owner that no longer renews its lease.

    Attributes:
        place: The address without the password and without parameters.
        secrets: What of the address must be seen nowhere, by names for it.

    Raises:
        ConfigError: it is no such URL, or psycopg is not installed.
    """

    def __init__(self, url: str, *, lease_seconds: float = LEASE_SECONDS) -> None:
        try:
            from unified_agents.journal.postgres_server import PostgresServer  # noqa: PLC0415  # it needs psycopg
        except ImportError as error:
            remedy = remedy_of_extra("postgres")
            raise ConfigError(f"a journal in PostgreSQL needs psycopg: {remedy}") from error
        server = PostgresServer(url, lease_seconds)
        self.place, self.secrets = server.place, server.secrets
        self._thread: CommitThread[Connection] = CommitThread(
            server, lease_seconds / 3, f"unified-agents journal {self.place}"
        )
        self._lease_seconds = lease_seconds

    def __repr__(self) -> str:
        return f"PostgresJournal({self.place!r})"

    async def begin(self, run_id: str, rows: Sequence[Row]) -> Lease:
        """Store the first rows of a new run; see `Journal.begin`."""
        bodies, status, claim = list(map(write_row, rows)), last_status(rows), uuid.uuid4().hex

        def work(connection: Connection) -> int:
            given = (run_id, status, claim, *_place_of(this_owner()), self._lease_seconds)
            made = connection.execute(_INSERT_RUN, given).fetchone()
            if made is None:
                again = "SELECT id FROM unified_agents_runs WHERE run_id = %s AND claim = %s"
                made = connection.execute(again, (run_id, claim)).fetchone()
                if made is None:
                    raise RunBusyError(
                        f"the journal {self.place} has a run {run_id!r} already: resume it, or name another"
                    )
                return int(made[0])  # it was committed when the connection broke
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO unified_agents_rows (run, number, fence, body) VALUES (%s, %s, 1, %s)",
                    [(made[0], number, body) for number, body in enumerate(bodies)],
                )
            return int(made[0])

        def undo(connection: Connection) -> None:
            connection.execute(_FORGET_RUN, (run_id, claim))

        return Lease(run_id, 1, len(bodies), await self._thread.submit(work, undo))

    async def claim(self, run_id: str) -> tuple[Lease, list[Row]]:
        """Become the owner of a run; see `Journal.claim`."""
        claim = uuid.uuid4().hex

        def work(connection: Connection) -> tuple[int, int, list[bytes]]:
            # What another process has locked it is about to own or to write: waiting for it could end in a deadlock.
            row = connection.execute(_LOCK_RUN, (run_id,)).fetchone()
            if row is None:
                if _key(connection, run_id) is None:
                    raise self._unknown(run_id)
                raise RunBusyError(f"run {run_id} is written by another process at this moment: try again")
            key, fence, holding, *holder = row
            if holding != claim:  # else it was committed when the connection broke
                if _is_held(*holder):
                    raise RunBusyError(
                        f"run {run_id} is driven by process {holder[2]}, which lives: wait for it, or end it"
                    )
                given = (claim, *_place_of(this_owner()), self._lease_seconds, key)
                taken = connection.execute(_TAKE_RUN, given).fetchone()
                fence = taken[0] if taken is not None else fence
            return key, fence, _bodies(connection, key)

        def undo(connection: Connection) -> None:
            connection.execute(_GIVE_BACK, (run_id, claim))

        key, fence, bodies = await self._thread.submit(work, undo)
        return await claimed_rows(self, Lease(run_id, fence, len(bodies), key), bodies)

    def append(
        self, lease: Lease, rows: Sequence[Row], *, release: bool = False, also: Addition | None = None
    ) -> Awaitable[None]:
        """Store rows; see `Journal.append`."""
        return self._thread.append(entries_of(lease, rows, release, also))

    async def read(self, run_id: str) -> list[Row]:
        """Return the rows of a run; see `Journal.read`."""

        def work(connection: Connection) -> list[bytes] | None:
            key = _key(connection, run_id)
            return None if key is None else _bodies(connection, key)

        bodies = await self._thread.submit(work)
        if bodies is None:
            raise self._unknown(run_id)
        return read_rows(run_id, bodies)

    async def runs(self) -> list[RunInfo]:
        """Return all runs, the newest first; see `Journal.runs`."""
        given = (SESSION_PREFIX,)
        found = await self._thread.submit(lambda connection: connection.execute(_LIST, given).fetchall())
        return [
            RunInfo(run_id, status_of(status, run_id, first), created, _is_held(*holder), count)
            for run_id, status, created, count, first, *holder in found
        ]

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs that nobody drives; see `Journal.delete`."""

        def work(connection: Connection) -> int:
            found = connection.execute(_LOCK_RUNS, (list(run_ids),)).fetchall()
            idle = [key for key, *holder in found if not _is_held(*holder)]
            connection.execute("DELETE FROM unified_agents_rows WHERE run = ANY(%s)", (idle,))
            connection.execute("DELETE FROM unified_agents_runs WHERE id = ANY(%s)", (idle,))
            return len(idle)

        return await self._thread.submit(work)

    async def aclose(self) -> None:
        """Close the connection, after all rows that were given are stored."""
        await self._thread.aclose()

    def _unknown(self, run_id: str) -> RunNotFoundError:
        return RunNotFoundError(
            f"the journal {self.place} has no run {run_id!r}; `unified-agents runs list` shows them"
        )


def _place_of(owner: Owner) -> tuple[str, str, int, str]:
    return owner.id, owner.host, owner.pid, owner.started


def _is_held(owner: str | None, host: str, pid: int, started: str, is_valid: bool) -> bool:
    return owner is not None and is_valid and not Owner(owner, host, pid, started).is_dead()


def _key(connection: Connection, run_id: str) -> int | None:
    row = connection.execute("SELECT id FROM unified_agents_runs WHERE run_id = %s", (run_id,)).fetchone()
    return None if row is None else int(row[0])


def _bodies(connection: Connection, key: int) -> list[bytes]:
    query = "SELECT body FROM unified_agents_rows WHERE run = %s ORDER BY number"
    return [bytes(body) for (body,) in connection.execute(query, (key,), binary=True)]
