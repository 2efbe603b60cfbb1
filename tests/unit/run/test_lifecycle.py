"""How a run ends: its tasks, the runs within it, and what comes after a limit."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from support import make_script, scripted_model
from unified_agents import Limits, ModelConfig, create_agent, tool
from unified_agents.errors import BackendError, LimitError
from unified_agents.run.context import Run
from unified_agents.run.lifecycle import Cancelled, Lifecycle
from unified_agents.scripted.server import ScriptServer
from unified_agents_custom.loop import UnifiedLoop


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


class OddCancellation(asyncio.CancelledError, Exception):
    """A cancellation that is an `Exception` too, as the OpenAI Agents SDK has one."""


@pytest.mark.parametrize("raised", [asyncio.CancelledError, OddCancellation])
async def test_a_framework_that_cancels_its_own_run_has_failed(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(*_: Any, **__: Any) -> str:
        raise raised

    monkeypatch.setattr(UnifiedLoop, "run", run)
    with pytest.raises(BackendError, match="the framework cancelled its own run"):
        await create_agent(model=scripted_model({"text": "never"})).run("q")


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


class Work:
    """A piece of work in a run, which says in which task it is done."""

    def __init__(self, run: Lifecycle) -> None:
        self.run = run
        self.began, self.may_end = asyncio.Event(), asyncio.Event()
        self.task: asyncio.Task[Any] | None = None

    async def do(self) -> str:
        self.task = asyncio.current_task()
        assert self.task in self.run.tasks
        self.began.set()
        await self.may_end.wait()
        return "done"

    async def start(self, *, as_native: bool) -> asyncio.Task[str]:
        caller = asyncio.create_task(self.run.carry_out(self.do()))
        self.run.native = caller if as_native else None
        await self.began.wait()
        return caller


@pytest.mark.parametrize("as_native", [True, False])
async def test_only_the_native_loops_task_does_a_piece_of_work_itself(as_native: bool) -> None:
    work = Work(Lifecycle("r", "r on custom"))
    caller = await work.start(as_native=as_native)
    assert (work.task is caller) is as_native
    work.may_end.set()
    assert await caller == "done"
    assert not work.run.tasks


@pytest.mark.parametrize("as_native", [True, False])
async def test_a_piece_of_work_may_end_in_a_run_that_drains_and_ends_it(as_native: bool) -> None:
    work = Work(Lifecycle("r", "r on custom"))
    caller = await work.start(as_native=as_native)
    work.run.drain(LimitError("max_steps", "1"))
    assert not work.run.shut
    work.may_end.set()
    assert await caller == "done"
    assert work.run.shut


@pytest.mark.parametrize("as_native", [True, False])
async def test_the_end_of_a_run_cancels_its_pieces_of_work(as_native: bool) -> None:
    work = Work(Lifecycle("r", "r on custom"))
    caller = await work.start(as_native=as_native)
    work.run.end(Cancelled("enough"))
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not work.run.tasks


async def test_a_run_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    @tool(timeout=60)
    async def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    def runs() -> int:
        return sum(isinstance(one, Run) for one in gc.get_objects())

    call = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
    async with ScriptServer() as server:
        served = ModelConfig(name="m", base_url=server.add(make_script(call, {"text": "3"})))
        async with create_agent(model=served, tools=[add]) as agent:
            await agent.run("q")
            gc.collect()
            gc.disable()
            try:
                before = runs()
                for _ in range(5):
                    await agent.run("q")
                assert runs() <= before
            finally:
                gc.enable()
