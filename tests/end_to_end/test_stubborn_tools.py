"""Async tools that ignore their cancel: the run names and abandons them, and the program ends all the same."""

from __future__ import annotations

import pytest

from support import on_each_backend, run_code

PROGRAM = """
import asyncio, sys, time, warnings
warnings.simplefilter("ignore")
from unified_agents import Limits, Script, ScriptedModel, UnifiedAgentsError, create_agent, tool
from unified_agents.run import driver
driver.CANCEL_GRACE_SECONDS = 0.1

async def ignore() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

@tool(timeout=None)
async def stubborn() -> str:
    "Never ends."
    await ignore()
    return ""

@tool(timeout=None)
async def with_a_task() -> str:
    "Waits for a task that never ends."
    await asyncio.create_task(ignore())
    return ""

@tool(timeout=None)
async def with_several() -> str:
    "Waits for several that never end."
    await asyncio.gather(ignore(), ignore())
    return ""

backend, handling, way = sys.argv[1:]

def agent_for(made, seconds=1.0):
    script = Script.model_validate({"answers": [{"tool_calls": [{"name": made.name, "arguments": {}}]}, {"text": "."}]})
    model, limits = ScriptedModel(script), Limits(timeout=seconds)
    return create_agent(backend=backend, handling=handling, model=model, tools=[made], limits=limits)

@tool
async def quick() -> str:
    "Ends, and has everything loaded before the clocks of the others run."
    return ""

def show(name, result):
    message = f"tool {name!r} does not end when it is cancelled, and was abandoned"
    assert message in [error.message for error in result.errors], result.errors
    print(name, result.status)

async def main():
    await agent_for(quick, 60).run("Go.")
    for made in (stubborn, with_a_task, with_several):
        show(made.name, await agent_for(made).run("Go."))

if way == "run":
    asyncio.run(main())
else:
    agent_for(quick, 60).run_sync("Go.")
    for made in (stubborn, with_a_task, with_several):
        show(made.name, agent_for(made).run_sync("Go."))
print("ended")
"""


@pytest.mark.parametrize(
    ("backend", "called"),
    on_each_backend(
        [("unified", "run"), ("native", "run"), ("unified", "run_sync")], on_frameworks=[("unified", "run")]
    ),
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_program_ends_though_a_tool_does_not(backend: str, called: tuple[str, str]) -> None:
    done = run_code(PROGRAM, backend, *called, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["stubborn limit", "with_a_task limit", "with_several limit", "ended"]
    assert "destroyed" not in done.stderr
    assert "Traceback" not in done.stderr
