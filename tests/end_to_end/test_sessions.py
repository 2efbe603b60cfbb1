"""Sessions: several turns share one conversation, in several processes and frameworks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import BACKENDS, run_program
from unified_agents import (
    ConfigError,
    JournalError,
    MemoryConfig,
    MemoryJournal,
    Message,
    RunBusyError,
    RunError,
    ScriptedModel,
    SqliteJournal,
    approve,
    create_agent,
    fork_run,
    tool,
)
from unified_agents.agent.memory import remembered
from unified_agents.journal.encoding import read_rows
from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import SESSION_PREFIX, Addition
from unified_agents.journal.rows import Row, RunRow, TurnRow
from unified_agents.journal.turns import with_history
from unified_agents.scripted.model import Script


@tool
async def look(n: int) -> int:
    """Look."""
    return n


class Hearing:
    """A model that calls a tool in each turn, then answers with the user's texts that it was told."""

    def __init__(self) -> None:
        self.fails = False

    def reply(self, request: Any, key: str = "") -> Any:
        said = [_text(message) for message in request["messages"] if message["role"] == "user"]
        if request["messages"][-1]["role"] == "tool":
            answer: Mapping[str, Any] = {"text": json.dumps(said)}
        else:
            answer = {"tool_calls": [{"name": "look", "arguments": {"n": len(said)}}]}
        # The script is as long as the conversation: the scripted model counts the turns that it is told.
        turns = sum(message["role"] == "assistant" for message in request["messages"]) + 1
        model = ScriptedModel(Script.model_validate({"answers": [answer] * turns}))
        return model.reply({} if self.fails else request, key)

    def forget(self, key: str) -> None:
        """Nothing is kept."""


def _text(message: Mapping[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("in_file", [False, True])
async def test_each_session_hears_its_own_turns_and_no_other(backend: str, in_file: bool, tmp_path: Path) -> None:
    journal = tmp_path / "runs.db" if in_file else None
    async with create_agent(backend=backend, model=Hearing(), tools=[look], journal=journal) as agent:

        async def talk(name: str) -> None:
            for turn in range(4):
                result = await agent.run(f"{name} {turn}", session=name)
                assert json.loads(result.output or "") == [f"{name} {number}" for number in range(turn + 1)]
                assert len(result.messages) == 4 * (turn + 1)

        await asyncio.gather(*(talk(f"s{number}") for number in range(5)))


async def test_a_session_goes_on_in_another_framework_and_another_agent(tmp_path: Path) -> None:
    for turn in range(4):
        backend = BACKENDS[turn % len(BACKENDS)]
        async with create_agent(backend=backend, model=Hearing(), tools=[look], journal=tmp_path / "runs.db") as agent:
            result = await agent.run(f"turn {turn}", session="s")
        assert json.loads(result.output or "") == [f"turn {number}" for number in range(turn + 1)]


async def test_a_turn_that_failed_leaves_the_session_usable() -> None:
    model = Hearing()
    async with create_agent(model=model, tools=[look]) as agent:
        await agent.run("one", session="s")
        model.fails = True
        with pytest.raises(RunError):
            await agent.run("two", session="s")
        model.fails = False
        assert json.loads((await agent.run("three", session="s")).output or "") == ["one", "three"]


async def test_a_second_turn_waits_or_is_refused() -> None:
    started, goes_on = asyncio.Event(), asyncio.Event()

    @tool(name="look")
    async def wait(n: int) -> int:
        started.set()
        await goes_on.wait()
        return n

    journal = MemoryJournal()
    async with (
        create_agent(model=Hearing(), tools=[wait], journal=journal) as agent,
        create_agent(model=Hearing(), tools=[wait], journal=journal, memory={"when_busy": "refuse"}) as strict,
    ):
        first = asyncio.create_task(agent.run("one", session="s"))
        await started.wait()
        with pytest.raises(RunBusyError, match="session 's'"):
            await strict.run("two", session="s")
        second = asyncio.create_task(agent.run("two", session="s"))
        cancelled = asyncio.create_task(agent.run("never", session="s"))
        await asyncio.sleep(0)
        cancelled.cancel()
        goes_on.set()
        await first
        assert json.loads((await second).output or "") == ["one", "two"]
        assert json.loads((await strict.run("three", session="s")).output or "") == ["one", "two", "three"]


async def test_a_turn_that_waited_is_remembered_once_it_is_completed() -> None:
    ask = look.with_options(replace(look.options, approval="always"))
    async with create_agent(model=Hearing(), tools=[ask], journal=MemoryJournal()) as agent:
        waits = await agent.run("one", session="s")
        done = await agent.resume(waits.run_id, decisions={waits.pending[0].id: approve()})
        assert done.status == "completed"
        await agent.resume(waits.run_id)  # once more, and it is still one turn
        further = await agent.run("two", session="s")
        done = await agent.resume(further.run_id, decisions={further.pending[0].id: approve()})
    assert json.loads(done.output or "") == ["one", "two"]


async def test_the_memory_bounds_what_a_turn_is_given() -> None:
    async with create_agent(model=Hearing(), tools=[look], memory=MemoryConfig(turns=1)) as agent:
        for turn in range(3):
            result = await agent.run(f"turn {turn}", session="s")
    assert json.loads(result.output or "") == ["turn 1", "turn 2"]


def turns(*sizes: int) -> list[list[Message]]:
    return [[Message(role="user", content="x" * size)] for size in sizes]


@pytest.mark.parametrize(
    ("memory", "kept"),
    [
        ({}, [400, 40, 4]),
        ({"turns": 0}, []),
        ({"turns": 2}, [40, 4]),
        ({"turns": 9}, [400, 40, 4]),
        ({"tokens": 0}, []),
        ({"tokens": 11}, [40, 4]),
        ({"tokens": 10}, [4]),
        ({"tokens": 111}, [400, 40, 4]),
        ({"turns": 1, "tokens": 111}, [4]),
    ],
)
def test_whole_turns_are_kept_the_newest_first(memory: dict[str, int], kept: list[int]) -> None:
    found = remembered(turns(400, 40, 4), MemoryConfig(**memory))
    assert [len(str(message.content)) for message in found] == kept


async def test_original_turns_stay_and_sessions_are_no_runs() -> None:
    journal, original = MemoryJournal(), {"protocol": "p", "endpoint": "e", "model": "m", "body": {"x": 2**70}}
    given = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "Hm.", "original": original},
        {"role": "user", "content": "two"},
    ]
    async with create_agent(model=Hearing(), tools=[look], journal=journal) as agent:
        await agent.run(given, session="s")
        result = await agent.run("three", session="s")
        with pytest.raises(ConfigError, match="session:"):
            await agent.run("x", run_id="session:s")
        with pytest.raises(ConfigError, match="an id, as text"):
            await agent.run("x", session="")
    assert result.messages[1].original == original
    assert len(await journal.runs()) == 2


def test_a_chat_goes_on_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("model: script:script.yaml\njournal: runs.db\n")
    (tmp_path / "script.yaml").write_text("answers: [{text: Well.}]\n")
    for said, options in (("Hi.\n\nHo.\n", ["--session", "s"]), ("Hey.", ["--session", "s"]), ("New.", [])):
        done = run_program("chat", tmp_path / "agent.yaml", *options, input=said, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "Well.\n" * len(said.split())), done.stderr
    assert asyncio.run(given(tmp_path / "runs.db")) == [
        ["New."],
        ["Hi.", "Well.", "Ho.", "Well.", "Hey."],
        ["Hi.", "Well.", "Ho."],
        ["Hi."],
    ]


async def given(path: Path) -> list[list[Any]]:
    """What each run of a journal was given, the newest first."""
    journal = SqliteJournal(path)
    try:
        firsts = [(await journal.read(info.run_id))[0] for info in await journal.runs()]
        runs = [await with_history(journal, row) for row in firsts if isinstance(row, RunRow)]
    finally:
        await journal.aclose()
    return [[message.content for message in row.messages] for row in runs]


class WatchedJournal(MemoryJournal):
    """A journal that holds a turn of its session whenever it holds the completed end of a run, and only then."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def append(
        self, lease: Lease, rows: Sequence[Row], *, release: bool = False, also: Addition | None = None
    ) -> Awaitable[None]:
        """Append, and look at what a process that died now would leave behind."""
        storing = super().append(lease, rows, release=release, also=also)
        self.looks += 1
        completed = {name for name, run in self._runs.items() if run.status == "completed"}
        turns = [read_rows(name, run.bodies) for name, run in self._runs.items() if name.startswith(SESSION_PREFIX)]
        told = [row.run_id for found in turns for row in found if isinstance(row, TurnRow)]
        assert sorted(told) == sorted(completed)
        return storing


@pytest.mark.parametrize("backend", BACKENDS)
async def test_the_end_of_a_run_and_its_turn_are_stored_together(backend: str) -> None:
    journal = WatchedJournal()
    ask = look.with_options(replace(look.options, approval=lambda arguments: arguments["n"] == 2))
    async with create_agent(backend=backend, model=Hearing(), tools=[ask], journal=journal) as agent:
        await agent.run("one", session="s", run_id="r1")
        waits = await agent.run("two", session="s", run_id="r2")
        await agent.resume("r2", decisions={waits.pending[0].id: approve()})
        await agent.resume("r2")
        done = await agent.run("three", session="s", run_id="r3")
    assert json.loads(done.output or "") == ["one", "two", "three"]
    assert journal.looks > 9


async def test_a_session_takes_space_for_each_turn_once() -> None:
    journal = MemoryJournal()
    sizes = []
    async with create_agent(model=Hearing(), tools=[look], journal=journal) as agent:
        for turn in range(40):
            await agent.run(f"{turn} " + "x" * 5000 * (turn % 2), session="s")
            if turn in (19, 39):
                # What the model says grows with the turns, so it is left out.
                rows = [body for run in journal._runs.values() for body in run.bodies if b'"row":"run"' in body]
                sizes.append(sum(map(len, rows)))
    assert sizes[1] < 2.2 * sizes[0]


async def test_a_turn_whose_history_is_gone_is_not_resumed() -> None:
    journal = MemoryJournal()
    ask = look.with_options(replace(look.options, approval=lambda arguments: arguments["n"] == 2))
    async with create_agent(model=Hearing(), tools=[ask], journal=journal) as agent:
        await agent.run("one", session="s")
        waits = await agent.run("two", session="s")
        assert await journal.delete(["session:s"]) == 1
        for _ in range(2):  # it is given back
            with pytest.raises(JournalError, match="session 's', whose turns before it are gone"):
                await agent.resume(waits.run_id)


async def test_a_fork_of_a_turn_is_given_the_turns_before_it_and_adds_none() -> None:
    journal = MemoryJournal()
    async with create_agent(model=Hearing(), tools=[look], journal=journal) as agent:
        await agent.run("one", session="s")
        second = await agent.run("two", session="s")
        forked = await agent.resume(await fork_run(journal, second.run_id, 0, message="other"))
        third = await agent.run("three", session="s")
    assert json.loads(forked.output or "") == ["one", "other"]
    assert json.loads(third.output or "") == ["one", "two", "three"]
