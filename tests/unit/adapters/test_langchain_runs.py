"""Runs of LangChain's graph: how they end, side by side, and inside one another."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from langgraph.graph.state import StateGraph

from support import make_script
from unified_agents.agent import Agent, create_agent
from unified_agents.config import Handling, ModelParameters
from unified_agents.result import RunResult
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.testing.harness import add, call
from unified_agents.tools.decorator import tool
from unified_agents.wire.local_upstream import Reply

HANDLINGS: tuple[Handling, ...] = ("unified", "native")


def agent_for(answers: Script, *tools: Any, handling: Handling = "unified", **options: Any) -> Agent:
    return create_agent(backend="langchain", model=ScriptedModel(answers), tools=tools, handling=handling, **options)


@pytest.mark.parametrize("handling", HANDLINGS)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("where", ["tool", "model"])
async def test_a_cancel_leaves_no_task_behind(handling: Handling, stream: bool, where: str) -> None:
    started = asyncio.Semaphore(0)

    class Model(ScriptedModel):
        def reply(self, request: Any, key: str = "") -> Reply:
            if where == "model":
                started.release()
            return super().reply(request, key)

    @tool
    async def hang(number: int) -> int:
        """Hang."""
        started.release()
        await asyncio.Event().wait()
        return number

    calls = {"tool_calls": [call("hang", {"number": 1}), call("hang", {"number": 2})]}
    answers = make_script(calls) if where == "tool" else make_script({"fault": {"stall": True}}, {"text": "x"})
    before = asyncio.all_tasks()
    parameters = ModelParameters(stream=stream)
    agent = create_agent(
        backend="langchain", model=Model(answers), tools=[hang], handling=handling, model_parameters=parameters
    )
    running = asyncio.create_task(agent.run("q"))
    for _ in range(2 if where == "tool" else 1):
        await asyncio.wait_for(started.acquire(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 5)
    assert asyncio.all_tasks() == before


async def test_one_graph_serves_many_runs_streamed_and_not() -> None:
    def echo(text: str) -> str:
        """Echo."""
        return text

    template = {"$template": "{0}", "values": [{"$result": {"step": 0, "index": 0}}]}
    answers = make_script({"tool_calls": [call("echo", {"text": "same"})]}, {"text": template})
    agent = agent_for(answers, echo)

    async def streamed() -> RunResult | None:
        async with agent.stream("q") as events:
            async for _ in events:
                pass
        return events.result

    results = await asyncio.gather(*(agent.run("q") if n % 2 else streamed() for n in range(100)))
    assert {result.output for result in results if result is not None} == {"same"}
    assert len({result.run_id for result in results if result is not None}) == 100


@pytest.mark.parametrize("outer", HANDLINGS)
@pytest.mark.parametrize("inner", HANDLINGS)
async def test_an_agent_inside_a_tool_has_a_run_of_its_own(outer: Handling, inner: Handling) -> None:
    forced = ModelParameters(tool_choice="required")
    child = agent_for(
        make_script({"tool_calls": [call("add", {"a": 1, "b": 2})]}, {"text": "three"}),
        add,
        handling=inner,
        model_parameters=forced,
    )

    @tool
    async def ask(question: str) -> str:
        """Ask somebody else."""
        result = await child.run(question)
        return f"{result.output} in {len(result.tool_calls)}"

    template = {"$template": "{0}", "values": [{"$result": {"step": 0, "index": 0}}]}
    answers = make_script({"tool_calls": [call("ask", {"question": "1 + 2"})]}, {"text": template})
    result = await agent_for(answers, ask, handling=outer, model_parameters=forced).run("q")
    assert result.output == "three in 1"
    assert [made.name for made in result.tool_calls] == ["ask"]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that compiled a graph, each after a moment in which another one could come in."""
    threads: list[str] = []
    meeting = threading.Barrier(2)
    compile_graph: Any = StateGraph.compile

    def noting(graph: Any, *args: Any, **options: Any) -> Any:
        threads.append(threading.current_thread().name)
        try:
            meeting.wait(0.3)
        except threading.BrokenBarrierError:
            meeting.reset()
        return compile_graph(graph, *args, **options)

    monkeypatch.setattr(StateGraph, "compile", noting)
    return threads


async def test_the_graph_is_compiled_once_by_whoever_needs_it_first(compiled: list[str]) -> None:
    agent = agent_for(make_script({"text": "x"}), add)
    assert compiled == []
    results, natives = await asyncio.gather(
        asyncio.gather(*(agent.run("q") for _ in range(3))),
        asyncio.gather(*(asyncio.to_thread(lambda: agent.native) for _ in range(3))),
    )
    assert [result.output for result in results] == ["x"] * 3
    assert {id(native) for native in natives} == {id(agent.native)}
    assert len(compiled) == 1


async def test_under_native_the_graph_is_compiled_with_the_agent(compiled: list[str]) -> None:
    agent = agent_for(make_script({"text": "x"}), add, handling="native")
    assert len(compiled) == 1
    assert (await agent.run("q")).output == "x"
    assert len(compiled) == 1
