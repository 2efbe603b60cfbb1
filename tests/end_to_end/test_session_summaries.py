"""The turns of a session beyond the bounds of its memory are summarised by the model, and stay as they were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support import BACKENDS, make_script
from unified_agents import (
    BadRequestError,
    ConfigError,
    MemoryConfig,
    MemoryJournal,
    RunError,
    ScriptedModel,
    UnsupportedCapabilityError,
    approve,
    create_agent,
    tool,
    wording,
)
from unified_agents.agent.memory import summarised_turns
from unified_agents.journal.protocol import SESSION_PREFIX, Journal
from unified_agents.journal.rows import SummaryRow, TurnRow
from unified_agents.messages import Message

SUMMARY = wording.summary_of_turns("")


@tool
async def look(n: int) -> int:
    """Look."""
    return n


class Summarising:
    """A model that calls a tool in each turn, then answers with what it was told; asked to summarise, it does so."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.fails = False

    def reply(self, request: Any, key: str = "") -> Any:
        told = [_text(message) for message in request["messages"] if message["role"] == "user"]
        answer: Mapping[str, Any] = {"tool_calls": [{"name": "look", "arguments": {"n": len(told)}}]}
        if told[-1] == wording.summarise_now():
            assert request.get("tool_choice") == "none" or "tools" not in request
            assert "response_format" not in request
            self.asked.append(told[:-1])
            answer = {"text": "S[" + ",".join(text.removeprefix(SUMMARY) for text in told[:-1]) + "]"}
        elif request["messages"][-1]["role"] == "tool":
            answer = {"text": json.dumps(told)}
        turns = sum(message["role"] == "assistant" for message in request["messages"]) + 1
        model = ScriptedModel(make_script(*[answer] * turns))
        return model.reply({} if self.fails and told[-1] == wording.summarise_now() else request, key)

    def forget(self, key: str) -> None:
        """Nothing is kept."""


def _text(message: Mapping[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


async def rows_of(journal: Journal, session: str = "s") -> list[Any]:
    return await journal.read(SESSION_PREFIX + session)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_turn_is_given_the_summary_of_those_that_are_beyond_the_bounds(backend: str, tmp_path: Path) -> None:
    model, told = Summarising(), []
    for turn in range(6):  # each by another agent, as in another process
        journal = tmp_path / "runs.db"
        memory = MemoryConfig(turns=2, summary=True)
        async with create_agent(backend=backend, model=model, tools=[look], journal=journal, memory=memory) as agent:
            told.append(json.loads((await agent.run(f"t{turn}", session="s")).output or ""))
    first, second = f"{SUMMARY}S[t0,t1]", f"{SUMMARY}S[S[t0,t1],t2,t3]"
    assert told[:3] == [["t0"], ["t0", "t1"], ["t0", "t1", "t2"]]
    assert told[3:] == [[first, "t2", "t3"], [first, "t2", "t3", "t4"], [second, "t4", "t5"]]
    assert model.asked == [["t0", "t1"], [first, "t2", "t3"]]


async def test_the_turns_stay_as_they_were_and_the_summary_is_stored_once() -> None:
    journal = MemoryJournal()
    async with create_agent(
        model=Summarising(), tools=[look], journal=journal, memory=MemoryConfig(turns=1, summary=True)
    ) as agent:
        results = [await agent.run(f"t{turn}", session="s") for turn in range(3)]
    rows = await rows_of(journal)
    turns = [row for row in rows if isinstance(row, TurnRow)]
    assert [row.messages[0].content for row in turns] == ["t0", "t1", "t2"]
    assert all(row.messages == tuple(result.messages[-4:]) for row, result in zip(turns, results, strict=True))
    summaries = [row for row in rows if isinstance(row, SummaryRow)]
    assert [(row.turns, row.message.content) for row in summaries] == [(2, f"{SUMMARY}S[t0,t1]")]
    assert {info.run_id for info in await journal.runs()} == {result.run_id for result in results}


@pytest.mark.parametrize("other", BACKENDS)
async def test_a_run_that_was_given_a_summary_is_resumed_with_it(other: str) -> None:
    @tool(name="look", approval=lambda arguments: arguments["n"] > 2)
    async def ask(n: int) -> int:
        return n

    journal, model = MemoryJournal(), Summarising()
    options: dict[str, Any] = {"model": model, "journal": journal, "memory": MemoryConfig(turns=1, summary=True)}
    async with create_agent(**options, tools=[ask]) as agent:
        for turn in range(2):
            await agent.run(f"t{turn}", session="s")
        waits = await agent.run([Message(role="user", content=text) for text in ("t2", "t3")], session="s")
    assert waits.status == "suspended"
    async with create_agent(**options, tools=[ask], backend=other) as agent:
        result = await agent.resume(waits.run_id, decisions={waits.pending[0].id: approve()})
        assert json.loads(result.output or "") == [f"{SUMMARY}S[t0,t1]", "t2", "t3"]
        again = await agent.resume(waits.run_id)
    assert again.messages == result.messages
    assert len(model.asked) == 1


async def test_a_turn_whose_summary_fails_is_not_begun_and_the_session_stays_usable() -> None:
    model, journal = Summarising(), MemoryJournal()
    async with create_agent(
        model=model, tools=[look], journal=journal, memory=MemoryConfig(turns=0, summary=True)
    ) as agent:
        await agent.run("t0", session="s")
        model.fails = True
        with pytest.raises(RunError) as failed:
            await agent.run("t1", session="s")
        assert isinstance(failed.value, BadRequestError)
        model.fails = False
        result = await agent.run("t2", session="s")
    assert json.loads(result.output or "") == [f"{SUMMARY}S[t0]", "t2"]
    assert len(await journal.runs()) == 2


def test_half_of_the_room_is_free_after_a_summary() -> None:
    turns = [[Message(role="user", content="x" * 40)]] * 10
    memory = MemoryConfig(turns=4, summary=True)
    assert [summarised_turns(turns[:count], memory, 0) for count in (4, 5)] == [0, 3]
    assert [summarised_turns(turns[:count], memory, 3) for count in (7, 8)] == [3, 6]
    by_tokens = MemoryConfig(tokens=40, summary=True)
    assert [summarised_turns(turns[:count], by_tokens, 0) for count in (4, 5)] == [0, 3]


def test_what_has_no_bound_and_what_only_watches_are_refused() -> None:
    with pytest.raises(ConfigError, match="give turns or tokens too"):
        create_agent(model=Summarising(), memory={"summary": True})
    with pytest.raises(UnsupportedCapabilityError, match=r"memory\.summary needs `handling: unified`"):
        create_agent(model=Summarising(), memory={"turns": 1, "summary": True}, handling="native", backend="langchain")
