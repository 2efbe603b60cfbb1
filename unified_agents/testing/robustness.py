"""The contract: common mistakes around tools (blocking, leaks, lost errors, races), which no backend may make."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path

import pytest

from unified_agents.backend import Capability
from unified_agents.config import Limits
from unified_agents.errors import BadRequestError
from unified_agents.testing.contract import Contract, async_and_sync, needs, whole_and_streamed
from unified_agents.testing.harness import ContractBench, add, answer, call, calls, cancel, fault, make_tool
from unified_agents.testing.tools import HeldTool
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import DEFAULT_TIMEOUT

BLOCKED_SECONDS = 0.6
_HAS_PROC = Path("/proc/self/fd").exists()
_noted: ContextVar[str] = ContextVar("unified_agents_contract_noted", default="nothing")


class PitfallContract(Contract, needs=(Capability.TOOLS,)):
    """Tools that block, state and connections that leak, errors that get lost, calls that race."""

    async def test_a_blocking_tool_does_not_block_the_loop(self, bench: ContractBench) -> None:
        """A synchronous tool that waits does not stop the event loop: a heartbeat goes on meanwhile."""

        @tool
        def slow() -> str:
            time.sleep(BLOCKED_SECONDS)
            return "slept"

        async with _heartbeat() as beats:
            await bench.complete(calls(call("slow")), answer("Done."), tools=[slow])
        assert max(beats) < BLOCKED_SECONDS / 2, f"the event loop stood still for {max(beats):.2f} seconds"

    async def test_a_coroutine_that_blocks_is_told(
        self, bench: ContractBench, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An async tool that blocks the event loop causes a warning that names it."""

        @tool
        async def frozen() -> str:
            time.sleep(BLOCKED_SECONDS)  # noqa: ASYNC251  # the mistake
            return "x"

        async with _heartbeat() as beats:
            await bench.complete(calls(call("frozen")), answer("Done."), tools=[frozen])
        assert max(beats) > BLOCKED_SECONDS / 2, "the heartbeat must be able to miss a beat"
        warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert [text for text in warned if "'frozen'" in text and "blocked the event loop" in text]

    async def test_every_tool_has_a_timeout(self, bench: ContractBench) -> None:
        """A tool has a timeout without being given one; at its timeout the model is told, and the run goes on."""
        held = HeldTool()
        assert add.timeout == held.tool.timeout == DEFAULT_TIMEOUT
        _, result = await bench.complete(
            calls(call("hold", {"n": 1})), answer("Done."), tools=[tool(held.tool.handler, name="hold", timeout=0.05)]
        )
        assert result.errors[0].kind == "timeout"
        assert held.cancelled == 1

    @async_and_sync
    async def test_nothing_leaks_into_the_next_run(self, bench: ContractBench, is_async: bool) -> None:
        """What a tool sets in its context, and what a run counts and keeps, ends with the run."""

        def note(text: str) -> str:
            before = _noted.get()
            _noted.set(text)
            if text == "fails":
                raise ValueError(text)
            return before

        asked = calls(call("note", {"text": "one"}), call("note", {"text": "fails"}))
        scenario = bench.scenario(
            asked,
            calls(call("note", {"text": "two"})),
            answer("Done."),
            tools=[make_tool(note, "note", is_async=is_async)],
        )
        results = [await scenario.completes(f"run {number}") for number in range(2)]
        results += await asyncio.gather(*(scenario.completes(f"run {number}") for number in (2, 3)))
        for number, result in enumerate(results):
            assert [record.content for record in result.tool_calls if record.ok] == ["nothing", "nothing"]
            assert (result.requests, len(result.tool_calls), len(result.errors)) == (3, 3, 1)
            assert [message.content for message in result.messages if message.role == "user"] == [f"run {number}"]
        assert _noted.get() == "nothing"

    async def test_no_error_is_swallowed(self, bench: ContractBench, caplog: pytest.LogCaptureFixture) -> None:
        """Whatever a tool raises is in the result, the record, the trace, the log, and in what the model reads."""
        caplog.set_level(logging.INFO, "unified_agents")

        @tool
        async def boom() -> str:
            raise ExceptionGroup("both failed", [ValueError("a"), KeyError("b")])

        scenario, result = await bench.complete(
            calls(call("boom"), call("add", {"a": 1, "b": 2})), answer("Done."), tools=[boom, add]
        )
        assert [error.kind for error in result.errors] == ["tool_error"]
        assert [record.ok for record in result.tool_calls] == [False, True]
        assert "both failed" in scenario.tool_results()[0]
        assert [span.error for span in result.trace.walk() if span.name == "execute_tool boom"] == ["tool_error"]
        assert "tool call failed: tool_error" in caplog.text

    @whole_and_streamed
    async def test_no_connection_stays_open(self, bench: ContractBench, stream: bool) -> None:
        """An agent that is closed leaves no socket open, however its runs ended."""
        if not _HAS_PROC:
            pytest.skip("needs /proc to count sockets")
        before = _sockets()
        fine = bench.scenario(calls(call("add", {"a": 1, "b": 2})), answer("3"), tools=[add], stream=stream)
        refused = bench.scenario(fault(status=400, times=9), answer("x"), stream=stream)
        stalled = bench.scenario(fault(stall=True, times=9), answer("x"), stream=stream)
        holding, held = bench.holding(stream=stream)
        await fine.completes()
        await refused.fails(BadRequestError)
        await stalled.meets_limit("timeout", limits=Limits(timeout=0.2))
        await cancel(await holding.start(held))
        assert _sockets() > before, "the check must see the sockets that are open"
        await bench.aclose()
        async with asyncio.timeout(5):
            while _sockets() > before:  # noqa: ASYNC110  # the server's side closes in a thread of its own
                await asyncio.sleep(0.01)

    @needs(Capability.PARALLEL_TOOLS)
    @pytest.mark.parametrize("exclusive", ["account", None])
    async def test_two_calls_do_not_race_on_one_resource(self, bench: ContractBench, exclusive: str | None) -> None:
        """Tools that name a resource take turns; without a name they do race, which shows that the test can fail."""
        balance = 0
        both_have_read = asyncio.Barrier(2)

        @tool(exclusive=exclusive)
        async def deposit(amount: int) -> int:
            nonlocal balance
            read = balance
            if exclusive is None:
                await both_have_read.wait()
            await asyncio.sleep(0)
            balance = read + amount
            return balance

        asked = calls(call("deposit", {"amount": 10}), call("deposit", {"amount": 32}))
        await bench.complete(asked, answer("Done."), tools=[deposit])
        assert (balance == 42) is (exclusive is not None)


@asynccontextmanager
async def _heartbeat() -> AsyncIterator[list[float]]:
    """Collect the seconds between two turns of the event loop while the block runs."""
    beats: list[float] = [0.0]

    async def beat() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            beats.append(now - last)
            last = now

    task = asyncio.create_task(beat())
    await asyncio.sleep(0.02)
    try:
        yield beats
        await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.wait([task])


def _sockets() -> int:
    count = 0
    for entry in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{entry}").startswith("socket:")
        except FileNotFoundError:
            continue  # it was the listing's own
    return count
