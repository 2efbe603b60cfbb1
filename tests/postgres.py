"""A PostgreSQL server of the tests' own: on loopback, with a data folder of its own, where one is installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DEMANDED = "UNIFIED_AGENTS_DEMAND_POSTGRES"
"""With this variable set, a test that finds no PostgreSQL fails."""
PASSWORD = "hot-potato-4711"
WAIT = 60.0


def programs() -> Path | None:
    """Return the folder of the server's programs; Debian has it outside the search path."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


class Server:
    """A running server.

    Args:
        folder: The folder of its programs.
        home: An empty folder of its own.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder = folder
        self._data = home / "data"
        self._log = home / "log"
        # The server refuses to run as root; Debian's package has made a user for it.
        self._as_user: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if self._as_user:
            shutil.chown(home, "postgres", "postgres")
        (home / "password").write_text(PASSWORD)
        command = [folder / "initdb", "-D", self._data, "-U", "tester", "-A", "scram-sha-256", "-E", "UTF8"]
        subprocess.run(
            [*command, "--locale=C", f"--pwfile={home / 'password'}"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=home,
            **self._as_user,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"postgresql://tester:{PASSWORD}@127.0.0.1:{self._port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it answers."""
        import psycopg

        command = [self._folder / "postgres", "-D", self._data, "-p", str(self._port), "-h", "127.0.0.1"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "-c", "unix_socket_directories="], stdout=log, stderr=log, cwd="/", **self._as_user
            )
        end = time.monotonic() + WAIT
        while time.monotonic() < end and self._process.poll() is None:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)  # the server tells nobody that it is ready
        pytest.fail(f"PostgreSQL does not start: {self._log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT cuts all connections, SIGQUIT ends it as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(WAIT)
            self._process = None

    def new_place(self) -> str:
        """Return the address of a new, empty place for tables."""
        import psycopg

        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self.url}?options=-csearch_path%3D{name}"


@contextmanager
def running_server() -> Iterator[Server]:
    """Yield a server, and end it with the block."""
    pytest.importorskip("psycopg", reason="psycopg is missing")
    folder = programs()
    if folder is None:
        if os.environ.get(DEMANDED):
            pytest.fail(f"PostgreSQL is missing, and {DEMANDED} demands it")
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    home = Path(tempfile.mkdtemp(prefix="unified-agents-postgres-"))  # the folders of pytest are closed to other users
    server = Server(folder, home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
