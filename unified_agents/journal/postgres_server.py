"""The database of a PostgreSQL journal, as its thread uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from unified_agents.errors import ConfigError, JournalError
from unified_agents.journal.addresses import check_address, journal_secrets
from unified_agents.journal.commit_thread import Append, EncodedRows
from unified_agents.journal.encoding import earlier_failure, lost
from unified_agents.journal.lease import Lease, this_owner
from unified_agents.journal.rows import FORMAT
from unified_agents.redaction.redactor import MASK, Redactor

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_SCHEMA = """
CREATE TABLE unified_agents_journal (format integer NOT NULL);
CREATE TABLE unified_agents_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text COLLATE "C" NOT NULL UNIQUE,
    created timestamptz NOT NULL DEFAULT clock_timestamp(),
    status text, fence bigint NOT NULL, claim text NOT NULL,
    owner text, host text, pid integer, started text, expires timestamptz
) WITH (fillfactor = 70);
CREATE INDEX unified_agents_runs_owned ON unified_agents_runs (owner) WHERE owner IS NOT NULL;
CREATE TABLE unified_agents_rows (
    run bigint NOT NULL, number integer NOT NULL, fence bigint NOT NULL, body bytea NOT NULL,
    PRIMARY KEY (run, number)
);
"""
_SCHEMA_LOCK = 0x75614A31
"""An advisory lock: tables are made by one process at a time."""

_HELD = "SELECT id, fence FROM unified_agents_runs WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"

_INSERT_ROWS = """
INSERT INTO unified_agents_rows (run, number, fence, body)
SELECT * FROM unnest(%b::bigint[], %b::integer[], %b::bigint[], %b::bytea[]) ON CONFLICT (run, number) DO NOTHING
"""
_SET_STATUS = """
UPDATE unified_agents_runs AS runs SET status = coalesce(
    given.status, CASE WHEN runs.status = 'completed' THEN runs.status END
),
owner = CASE WHEN given.release THEN NULL ELSE runs.owner END
FROM unnest(%s::bigint[], %s::text[], %s::boolean[]) AS given (id, status, release) WHERE runs.id = given.id
"""
_STORED = "SELECT number, body FROM unified_agents_rows WHERE run = %s AND fence = %s AND number = ANY(%s)"

_PASSING = ("08", "40", "57P01", "57P02", "57P03", "25P03", "53300")
"""How the SQLSTATE begins of what a server says that goes away or comes back, or that chose a victim of a deadlock."""


class PostgresServer:
    """One database.

    Args:
        url: Its address, as libpq takes it.
        lease_seconds: How long a lease lasts, and how long work waits for a server that is away.

    Attributes:
        patience: See `Database`.
        place: The address without the password and without parameters.
        secrets: What of the address must be seen nowhere, by names for it.

    Raises:
        ConfigError: it is no address.
    """

    def __init__(self, url: str, lease_seconds: float) -> None:
        check_address(url)
        self.secrets = journal_secrets(url)
        self._redactor = Redactor(dict.fromkeys(self.secrets.values(), MASK))
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error as error:
            # libpq repeats the address, which may hold a password
            raise ConfigError("journal: give postgresql://user:password@host:port/database") from error
        milliseconds = round(lease_seconds * 1000)
        defaults: dict[str, Any] = {
            "application_name": "unified-agents",
            "client_encoding": "utf8",
            "connect_timeout": 10,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": milliseconds,
        }
        self._address = make_conninfo("", **(defaults | given))
        user = f"{given['user']}@" if "user" in given else ""
        host = given.get("host", "") or given.get("hostaddr", "")
        port = f":{given['port']}" if "port" in given else ""
        self.place = f"postgresql://{user}{host}{port}/{given.get('dbname', '')}"
        self.patience = lease_seconds
        self._lease_seconds = lease_seconds
        # The server ends the transaction of a process that is frozen within it, and so frees what it locked.
        self._settings = f"SET idle_in_transaction_session_timeout = {milliseconds}"

    def connect(self) -> Connection:
        """Open a connection, and make the tables where there are none; see `Database`."""
        connection = psycopg.connect(self._address, autocommit=True)
        try:
            connection.execute(self._settings)
            durability = connection.execute("SHOW synchronous_commit").fetchone()
            if durability == ("off",):
                connection.execute("SET synchronous_commit = on")
            self._check_format(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_format(self, connection: Connection) -> None:
        """Make the tables where there are none.

        Raises:
            JournalError: they are of a newer version.
        """
        if connection.execute("SELECT to_regclass('unified_agents_journal')").fetchone() == (None,):
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
                if connection.execute("SELECT to_regclass('unified_agents_journal')").fetchone() == (None,):
                    connection.execute(_SCHEMA)
                    connection.execute("INSERT INTO unified_agents_journal VALUES (%s)", (FORMAT,))
        row = connection.execute("SELECT format FROM unified_agents_journal").fetchone()
        version = FORMAT if row is None else row[0]
        if version > FORMAT:
            raise JournalError(
                f"the journal {self.place} has format {version}, and this version of unified-agents reads {FORMAT}: "
                "take a newer one"
            )
        if version < FORMAT:
            connection.execute("UPDATE unified_agents_journal SET format = %s WHERE format < %s", (FORMAT, FORMAT))

    def begin(self, connection: Connection) -> None:
        """Begin a transaction; see `Database`."""
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")

    def commit(self, connection: Connection) -> None:
        """Commit it; see `Database`."""
        connection.execute("COMMIT")

    def roll_back(self, connection: Connection) -> None:
        """Undo it, where the connection is open; see `Database`."""
        if self.is_open(connection):
            connection.execute("ROLLBACK")

    def close(self, connection: Connection) -> None:
        """Close a connection; see `Database`."""
        connection.close()

    def store(self, connection: Connection, appends: Sequence[Append]) -> None:
        """Store entries whose owners hold their leases; see `Database`."""
        keys = sorted({entry.lease.key for append in appends for entry in append.entries})
        fences: dict[int, int] = dict(connection.execute(_HELD, (keys,)).fetchall())
        accepted: list[EncodedRows] = []
        for append in appends:
            refusals = [self._refusal(connection, entry, fences) for entry in append.entries]
            if (refusal := next(filter(None, refusals), None)) is not None:
                append.fail(refusal)
            else:
                accepted += [entry for entry in append.entries if fences.get(entry.lease.key) == entry.lease.fence]
        self._insert(connection, accepted)
        ends: dict[int, EncodedRows] = {entry.lease.key: entry for entry in accepted if entry.status or entry.release}
        if ends:
            values = [(key, entry.status, entry.release) for key, entry in ends.items()]
            connection.execute(_SET_STATUS, tuple(map(list, zip(*values, strict=True))))

    def _insert(self, connection: Connection, entries: Sequence[EncodedRows]) -> None:
        rows = [
            (entry.lease.key, number, entry.lease.fence, body)
            for entry in entries
            for number, body in enumerate(entry.bodies, entry.number)
        ]
        if not rows:
            return
        stored = connection.execute(_INSERT_ROWS, tuple(map(list, zip(*rows, strict=True)))).rowcount
        if stored == len(rows):
            return
        for entry in entries:  # some were committed when the connection broke
            if not _is_stored(connection, entry):
                raise JournalError(f"the journal {self.place} holds other rows of run {entry.lease.run_id}")

    def _refusal(self, connection: Connection, entry: EncodedRows, fences: dict[int, int]) -> JournalError | None:
        lease = entry.lease
        if lease.failure is not None:
            return earlier_failure(lease)
        fence = fences.get(lease.key)
        if fence == lease.fence or (entry.bodies and _is_stored(connection, entry)):
            return None  # or it was committed when the connection broke, and has another owner since
        return lost(lease, is_deleted=fence is None)

    def renew(self, connection: Connection) -> None:
        """Renew the leases of this process; see `Database`."""
        connection.execute(
            "UPDATE unified_agents_runs SET expires = clock_timestamp() + make_interval(secs => %s) WHERE owner = %s",
            (self._lease_seconds, this_owner().id),
        )

    def give_back(self, connection: Connection, lease: Lease) -> None:
        """Give a run back; see `Database`."""
        connection.execute(
            "UPDATE unified_agents_runs SET owner = NULL WHERE id = %s AND fence = %s", (lease.key, lease.fence)
        )

    def is_passing(self, error: Exception) -> bool:
        """Tell whether the server is away for a while; see `Database`."""
        if not isinstance(error, psycopg.OperationalError):
            return False
        return error.sqlstate is None or error.sqlstate.startswith(_PASSING)

    def is_open(self, connection: Connection) -> bool:
        """Tell whether a connection can be used; see `Database`."""
        return not connection.closed

    def translated(self, error: Exception) -> Exception:
        """Return our error for one of PostgreSQL's; see `Database`."""
        if isinstance(error, JournalError) or not isinstance(error, psycopg.Error | OSError):
            return error
        what = self._redactor.redact(" ".join(str(error).split())) or type(error).__name__
        wrapped = JournalError(f"the journal {self.place} cannot be used: {what}")
        wrapped.__cause__ = error
        return wrapped


def _is_stored(connection: Connection, entry: EncodedRows) -> bool:
    """Tell whether the journal holds an entry's rows as this owner writes them."""
    numbers = list(range(entry.number, entry.number + len(entry.bodies)))
    found = connection.execute(_STORED, (entry.lease.key, entry.lease.fence, numbers)).fetchall()
    return {number: bytes(body) for number, body in found} == dict(zip(numbers, entry.bodies, strict=True))
