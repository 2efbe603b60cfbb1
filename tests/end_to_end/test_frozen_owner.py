"""A process that was frozen in the middle of its run, and whose run another has taken over."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from support import running_code
from unified_agents import RunBusyError, SqliteJournal

LEASE_SECONDS = 0.6

OWNER = """
import asyncio, sys
from unified_agents import RunError, ScriptedModel, SqliteJournal, create_agent, tool
from unified_agents.scripted.model import Script

@tool
def work(n: int) -> int:
    print("begun" if n == 1 else f"tool {n}", flush=True)
    if n == 1:
        sys.stdin.readline()
    return n

async def main():
    calls = [{"tool_calls": [{"name": "work", "arguments": {"n": n}}]} for n in (1, 2)]
    model = ScriptedModel(Script.model_validate({"answers": [*calls, {"text": "Done."}]}))
    journal = SqliteJournal(sys.argv[1], lease_seconds=float(sys.argv[2]))
    async with create_agent(model=model, tools=[work], journal=journal) as agent:
        try:
            print((await agent.run("Go.", run_id="r")).status, flush=True)
        except RunError as error:
            print(type(error).__name__, error, flush=True)

asyncio.run(main())
"""


async def test_it_runs_no_further_tool_writes_nothing_and_says_why(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "runs.db", lease_seconds=LEASE_SECONDS)
    with running_code(OWNER, tmp_path / "runs.db", LEASE_SECONDS) as process:
        os.kill(process.pid, signal.SIGSTOP)  # in the middle of its first tool
        async with asyncio.timeout(20):
            while True:
                try:
                    await journal.claim("r")
                    break
                except RunBusyError:
                    await asyncio.sleep(0.05)  # nobody tells when a lease ends
        before = await journal.read("r")
        os.kill(process.pid, signal.SIGCONT)
        out, _ = await asyncio.to_thread(process.communicate, "go\n")
    assert out.startswith("LeaseLostError run r has another owner"), out
    assert "tool 2" not in out
    assert await journal.read("r") == before
    await journal.aclose()
