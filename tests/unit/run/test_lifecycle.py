"""How a run ends: its tasks, the runs within it, and what comes after a limit."""

from __future__ import annotations

import asyncio
from typing import Any

from support import scripted_model
from unified_agents import Limits, create_agent, tool
from unified_agents.run.lifecycle import Cancelled, Lifecycle


class Child:
    """A run within another; it takes itself out of the outer run while it is told of the end, as a thread may."""

    def __init__(self, outer: Lifecycle, others: list[Any]) -> None:
        self.outer = outer
        self.others = others
        self.told = 0

    def end_threadsafe(self, cause: Exception) -> None:
        self.told += 1
        self.outer.child_runs.difference_update(self.others)


async def test_runs_within_a_run_may_end_while_they_are_told_of_its_end() -> None:
    outer = Lifecycle("r", "r on custom")
    children: list[Any] = []
    children += [Child(outer, children) for _ in range(20)]
    outer.child_runs.update(children)
    outer.end(Cancelled("enough"))
    assert outer.ended.done()
    assert [child.told for child in children] == [1] * 20


async def test_the_steps_of_an_outer_run_are_not_those_of_a_run_within_it() -> None:
    inner = create_agent(model=scripted_model({"text": "inner"}))

    @tool
    async def ask() -> str:
        """Ask another agent."""
        return (await inner.run("q")).output or "nothing"

    asked = scripted_model({"tool_calls": [{"name": "ask"}]}, {"text": "outer"})
    outer = create_agent(model=asked, tools=[ask], limits=Limits(max_steps=1))
    result = await outer.run("q")
    assert result.status == "limit"
    assert result.tool_calls[0].content == "inner"


async def test_a_closed_agent_asks_for_no_last_answer() -> None:
    started = asyncio.Event()

    @tool
    async def wait() -> str:
        """Wait."""
        started.set()
        await asyncio.Event().wait()
        return "never"

    model = scripted_model({"tool_calls": [{"name": "wait"}, {"name": "wait"}]}, {"text": "a last word"})
    agent = create_agent(model=model, tools=[wait], limits=Limits(max_tool_calls=1, on_limit="answer"))
    running = asyncio.create_task(agent.run("q"))
    await started.wait()
    await agent.aclose()
    result = await running
    assert (result.status, result.output, result.requests) == ("limit", None, 1)


async def test_closing_ends_a_last_answer_that_is_under_way() -> None:
    asked = asyncio.Event()
    answers = scripted_model({"tool_calls": [{"name": "look"}]}, {"fault": {"delay": 3600}}, {"text": "a last word"})

    class Slow:
        def reply(self, request: Any, key: str = "") -> Any:
            reply = answers.reply(request, key)
            if any(message["role"] == "tool" for message in request["messages"]):
                asked.set()
            return reply

        def forget(self, key: str) -> None:
            return None

    @tool
    async def look() -> str:
        """Look."""
        return "seen"

    agent = create_agent(model=Slow(), tools=[look], limits=Limits(max_steps=1, on_limit="answer"))
    running = asyncio.create_task(agent.run("q"))
    await asyncio.wait_for(asked.wait(), 10)
    await asyncio.wait_for(agent.aclose(), 10)
    result = await running
    assert (result.status, result.output) == ("limit", None)
    assert "cancelled" in {error.kind for error in result.errors}
