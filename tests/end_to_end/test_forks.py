"""A new run begins with the first steps of another, as they were or edited."""

from __future__ import annotations

from typing import Any

import pytest

from support import BACKENDS, asks_for, make_script
from unified_agents import ConfigError, MemoryJournal, RunResult, ScriptedModel, Tool, approve, create_agent, fork_run

STEPS = (asks_for("send", n=1), asks_for("send", n=2), {"text": "Done."})


class Told:
    """A model that keeps the last conversation that it was told, and a tool that keeps what it was given."""

    def __init__(self) -> None:
        self.model = ScriptedModel(make_script(*STEPS))
        self.heard: list[Any] = []
        self.requests = 0
        self.sent: list[int] = []
        self.tool = Tool(name="send", parameters={"properties": {"n": {"type": "integer"}}}, handler=self._send)

    async def _send(self, n: int) -> str:
        self.sent.append(n)
        return f"sent {n}"

    def reply(self, request: Any, key: str = "") -> Any:
        self.requests += 1
        self.heard = [message.get("content") for message in request["messages"]]
        return self.model.reply(request, key)

    def forget(self, key: str) -> None:
        self.model.forget(key)


async def begun(told: Told) -> tuple[MemoryJournal, str]:
    journal = MemoryJournal()
    async with create_agent(model=told, tools=[told.tool], instructions="Work.", journal=journal) as agent:
        result = await agent.run("Go.")
    told.requests, told.sent = 0, []
    return journal, result.run_id


async def resumed(told: Told, journal: MemoryJournal, run_id: str, backend: str = "custom") -> RunResult:
    async with create_agent(
        backend=backend, model=told, tools=[told.tool], instructions="Work.", journal=journal
    ) as agent:
        return await agent.resume(run_id)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("at", range(4))
async def test_a_fork_goes_on_from_any_step_on_any_backend(backend: str, at: int) -> None:
    told = Told()
    journal, run_id = await begun(told)
    before = await journal.read(run_id)
    result = await resumed(told, journal, await fork_run(journal, run_id, at), backend)
    assert (result.status, result.output) == ("completed", "Done.")
    assert told.requests == 3 - at
    assert told.sent == [1, 2][at:]
    assert await journal.read(run_id) == before


async def test_a_fork_is_no_orphan_until_the_process_that_resumed_it_dies() -> None:
    told = Told()
    journal, run_id = await begun(told)
    fork = await fork_run(journal, run_id, 1)

    async def stands() -> tuple[str | None, bool]:
        (info,) = (info for info in await journal.runs() if info.run_id == fork)
        return info.status, info.is_orphan

    assert await stands() == ("forked", False)
    async with create_agent(model=told, tools=[told.tool], instructions="Work.", journal=journal) as agent:
        with pytest.raises(ConfigError, match="no call"):
            await agent.resume(fork, decisions={"nothing": approve()})
    assert await stands() == ("forked", False), "a resume that was refused has begun nothing"
    lease, _ = await journal.claim(fork)
    await journal.append(lease, [], release=True)
    assert await stands() == (None, True)
    assert (await resumed(told, journal, fork)).output == "Done."


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_message_and_a_result_may_be_edited(backend: str) -> None:
    told = Told()
    journal, run_id = await begun(told)
    call = (await resumed(told, journal, run_id)).tool_calls[0].id
    fork = await fork_run(journal, run_id, 1, message="Stop.", results={call: "not sent"})
    result = await resumed(told, journal, fork, backend)
    assert told.heard[:4] == ["Work.", "Stop.", None, "not sent"]
    assert told.sent == [2]
    assert result.tool_calls[0].content == "not sent"


@pytest.mark.parametrize("backend", BACKENDS)
async def test_an_answer_of_the_model_may_be_edited(backend: str) -> None:
    told = Told()
    journal, run_id = await begun(told)
    other = {"tool_calls": [{"name": "send", "arguments": '{"n": 7}'}]}
    result = await resumed(told, journal, await fork_run(journal, run_id, 1, answer=other), backend)
    assert told.sent == [7]
    assert result.output == "Done."
    said = await resumed(told, journal, await fork_run(journal, run_id, 0, answer={"text": "No."}), backend)
    assert (said.output, told.sent) == ("No.", [7])


@pytest.mark.parametrize(
    ("at", "options", "words"),
    [
        (4, {}, "has 3 steps"),
        (-1, {}, "has 3 steps"),
        (1, {"results": {"nobody": "x"}}, "no call 'nobody'"),
        (1, {"answer": {}}, "give a text"),
    ],
)
async def test_what_cannot_be_forked_is_said(at: int, options: dict[str, Any], words: str) -> None:
    journal, run_id = await begun(Told())
    with pytest.raises(ConfigError, match=words):
        await fork_run(journal, run_id, at, **options)
    assert len(await journal.runs()) == 1
