"""Runs that are killed at a point of their journal and go on in another process, often of another framework.

This file is also the program of the processes that are killed. A warm parent has imported one framework and what a run
of it imports, and nothing more: it has no event loop, no thread and no connection. It forks a child for each order that
it reads from its standard input, waits for it, and writes its exit code. A cold process carries out one order itself,
and imports all for it.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import importlib
import json
import os
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from crash_checker import violations
from unified_agents import Script, ScriptedModel, SqliteJournal, Tool, ToolContext, approve, create_agent, finished
from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import Addition
from unified_agents.journal.rows import Row, ToolEndRow, ToolStartRow
from warm_parents import Parents

OUTPUT = "All is done."


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        steps: The calls of each answer of the model, by their numbers. A last answer follows, which is a text.
        idempotent: The calls whose tool is idempotent.
    """

    steps: tuple[tuple[int, ...], ...]
    idempotent: frozenset[int]

    @property
    def calls(self) -> dict[int, bool]:
        """The calls, and whether the tool of each is idempotent."""
        return {number: number in self.idempotent for step in self.steps for number in step}


PLAN = Plan(((1, 2, 3), (4,), (5, 6, 7), (8,)), frozenset({3, 5, 8}))
CALLS, STEPS = PLAN.calls, PLAN.steps
POINTS = 2 * (1 + 2 * len(CALLS) + 1)
"""Before and after each commit: of the run, of each call's start and end, and of the run's end."""


def at_commit(point: int | None) -> str | None:
    """Return the moment before or after a commit: twice its number, and one more for after it; None is never."""
    return None if point is None else f"{('before', 'after')[point % 2]} commit {point // 2}"


def note(path: str, **event: Any) -> None:
    """Add an event to the witness, in one write."""
    with open(path, "ab", buffering=0) as file:
        file.write(json.dumps(event).encode() + b"\n")


class Death:
    """Kills this process at a moment.

    Args:
        moment: Such as `before commit 3`, `after tool_end 2/0`, `asked 4` or `start 7`; None is never.
    """

    def __init__(self, moment: str | None) -> None:
        self._moment = moment

    def at(self, *moments: str) -> None:
        """Die if it is time."""
        if self._moment in moments:
            os.kill(os.getpid(), signal.SIGKILL)


class WitnessedModel:
    """A scripted model that notes each request."""

    def __init__(self, plan: Plan, witness: str, death: Death) -> None:
        answers: list[Any] = [
            {"tool_calls": [{"name": "again" if plan.calls[n] else "once", "arguments": {"n": n}} for n in step]}
            for step in plan.steps
        ]
        self._model = ScriptedModel(Script.model_validate({"answers": [*answers, {"text": OUTPUT}]}))
        self._witness = witness
        self._death = death

    def reply(self, request: Any, key: str = "") -> Any:
        """Answer as the script says."""
        step = sum(message.get("role") == "assistant" for message in request["messages"])
        asked = hashlib.sha256(json.dumps(request["messages"], sort_keys=True).encode()).hexdigest()
        note(self._witness, event="model", step=step, asked=asked)
        self._death.at(f"asked {step}")
        return self._model.reply(request, key)

    def forget(self, key: str) -> None:
        """Forget a conversation."""
        self._model.forget(key)


def tools(witness: str, death: Death) -> list[Tool]:
    """Make a tool that may run once, and one that is idempotent."""

    async def work(n: int, context: ToolContext) -> dict[str, int]:
        note(witness, event="start", call=n, key=context.idempotency_key)
        death.at(f"start {n}")
        await asyncio.sleep(0)
        note(witness, event="end", call=n, key=context.idempotency_key)
        death.at(f"end {n}")
        return {"done": n}

    parameters = {"properties": {"n": {"type": "integer"}}, "required": ["n"]}
    return [
        Tool(name="once", parameters=parameters, handler=work),
        Tool(name="again", parameters=parameters, handler=work, idempotent=True),
    ]


class KilledJournal(SqliteJournal):
    """A journal whose process dies before or after one of its commits.

    Args:
        path: The file.
        death: Knows which; by the commit's number, or by the row of a call.
    """

    def __init__(self, path: str, death: Death) -> None:
        super().__init__(path)
        self._death = death
        self._commits = 0

    async def begin(self, run_id: str, rows: Sequence[Row]) -> Lease:
        """Begin, and die where it is time."""
        names = self._before(rows)
        lease = await super().begin(run_id, rows)
        self._after(names)
        return lease

    def append(
        self, lease: Lease, rows: Sequence[Row], *, release: bool = False, also: Addition | None = None
    ) -> Awaitable[None]:
        """Append, and die where it is time."""
        names = self._before(rows)
        storing = super().append(lease, rows, release=release, also=also)
        if isinstance(storing, asyncio.Future):
            storing.add_done_callback(lambda _: self._after(names))
        return storing

    def _before(self, rows: Sequence[Row]) -> list[str]:
        calls = [row for row in rows if isinstance(row, ToolStartRow | ToolEndRow)]
        names = [f"commit {self._commits}", *(f"{row.row} {row.step}/{row.index}" for row in calls)]
        self._death.at(*(f"before {name}" for name in names))
        self._commits += 1
        return names

    def _after(self, names: Sequence[str]) -> None:
        self._death.at(*(f"after {name}" for name in names))


async def carry_out(backend: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """Run or resume as the order says, and return what came of it."""
    plan = Plan(tuple(map(tuple, order["steps"])), frozenset(order["idempotent"]))
    death = Death(order["moment"])
    journal = KilledJournal(order["journal"], death)
    agent = create_agent(
        backend=backend,
        model=WitnessedModel(plan, order["witness"], death),
        instructions="Work.",
        tools=tools(order["witness"], death),
        journal=journal,
    )
    if order["resume"]:
        decisions = {
            call: approve() if how == "again" else finished({"done": int(number)})
            for call, number, how in order["decisions"]
        }
        result = await agent.resume("r", decisions=decisions)
    else:
        result = await agent.run("Go.", run_id="r")
    await agent.aclose()
    await journal.aclose()
    told = [message.to_chat() for message in result.messages]
    pending = [[call.id, json.loads(call.arguments)["n"], call.reason] for call in result.pending]
    return {"status": result.status, "output": result.output, "pending": pending, "messages": told}


def obey(backend: str, order: Mapping[str, Any]) -> NoReturn:
    """Carry out an order, write what came of it, and end the process."""
    os.chdir(order["folder"])
    try:
        outcome = asyncio.run(carry_out(backend, order))
        Path(order["outcome"]).write_text(json.dumps(outcome))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def import_what_a_run_imports(backend: str) -> None:
    """Import what a whole run imports, as a child tells that carries one out."""
    importlib.import_module(f"unified_agents_{backend}.backend")
    known = set(sys.modules)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with TemporaryDirectory() as folder:
            files = {name: str(Path(folder, name)) for name in ("journal", "witness")}
            order = {"resume": False, "moment": None, "steps": [[1]], "idempotent": [], **files}
            asyncio.run(carry_out(backend, order))
        with os.fdopen(writing, "w") as pipe:
            json.dump([name for name in sys.modules if name not in known], pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        for name in json.load(pipe):
            with suppress(ImportError):  # some are made by others, and stand in no file
                importlib.import_module(name)
    os.waitpid(child, 0)


def main(backend: str) -> None:
    """Be the warm parent of one framework."""
    import_what_a_run_imports(backend)
    assert threading.active_count() == 1
    gc.freeze()  # else a collection in a child would copy all pages that it shares with this process
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            obey(backend, json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


class CrashedRun:
    """One run that is killed at a moment, or at several, and resumed.

    Args:
        parents: The processes that do it.
        name: The name of its files.
        plan: What the run does.
    """

    def __init__(self, parents: Parents, name: str, plan: Plan = PLAN) -> None:
        self._parents = parents
        self._plan = plan
        self._files = {
            "journal": str(parents.folder / f"{name}.db"),
            "witness": str(parents.folder / f"{name}.jsonl"),
            "outcome": str(parents.folder / f"{name}.json"),
        }
        self._begun = False
        self.suspended = False

    def go(
        self, backend: str, place: str, moment: str | None = None, *, is_cold: bool = False
    ) -> dict[str, Any] | None:
        """Begin it, or resume it where it has begun; of each call that waits, say what the witness says of it.

        Args:
            backend: What drives it.
            place: Where that is done; see `Parents`.
            moment: When it is killed; None is never. Else it must be.
            is_cold: Whether a cold process does it.

        Returns:
            What came of it; None where it was killed.
        """
        plan = {"steps": self._plan.steps, "idempotent": sorted(self._plan.idempotent)}
        decisions: list[Any] = []
        while True:
            values = {"resume": self._begun, "moment": moment, "decisions": decisions, **plan, **self._files}
            code = self._parents.order(backend, place, is_cold=is_cold, **values)
            self._begun = True
            if moment is not None and code == -signal.SIGKILL:
                note(self._files["witness"], event="crash")
                self._note_journal()
                return None
            assert code == 0, f"exit code {code}"
            outcome: dict[str, Any] = json.loads(Path(self._files["outcome"]).read_text())
            note(self._files["witness"], event="over", status=outcome["status"])
            if outcome["status"] != "suspended":
                assert moment is None, f"the moment {moment!r} was not reached"
                return outcome
            self.suspended = True
            decisions = [self._decide(*waiting) for waiting in outcome["pending"]]

    def _decide(self, call_id: str, number: int, reason: str) -> list[Any]:
        assert reason == "in_flight"
        note(self._files["witness"], event="asked", call=number, started=True)
        is_done = any(event["event"] == "end" and event["call"] == number for event in self.events())
        how = "done" if is_done else "again"
        note(self._files["witness"], event="decided", call=number, how=how)
        return [call_id, number, how]

    def events(self) -> list[dict[str, Any]]:
        """Return the lines of the witness."""
        path = Path(self._files["witness"])
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the journal, read without its code."""
        if not Path(self._files["journal"]).exists():
            return []
        connection = sqlite3.connect(self._files["journal"])
        try:
            found = connection.execute("SELECT body FROM rows ORDER BY run, number").fetchall()
        except sqlite3.OperationalError:  # it was killed before the tables were made
            return []
        finally:
            connection.close()
        return [json.loads(body) for (body,) in found]

    def in_flight(self) -> list[int]:
        """Return the calls that may run once, and were between their start row and their end row."""
        rows, steps = self.rows(), self._plan.steps
        ended = {(row["step"], row["index"]) for row in rows if row["row"] == "tool_end"}
        started = {(row["step"], row["index"]) for row in rows if row["row"] == "tool_start"}
        numbers = [steps[step][index] for step, index in started - ended]
        return [number for number in numbers if not self._plan.calls[number]]

    def _note_journal(self) -> None:
        for row in self.rows():
            if row["row"] == "answer":
                note(self._files["witness"], event="answered", step=row["step"])
            elif row["row"] == "tool_end":
                note(self._files["witness"], event="finished", call=self._plan.steps[row["step"]][row["index"]])

    def violations(self) -> list[str]:
        """Return what the checker finds."""
        return violations(self.events(), self._plan.calls, len(self._plan.steps) + 1)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        obey(sys.argv[1], json.loads(sys.argv[3]))
    main(sys.argv[1])
