"""A journal in PostgreSQL: connections that break, owners that are dead or frozen, and what an error tells."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from postgres import PASSWORD, Server
from support import running_code, scripted_model
from unified_agents import (
    ConfigError,
    JournalError,
    LeaseLostError,
    PostgresJournal,
    RunBusyError,
    create_agent,
)
from unified_agents.journal.addresses import journal_secrets, shown_place, without_password
from unified_agents.journal.rows import FORMAT, EndRow, Row, ToolEndRow
from unified_agents.testing.journals import add_row, first_row

END = EndRow(status="completed", output="x", error=None, ended=1.0)


@asynccontextmanager
async def opened(place: str, **options: Any) -> AsyncIterator[PostgresJournal]:
    journal = PostgresJournal(place, **options)
    try:
        yield journal
    finally:
        await journal.aclose()


@pytest.fixture
def place(postgres: Server) -> str:
    return postgres.new_place()


def steps(rows: list[Row]) -> list[int]:
    return [row.step for row in rows if isinstance(row, ToolEndRow)]


def cut_all(server: Server) -> None:
    """End each connection to the server but this one."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'unified-agents' AND pid <> pg_backend_pid()"
        )


async def test_a_cut_connection_is_opened_again(postgres: Server, place: str) -> None:
    async with opened(place) as journal:
        lease = await journal.begin("r", [first_row()])
        for step in range(3):
            cut_all(postgres)
            await add_row(journal, lease, step)
        assert steps(await journal.read("r")) == [0, 1, 2]


async def test_a_restart_is_waited_for(postgres: Server, place: str) -> None:
    async with opened(place) as journal:
        lease = await journal.begin("r", [first_row()])
        postgres.stop(signal.SIGQUIT)
        writing = asyncio.ensure_future(journal.append(lease, [ToolEndRow(step=1, index=0, content="x")]))
        await asyncio.sleep(0.3)
        assert not writing.done()
        await asyncio.to_thread(postgres.start)
        await writing
        assert steps(await journal.read("r")) == [1]


async def test_a_server_that_stays_away_is_told_and_the_run_is_not_stuck(postgres: Server, place: str) -> None:
    async with opened(place, lease_seconds=0.4) as journal, opened(place, lease_seconds=3600.0) as other:
        lease, kept = await journal.begin("r", [first_row()]), await other.begin("kept", [first_row()])
        postgres.stop()
        try:
            with pytest.raises(JournalError, match="cannot be used") as caught:
                await journal.append(lease, [END], release=True)
        finally:
            await asyncio.to_thread(postgres.start)
        assert "\n" not in str(caught.value)
        assert PASSWORD not in str(caught.value)
        await add_row(other, kept)
        with pytest.raises(JournalError, match="a row before"):
            await add_row(journal, lease)
        _, rows = await journal.claim("r")  # this process lives and renews its leases: it has given the run back
        assert rows[1:] == []


def breaking_after_commit(journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the connection break once after a commit, before its answer arrives."""
    database = journal._thread._database
    commit = database.commit

    def commit_and_break(connection: Any) -> None:
        commit(connection)
        if database.commit is commit_and_break:
            monkeypatch.setattr(database, "commit", commit)
            connection.close()
            raise psycopg.OperationalError("the connection is gone")

    monkeypatch.setattr(database, "commit", commit_and_break)


async def test_what_was_committed_when_the_connection_broke_is_there_once(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(place) as journal:
        breaking = functools.partial(breaking_after_commit, journal, monkeypatch)
        await journal.runs()
        breaking()
        lease = await journal.begin("r", [first_row()])
        breaking()
        await add_row(journal, lease, 1)
        breaking()
        await journal.append(lease, [ToolEndRow(step=2, index=0, content="x"), END], release=True)
        breaking()
        again, rows = await journal.claim("r")
        assert (again.fence, steps(rows), len(rows)) == (2, [1, 2], 4)
        breaking()
        with pytest.raises(RunBusyError):
            await journal.begin("r", [first_row()])
        breaking()
        await journal.append(again, [], release=True)
        assert await journal.delete(["r"]) == 1


@pytest.mark.parametrize("what", ["begin", "claim"])
async def test_what_was_committed_though_its_caller_was_told_that_it_failed_is_undone(
    place: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async with opened(place) as journal:
        if what == "claim":
            await journal.append(await journal.begin("r", [first_row()]), [], release=True)
        await journal.runs()
        database = journal._thread._database
        monkeypatch.setattr(database, "patience", 0.0)
        breaking_after_commit(journal, monkeypatch)
        with pytest.raises(JournalError, match="the connection is gone"):
            await (journal.begin("r", [first_row()]) if what == "begin" else journal.claim("r"))
        if what == "begin":
            await journal.begin("r", [first_row()])
        assert len(await journal.read("r")) == 1
        if what == "claim":
            assert (await journal.claim("r"))[0].fence == 3


async def test_rows_that_were_committed_are_told_as_stored_though_the_run_has_another_owner_since(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(place) as journal, opened(place) as other:
        lease = await journal.begin("r", [first_row()])
        database = journal._thread._database
        commit, taken = database.commit, []

        def commit_and_lose(connection: Any) -> None:
            commit(connection)
            if not taken:
                claiming = asyncio.run_coroutine_threadsafe(other.claim("r"), loop)
                taken.append(claiming.result(20))
                connection.close()
                raise psycopg.OperationalError("the connection is gone")

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(database, "commit", commit_and_lose)
        await journal.append(lease, [END], release=True)
        assert taken[0][1][1:] == [END]
        with pytest.raises(LeaseLostError):
            await add_row(journal, lease)


async def test_a_lease_is_checked_in_the_transaction_that_writes(place: str) -> None:
    """Another owner that takes the run between the check and the commit has to wait, or is refused."""
    async with opened(place) as journal, opened(place) as other:
        lease = await journal.begin("r", [first_row()])
        holding, going_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(connection: Any) -> None:
            connection.execute("SELECT 1 FROM unified_agents_runs FOR NO KEY UPDATE")
            loop.call_soon_threadsafe(holding.set)
            asyncio.run_coroutine_threadsafe(going_on.wait(), loop).result(20)

        held = journal._thread.submit(hold)
        await holding.wait()
        with pytest.raises(RunBusyError, match="at this moment"):
            await other.claim("r")
        going_on.set()
        await held
        await add_row(journal, lease)


async def test_a_journal_of_a_newer_version_is_refused(place: str) -> None:
    async with opened(place) as journal:
        await journal.begin("r", [first_row()])
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute(f"UPDATE unified_agents_journal SET format = {FORMAT + 1}".encode())
    async with opened(place) as journal:
        with pytest.raises(JournalError, match="take a newer one"):
            await journal.read("r")


async def test_a_damaged_row_is_named_and_the_run_is_given_back(place: str) -> None:
    async with opened(place) as journal:
        lease = await journal.begin("r", [first_row()])
        await add_row(journal, lease)
        await journal.append(lease, [], release=True)
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute("UPDATE unified_agents_rows SET body = 'x' WHERE number = 1")
        for _ in range(2):
            with pytest.raises(JournalError, match="row 1 of run r"):
                await journal.claim("r")


async def test_a_commit_is_durable_whatever_the_server_is_set_to(postgres: Server, place: str) -> None:
    async with opened(f"{place}%20-csynchronous_commit%3Doff") as journal:
        found = await journal._thread.submit(
            lambda connection: connection.execute("SHOW synchronous_commit").fetchone()
        )
    assert found == ("on",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace(PASSWORD, "wrong-4711"), "password authentication failed"),
        (lambda url: url.replace("/postgres?", "/nowhere?"), "does not exist"),
        (lambda url: url.replace("@127.0.0.1:", "@127.0.0.1:1"), "port"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_told_at_once(
    place: str, change: Callable[[str], str], words: str
) -> None:
    async with opened(change(place)) as journal:
        with pytest.raises(JournalError, match=words) as caught:
            await journal.runs()
    assert "\n" not in str(caught.value)
    for text in (str(caught.value), repr(journal)):
        assert PASSWORD not in text
        assert "wrong-4711" not in text


def test_a_wrong_address_is_refused_without_a_word_of_it() -> None:
    with pytest.raises(ConfigError, match="give postgresql://") as caught:
        PostgresJournal("postgresql://me:hot-potato@host/db?nonsense=1")
    assert "potato" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("runs.db", "runs.db"),
        ("postgresql://me:hot@potato@host:5432/db?x=1", "postgresql://me:***@host:5432/db?x=1"),
        ("postgresql://me:hot%40potato@/db", "postgresql://me:***@/db"),
        ("postgresql://host/db?password=hot&x=1", "postgresql://host/db?password=***&x=1"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgresql://me:hot/pot?ato@host/db", "postgresql://me:***@host/db"),
        ("postgresql:/me:hot@host/db", "postgresql:/me:***@host/db"),
        ("postgresql://host/db?x=1&sslpassword=hot", "postgresql://host/db?x=1&sslpassword=***"),
    ],
)
def test_a_place_is_shown_without_its_password(place: str, shown: str) -> None:
    assert shown_place(place) == shown


@pytest.mark.parametrize(
    ("place", "secrets", "left"),
    [
        ("postgresql://me:hot%40p+o@host:1/db?port=2", {"password": "hot@p+o"}, "postgresql://me@host:1/db?port=2"),
        ("postgresql://me:ho?t@host/db", {"password": "ho?t"}, "postgresql://me@host/db"),
        ("postgresql://me@host/db?password=h%26t&port=2", {"password": "h&t"}, "postgresql://me@host/db?port=2"),
        ("postgresql://host/db?port=2&password=hot", {"password": "hot"}, "postgresql://host/db?port=2"),
        ("postgresql:///db?password=hot", {"password": "hot"}, "postgresql:///db"),
        ("postgresql://me@h/db?sslpassword=s", {"sslpassword": "s"}, "postgresql://me@h/db?sslpassword=***"),
        ("postgresql://me@host/db?options=-c%20a%3D1", {}, "postgresql://me@host/db?options=-c%20a%3D1"),
        ("runs.db", {}, "runs.db"),
    ],
)
def test_the_secrets_of_an_address_are_known_as_libpq_reads_them(
    place: str, secrets: dict[str, str], left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    assert journal_secrets(place) == {f"journal/{name}": secret for name, secret in secrets.items()}
    assert without_password(place) == left
    if place != "runs.db":
        given = conninfo_to_dict(place)
        assert {name: given[name] for name in ("password", "sslpassword") if name in given} == secrets
        assert PostgresJournal(place).secrets == journal_secrets(place)
        with_variable = {"journal/password": "of the variable"} | journal_secrets(place)
        monkeypatch.setenv("PGPASSWORD", "of the variable")
        assert journal_secrets(place) == with_variable


@pytest.mark.parametrize("place", ["postgresql://me:hot@potato@host/db", "postgresql://me:hot/potato@host/db"])
def test_an_address_whose_password_would_be_taken_for_the_host_is_refused(place: str) -> None:
    with pytest.raises(ConfigError, match="write %40 for @") as caught:
        PostgresJournal(place)
    assert "hot" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "words"),
    [("host=h user=me password=hot", "as a URL"), ("postgresql:/me:hot@nowhere/db", "folder of postgresql:/me:...@")],
)
def test_a_place_that_is_none_is_refused_without_a_word_of_its_password(place: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("...", r"\*\*\*")) as caught:
        create_agent(model=scripted_model({"text": "Yes."}), journal=place)
    assert "hot" not in str(caught.value)


HOLD = """
import asyncio, sys, time
from unified_agents import PostgresJournal
from unified_agents.testing.journals import add_row, first_row

async def main():
    journal = PostgresJournal(sys.argv[1], lease_seconds=float(sys.argv[2]))
    lease = await journal.begin("r", [first_row()])
    def hold(connection):
        connection.execute("SELECT 1 FROM unified_agents_runs FOR UPDATE")
        print("begun", flush=True)
        sys.stdin.readline()
    if sys.argv[3] == "within":
        journal._thread.submit(hold)
    else:
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


async def test_the_run_of_a_dead_process_is_taken_over_at_once(place: str) -> None:
    async with opened(place) as journal:
        with running_code(HOLD, place, 3600.0, "between") as process:
            with pytest.raises(RunBusyError, match=str(process.pid)):
                await journal.claim("r")
            process.kill()
            process.wait()
            lease, rows = await journal.claim("r")
    assert (lease.fence, len(rows)) == (2, 1)


@pytest.mark.parametrize("where", ["between", "within"])
async def test_a_frozen_owner_that_lost_its_lease_writes_nothing_and_says_why(place: str, where: str) -> None:
    """Also where it is frozen within a transaction, and so holds locks."""
    async with opened(place) as journal:
        with running_code(HOLD, place, 1.0, where) as process:
            os.kill(process.pid, signal.SIGSTOP)
            async with asyncio.timeout(30):
                while True:
                    try:
                        lease, _ = await journal.claim("r")
                        break
                    except RunBusyError:
                        await asyncio.sleep(0.05)  # nobody tells when a lease ends
            os.kill(process.pid, signal.SIGCONT)
            out, _ = await asyncio.to_thread(process.communicate, "go\n")
        assert out.splitlines()[-1].startswith("LeaseLostError run r has another owner"), out
        assert len(await journal.read("r")) == 1
        await add_row(journal, lease)


async def test_a_lease_is_renewed_while_its_owner_lives(place: str) -> None:
    async with opened(place) as journal:
        with running_code(HOLD, place, 0.9, "between"):
            for _ in range(4):
                await asyncio.sleep(0.5)
                with pytest.raises(RunBusyError):
                    await journal.claim("r")
