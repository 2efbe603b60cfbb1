"""Limits on the tool calls of a wrapped agent: they hold where the model asks for the calls."""

from __future__ import annotations

from typing import Any

import pytest

from unified_agents import Limits, RunResult, wrap
from unified_agents.scripted.model import Script
from unified_agents.testing.harness import answer, call, calls
from wrapped_programs import ADDS, EACH, KEY, Place


@EACH
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_limits_hold_on_tool_calls(name: str, streamed: bool, place: Place) -> None:
    asks = [calls(*(call("add", {"a": 2, "b": number}) for number in range(count))) for count in (1, 2, 1)]
    module = place.load(name, *asks, answer("Done."))
    async with wrap(module.agent) as agent:

        async def ended(most: int) -> RunResult:
            bounds = Limits(max_tool_calls=most)
            if not streamed:
                return await agent.run("Add.", limits=bounds)
            async with agent.stream("Add.", limits=bounds) as events:
                async for _ in events:
                    continue
            assert events.result is not None
            return events.result

        for most, requests, ran in ((0, 1, 0), (1, 2, 1), (2, 2, 1), (3, 3, 3)):
            result = await ended(most)
            assert (result.status, result.limit, result.requests) == ("limit", "max_tool_calls", requests), most
            assert result.errors[-1].kind == "limit"
            assert sum(made.ok for made in result.tool_calls) == ran, most
        assert (await ended(4)).output == "Done."


async def test_no_tool_runs_that_a_limit_forbids(place: Place) -> None:
    place.load("langgraph_agent")
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI

    ran: list[int] = []

    async def note(n: int) -> str:
        """Note a number."""
        ran.append(n)
        return "noted"

    place.load("langgraph_agent", calls(call("note", {"n": 1})), calls(*(call("note", {"n": n}) for n in (2, 3))))
    native = create_agent(ChatOpenAI(model="gpt-5-mini"), tools=[note])
    async with wrap(native, limits={"max_tool_calls": 2}) as agent:
        result = await agent.run("Note.")
    assert (result.status, result.limit, ran) == ("limit", "max_tool_calls", [1])
    assert [(made.ok, made.reached) for made in result.tool_calls] == [(True, True), (False, False), (False, False)]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_answer_beyond_a_limit_never_reaches_the_agent(
    stream: bool, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openai import AsyncOpenAI

    url = place.server.add(Script.model_validate({"answers": [ADDS[0]]}), api_key=KEY)
    client = AsyncOpenAI(base_url=url, api_key=KEY)
    reached: list[str] = []

    class Program:
        backend, model_name, protocol, roots = "custom", "m", "chat_completions", (client,)

        async def run(self, messages: Any, *, stream: bool) -> str | None:
            question: Any = [{"role": "user", "content": messages[0].content}]
            if stream:
                pieces: Any = await client.chat.completions.create(model="m", messages=question, stream=True)
                async for _ in pieces:
                    continue
            else:
                await client.chat.completions.create(model="m", messages=question)
            reached.append("the whole answer")
            return "done"

        def translate(self, error: Exception) -> None:
            return None

    monkeypatch.setattr("unified_agents.wrapping.wrap.native_program", lambda native: Program())
    async with wrap(Program(), limits={"max_tool_calls": 0}) as agent:
        if stream:
            async with agent.stream("Add.") as events:
                async for _ in events:
                    continue
            result = events.result
        else:
            result = await agent.run("Add.")
    assert result is not None
    assert (result.status, result.limit, reached) == ("limit", "max_tool_calls", [])


async def test_a_limit_that_cannot_hold_is_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    module = place.load("langgraph_agent")
    async with wrap(module.agent, limits={"max_parallel_tools": 1}) as agent:
        await agent.run("What is 2 + 3?")
        assert "max_parallel_tools does not hold: the wrapped agent runs its tools itself" in caplog.text
        caplog.clear()
        await agent.run("What is 2 + 3?", limits=Limits(max_tool_calls=5))
    assert caplog.text == ""
