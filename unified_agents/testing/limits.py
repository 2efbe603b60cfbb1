"""The contract: limits hold on every backend, and the result names the one that was met."""

from __future__ import annotations

import asyncio

from unified_agents.backend import Capability
from unified_agents.config import Limits
from unified_agents.testing.contract import Contract, needs, whole_and_streamed
from unified_agents.testing.harness import ContractBench, add, answer, call, calls, fault

_ADD = call("add", {"a": 1, "b": 1})


class LimitContract(Contract, needs=(Capability.TOOLS,)):
    """A run that meets a limit raises nothing: its status is `limit`, never `completed`.

    The framework's own bounds must be out of the way, else they end the run with another error.
    """

    @whole_and_streamed
    async def test_max_steps(self, bench: ContractBench, stream: bool) -> None:
        """A model that never stops is asked as often as the limit says, and the tools of each step have run."""
        scenario = bench.scenario(calls(_ADD), tools=[add], repeat_last=True, stream=stream)
        result = await scenario.meets_limit("max_steps", limits=Limits(max_steps=3))
        assert (len(scenario.sent), result.requests) == (3, 3)
        assert [record.ok for record in result.tool_calls] == [True] * 3

    async def test_many_steps(self, bench: ContractBench) -> None:
        """60 steps are no problem: no recursion or iteration limit of the framework ends a run."""
        scenario = bench.scenario(*(calls(_ADD) for _ in range(59)), answer("At last."), tools=[add])
        result = await scenario.completes(limits=Limits(max_steps=60))
        assert (result.output, len(scenario.sent)) == ("At last.", 60)

    async def test_max_model_calls(self, bench: ContractBench) -> None:
        """As many requests reach the server as the limit says."""
        scenario = bench.scenario(calls(_ADD), tools=[add], repeat_last=True)
        result = await scenario.meets_limit("max_model_calls", limits=Limits(max_model_calls=2))
        assert (len(scenario.sent), result.requests) == (2, 2)

    @whole_and_streamed
    async def test_max_model_calls_counts_retries(self, bench: ContractBench, stream: bool) -> None:
        """A retry is a request like any other."""
        scenario = bench.scenario(fault(status=500, retry_after=0.01, times=99), answer("Yes."), stream=stream)
        await scenario.meets_limit("max_model_calls", limits=Limits(max_model_calls=2))
        assert len(scenario.sent) == 2

    @whole_and_streamed
    async def test_max_tool_calls(self, bench: ContractBench, stream: bool) -> None:
        """As many tools run as the limit says, in one answer or over several; the rest is not started."""
        seen = []

        async def note(x: int) -> int:
            seen.append(x)
            return x

        asked = calls(*(call("note", {"x": x}) for x in range(2)))
        scenario = bench.scenario(asked, tools=[note], repeat_last=True, stream=stream)
        result = await scenario.meets_limit("max_tool_calls", limits=Limits(max_tool_calls=5))
        assert (len(seen), len(scenario.sent)) == (5, 3)
        assert [record.ok for record in result.tool_calls].count(True) == 5

    async def test_no_tool_calls_at_all(self, bench: ContractBench) -> None:
        """A limit of zero lets no tool run."""
        scenario = bench.scenario(calls(_ADD), tools=[add], repeat_last=True)
        result = await scenario.meets_limit("max_tool_calls", limits=Limits(max_tool_calls=0))
        assert len(scenario.sent) == 1
        assert [record.ok for record in result.tool_calls] == [False]

    async def test_max_tokens(self, bench: ContractBench) -> None:
        """Input and output together; the tools of the answer that used them up are not started."""
        costly = calls(_ADD) | {"usage": {"prompt_tokens": 10, "completion_tokens": 5}}
        scenario = bench.scenario(costly, tools=[add], repeat_last=True)
        result = await scenario.meets_limit("max_tokens", limits=Limits(max_tokens=30))
        assert (len(scenario.sent), result.usage.total_tokens) == (2, 30)
        assert [record.ok for record in result.tool_calls] == [True, False]

    async def test_the_limits_of_the_agent(self, bench: ContractBench) -> None:
        """An agent's own limits hold for each of its runs anew."""
        scenario = bench.scenario(calls(_ADD), tools=[add], repeat_last=True, limits=Limits(max_steps=2))
        for _ in range(2):
            await scenario.meets_limit("max_steps")
        assert len(scenario.sent) == 4

    @whole_and_streamed
    async def test_the_wall_clock_in_a_tool(self, bench: ContractBench, stream: bool) -> None:
        """The timeout cancels the tools that run, and the status is `limit`."""
        scenario, held = bench.holding(stream=stream)
        await scenario.meets_limit("timeout", limits=Limits(timeout=0.4))
        assert (held.started, held.cancelled, held.finished) == (1, 1, 0)
        assert len(scenario.sent) == 1

    @whole_and_streamed
    async def test_the_wall_clock_in_a_model_call(self, bench: ContractBench, stream: bool) -> None:
        """The run's timeout also ends a model call that stalls."""
        scenario = bench.scenario(fault(stall=True), answer("Yes."), stream=stream)
        await scenario.meets_limit("timeout", limits=Limits(timeout=0.3))
        assert len(scenario.sent) == 1

    @needs(Capability.PARALLEL_TOOLS)
    async def test_running_tools_finish(self, bench: ContractBench) -> None:
        """A limit on calls lets the tools that run already come to their end, and only then ends the run."""
        scenario, held = bench.holding(3, expected=2)
        running = asyncio.create_task(scenario.meets_limit("max_tool_calls", limits=Limits(max_tool_calls=2)))
        await held.all_started.wait()
        done, _ = await asyncio.wait([running], timeout=0.1)
        assert not done, "the run ended while its tools were running"
        held.release.set()
        result = await running
        assert (held.finished, held.cancelled) == (2, 0)
        assert sorted(record.ok for record in result.tool_calls) == [False, True, True]
