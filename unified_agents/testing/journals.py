"""The contract suite of journals, for authors of stores.

A test file of a store:

    from unified_agents.testing import JournalContract


    class TestMine(JournalContract):
        def make(self, folder: Path) -> Journal:
            return MyJournal(folder / "runs")
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from unified_agents.errors import ErrorRecord, JournalError, LeaseLostError, RunBusyError, RunNotFoundError
from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import Addition, Journal
from unified_agents.journal.rows import (
    AnsweredCall,
    AnswerRow,
    DecisionRow,
    EndRow,
    Row,
    RunRow,
    SummaryRow,
    ToolEndRow,
    ToolStartRow,
    TurnRow,
)
from unified_agents.messages import Message, Usage
from unified_agents.tools.parts import ImagePart, TextPart


def first_row() -> RunRow:
    """Return the first row of a run."""
    return RunRow(
        created=time.time(),
        agent="agent",
        file=None,
        backend="custom",
        model="m",
        instructions="Ä \U0001f600",
        messages=(Message(role="user", content="Go."),),
        tools={"add": "abc"},
    )


def every_row() -> list[Row]:
    """Return one row of each kind that may follow the first, with values in each field."""
    call = AnsweredCall(id="", call_id="call_0_0", name="add", arguments='{"a": 1e400, "b": "\\u0000"}')
    original = {"protocol": "responses", "body": [{"id": 2**80, "text": "\U0001f600"}]}
    failure = ErrorRecord(kind="tool_error", type="ToolFailedError", message="no")
    return [
        AnswerRow(
            step=0,
            fingerprint="f",
            model="m",
            requests=2,
            text=None,
            calls=(call,),
            finish_reason="tool_calls",
            usage=Usage(input_tokens=3, output_tokens=0),
            cost=0.25,
            original=original,
            reasoning="Hm.",
        ),
        ToolStartRow(step=0, index=0, call_id="call_0_0", tool="add", key="k", edited="{}"),
        ToolEndRow(
            step=0,
            index=0,
            content="text\x00 ü",
            is_error=True,
            parts=(TextPart(text="t"), ImagePart.from_bytes(b"\x00\xff")),
            whole="w",
            error=failure,
            seconds=1.5,
            state={"n": [1, None]},
        ),
        DecisionRow(call_id="call_0_0", decision="deny", text="because"),
        TurnRow(run_id="r", messages=(Message(role="assistant", content="Hi.", original=original),)),
        SummaryRow(turns=1, message=Message(role="user", content="It began.")),
        EndRow(status="suspended", output=None, error=failure, ended=1.0),
    ]


async def add_row(journal: Journal, lease: Lease, step: int = 0) -> None:
    """Append one row."""
    await journal.append(lease, [ToolEndRow(step=step, index=0, content="x")])


class JournalContract:
    """What every journal must do. A subclass says how one is made."""

    def make(self, folder: Path) -> Journal:
        """Return a journal in an empty folder; of a durable one, the same folder gives the same rows again."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def journal(self, tmp_path: Path) -> AsyncIterator[Journal]:
        """A journal that is closed after the test."""
        journal = self.make(tmp_path)
        yield journal
        await journal.aclose()

    async def test_rows_come_back_as_they_were_written(self, journal: Journal) -> None:
        """Each kind of row, each field, in order."""
        rows = [first_row(), *every_row()]
        lease = await journal.begin("r", rows[:1])
        for row in rows[1:]:
            await journal.append(lease, [row])
        assert await journal.read("r") == rows
        await journal.append(lease, [], release=True)
        assert (await journal.claim("r"))[1] == rows

    async def test_rows_are_stored_in_the_order_of_the_calls(self, journal: Journal) -> None:
        """Also where only the last is awaited."""
        lease = await journal.begin("r", [first_row()])
        waiting = [journal.append(lease, [ToolEndRow(step=step, index=0, content="x")]) for step in range(50)]
        await waiting[-1]
        found = await journal.read("r")
        assert [row.step for row in found if isinstance(row, ToolEndRow)] == list(range(50))
        await asyncio.gather(*waiting)

    async def test_many_runs_write_at_once(self, journal: Journal) -> None:
        """Rows of one run never reach another."""

        async def write(number: int) -> None:
            lease = await journal.begin(f"r{number}", [first_row()])
            for step in range(5):
                await add_row(journal, lease, number * 10 + step)
            await journal.append(lease, [], release=True)

        await asyncio.gather(*map(write, range(30)))
        for number in range(30):
            steps = [row.step for row in await journal.read(f"r{number}") if isinstance(row, ToolEndRow)]
            assert steps == [number * 10 + step for step in range(5)]

    async def test_an_id_is_given_once(self, journal: Journal) -> None:
        """A second run of the same id is refused, and changes nothing."""
        await journal.begin("r", [first_row()])
        with pytest.raises(RunBusyError, match="r"):
            await journal.begin("r", [first_row()])
        assert len(await journal.read("r")) == 1

    async def test_a_completed_run_stays_completed(self, journal: Journal) -> None:
        """Whoever claims it gives it back as it was; one that ended otherwise goes on."""
        for status in ("completed", "suspended"):
            lease = await journal.begin(status, [first_row()])
            await journal.append(lease, [EndRow(status=status, output="x", error=None, ended=1.0)], release=True)
            claimed, _ = await journal.claim(status)
            kept = "completed" if status == "completed" else None
            assert {info.run_id: info.status for info in await journal.runs()}[status] == kept
            await journal.append(claimed, [], release=True)
            (info,) = [info for info in await journal.runs() if info.run_id == status]
            assert (info.status, info.is_owned, info.rows) == (kept, False, 2)

    async def test_an_unknown_run_is_named(self, journal: Journal) -> None:
        """Reading and claiming say which run there is not."""
        with pytest.raises(RunNotFoundError, match="nobody"):
            await journal.read("nobody")
        with pytest.raises(RunNotFoundError, match="nobody"):
            await journal.claim("nobody")

    async def test_a_run_has_one_owner(self, journal: Journal) -> None:
        """While it is owned, nobody else gets it; once it is given back, exactly one of many does."""
        lease = await journal.begin("r", [first_row()])
        with pytest.raises(RunBusyError):
            await journal.claim("r")
        await journal.append(lease, [], release=True)
        tries = await asyncio.gather(*(journal.claim("r") for _ in range(10)), return_exceptions=True)
        assert sum(not isinstance(one, BaseException) for one in tries) == 1
        assert all(isinstance(one, RunBusyError) for one in tries if isinstance(one, BaseException))

    async def test_an_old_owner_writes_nothing(self, journal: Journal) -> None:
        """After the run has another owner, its old lease is refused, and stays refused."""
        old = await journal.begin("r", [first_row()])
        await journal.append(old, [], release=True)
        new, _ = await journal.claim("r")
        assert new.fence > old.fence
        with pytest.raises(LeaseLostError, match="r"):
            await add_row(journal, old)
        with pytest.raises(JournalError):
            await add_row(journal, old)
        await add_row(journal, new, 7)
        found = await journal.read("r")
        assert [row.step for row in found if isinstance(row, ToolEndRow)] == [7]

    async def test_rows_of_two_runs_are_stored_together(self, journal: Journal) -> None:
        """The end of a run, and the turn of a session that it is; both are given back."""
        run, other = await journal.begin("r", [first_row()]), await journal.begin("session:s", [])
        end = EndRow(status="completed", output="x", error=None, ended=1.0)
        turn = TurnRow(run_id="r", messages=(Message(role="user", content="Go."),))
        await journal.append(run, [end], release=True, also=Addition(other, [turn], release=True))
        assert (await journal.claim("r"))[1][1:] == [end]
        assert (await journal.claim("session:s"))[1] == [turn]

    @pytest.mark.parametrize("lost", ["first", "second"])
    async def test_where_one_of_two_runs_has_another_owner_neither_is_stored(self, journal: Journal, lost: str) -> None:
        """The run that is still owned is given back all the same, so that it is not stuck."""
        leases = {name: await journal.begin(name, [first_row()]) for name in ("first", "second")}
        await journal.append(leases[lost], [], release=True)
        new, _ = await journal.claim(lost)
        rows = [ToolEndRow(step=0, index=0, content="x")]
        with pytest.raises(LeaseLostError, match=lost):
            await journal.append(
                leases["first"], rows, release=True, also=Addition(leases["second"], rows, release=True)
            )
        await add_row(journal, new, 3)  # whatever is given back late is given back with it
        (kept,) = leases.keys() - {lost}
        lease, found = await journal.claim(kept)
        assert (len(found), lease.fence) == (1, 2)
        assert len(await journal.read(lost)) == 2

    async def test_the_list_tells_how_runs_stand(self, journal: Journal) -> None:
        """Those under way, those given back without an end, and those that ended."""
        await journal.begin("open", [first_row()])
        orphan = await journal.begin("orphan", [first_row()])
        await journal.append(orphan, [], release=True)
        done = await journal.begin("done", [first_row()])
        await journal.append(done, [EndRow(status="completed", output="x", error=None, ended=1.0)], release=True)
        fork = await journal.begin("fork", [first_row()])
        await journal.append(fork, [EndRow(status="forked", output=None, error=None, ended=1.0)], release=True)
        found = {info.run_id: info for info in await journal.runs()}
        assert {name: (info.status, info.is_owned, info.is_orphan) for name, info in found.items()} == {
            "open": (None, True, False),
            "orphan": (None, False, True),
            "done": ("completed", False, False),
            "fork": ("forked", False, False),
        }
        assert found["done"].rows == 2

    async def test_what_is_deleted_is_gone_and_what_is_owned_stays(self, journal: Journal) -> None:
        """A run that somebody drives is not deleted."""
        await journal.begin("open", [first_row()])
        done = await journal.begin("done", [first_row()])
        await journal.append(done, [], release=True)
        assert await journal.delete(["open", "done", "nobody"]) == 1
        assert [info.run_id for info in await journal.runs()] == ["open"]
        with pytest.raises(JournalError):
            await add_row(journal, done)

    async def test_it_serves_several_event_loops(self, journal: Journal) -> None:
        """A run of `run_sync` is on another loop than those of the caller."""
        lease = await journal.begin("here", [first_row()])

        async def elsewhere() -> None:
            other = await journal.begin("there", [first_row()])
            await add_row(journal, other)

        await asyncio.gather(asyncio.to_thread(asyncio.run, elsewhere()), add_row(journal, lease))
        assert len(await journal.read("there")) == len(await journal.read("here")) == 2


class DurableJournalContract(JournalContract):
    """What a journal that outlives its process must do besides."""

    async def test_rows_outlive_the_object(self, tmp_path: Path) -> None:
        """Another object over the same place has them, and the number that fences owners off goes on."""
        first = self.make(tmp_path)
        lease = await first.begin("r", [first_row()])
        await first.append(lease, [], release=True)
        await first.aclose()
        second = self.make(tmp_path)
        claimed, rows = await second.claim("r")
        await second.aclose()
        assert len(rows) == 1
        assert claimed.fence == lease.fence + 1

    async def test_what_was_not_awaited_is_stored_before_it_closes(self, tmp_path: Path) -> None:
        """A run that is cancelled does not wait for its last row."""
        journal = self.make(tmp_path)
        lease = await journal.begin("r", [first_row()])
        journal.append(lease, [ToolEndRow(step=3, index=0, content="x")])
        await journal.aclose()
        again = self.make(tmp_path)
        try:
            assert len(await again.read("r")) == 2
        finally:
            await again.aclose()
