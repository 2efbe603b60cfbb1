"""What a run is given for its tools reaches them on every backend, and nobody else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from support import scripted_model
from unified_agents import Agent, ScriptedModel, ToolContext, create_agent, tool
from unified_agents.config import Handling


class Database:
    """Something that has no JSON form."""

    def __init__(self, user: str) -> None:
        self.user = user


@tool
async def whoami(context: ToolContext) -> str:
    """Say who asks."""
    await asyncio.sleep(0.01)
    return "nobody" if context.dependencies is None else str(context.dependencies.user)


@tool
def whoami_sync(word: str, context: ToolContext) -> str:
    """Say who asks."""
    return f"{word} {context.dependencies.user if context.dependencies else 'nobody'}"


def model() -> ScriptedModel:
    calls: list[dict[str, Any]] = [
        {"name": "whoami", "arguments": {}},
        {"name": "whoami_sync", "arguments": {"word": "it is"}},
    ]
    return scripted_model({"tool_calls": calls}, {"text": "Done."})


@pytest.mark.parametrize("handling", ["unified", "native"])
async def test_each_run_has_its_own(backend: str, handling: Handling) -> None:
    async def asked(agent: Agent, user: str | None) -> list[str | None]:
        given = None if user is None else Database(user)
        result = await agent.run("Who?", dependencies=given, record_exchanges=True)
        assert "Database" not in json.dumps(result.to_dict())
        return [call.content for call in result.tool_calls]

    async with create_agent(backend=backend, handling=handling, model=model(), tools=[whoami, whoami_sync]) as agent:
        answers = await asyncio.gather(*(asked(agent, f"user {number}") for number in range(5)), asked(agent, None))
    expected: list[list[str]] = [[f"user {number}", f"it is user {number}"] for number in range(5)]
    assert answers == [*expected, ["nobody", "it is nobody"]]


def test_also_where_a_run_is_streamed_or_synchronous(backend: str) -> None:
    agent = create_agent(backend=backend, model=model(), tools=[whoami, whoami_sync])

    async def streamed() -> str | None:
        async with agent.stream("Who?", dependencies=Database("Ann")) as events:
            async for _ in events:
                pass
        assert events.result is not None
        return events.result.tool_calls[0].content

    assert asyncio.run(streamed()) == "Ann"
    assert agent.run_sync("Who?", dependencies=Database("Bob")).tool_calls[1].content == "it is Bob"
