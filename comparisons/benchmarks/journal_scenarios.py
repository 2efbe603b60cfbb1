"""What a journal costs: an entry alone, many runs at once, and going on with a long run."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders import INSTRUCTIONS, MANY, TASK, add, ours
from benchmarks.measure import Samples, cpu, wall
from benchmarks.model_server import one_by_one, serving
from benchmarks.scenarios import together
from unified_agents import MemoryJournal, RunError, Script, ScriptedModel, SqliteJournal, create_agent
from unified_agents.journal.rows import ToolEndRow, write_row
from unified_agents.testing.journals import first_row

ENTRY = ToolEndRow(step=0, index=0, content="3" * 200)


def entry_alone() -> Samples:
    """Measure the wall clock of one entry that waits for no other, and of a bare commit of the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_entry_alone(Path(folder)))


async def _entry_alone(folder: Path) -> Samples:
    body = write_row(ENTRY)
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    async def bare() -> str:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO rows (body) VALUES (?)", (body,))
        connection.execute("COMMIT")
        return "done"

    journal = SqliteJournal(folder / "runs.db")
    lease = await journal.begin("r", [first_row()])

    async def journaled() -> str:
        await journal.append(lease, [ENTRY])
        return "done"

    try:
        return await wall({"bare": bare, "bare again": bare, "journal": journaled}, repeats=20, rounds=50)
    finally:
        connection.close()
        await journal.aclose()


def journal_on_and_off(runs: int, calls: int) -> Samples:
    """Measure the CPU of so many runs at once, with a journal and without."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_journal_on_and_off(runs, calls, Path(folder)))


async def _journal_on_and_off(runs: int, calls: int, folder: Path) -> Samples:
    with serving(one_by_one(calls)) as url:
        async with ours(url) as off, ours(url) as again, ours(url, journal=folder / "runs.db") as on:
            contenders = {"off": off, "off again": again, "on": on}
            return await cpu({name: together(work, runs) for name, work in contenders.items()}, repeats=1)


class _Stopping:
    """A model that is asked for the first time when what the journal holds is used up, and stops the clock then."""

    def __init__(self) -> None:
        self.asked = 0.0

    def reply(self, request: Any, key: str = "") -> Any:
        self.asked = time.process_time()
        raise RuntimeError("the run ends here")

    def forget(self, key: str) -> None:
        """Nothing is kept."""


def resumed(backend: str, steps: int) -> Samples:
    """Measure the CPU from the resumption of a run to its first new request, and of the same steps made anew."""
    return asyncio.run(_resumed(backend, steps))


async def _resumed(backend: str, steps: int) -> Samples:
    journal, rounds = MemoryJournal(), 5
    answers: list[Any] = [{"tool_calls": [{"name": "add", "arguments": {"a": n, "b": 1}}]} for n in range(steps)]
    options: dict[str, Any] = {"tools": [add], "instructions": INSTRUCTIONS, "limits": MANY, "backend": backend}
    whole = ScriptedModel(Script.model_validate({"answers": [*answers, {"text": "done"}]}))
    async with create_agent(model=whole, journal=journal, **options) as agent:
        await agent.run(TASK, run_id="whole")
    rows = await journal.read("whole")
    samples: Samples = {"resumed": [], "anew": []}
    stopping = _Stopping()
    async with (
        create_agent(model=stopping, journal=journal, **options) as resuming,
        create_agent(model=whole, **options) as anew,
    ):
        for number in range(rounds + 1):
            lease = await journal.begin(f"r{number}", rows[:-2])  # without the last answer and the end
            await journal.append(lease, [], release=True)
            began = time.process_time()
            try:
                await resuming.resume(f"r{number}")
            except RunError:
                samples["resumed"].append(stopping.asked - began)
            began = time.process_time()
            await anew.run(TASK)
            samples["anew"].append(time.process_time() - began)
    return {name: found[1:] for name, found in samples.items()}
