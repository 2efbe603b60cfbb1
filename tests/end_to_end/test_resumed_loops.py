"""The loop of a framework that goes on with a run begins behind the steps whose calls are all finished."""

from __future__ import annotations

from typing import Any

import pytest

from support import BACKENDS, asks_for, make_script
from unified_agents import DivergenceError, Limits, MemoryJournal, RunError, ScriptedModel, create_agent, tool
from unified_agents.wire.unified import Wire

STEPS = 20


class Failing:
    """A model that asks for a call in each step, and fails once."""

    def __init__(self, fails_at: int) -> None:
        self._model = ScriptedModel(make_script(*(asks_for("look", n=n) for n in range(STEPS)), {"text": "Done."}))
        self._fails_at = fails_at
        self.requests = 0

    def reply(self, request: Any, key: str = "") -> Any:
        self.requests += 1
        return self._model.reply({} if self.requests == self._fails_at else request, key)  # an empty one is refused

    def forget(self, key: str) -> None:
        self._model.forget(key)


@tool
async def look(n: int) -> int:
    """Look."""
    return n


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_framework_is_not_led_through_what_is_finished(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    ask = Wire.ask

    async def counting(wire: Wire, run: Any, received: bytes = b"") -> Any:
        asked.append(len(run.steps))
        return await ask(wire, run, received)

    monkeypatch.setattr(Wire, "ask", counting)
    model, journal = Failing(fails_at=STEPS - 1), MemoryJournal()
    async with create_agent(backend=backend, model=model, tools=[look], journal=journal, instructions="Look.") as agent:
        with pytest.raises(RunError):
            await agent.run("Go.", run_id="r")
        assert asked == list(range(STEPS - 1))
        asked.clear()
        result = await agent.resume("r")
    assert asked == [STEPS - 2, STEPS - 1, STEPS]
    assert [call.content for call in result.tool_calls] == [str(n) for n in range(STEPS)]
    assert all(call.reached for call in result.tool_calls)
    assert len(result.messages) == 2 * STEPS + 2


async def test_what_was_finished_counts_against_the_limits_and_may_not_differ() -> None:
    journal = MemoryJournal()
    async with create_agent(model=Failing(fails_at=10), tools=[look], journal=journal) as agent:
        with pytest.raises(RunError):
            await agent.run("Go.", run_id="r")
        for limits in (Limits(max_steps=5), Limits(max_tool_calls=9)):
            result = await agent.resume("r", limits=limits)
            assert (result.status, len(result.tool_calls) - 9) == ("limit", int(limits.max_tool_calls == 9))
    async with create_agent(model=Failing(0), tools=[look], journal=journal, instructions="Look away.") as other:
        with pytest.raises(DivergenceError, match="in step 0, at message 1"):
            await other.resume("r")
