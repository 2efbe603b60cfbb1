"""Runs that are killed at a point of their journal and go on in another process, often of another framework.

This file is also the program of the processes that are killed. A warm parent has imported one framework and nothing
more: it has no event loop, no thread and no connection. It forks a child for each order that it reads from its standard
input, waits for it, and writes its exit code.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crash_checker import violations
from unified_agents import Script, ScriptedModel, SqliteJournal, Tool, ToolContext, approve, create_agent, finished
from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import Addition
from unified_agents.journal.rows import Row

CALLS = {1: False, 2: False, 3: True, 4: False, 5: True, 6: False, 7: False, 8: True}
"""The calls of the run, and whether the tool of each is idempotent."""
STEPS = ((1, 2, 3), (4,), (5, 6, 7), (8,))
POINTS = 2 * (1 + 2 * len(CALLS) + 1)
"""Before and after each commit: of the run, of each call's start and end, and of the run's end."""
OUTPUT = "All is done."


def note(path: str, **event: Any) -> None:
    """Add an event to the witness, in one write."""
    with open(path, "ab", buffering=0) as file:
        file.write(json.dumps(event).encode() + b"\n")


class WitnessedModel:
    """A scripted model that notes each request."""

    def __init__(self, witness: str) -> None:
        answers: list[Any] = [
            {"tool_calls": [{"name": "again" if CALLS[n] else "once", "arguments": {"n": n}} for n in step]}
            for step in STEPS
        ]
        self._model = ScriptedModel(Script.model_validate({"answers": [*answers, {"text": OUTPUT}]}))
        self._witness = witness

    def reply(self, request: Any, key: str = "") -> Any:
        """Answer as the script says."""
        step = sum(message.get("role") == "assistant" for message in request["messages"])
        note(self._witness, event="model", step=step)
        return self._model.reply(request, key)

    def forget(self, key: str) -> None:
        """Forget a conversation."""
        self._model.forget(key)


def tools(witness: str) -> list[Tool]:
    """Make a tool that may run once, and one that is idempotent."""

    async def work(n: int, context: ToolContext) -> dict[str, int]:
        note(witness, event="start", call=n, key=context.idempotency_key)
        await asyncio.sleep(0)
        note(witness, event="end", call=n, key=context.idempotency_key)
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
        point: Twice the number of the commit, and one more where it dies after it; None never dies.
    """

    def __init__(self, path: str, point: int | None) -> None:
        super().__init__(path)
        self._point = point
        self._commits = 0

    async def begin(self, run_id: str, rows: Sequence[Row]) -> Lease:
        """Begin, and die where it is time."""
        self._before()
        lease = await super().begin(run_id, rows)
        self._after(0)
        return lease

    def append(
        self, lease: Lease, rows: Sequence[Row], *, release: bool = False, also: Addition | None = None
    ) -> Awaitable[None]:
        """Append, and die where it is time."""
        number = self._before()
        storing = super().append(lease, rows, release=release, also=also)
        if isinstance(storing, asyncio.Future):
            storing.add_done_callback(lambda _: self._after(number))
        return storing

    def _before(self) -> int:
        if self._point == 2 * self._commits:
            os.kill(os.getpid(), signal.SIGKILL)
        self._commits += 1
        return self._commits - 1

    def _after(self, number: int) -> None:
        if self._point == 2 * number + 1:
            os.kill(os.getpid(), signal.SIGKILL)


async def carry_out(backend: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """Run or resume as the order says, and return what came of it."""
    journal = KilledJournal(order["journal"], order["point"])
    agent = create_agent(
        backend=backend,
        model=WitnessedModel(order["witness"]),
        instructions="Work.",
        tools=tools(order["witness"]),
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
    told = [[message.role, message.content] for message in result.messages]
    pending = [[call.id, json.loads(call.arguments)["n"], call.reason] for call in result.pending]
    return {"status": result.status, "output": result.output, "pending": pending, "messages": told}


def main(backend: str) -> None:
    """Be the warm parent of one framework."""
    adapter = importlib.import_module(f"unified_agents_{backend}.backend")
    for module in getattr(adapter, "_IMPORTED_BY_A_FIRST_RUN", ()):
        importlib.import_module(module)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            os.chdir(order["folder"])
            try:
                outcome = asyncio.run(carry_out(backend, order))
                Path(order["outcome"]).write_text(json.dumps(outcome))
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


class Parents:
    """The warm parents: one of each framework to crash, and one to resume, with another hash seed and folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[tuple[str, bool], subprocess.Popen[str]] = {}

    def order(self, backend: str, *, resume: bool, **values: Any) -> int:
        """Give an order to a parent, and return the exit code of its child."""
        process = self._processes.get((backend, resume)) or self._start(backend, resume=resume)
        assert process.stdin is not None
        assert process.stdout is not None
        folder = self.folder / ("resumed" if resume else "begun")
        folder.mkdir(exist_ok=True)
        process.stdin.write(json.dumps({"resume": resume, "folder": str(folder), **values}) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def _start(self, backend: str, *, resume: bool) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONHASHSEED": "2" if resume else "1"}
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [sys.executable, __file__, backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment | {"PYTHONPATH": path},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        self._processes[backend, resume] = process
        return process

    def close(self) -> None:
        """End the parents."""
        for process in self._processes.values():
            with process:
                assert process.stdin is not None
                process.stdin.close()


@contextmanager
def warm_parents(folder: Path) -> Iterator[Parents]:
    """Start parents as they are needed, and end them with the block."""
    parents = Parents(folder)
    try:
        yield parents
    finally:
        parents.close()


class CrashedRun:
    """One run that is killed at a point and resumed.

    Args:
        parents: The processes that do it.
        name: The name of its files.
    """

    def __init__(self, parents: Parents, name: str) -> None:
        self._parents = parents
        self._files = {
            "journal": str(parents.folder / f"{name}.db"),
            "witness": str(parents.folder / f"{name}.jsonl"),
            "outcome": str(parents.folder / f"{name}.json"),
        }
        self.suspended = False

    def begin(self, backend: str, point: int | None) -> None:
        """Run it, and let it be killed."""
        code = self._parents.order(backend, resume=False, point=point, **self._files)
        if point is not None:
            assert code == -signal.SIGKILL, f"exit code {code}: point {point} was not reached"
            note(self._files["witness"], event="crash")
            self._note_journal()

    def resume(self, backend: str, point: int | None = None) -> dict[str, Any]:
        """Resume it to its end; of each call that waits, say what the witness says of it."""
        decisions: list[Any] = []
        while True:
            code = self._parents.order(backend, resume=True, point=point, decisions=decisions, **self._files)
            assert code == 0, f"exit code {code}"
            outcome: dict[str, Any] = json.loads(Path(self._files["outcome"]).read_text())
            note(self._files["witness"], event="over", status=outcome["status"])
            if outcome["status"] != "suspended":
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
        rows = self.rows()
        ended = {(row["step"], row["index"]) for row in rows if row["row"] == "tool_end"}
        started = {(row["step"], row["index"]) for row in rows if row["row"] == "tool_start"}
        return [number for step, index in started - ended if not CALLS[number := STEPS[step][index]]]

    def _note_journal(self) -> None:
        for row in self.rows():
            if row["row"] == "answer":
                note(self._files["witness"], event="answered", step=row["step"])
            elif row["row"] == "tool_end":
                note(self._files["witness"], event="finished", call=STEPS[row["step"]][row["index"]])

    def violations(self) -> list[str]:
        """Return what the checker finds."""
        return violations(self.events(), CALLS, len(STEPS) + 1)


if __name__ == "__main__":
    main(sys.argv[1])
