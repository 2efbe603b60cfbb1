"""The contract: the classic mistakes of agents, which no backend may make."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from unified_agents.backend import Capability
from unified_agents.config import Limits, ToolPolicy
from unified_agents.errors import BadRequestError, RateLimited, Transient
from unified_agents.messages import JsonObject
from unified_agents.testing.contract import Contract, either_way, needs
from unified_agents.testing.harness import Bench, Held, add, call, calls, fault, say
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import DEFAULT_TIMEOUT

_BLOCKS = 0.6
_CAN_COUNT = Path("/proc/self/fd").exists()
_seen: ContextVar[str] = ContextVar("unified_agents_contract_seen", default="nothing")


class PitfallContract(Contract, needs=(Capability.TOOLS,)):
    """Blocking, leaking, swallowing, racing."""

    async def test_a_blocking_tool_does_not_block_the_loop(self, bench: Bench) -> None:
        """A synchronous tool that waits leaves the event loop to others: a heartbeat goes on meanwhile."""

        @tool
        def slow() -> str:
            time.sleep(_BLOCKS)
            return "slept"

        stage = bench.stage(calls(call("slow")), say("Done."), tools=[slow])
        async with _heartbeat() as beats:
            await stage.completes()
        assert max(beats) < _BLOCKS / 2, f"the event loop stood still for {max(beats):.2f} seconds"

    async def test_a_coroutine_that_blocks_is_told(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """An async tool that blocks the event loop is warned of, by its name."""

        @tool
        async def frozen() -> str:
            time.sleep(_BLOCKS)  # noqa: ASYNC251  # the mistake
            return "x"

        stage = bench.stage(calls(call("frozen")), say("Done."), tools=[frozen])
        async with _heartbeat() as beats:
            await stage.completes()
        assert max(beats) > _BLOCKS / 2, "the heartbeat must be able to miss a beat"
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert [text for text in told if "'frozen'" in text and "blocked the event loop" in text]

    async def test_every_tool_has_a_timeout(self, bench: Bench) -> None:
        """A tool has a timeout without being given one; at its timeout the model is told, and the run goes on."""
        held = Held(expected=1)
        assert add.timeout == held.tool.timeout == DEFAULT_TIMEOUT
        stage = bench.stage(
            calls(call("hold", {"n": 1})), say("Done."), tools=[tool(held.tool.handler, name="hold", timeout=0.05)]
        )
        result = await stage.completes()
        assert result.errors[0].kind == "timeout"
        assert held.cancelled == 1

    @pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
    async def test_nothing_leaks_into_the_next_run(self, bench: Bench, is_async: bool) -> None:
        """What a tool sets in its context, and what a run counts and recalls, is gone with the run."""

        def note(text: str) -> str:
            before = _seen.get()
            _seen.set(text)
            if text == "fails":
                raise ValueError(text)
            return before

        async def note_async(text: str) -> str:
            return note(text)

        made = tool(note_async if is_async else note, name="note")
        asked = calls(call("note", {"text": "one"}), call("note", {"text": "fails"}))
        stage = bench.stage(asked, calls(call("note", {"text": "two"})), say("Done."), tools=[made])
        results = [await stage.completes(f"run {number}") for number in range(2)]
        results += await asyncio.gather(*(stage.completes(f"run {number}") for number in (2, 3)))
        for number, result in enumerate(results):
            assert [record.content for record in result.tool_calls if record.ok] == ["nothing", "nothing"]
            assert (result.requests, len(result.tool_calls), len(result.errors)) == (3, 3, 1)
            assert [message.content for message in result.messages if message.role == "user"] == [f"run {number}"]
        assert _seen.get() == "nothing"

    async def test_no_error_is_swallowed(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """Whatever a tool raises stands in the result, the record, the trace, the log, and what the model reads."""
        caplog.set_level(logging.INFO, "unified_agents")

        @tool
        async def boom() -> str:
            raise ExceptionGroup("both failed", [ValueError("a"), KeyError("b")])

        stage = bench.stage(calls(call("boom"), call("add", {"a": 1, "b": 2})), say("Done."), tools=[boom, add])
        result = await stage.completes()
        assert [error.kind for error in result.errors] == ["tool_error"]
        assert [record.ok for record in result.tool_calls] == [False, True]
        assert "both failed" in stage.told()[0]
        assert [span.error for span in result.trace.walk() if span.name == "execute_tool boom"] == ["tool_error"]
        assert "tool call failed: tool_error" in caplog.text

    @either_way
    async def test_no_connection_stays_open(self, bench: Bench, stream: bool) -> None:
        """However its runs end, an agent that is closed leaves no socket."""
        if not _CAN_COUNT:
            pytest.skip("needs /proc to count sockets")
        before = _sockets()
        held = Held(expected=1)
        fine = bench.stage(calls(call("add", {"a": 1, "b": 2})), say("3"), tools=[add], stream=stream)
        refused = bench.stage(fault(status=400, times=9), say("x"), stream=stream)
        stalled = bench.stage(fault(stall=True, times=9), say("x"), stream=stream)
        holding = bench.stage(calls(call("hold", {"n": 1})), say("x"), tools=[held.tool], stream=stream)
        await fine.completes()
        await refused.fails(BadRequestError)
        await stalled.meets_limit("timeout", limits=Limits(timeout=0.2))
        running = asyncio.create_task(holding.agent.run("Do it."))
        await held.all_started.wait()
        running.cancel()
        await asyncio.wait([running])
        assert _sockets() > before, "the check must see the sockets that are open"
        for agent in bench.agents:
            await agent.aclose()
        bench.agents.clear()
        await _until(lambda: _sockets() <= before)

    @needs(Capability.PARALLEL_TOOLS)
    @pytest.mark.parametrize("exclusive", ["account", None])
    async def test_two_calls_do_not_race_on_one_resource(self, bench: Bench, exclusive: str | None) -> None:
        """Tools that name a resource take turns; without a name they do race, which shows that the test can fail."""
        balance = 0
        both = asyncio.Event()
        inside = 0

        @tool(exclusive=exclusive)
        async def deposit(amount: int) -> int:
            nonlocal balance, inside
            inside += 1
            read = balance
            if inside == 2:
                both.set()
            if exclusive is None:
                await both.wait()
            await asyncio.sleep(0)
            balance = read + amount
            return balance

        asked = calls(call("deposit", {"amount": 10}), call("deposit", {"amount": 32}))
        stage = bench.stage(asked, say("Done."), tools=[deposit])
        await stage.completes()
        assert (balance == 42) is (exclusive is not None)


class RunnerContract(Contract, needs=(Capability.TOOLS,)):
    """What the tool runner does is the same on every backend, whatever its native loop makes of it."""

    @either_way
    @pytest.mark.parametrize(
        "error", [Transient("busy"), RateLimited("busy", retry_after=0.0)], ids=["transient", "rate"]
    )
    async def test_a_tool_that_asks_to_be_tried_again(self, bench: Bench, error: Exception, stream: bool) -> None:
        """An idempotent tool is tried again by us and by nobody else; another is not."""
        tried = {"safe": 0, "once": 0}

        def make(name: str) -> Any:
            async def work() -> str:
                tried[name] += 1
                raise error

            return tool(work, name=name, idempotent=name == "safe")

        policy = ToolPolicy(wait_initial=0.0, jitter=0.0)
        asked = calls(call("safe"), call("once"))
        stage = bench.stage(asked, say("x"), tools=[make("safe"), make("once")], stream=stream, tool_policy=policy)
        result = await stage.completes()
        assert tried == {"safe": 3, "once": 1}
        kind = type(error).__name__
        assert stage.told() == [
            f"Error in tool 'safe': {kind}: busy. It was tried 3 times; do not repeat it at once.",
            f"Error in tool 'once': {kind}: busy",
        ]
        assert [error.kind for error in result.errors] == ["tool_error", "tool_error"]

    @either_way
    async def test_calls_that_refer_to_each_other(self, bench: Bench, stream: bool) -> None:
        """With `tool_references` a call gets the result of another one of its answer, an earlier or a later one."""
        asked = calls(
            call("add", {"a": {"$call": 2}, "b": 1}),
            call("add", {"a": {"$call": 0}, "b": {"$call": 2, "path": ""}}),
            call("add", {"a": 2, "b": 3}),
            call("add", {"a": {"$call": 9}, "b": 1}),
        )
        stage = bench.stage(asked, say("Done."), tools=[add], stream=stream, tool_references=True, instructions="Add.")
        result = await stage.completes()
        assert stage.told()[:3] == ["6", "11", "5"]
        assert "a: there is no call 9 in this turn: its calls are 0 to 3" in stage.told()[3]
        assert all(record.reached for record in result.tool_calls)
        first = stage.turns()[0]["tool_calls"][0]
        assert first["function"]["arguments"] == '{"a":{"$call":2},"b":1}'
        assert stage.sent[0]["messages"][0]["content"].count("$call") > 0
        assert [message["role"] for message in stage.sent[1]["messages"]][:3] == ["system", "user", "assistant"]

    async def test_references_are_data_without_the_option(self, bench: Bench) -> None:
        """Without it `$call` means nothing, and the model is told nothing of it."""
        seen: list[JsonObject] = []

        @tool
        async def take(value: dict[str, int]) -> str:
            seen.append(value)
            return "ok"

        stage = bench.stage(calls(call("take", {"value": {"$call": 0}})), say("Done."), tools=[take])
        await stage.completes()
        assert seen == [{"$call": 0}]
        assert "$call" not in str(stage.sent[0]["messages"])

    async def test_a_limit_on_calls_that_refer_to_each_other(self, bench: Bench) -> None:
        """A call that waits for one which a limit lets not start ends with the run."""
        asked = calls(
            call("add", {"a": {"$call": 2}, "b": 1}), call("add", {"a": 1, "b": 1}), call("add", {"a": 2, "b": 3})
        )
        stage = bench.stage(asked, say("Done."), tools=[add], tool_references=True, limits=Limits(max_tool_calls=2))
        result = await stage.meets_limit("max_tool_calls")
        assert [record.ok for record in result.tool_calls] == [False, True, False]


@asynccontextmanager
async def _heartbeat() -> AsyncIterator[list[float]]:
    """The lengths of the beats of the event loop while the block runs."""
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


async def _until(is_so: Any) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110  # the server's side closes in a thread of its own
            await asyncio.sleep(0.01)
