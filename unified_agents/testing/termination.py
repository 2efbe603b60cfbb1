"""The contract: however a run ends, nothing of it goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from unified_agents.backend import Capability
from unified_agents.config import Limits
from unified_agents.errors import BackendError
from unified_agents.events import Event, ToolCallProgress, ToolCallStarted
from unified_agents.messages import JsonObject
from unified_agents.result import RunResult
from unified_agents.testing.contract import Contract, whole_and_streamed
from unified_agents.testing.harness import (
    CANCEL_SECONDS,
    ContractBench,
    Scenario,
    add,
    answer,
    call,
    calls,
    cancel,
    fault,
    no_task_left,
)
from unified_agents.testing.tools import HangingTool, HeldTool
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import ToolContext


class EndingContract(Contract, needs=(Capability.TOOLS, Capability.PARALLEL_TOOLS)):
    """A run that is ended with two tools in flight: they see a CancelledError, and no task is left behind."""

    async def test_ended_by_the_wall_clock(self, bench: ContractBench) -> None:
        """The timeout cancels both tools."""
        with no_task_left():
            scenario, held = bench.holding(2)
            await scenario.meets_limit("timeout", limits=Limits(timeout=0.4))
            assert (held.started, held.cancelled) == (2, 2)

    async def test_ended_by_a_limit(self, bench: ContractBench) -> None:
        """A third call over the limit: the two that run finish, and then the native run is ended."""
        with no_task_left():
            scenario, held = bench.holding(3, expected=2, limits=Limits(max_tool_calls=2))
            running = asyncio.create_task(scenario.meets_limit("max_tool_calls"))
            await held.all_started.wait()
            held.release.set()
            await running
            assert held.finished == 2

    async def test_ended_by_a_fatal_error(self, bench: ContractBench) -> None:
        """A listener that raises ends the run while two tools are in flight: both are cancelled, and `run` raises."""
        held = HeldTool(2)

        async def report(context: ToolContext) -> str:
            await held.all_started.wait()
            context.report_progress(1)
            return "reported"

        def listen(event: Event) -> None:
            if isinstance(event, ToolCallProgress):
                raise RuntimeError("the listener is broken")

        three = calls(call("hold", {"n": 1}), call("hold", {"n": 2}), call("report", {}))
        scenario = bench.scenario(three, answer("Done."), tools=[held.tool, tool(report)])
        with no_task_left():
            with pytest.raises(BackendError, match="the listener is broken"):
                await scenario.agent.run("Do it.", on_event=listen)
            assert (held.started, held.cancelled) == (2, 2)

    async def test_ended_by_closing_the_agent(self, bench: ContractBench) -> None:
        """`aclose` ends the runs that are under way; their status is `cancelled`."""
        with no_task_left():
            scenario, held = bench.holding(2)
            running = await scenario.start(held)
            await scenario.agent.aclose()
            result = await running
            assert result.status == "cancelled"
            assert result.errors[-1].kind == "cancelled"
            assert held.cancelled == 2

    @whole_and_streamed
    async def test_cancelled_by_the_caller(self, bench: ContractBench, stream: bool) -> None:
        """A cancelled `run` raises CancelledError once everything has ended, and at once."""
        with no_task_left():
            scenario, held = bench.holding(2, stream=stream)
            await cancel(await scenario.start(held))
            assert held.cancelled == 2

    async def test_cancelled_by_the_callers_timeout(self, bench: ContractBench) -> None:
        """`asyncio.timeout` around a run gives a TimeoutError, as it does around anything else."""
        with no_task_left():
            scenario, held = bench.holding(2)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await scenario.agent.run("Do it.")
            assert held.cancelled == 2

    async def test_cancelled_twice(self, bench: ContractBench) -> None:
        """A second cancel while the run ends does not cut its ending short."""
        with no_task_left():
            scenario, held = bench.holding(2)
            running = await scenario.start(held)
            running.cancel()
            await asyncio.sleep(0)
            await cancel(running)
            assert held.cancelled == 2

    async def test_a_stream_that_is_left(self, bench: ContractBench) -> None:
        """Leaving the `async with` block early cancels the run."""
        with no_task_left():
            scenario, held = bench.holding(2)
            async with scenario.agent.stream("Do it.") as events:
                async for event in events:
                    if isinstance(event, ToolCallStarted):
                        break
                await held.all_started.wait()
            assert held.cancelled == 2

    async def test_other_runs_go_on(self, bench: ContractBench) -> None:
        """Cancelling one run of an agent leaves its other runs alone."""
        with no_task_left():
            scenario, held = bench.holding(2, expected=4)
            one, other = (asyncio.create_task(scenario.agent.run("Do it.")) for _ in range(2))
            await held.all_started.wait()
            await cancel(one)
            assert held.cancelled == 2
            held.release.set()
            assert (await other).status == "completed"

    async def test_hung_threads(self, bench: ContractBench) -> None:
        """Synchronous tools that hang do not hold the run up; the result names the threads that it gave up."""
        with _hanging_twice(bench) as (scenario, held):
            result = await scenario.meets_limit("timeout", limits=Limits(timeout=0.4))
            assert held.all_started.is_set()
        abandoned = [error.message for error in result.errors if "abandoned" in error.message]
        assert len(abandoned) == 2
        assert all("'hang'" in message and "thread" in message for message in abandoned)

    async def test_hung_threads_and_a_cancel(self, bench: ContractBench) -> None:
        """A cancel does not wait for synchronous tools either."""
        with _hanging_twice(bench) as (scenario, held):
            await cancel(await scenario.start(held))


class ModelEndingContract(Contract):
    """A run that is ended while the model is asked."""

    @whole_and_streamed
    async def test_cancelled_while_the_model_is_asked(self, bench: ContractBench, stream: bool) -> None:
        """A request in flight is given up at once."""
        with no_task_left():
            scenario = bench.scenario(fault(stall=True), answer("Yes."), stream=stream)
            await cancel(await _start_asking(scenario))

    async def test_cancelled_between_two_attempts(self, bench: ContractBench) -> None:
        """Waiting for a retry ends at once too."""
        with no_task_left():
            scenario = bench.scenario(fault(status=429, retry_after=30), answer("Yes."))
            async with scenario.agent.stream("Do it.") as events:
                async for event in events:
                    if event.type == "attempt_discarded":
                        start = time.monotonic()
                        break
            assert time.monotonic() - start < CANCEL_SECONDS

    async def test_the_error_of_a_fatal_request_leaves_nothing(self, bench: ContractBench) -> None:
        """A run that fails leaves no task either."""
        with no_task_left():
            scenario = bench.scenario(fault(status=400), answer("Yes."))
            with pytest.raises(ValueError, match="400"):
                await scenario.agent.run("Do it.")

    async def test_the_agent_works_on_after_a_cancel(self, bench: ContractBench) -> None:
        """A cancelled run leaves the agent as it was."""
        scenario = bench.scenario(fault(stall=True), answer("Yes."))
        await cancel(await _start_asking(scenario))
        assert (await scenario.completes()).output == "Yes."


class ChildRunContract(Contract, needs=(Capability.TOOLS,)):
    """An agent that is used inside a tool of another run."""

    async def test_a_child_run(self, bench: ContractBench) -> None:
        """It is a run of its own, whose requests and tokens count for the outer one too."""
        inner = bench.scenario(answer("inner"), tools=[add])
        outer, results = _delegating(bench, inner, answer("outer got {0}", (0, 0)))
        result = await outer.completes()
        assert result.output == "outer got inner"
        assert (len(outer.sent), len(inner.sent)) == (2, 1)
        [child] = results
        assert child.run_id != result.run_id
        assert (child.requests, result.requests) == (1, 3)
        assert [message["role"] for message in inner.sent[0]["messages"]] == ["user"]

    async def test_the_outer_timeout_bounds_it(self, bench: ContractBench) -> None:
        """The outer wall clock ends the child with all that it runs."""
        with no_task_left():
            inner, held = bench.holding()
            outer, results = _delegating(bench, inner)
            await outer.meets_limit("timeout", limits=Limits(timeout=0.5))
            assert (held.started, held.cancelled) == (1, 1)
            assert all(child.status == "limit" for child in results)

    async def test_the_outer_limits_bound_it(self, bench: ContractBench) -> None:
        """A child that never stops uses up the requests of the outer run."""
        inner = bench.scenario(calls(call("add", {"a": 1, "b": 1})), tools=[add], repeat_last=True)
        outer, _ = _delegating(bench, inner)
        await outer.meets_limit("max_model_calls", limits=Limits(max_model_calls=4))
        assert (len(outer.sent), len(inner.sent)) == (1, 3)

    async def test_it_is_cancelled_with_the_outer_run(self, bench: ContractBench) -> None:
        """Cancelling the outer run cancels the tools of the child."""
        with no_task_left():
            inner, held = bench.holding()
            outer, _ = _delegating(bench, inner)
            await cancel(await outer.start(held))
            assert held.cancelled == 1


def _delegating(
    bench: ContractBench, inner: Scenario, final_answer: JsonObject | None = None
) -> tuple[Scenario, list[RunResult]]:
    """Make an agent with a tool that runs the inner agent; the list collects the results of those runs."""
    results: list[RunResult] = []

    async def delegate(task: str) -> str:
        result = await inner.agent.run(task)
        results.append(result)
        return result.output or result.status

    asked = calls(call("delegate", {"task": "Do a part."}))
    return bench.scenario(asked, final_answer or answer("Done."), tools=[delegate]), results


@contextmanager
def _hanging_twice(bench: ContractBench) -> Iterator[tuple[Scenario, HangingTool]]:
    """Make a scenario whose model asks for two calls that hang until the block ends, which must leave no task."""
    held = HangingTool()
    asked = calls(call("hang", {"n": 1}), call("hang", {"n": 2}))
    try:
        with no_task_left():
            yield bench.scenario(asked, answer("Done."), tools=[held.tool]), held
    finally:
        held.release.set()


async def _start_asking(scenario: Scenario) -> asyncio.Task[RunResult]:
    """Start a run, and return its task once its request has reached the server."""
    running = asyncio.create_task(scenario.agent.run("Do it."))
    while not scenario.received:  # noqa: ASYNC110  # the server lives in another thread
        await asyncio.sleep(0.01)
    return running
