"""`wrap`: agents of four frameworks, as their documentation shows them, watched as they are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from support import run_program
from unified_agents import Limits, ModelPrice, wrap
from unified_agents.errors import BackendError, ConfigError, RateLimitError, UnsupportedCapabilityError
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.testing.harness import answer, fault
from unified_agents.wire.reachable_objects import reachable_objects
from unified_agents.wire.routed_clients import RoutedTransport, sdk_clients
from unified_agents_comparisons.loading import load_suite
from wrapped_programs import ADDS, EACH, KEY, NAMES, PROGRAMS, SAID, Place


@EACH
async def test_it_says_the_same_alone_and_wrapped_and_is_seen(name: str, place: Place) -> None:
    module = place.load(name)
    alone = await module.main()
    assert alone in SAID
    asked = place.bodies
    agent = wrap(module.agent)
    async with agent:
        result = await agent.run("What is 2 + 3?")
        assert agent.native is module.agent
        assert agent.backend == NAMES[name]
    assert result.output == alone
    assert place.bodies[len(asked) :] == asked
    assert (result.status, result.handling, result.requests) == ("completed", "native", len(asked))
    assert [(made.name, made.ok, made.content in ("5", "5.0")) for made in result.tool_calls] == [("add", True, True)]
    chats = [span for span in result.trace.walk() if span.name.startswith("chat ")]
    assert len(chats) == len(asked)
    assert result.usage.input_tokens or name == "llamaindex_agent"  # it streams, and does not ask for it
    assert KEY not in result.model_dump_json()


@EACH
async def test_the_program_works_by_itself_beside_it_and_after_it(name: str, place: Place) -> None:
    module = place.load(name)
    (client, *_) = [one for one in sdk_clients(await _roots(module)) if one.is_async]
    own = client.client._client._transport
    agent = wrap(module.agent)
    assert isinstance(client.client._client._transport, RoutedTransport)
    inside, beside = await asyncio.gather(agent.run("What is 2 + 3?"), module.main())
    assert inside.output in SAID
    assert beside in SAID
    assert inside.requests == 2
    assert len(place.bodies) == 4
    await agent.aclose()
    assert client.client._client._transport is own
    assert await module.main() in SAID


@EACH
async def test_two_runs_at_once_do_not_mix(name: str, place: Place) -> None:
    module = place.load(name)
    async with wrap(module.agent) as agent:
        questions = [f"What is 2 + 3, number {number}?" for number in range(5)]
        results = await asyncio.gather(*(agent.run(question) for question in questions))
    assert [result.messages[0].content for result in results] == questions
    assert [(result.requests, len(result.tool_calls)) for result in results] == [(2, 1)] * 5
    assert len({made.id for result in results for made in result.tool_calls}) >= 1


@EACH
async def test_another_model_may_answer_in_its_place(name: str, place: Place) -> None:
    module = place.load(name, answer("its own model"))
    scripted = ScriptedModel(Script.model_validate({"answers": [*ADDS[:1], answer("That makes {0}.", (0, 0))]}))
    async with wrap(module.agent, model=scripted) as agent:
        result = await agent.run("What is 2 + 3?")
    assert result.output in ("That makes 5.", "That makes 5.0.")
    assert place.bodies == []
    assert await module.main() == "its own model"


@EACH
async def test_limits_hold_on_model_calls_and_tokens(name: str, place: Place) -> None:
    module = place.load(name)
    async with wrap(module.agent, limits={"max_model_calls": 1}) as agent:
        result = await agent.run("What is 2 + 3?")
        assert (result.status, result.limit, result.requests) == ("limit", "max_model_calls", 1)
        result = await agent.run("What is 2 + 3?", limits=Limits(max_tokens=1))
        assert (result.status, result.limit, result.requests) == ("limit", "max_tokens", 1)
    assert len(place.bodies) == 2
    async with wrap(module.agent, limits={"max_cost": 1e-9}, price=ModelPrice(input=1, output=1)) as agent:
        assert (await agent.run("What is 2 + 3?")).limit == "max_cost"


@EACH
async def test_an_error_of_the_model_is_ours(name: str, place: Place) -> None:
    module = place.load(name, fault(status=429, times=20), answer("Hi."))
    async with wrap(module.agent) as agent:
        with pytest.raises(RateLimitError) as caught:
            await agent.run("What is 2 + 3?")
    assert caught.value.result is not None
    assert caught.value.result.requests == len(place.bodies) >= 1


@EACH
async def test_events_tell_what_is_streamed(name: str, place: Place) -> None:
    module = place.load(name)
    async with wrap(module.agent) as agent, agent.stream("What is 2 + 3?") as events:
        texts = [event.text async for event in events if event.type == "text_delta"]
    assert "".join(texts) in SAID


async def test_an_agent_on_responses_is_seen_as_well(place: Place) -> None:
    place.load("openai_agents_agent")
    from agents import Agent, Runner, function_tool

    def add(a: float, b: float) -> float:
        """Add two numbers."""
        return a + b

    native = Agent(name="Calculator", model="gpt-5-mini", tools=[function_tool(add)])
    async with wrap(native) as agent:
        result = await agent.run("What is 2 + 3?")
    assert result.output in SAID
    assert (result.requests, [(made.name, made.ok) for made in result.tool_calls]) == (2, [("add", True)])
    assert all("input" in body for body in place.bodies)
    assert (await Runner.run(native, "What is 2 + 3?")).final_output in SAID


async def test_an_agent_on_anthropics_client_is_seen_as_well(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("anthropic")
    place.load("pydantic_ai_agent")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", place.url.removesuffix("/v1"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    from pydantic_ai import Agent

    native = Agent("anthropic:claude-sonnet-4-5")

    @native.tool_plain
    def add(a: float, b: float) -> float:
        """Add two numbers."""
        return a + b

    async with wrap(native) as agent:
        result = await agent.run("What is 2 + 3?")
    assert result.output in SAID
    assert (result.requests, [(made.name, made.ok) for made in result.tool_calls]) == (2, [("add", True)])
    assert result.usage.input_tokens
    assert KEY not in result.model_dump_json()


async def test_a_synchronous_model_call_is_refused_and_says_what_to_do(place: Place) -> None:
    place.load("langgraph_agent")
    from langchain_core.messages import AIMessage
    from langchain_openai import ChatOpenAI
    from langgraph.graph import END, START, MessagesState, StateGraph

    model = ChatOpenAI(model="gpt-5-mini")

    def ask(state: Any) -> dict[str, list[AIMessage]]:
        return {"messages": [model.invoke(state["messages"])]}  # type: ignore[list-item]

    graph: Any = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    async with wrap(graph.compile()) as agent:
        with pytest.raises(BackendError, match="use the asynchronous call"):
            await agent.run("Hi.")


@pytest.mark.parametrize("value", [object(), "text", print])
def test_what_nobody_wraps_is_refused_with_another_way(value: object) -> None:
    with pytest.raises(
        UnsupportedCapabilityError, match=r"cannot be wrapped; agents of .*langgraph.*unified-agents exec"
    ):
        wrap(value)


def test_a_graph_without_a_client_that_can_be_reached_is_refused() -> None:
    pytest.importorskip("langgraph")
    from langgraph.graph import END, START, MessagesState, StateGraph

    graph: Any = StateGraph(MessagesState)
    graph.add_node("nothing", lambda state: state)
    graph.add_edge(START, "nothing")
    graph.add_edge("nothing", END)
    with pytest.raises(UnsupportedCapabilityError, match="no asynchronous client"):
        wrap(graph.compile())


def test_what_is_reachable_is_what_an_object_is_made_of_and_not_the_world() -> None:
    class Slotted:
        __slots__ = ("inner", "unset")

    inner, slotted = httpx.Timeout(1), Slotted()
    slotted.inner = [inner]

    def closing() -> Any:
        return slotted

    found = list(reachable_objects([{"a": closing}]))
    assert any(one is inner for one in found)
    assert not any(isinstance(one, ModuleType | type) for one in found)
    assert len(found) < 50


async def _roots(module: ModuleType) -> list[object]:
    async with wrap(module.agent) as agent:
        return list(agent._agent._program.roots)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_suite_compares_an_agent_as_it_is(tmp_path: Path, place: Place) -> None:
    place.load("langgraph_agent")
    (tmp_path / "mine.py").write_text((PROGRAMS / "langgraph_agent.py").read_text())
    (tmp_path / "own_tools.py").write_text(
        "def add(a: float, b: float) -> float:\n    'Add two numbers.'\n    return a + b\n"
    )
    task = {
        "id": "add",
        "question": "What is 2 + 3?",
        "tools": ["add"],
        "expect": {"output": {"regex": r"It is 5(\.0)?\."}, "tool_calls": [{"name": "add"}]},
        "oracle": {"answers": list(ADDS)},
    }
    suite = {"name": "sums", "tools": "own_tools", "backends": {"mine": {"wrap": "mine:agent"}}, "tasks": [task]}
    (tmp_path / "suite.yaml").write_text(json.dumps(suite))
    done = run_program("compare", "suite.yaml", "--backends", "custom,mine", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out" / "cells.jsonl").read_text().splitlines()
    cells = {(cell["backend"], cell["handling"]): cell for cell in map(json.loads, lines)}
    assert set(cells) == {("custom", "unified"), ("custom", "native"), ("mine", "native")}
    assert all(cell["passed"] for cell in cells.values()), cells
    assert "langchain" in cells["mine", "native"]["versions"]
    assert cells["mine", "native"]["requests"] == 2
    assert place.bodies == []
    assert "backend 'mine' has no `handling: unified`" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backends": {"langchain": {"wrap": "mine:agent"}}}, "'langchain' is the name of a backend"),
        ({"backends": {"mine": {"wrap": "mine:agnt"}}}, "did you mean 'agent'"),
        ({"backends": {"mine": {"wrap": "mine.py"}}}, "wrap"),
    ],
)
def test_what_does_not_fit_in_a_suite_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "mine.py").write_text("agent = 1\n")
    task = {"id": "a", "question": "?", "expect": {"output": "x"}}
    (tmp_path / "suite.yaml").write_text(json.dumps({"name": "sums", "tasks": [task]} | change))
    with pytest.raises(ConfigError, match=message):
        load_suite(tmp_path / "suite.yaml")
