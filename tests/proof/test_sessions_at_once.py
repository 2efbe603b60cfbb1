"""Fifty conversations of ten turns at once on one agent, on every backend and in every protocol."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

import pytest

from support import EVERY_BACKEND, asks_for, make_script
from unified_agents import MemoryJournal, ModelConfig, create_agent, tool
from unified_agents.config.providers import ProtocolName
from unified_agents.scripted.server import ScriptServer

pytestmark = pytest.mark.proof

PROTOCOLS: tuple[ProtocolName, ...] = ("chat_completions", "responses", "messages", "generate_content")
SESSIONS = 50
TURNS = 10


@tool
async def look(n: int) -> int:
    """Look."""
    return n


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("backend", EVERY_BACKEND)
async def test_each_request_tells_the_turns_of_its_own_session_and_no_other(
    backend: str, protocol: ProtocolName
) -> None:
    async with ScriptServer() as server:
        url = server.add(make_script(*(TURNS * (asks_for("look", n=1), {"text": "Heard."}))))
        model = ModelConfig(provider="openai", name="m", base_url=url, protocol=protocol)
        async with create_agent(backend=backend, model=model, tools=[look], journal=MemoryJournal()) as agent:

            async def talk(session: int) -> None:
                for turn in range(TURNS):
                    result = await agent.run(f"session {session} turn {turn}.", session=f"s{session}")
                    assert (result.output, len(result.messages)) == ("Heard.", 4 * (turn + 1))

            await asyncio.gather(*map(talk, range(SESSIONS)))
        told = Counter(tuple(re.findall(r"session (\d+) turn (\d+)\.", str(one.body))) for one in server.requests(url))
    assert told == {
        tuple((str(session), str(turn)) for turn in range(last + 1)): 2
        for session in range(SESSIONS)
        for last in range(TURNS)
    }
