"""Many tools at once, over a real socket, on every backend."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from support import BACKENDS
from unified_agents import (
    Limits,
    ModelConfig,
    Script,
    create_agent,
    tool,
)
from unified_agents.testing.harness import ServerThread

CALLS = 48
NAP = 0.05


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_turn_of_many_calls(backend: str) -> None:
    """Sync and async, bounded, with chains and turns among them: all results are there, in order, and none too late."""
    lock, inside, most, on_file, most_on_file = threading.Lock(), 0, 0, 0, 0

    def enter(change: int) -> None:
        nonlocal inside, most
        with lock:
            inside += change
            most = max(most, inside)

    @tool
    def threaded(n: int) -> int:
        enter(1)
        time.sleep(NAP)
        enter(-1)
        return n

    @tool
    async def awaited(n: int) -> int:
        enter(1)
        await asyncio.sleep(NAP)
        enter(-1)
        return n

    @tool(exclusive="a file of this test")
    async def written(n: int) -> int:
        nonlocal on_file, most_on_file
        on_file += 1
        most_on_file = max(most_on_file, on_file)
        await asyncio.sleep(0)
        on_file -= 1
        return n

    names = ("threaded", "awaited", "written")
    asked = [{"name": names[n % 3], "arguments": {"n": {"$call": n + 6} if n < 6 else n}} for n in range(CALLS)]
    script = Script.model_validate({"answers": [{"tool_calls": asked}, {"text": "Done."}]})
    with ServerThread() as server:
        agent = create_agent(
            backend=backend,
            model=ModelConfig(name="m", base_url=server.add(script)),
            tools=[threaded, awaited, written],
            tool_references=True,
            limits=Limits(max_parallel_tools=8, timeout=20.0),
        )
        result = await agent.run("Do it.")
        await agent.aclose()
    assert result.status == "completed"
    assert [record.content for record in result.tool_calls] == [str(n + 6 if n < 6 else n) for n in range(CALLS)]
    assert 4 <= most <= 8
    assert most_on_file == 1
    assert NAP * 32 / 8 < result.seconds.tool + result.seconds.waiting < NAP * 32
