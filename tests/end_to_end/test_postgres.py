"""Runs on a journal in PostgreSQL: several processes at once, and a server that is restarted under them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from postgres import Server
from support import PROGRAM, ROOT, asks_for, make_script, scripted_model
from unified_agents import (
    JournalError,
    PostgresJournal,
    RunBusyError,
    RunNotFoundError,
    Tool,
    ToolContext,
    create_agent,
)
from unified_agents.journal.rows import Row, RunRow, TurnRow

TOOLS = """
import asyncio, os
from unified_agents import ToolContext, tool

begun = 0

@tool(idempotent=True)
async def work(n: int, context: ToolContext) -> int:
    "Work, and say so in a file; the process that is to die does not come to an end."
    global begun
    with open(os.environ["WITNESS"], "ab", buffering=0) as file:
        file.write(f"{context.run_id} {n} {os.getpid()}\\n".encode())
    begun += 1
    if begun == int(os.environ.get("DIES_AT", 0)):
        os._exit(9)
    if os.environ.get("DIES_AT"):
        await asyncio.Event().wait()
    return n
"""
RUN_ALL = """
import asyncio, os
from unified_agents import create_agent

async def main():
    async with create_agent("agent.yaml", journal=os.environ["UNIFIED_AGENTS_JOURNAL"]) as agent:
        await asyncio.gather(*(agent.run("Go.", run_id=f"r{number}") for number in range(int(os.environ["DIES_AT"]))))

asyncio.run(main())
"""
RESUME_ALL = """
import asyncio, os, sys
from unified_agents import RunBusyError, create_agent

async def resume(agent, run_id):
    try:
        return (await agent.resume(run_id)).status
    except RunBusyError:
        return "busy"

async def main():
    async with create_agent("agent.yaml", journal=os.environ["UNIFIED_AGENTS_JOURNAL"]) as agent:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        told = await asyncio.gather(*(resume(agent, f"r{number}") for number in range(int(sys.argv[1]))))
    print(len(told), set(told) <= {"completed", "busy"})

asyncio.run(main())
"""
WAIT = 110


class Orphans:
    """Runs whose process died within their second call, and the processes that go on with them.

    Args:
        folder: An empty folder.
        place: The journal.
        number: How many runs there are.
    """

    def __init__(self, folder: Path, place: str, number: int) -> None:
        self.folder = folder
        script = make_script(asks_for("work", n=1), {"text": "Done."})
        (folder / "script.json").write_text(script.model_dump_json(exclude_unset=True))
        (folder / "tools.py").write_text(TOOLS)
        (folder / "agent.yaml").write_text("model: script:script.json\ntools: ['tools:work']\n")
        paths = [str(ROOT), str(ROOT / "adapters"), str(folder)]
        self.environment = os.environ | {
            "UNIFIED_AGENTS_JOURNAL": place,
            "WITNESS": str(folder / "witness"),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        dead = subprocess.run(
            [sys.executable, "-c", RUN_ALL],
            cwd=folder,
            env=self.environment | {"DIES_AT": str(number)},
            timeout=WAIT,
            check=False,
        )
        assert dead.returncode == 9
        assert len(self.calls()) == number

    def calls(self) -> list[list[str]]:
        """Return the calls that were carried out: run, number and process."""
        return [line.split() for line in (self.folder / "witness").read_text().splitlines()]

    def start(self, *command: object) -> subprocess.Popen[str]:
        """Start a process that goes on with runs."""
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


async def states(place: str, number: int) -> Counter[tuple[str | None, int]]:
    """Return how many runs there are of each status and each count of rows."""
    journal = PostgresJournal(place)
    try:
        infos = await journal.runs()
    finally:
        await journal.aclose()
    assert len(infos) == number
    assert not any(info.is_owned for info in infos)
    return Counter((info.status, info.rows) for info in infos)


ROWS = 7
"""Of a run that was gone on with: its beginning, an answer, the start of the call, its second start and its end, an
answer and the end."""


def check_driven_once(orphans: Orphans, place: str, number: int) -> None:
    counts = Counter(run for run, *_ in orphans.calls())
    assert set(counts.values()) == {2}, "each run's call was in flight once, and then run again once"
    assert len(counts) == number
    assert asyncio.run(states(place, number)) == {("completed", ROWS): number}


def test_two_processes_that_race_for_runs_drive_each_once(tmp_path: Path, postgres: Server) -> None:
    place = postgres.new_place()
    orphans = Orphans(tmp_path, place, 100)
    with ExitStack() as stack:
        racing = [stack.enter_context(orphans.start(sys.executable, "-c", RESUME_ALL, 100)) for _ in range(2)]
        for process in racing:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in racing:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate(timeout=WAIT)[0].strip() for process in racing]
    assert told == ["100 True"] * 2
    check_driven_once(orphans, place, 100)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_four_processes_recover_orphans_and_drive_each_once(tmp_path: Path, postgres: Server) -> None:
    place = postgres.new_place()
    orphans = Orphans(tmp_path, place, 200)
    with ExitStack() as stack:
        racing = [stack.enter_context(orphans.start(PROGRAM, "runs", "recover")) for _ in range(4)]
        told = [process.communicate(timeout=2 * WAIT)[0].split() for process in racing]
    assert [process.returncode for process in racing] == [0] * 4
    check_driven_once(orphans, place, 200)
    drivers = [run for words in told for run in words[::2]]
    assert len(set(drivers)) == 200
    assert sum(map(bool, told)) > 1, "one process has done all of it"


STEPS = 6
RUNS = 200
SESSIONS = 40


class Restarted:
    """Runs under which the server is restarted, and how often each call of theirs was carried out."""

    def __init__(self, journal: PostgresJournal, pause: float) -> None:
        self.calls: Counter[tuple[str, int]] = Counter()
        self.failed: set[str] = set()
        self._pause = pause
        parameters = {"properties": {"n": {"type": "integer"}}, "required": ["n"]}
        tool = Tool(name="work", parameters=parameters, handler=self._work, idempotent=True)
        model = scripted_model(*(asks_for("work", n=step) for step in range(STEPS)), {"text": "Done."})
        self.agent = create_agent(model=model, tools=[tool], journal=journal)

    async def _work(self, n: int, context: ToolContext) -> int:
        self.calls[context.run_id, n] += 1
        await asyncio.sleep(self._pause)
        return n

    async def run(self, number: int) -> None:
        """Carry out a run, and go on with it until it is completed."""
        run_id, session = f"r{number}", f"s{number % SESSIONS}" if number < RUNS // 2 else None
        starting = True
        while True:
            try:
                if starting:
                    result = await self.agent.run(f"Go {number}.", run_id=run_id, session=session)
                else:
                    result = await self.agent.resume(run_id)
            except (JournalError, RunBusyError, RunNotFoundError) as error:
                self.failed.add(run_id)
                starting = isinstance(error, RunNotFoundError)
                await asyncio.sleep(0.2)  # the server is away
                continue
            assert (result.status, result.output) == ("completed", "Done.")
            return


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("lease_seconds", [pytest.param(30.0, marks=pytest.mark.proof), 0.5])
async def test_nothing_is_lost_where_the_server_is_restarted(postgres: Server, lease_seconds: float) -> None:
    """With a long lease the runs wait; with a short one they end with an error, and go on later."""
    journal = PostgresJournal(postgres.new_place(), lease_seconds=lease_seconds)
    restarted = Restarted(journal, 0.5)
    chance = random.Random(12)
    running = asyncio.gather(*map(restarted.run, range(RUNS)))
    restarts = 0
    try:
        while not running.done():
            await asyncio.wait([running], timeout=chance.uniform(0.2, 1.0))
            await asyncio.to_thread(postgres.stop, chance.choice([signal.SIGINT, signal.SIGQUIT]))
            await asyncio.sleep(chance.uniform(0.0, 2 * min(lease_seconds, 0.5)))
            await asyncio.to_thread(postgres.start)
            restarts += 1
        await running
        assert restarts > 2
        assert bool(restarted.failed) == (lease_seconds < 1)
        await check_nothing_is_lost(restarted, journal)
    finally:
        running.cancel()
        await restarted.agent.aclose()
        await journal.aclose()


async def check_nothing_is_lost(restarted: Restarted, journal: PostgresJournal) -> None:
    infos = {info.run_id: info for info in await journal.runs()}
    assert {info.status for info in infos.values()} == {"completed"}
    assert len(infos) == RUNS
    assert set(restarted.calls) == {(f"r{number}", step) for number in range(RUNS) for step in range(STEPS)}
    repeated = {run_id for (run_id, _), count in restarted.calls.items() if count > 1}
    assert repeated <= restarted.failed
    turns: Counter[str] = Counter()
    for run_id in infos:
        rows = await journal.read(run_id)
        kinds = [row.row for row in rows if row.row not in ("tool_start", "end")]
        assert kinds == ["run", *(["answer", "tool_end"] * STEPS), "answer"]
        assert (rows[0].row, rows[-1].row) == ("run", "end")
        turns[session_of(rows)] += 1
    for session in range(SESSIONS):
        found = [row for row in await journal.read(f"session:s{session}") if isinstance(row, TurnRow)]
        assert len({row.run_id for row in found}) == len(found) == turns[f"s{session}"]


def session_of(rows: list[Row]) -> str:
    first = rows[0]
    return str(first.session if isinstance(first, RunRow) else None)
