"""The contract: an agent's life, over event loops and threads."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from unified_agents.backend import Capability
from unified_agents.errors import BadRequestError, UnifiedAgentsError, UnsupportedCapabilityError
from unified_agents.testing.contract import Contract, whole_and_streamed
from unified_agents.testing.harness import ContractBench, Scenario, ServerThread, add, answer, call, calls, fault

THREADS = 4


class LifetimeContract(Contract, needs=(Capability.TOOLS,)):
    """Synchronous use, several loops, several agents, and the end."""

    def test_run_sync(self) -> None:
        """`run_sync` works where no event loop runs, several times, and raises the same errors."""
        with _bench_without_loop(self) as bench:
            scenario = _adding(bench)
            broken = bench.scenario(fault(status=400, times=9), answer("Yes."))
            assert [scenario.agent.run_sync("Do it.").output for _ in range(2)] == ["5", "5"]
            with pytest.raises(BadRequestError):
                broken.agent.run_sync("Do it.")

    def test_run_sync_from_many_threads(self) -> None:
        """`run_sync` may be called from several threads at once."""
        with _bench_without_loop(self) as bench, ThreadPoolExecutor(THREADS) as threads:
            scenario = _adding(bench)
            results = threads.map(scenario.agent.run_sync, ["Do it."] * THREADS, timeout=20.0)
            assert [result.output for result in results] == ["5"] * THREADS

    async def test_run_sync_inside_a_running_loop(self, bench: ContractBench) -> None:
        """`run_sync` also works where an event loop runs, as in a notebook, beside `run`."""
        scenario = _adding(bench)
        assert scenario.agent.run_sync("Do it.").output == "5"
        assert (await scenario.completes()).output == "5"
        assert scenario.agent.run_sync("Do it.").output == "5"

    def test_two_event_loops_in_turn(self) -> None:
        """An agent outlives an event loop: nothing in it may belong to the first loop that used it."""
        with _bench_without_loop(self) as bench:
            scenario = _adding(bench)
            for _ in range(3):
                assert asyncio.run(scenario.completes()).output == "5"

    @whole_and_streamed
    async def test_closing_leaves_nothing_open(self, bench: ContractBench, stream: bool) -> None:
        """After `aclose` no connection, task or coroutine is left for the interpreter to warn of."""
        loop_errors: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: loop_errors.append(str(context)))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await _adding(bench, stream=stream).completes()
            await bench.aclose()
            gc.collect()
            await asyncio.sleep(0)
        assert not loop_errors
        open_still = [str(it.message) for it in caught if issubclass(it.category, ResourceWarning | RuntimeWarning)]
        assert not open_still

    async def test_closing_twice_and_use_after(self, bench: ContractBench) -> None:
        """Closing again does nothing; a closed agent refuses with a clear message, before it asks anything."""
        scenario = _adding(bench)
        await scenario.agent.aclose()
        await scenario.agent.aclose()
        with pytest.raises(UnifiedAgentsError, match="closed"):
            await scenario.agent.run("Do it.")
        with pytest.raises(UnifiedAgentsError, match="closed"):
            async with scenario.agent.stream("Do it."):
                pass
        assert not scenario.sent

    async def test_two_agents(self, bench: ContractBench) -> None:
        """Agents side by side share nothing, also when their tools have the same name."""

        def named(name: str) -> Scenario:
            async def own_name() -> str:
                return name

            return bench.scenario(
                calls(call("own_name")), answer("{0}", (0, 0)), tools=[own_name], instructions=f"You are {name}."
            )

        one, two = named("one"), named("two")
        results = await asyncio.gather(*(scenario.completes() for scenario in (one, two, one, two)))
        assert [result.output for result in results] == ["one", "two", "one", "two"]
        assert {request["messages"][0]["content"] for request in one.sent} == {"You are one."}

    async def test_the_native_object(self, bench: ContractBench) -> None:
        """`Agent.native` gives the framework's own object, and `Agent.backend` the name; a worker keeps it."""
        scenario = _adding(bench)
        if self.isolated:
            with pytest.raises(UnsupportedCapabilityError):
                _ = scenario.agent.native
        else:
            assert scenario.agent.native is not None
        assert scenario.agent.backend == self.backend


def _adding(bench: ContractBench, **options: Any) -> Scenario:
    return bench.scenario(calls(call("add", {"a": 2, "b": 3})), answer("{0}", (0, 0)), tools=[add], **options)


@contextmanager
def _bench_without_loop(contract: Contract) -> Iterator[ContractBench]:
    """Make a bench where no event loop runs, and close its agents at the end."""
    with ServerThread() as server:
        bench = ContractBench(contract.backend, server, isolated=contract.isolated)
        yield bench
        asyncio.run(bench.aclose())
