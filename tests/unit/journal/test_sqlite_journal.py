"""A journal in a SQLite file: files that cannot be used, owners that are dead or frozen, and shared files."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from support import ROOT, run_code, running_code
from unified_agents import (
    JournalError,
    LeaseLostError,
    RunBusyError,
    Script,
    ScriptedModel,
    SqliteJournal,
    create_agent,
)
from unified_agents.journal.rows import FORMAT, ToolEndRow
from unified_agents.testing.journals import add_row, first_row


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


async def stored(path: Path, *, release: bool = True) -> None:
    journal = SqliteJournal(path)
    lease = await journal.begin("r", [first_row()])
    await journal.append(lease, [ToolEndRow(step=0, index=0, content="x")], release=release)
    await journal.aclose()


async def refusal(path: Path) -> str:
    journal = SqliteJournal(path)
    try:
        with pytest.raises(JournalError) as caught:
            await journal.claim("r")
    finally:
        await journal.aclose()
    assert caught.value.kind == "journal"
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await stored(path)
    with database(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    before = path.read_bytes()
    assert "take a newer one" in await refusal(path)
    assert path.read_bytes() == before


async def test_a_row_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await stored(path)
    with database(path) as connection:
        connection.execute(
            "UPDATE rows SET body = replace(CAST(body AS TEXT), ?, ?)",
            (f'"format":{FORMAT}', f'"format":{FORMAT + 1}'),
        )
    assert f"format {FORMAT + 1}" in await refusal(path)


@pytest.mark.parametrize("body", [b"{", b'{"row":"other"}', b'{"row":"run","new":1}', b"\xff", b"[]"])
async def test_a_damaged_row_is_named_and_the_run_is_given_back(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "runs.db"
    await stored(path)
    with database(path) as connection:
        connection.execute("UPDATE rows SET body = ? WHERE number = 1", (body,))
    assert "row 1 of run r" in await refusal(path)
    assert "row 1 of run r" in await refusal(path)


@pytest.mark.parametrize("content", [b"not a database, but a text\n" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(content)
    assert str(path) in await refusal(path)
    assert path.read_bytes() == content


async def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with database(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    assert "another program's database" in await refusal(path)


async def test_a_torn_end_of_the_log_loses_nothing_that_was_committed_before(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    journal = SqliteJournal(path)
    lease = await journal.begin("r", [first_row()])
    await add_row(journal, lease, 1)
    log = path.with_name("runs.db-wal").read_bytes()
    await add_row(journal, lease, 2)
    whole = path.with_name("runs.db-wal").read_bytes()
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    (tmp_path / "copy.db-wal").write_bytes(whole[: (len(log) + len(whole)) // 2])  # in the middle of the last commit
    await journal.aclose()
    torn = SqliteJournal(copy)
    rows = await torn.read("r")
    await torn.aclose()
    assert [row.step for row in rows if isinstance(row, ToolEndRow)] == [1]


async def test_a_full_disk_is_told_and_the_rows_before_it_stay(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    journal = SqliteJournal(path)
    lease = await journal.begin("r", [first_row()])
    other = await journal.begin("s", [first_row()])

    def limit(connection: sqlite3.Connection, more: int = 2) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + more}")

    await journal._thread.submit(limit)
    big = [ToolEndRow(step=9, index=0, content="x" * 100_000)]
    small = add_row(journal, other, 1)
    with pytest.raises(JournalError, match="full"):
        await journal.append(lease, big)
    with pytest.raises(JournalError, match="a row before"):
        await add_row(journal, lease)
    await small
    assert len(await journal.read("r")) == 1
    assert len(await journal.read("s")) == 2
    with pytest.raises(JournalError, match="a row before"):
        await journal.append(lease, [], release=True)
    await journal._thread.submit(lambda connection: limit(connection, 1000))
    lease, rows = await journal.claim("r")  # the run was given back, though this process lives
    assert (lease.fence, len(rows)) == (2, 1)
    await journal.aclose()


async def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    assert "cannot be used" in await refusal(tmp_path / "missing" / "runs.db")


async def test_a_file_that_may_only_be_read_is_told_and_left_alone(tmp_path: Path) -> None:
    """A file whose header has a write version that SQLite does not know may only be read, also by the superuser."""
    path = tmp_path / "runs.db"
    await stored(path)
    data = bytearray(path.read_bytes())
    data[18] = 3
    path.write_bytes(data)
    assert "readonly database" in await refusal(path)
    assert path.read_bytes() == data
    async with create_agent(model=ScriptedModel(Script(answers=[{"text": "x"}])), journal=path) as agent:
        with pytest.raises(JournalError, match="readonly database"):
            await agent.run("Go.")


HOLD = """
import asyncio, sys
from unified_agents import SqliteJournal
from unified_agents.testing.journals import add_row, first_row

async def main():
    journal = SqliteJournal(sys.argv[1], lease_seconds=float(sys.argv[2]))
    lease = await journal.begin("r", [first_row()])
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await add_row(journal, lease)
        print("written", flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
    await journal.aclose()

asyncio.run(main())
"""


async def test_the_run_of_a_dead_process_is_taken_over_at_once(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    journal = SqliteJournal(path)
    with running_code(HOLD, path, 3600.0) as process:
        with pytest.raises(RunBusyError, match=str(process.pid)):
            await journal.claim("r")
        process.kill()
        process.wait()
        lease, rows = await journal.claim("r")
    await journal.aclose()
    assert (lease.fence, len(rows)) == (2, 1)


async def test_a_frozen_owner_that_lost_its_lease_writes_nothing_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    journal = SqliteJournal(path, lease_seconds=0.6)
    with running_code(HOLD, path, 0.6) as process:
        os.kill(process.pid, signal.SIGSTOP)
        async with asyncio.timeout(20):
            while True:
                try:
                    lease, _ = await journal.claim("r")
                    break
                except RunBusyError:
                    await asyncio.sleep(0.05)  # nobody tells when a lease ends
        os.kill(process.pid, signal.SIGCONT)
        out, _ = await asyncio.to_thread(process.communicate, "go\n")
    assert out.startswith("LeaseLostError run r has another owner")
    assert len(await journal.read("r")) == 1
    await add_row(journal, lease)
    await journal.aclose()


async def test_a_lease_is_renewed_while_its_owner_lives(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    journal = SqliteJournal(path, lease_seconds=3600.0)
    with running_code(HOLD, path, 0.6):
        for _ in range(4):
            await asyncio.sleep(0.4)
            with pytest.raises(RunBusyError):
                await journal.claim("r")
    await journal.aclose()


FORKED = """
import asyncio, os, sys
from unified_agents import SqliteJournal
from unified_agents.testing.journals import add_row, first_row

journal = SqliteJournal(sys.argv[1])

async def write(run_id):
    lease = await journal.begin(run_id, [first_row()])
    await add_row(journal, lease)
    return len(await journal.read(run_id))

print(asyncio.run(write("parent")))
child = os.fork()
if not child:
    print(asyncio.run(write("child")), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(asyncio.run(write("again")))
"""


def test_a_forked_process_writes_through_a_connection_of_its_own(tmp_path: Path) -> None:
    done = run_code(FORKED, tmp_path / "runs.db", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["2", "2", "2"]


async def test_an_old_lease_of_the_same_process_is_refused(tmp_path: Path) -> None:
    first, second = SqliteJournal(tmp_path / "runs.db"), SqliteJournal(tmp_path / "runs.db")
    lease = await first.begin("r", [first_row()])
    with pytest.raises(RunBusyError):
        await second.claim("r")
    await first.append(lease, [], release=True)
    await second.claim("r")
    with pytest.raises(LeaseLostError):
        await add_row(first, lease)
    await first.aclose()
    await second.aclose()
