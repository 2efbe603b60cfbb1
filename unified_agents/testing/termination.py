"""The contract: however a run ends, nothing of it goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from unified_agents.backend import Capability
from unified_agents.config import Limits
from unified_agents.errors import BackendError
from unified_agents.events import Event, ToolCallProgress, ToolCallStarted
from unified_agents.result import RunResult
from unified_agents.testing.contract import Contract, either_way
from unified_agents.testing.harness import Bench, Held, HeldThread, Stage, add, call, calls, fault, new_tasks, say
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import ToolContext

AT_ONCE = 3.0
"""Seconds in which a cancelled run must have ended."""

_HOLD_TWICE = calls(call("hold", {"n": 1}), call("hold", {"n": 2}))
_HANG_TWICE = calls(call("hang", {"n": 1}), call("hang", {"n": 2}))


class EndingContract(Contract, needs=(Capability.TOOLS, Capability.PARALLEL_TOOLS)):
    """A run that is ended with two tools in flight: they see a CancelledError, and no task is left behind."""

    async def test_ended_by_the_wall_clock(self, bench: Bench) -> None:
        """The timeout cancels both tools."""
        async with _in_flight(bench) as (stage, held):
            await stage.meets_limit("timeout", limits=Limits(timeout=0.4))
            assert (held.started, held.cancelled) == (2, 2)

    async def test_ended_by_a_limit(self, bench: Bench) -> None:
        """A third call over the limit: the two that run finish, and then the native run is ended."""
        held = Held()
        three = calls(*(call("hold", {"n": n}) for n in range(3)))
        stage = bench.stage(three, say("Done."), tools=[held.tool], limits=Limits(max_tool_calls=2))
        before = asyncio.all_tasks()
        running = asyncio.create_task(stage.meets_limit("max_tool_calls"))
        await held.all_started.wait()
        held.release.set()
        await running
        assert held.finished == 2
        assert not new_tasks(before)

    async def test_ended_by_a_fatal_error(self, bench: Bench) -> None:
        """A listener that raises ends the run while two tools are in flight: both are cancelled, and `run` raises."""
        held = Held()

        async def tell(context: ToolContext) -> str:
            await held.all_started.wait()
            context.report_progress(1)
            return "told"

        def listen(event: Event) -> None:
            if isinstance(event, ToolCallProgress):
                raise RuntimeError("the listener is broken")

        three = calls(call("hold", {"n": 1}), call("hold", {"n": 2}), call("tell", {}))
        stage = bench.stage(three, say("Done."), tools=[held.tool, tool(tell)])
        before = asyncio.all_tasks()
        with pytest.raises(BackendError, match="the listener is broken"):
            await stage.agent.run("Do it.", on_event=listen)
        assert (held.started, held.cancelled) == (2, 2)
        assert not new_tasks(before)

    async def test_ended_by_closing_the_agent(self, bench: Bench) -> None:
        """`aclose` ends the runs that are under way; their status is `cancelled`."""
        async with _in_flight(bench) as (stage, held):
            running = asyncio.create_task(stage.agent.run("Do it."))
            await held.all_started.wait()
            await stage.agent.aclose()
            result = await running
            assert result.status == "cancelled"
            assert result.errors[-1].kind == "cancelled"
            assert held.cancelled == 2

    @either_way
    async def test_cancelled_by_the_caller(self, bench: Bench, stream: bool) -> None:
        """A cancelled `run` raises CancelledError once everything has ended, and at once."""
        async with _in_flight(bench, stream=stream) as (stage, held):
            running = asyncio.create_task(stage.agent.run("Do it."))
            await held.all_started.wait()
            await _cancelled(running)
            assert held.cancelled == 2

    async def test_cancelled_by_the_callers_timeout(self, bench: Bench) -> None:
        """`asyncio.timeout` around a run gives a TimeoutError, as it does around anything else."""
        async with _in_flight(bench) as (stage, held):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await stage.agent.run("Do it.")
            assert held.cancelled == 2

    async def test_cancelled_twice(self, bench: Bench) -> None:
        """A second cancel while the run ends does not cut its ending short."""
        async with _in_flight(bench) as (stage, held):
            running = asyncio.create_task(stage.agent.run("Do it."))
            await held.all_started.wait()
            running.cancel()
            await asyncio.sleep(0)
            await _cancelled(running)
            assert held.cancelled == 2

    async def test_a_stream_that_is_left(self, bench: Bench) -> None:
        """Leaving the `async with` block early cancels the run."""
        async with _in_flight(bench) as (stage, held):
            async with stage.agent.stream("Do it.") as events:
                async for event in events:
                    if isinstance(event, ToolCallStarted):
                        break
                await held.all_started.wait()
            assert held.cancelled == 2

    async def test_other_runs_go_on(self, bench: Bench) -> None:
        """Cancelling one run of an agent leaves its other runs alone."""
        async with _in_flight(bench, expected=4) as (stage, held):
            one, other = (asyncio.create_task(stage.agent.run("Do it.")) for _ in range(2))
            await held.all_started.wait()
            await _cancelled(one)
            assert held.cancelled == 2
            held.release.set()
            assert (await other).status == "completed"

    async def test_hung_threads(self, bench: Bench) -> None:
        """Synchronous tools that hang do not hold the run up; the result names the threads that it gave up."""
        held = HeldThread()
        before = asyncio.all_tasks()
        stage = bench.stage(_HANG_TWICE, say("Done."), tools=[held.tool])
        try:
            result = await stage.meets_limit("timeout", limits=Limits(timeout=0.4))
            assert held.all_started.is_set()
            assert not new_tasks(before)
        finally:
            held.release.set()
        abandoned = [error.message for error in result.errors if "abandoned" in error.message]
        assert len(abandoned) == 2
        assert all("'hang'" in message and "thread" in message for message in abandoned)

    async def test_hung_threads_and_a_cancel(self, bench: Bench) -> None:
        """A cancel does not wait for synchronous tools either."""
        held = HeldThread()
        before = asyncio.all_tasks()
        stage = bench.stage(_HANG_TWICE, say("Done."), tools=[held.tool])
        running = asyncio.create_task(stage.agent.run("Do it."))
        try:
            await held.all_started.wait()
            await _cancelled(running)
            assert not new_tasks(before)
        finally:
            held.release.set()


class ModelEndingContract(Contract):
    """A run that is ended while the model is asked."""

    @either_way
    async def test_cancelled_while_the_model_is_asked(self, bench: Bench, stream: bool) -> None:
        """A request in flight is given up at once."""
        before = asyncio.all_tasks()
        stage = bench.stage(fault(stall=True), say("Yes."), stream=stream)
        running = asyncio.create_task(stage.agent.run("Do it."))
        await _until_asked(stage)
        await _cancelled(running)
        assert not new_tasks(before)

    async def test_cancelled_between_two_attempts(self, bench: Bench) -> None:
        """Waiting for a retry ends at once too."""
        before = asyncio.all_tasks()
        stage = bench.stage(fault(status=429, retry_after=30), say("Yes."))
        async with stage.agent.stream("Do it.") as events:
            async for event in events:
                if event.type == "attempt_discarded":
                    start = time.monotonic()
                    break
        assert time.monotonic() - start < AT_ONCE
        assert not new_tasks(before)

    async def test_the_error_of_a_fatal_request_leaves_nothing(self, bench: Bench) -> None:
        """A run that fails leaves no task either."""
        before = asyncio.all_tasks()
        stage = bench.stage(fault(status=400), say("Yes."))
        with pytest.raises(ValueError, match="400"):
            await stage.agent.run("Do it.")
        assert not new_tasks(before)

    async def test_the_agent_works_on_after_a_cancel(self, bench: Bench) -> None:
        """A cancelled run leaves the agent as it was."""
        stage = bench.stage(fault(stall=True), say("Yes."))
        running = asyncio.create_task(stage.agent.run("Do it."))
        await _until_asked(stage)
        await _cancelled(running)
        assert (await stage.completes()).output == "Yes."


class ChildRunContract(Contract, needs=(Capability.TOOLS,)):
    """An agent that is used inside a tool of another run."""

    async def test_a_child_run(self, bench: Bench) -> None:
        """It is a run of its own, whose requests and tokens count for the outer one too."""
        outer, inner, results = _nested(bench, say("inner"), say("outer got {0}", (0, 0)))
        result = await outer.completes()
        assert result.output == "outer got inner"
        assert (len(outer.sent), len(inner.sent)) == (2, 1)
        [child] = results
        assert child.run_id != result.run_id
        assert (child.requests, result.requests) == (1, 3)
        assert [message["role"] for message in inner.sent[0]["messages"]] == ["user"]

    async def test_the_outer_timeout_bounds_it(self, bench: Bench) -> None:
        """The outer wall clock ends the child with all that it runs."""
        held = Held(expected=1)
        before = asyncio.all_tasks()
        outer, _, results = _nested(bench, calls(call("hold", {"n": 1})), say("Done."), held)
        await outer.meets_limit("timeout", limits=Limits(timeout=0.5))
        assert (held.started, held.cancelled) == (1, 1)
        assert all(child.status == "limit" for child in results)
        assert not new_tasks(before)

    async def test_the_outer_limits_bound_it(self, bench: Bench) -> None:
        """A child that never stops uses up the requests of the outer run."""
        outer, inner, _ = _nested(bench, calls(call("add", {"a": 1, "b": 1})), say("Done."), repeat_last=True)
        await outer.meets_limit("max_model_calls", limits=Limits(max_model_calls=4))
        assert (len(outer.sent), len(inner.sent)) == (1, 3)

    async def test_it_is_cancelled_with_the_outer_run(self, bench: Bench) -> None:
        """Cancelling the outer run cancels the tools of the child."""
        held = Held(expected=1)
        before = asyncio.all_tasks()
        outer, _, _ = _nested(bench, calls(call("hold", {"n": 1})), say("Done."), held)
        running = asyncio.create_task(outer.agent.run("Do it."))
        await held.all_started.wait()
        await _cancelled(running)
        assert held.cancelled == 1
        assert not new_tasks(before)


def _nested(
    bench: Bench,
    inner_answer: dict[str, object],
    outer_answer: dict[str, object],
    held: Held | None = None,
    *,
    repeat_last: bool = False,
) -> tuple[Stage, Stage, list[RunResult]]:
    results: list[RunResult] = []
    inner = bench.stage(
        inner_answer,
        *([] if repeat_last else [say("Done.")]),
        tools=[held.tool] if held else [add],
        repeat_last=repeat_last,
    )

    async def delegate(task: str) -> str:
        result = await inner.agent.run(task)
        results.append(result)
        return result.output or result.status

    asked = calls(call("delegate", {"task": "Do a part."}))
    return bench.stage(asked, outer_answer, tools=[delegate]), inner, results


@asynccontextmanager
async def _in_flight(bench: Bench, *, stream: bool = False, expected: int = 2) -> AsyncIterator[tuple[Stage, Held]]:
    """A stage whose model asks for two calls that hold; at the end no task is left."""
    held = Held(expected)
    before = asyncio.all_tasks()
    yield bench.stage(_HOLD_TWICE, say("Done."), tools=[held.tool], stream=stream), held
    assert not new_tasks(before), "the ended run left tasks behind"


async def _cancelled(running: asyncio.Task[RunResult]) -> None:
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=AT_ONCE)
    assert done, f"a cancelled run must end at once, and this one did not within {AT_ONCE:g} seconds"
    with pytest.raises(asyncio.CancelledError):
        await running


async def _until_asked(stage: Stage) -> None:
    while not stage.received:  # noqa: ASYNC110  # the server lives in another thread
        await asyncio.sleep(0.01)
