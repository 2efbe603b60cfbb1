"""The contract: an agent's life, over event loops and threads."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from typing import Any

import pytest

from unified_agents.backend import Capability
from unified_agents.errors import BadRequestError, UnifiedAgentsError
from unified_agents.testing.contract import Contract, either_way
from unified_agents.testing.harness import Bench, ServerThread, Stage, add, call, calls, fault, say
from unified_agents.tools.decorator import tool

_SUM = calls(call("add", {"a": 2, "b": 3}))


class LifetimeContract(Contract, needs=(Capability.TOOLS,)):
    """Synchronous use, several loops, several agents, and the end."""

    def test_run_sync(self) -> None:
        """`run_sync` works where no event loop runs, several times, and raises the same errors."""
        with ServerThread() as server:
            bench = Bench(self.backend, server)
            stage = _summing(bench)
            broken = bench.stage(fault(status=400, times=9), say("Yes."))
            assert [stage.agent.run_sync("Do it.").output for _ in range(2)] == ["5", "5"]
            with pytest.raises(BadRequestError):
                broken.agent.run_sync("Do it.")
            _close(bench)

    def test_run_sync_from_many_threads(self) -> None:
        """`run_sync` may be called from several threads at once."""
        with ServerThread() as server:
            bench = Bench(self.backend, server)
            stage = _summing(bench)
            outputs: list[str | None] = []

            def work() -> None:
                outputs.append(stage.agent.run_sync("Do it.").output)

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20.0)
            assert outputs == ["5"] * 4
            _close(bench)

    async def test_run_sync_inside_a_running_loop(self, bench: Bench) -> None:
        """`run_sync` also works where an event loop runs, as in a notebook, beside `run`."""
        stage = _summing(bench)
        assert stage.agent.run_sync("Do it.").output == "5"
        assert (await stage.completes()).output == "5"
        assert stage.agent.run_sync("Do it.").output == "5"

    def test_two_event_loops_in_turn(self) -> None:
        """An agent outlives an event loop: nothing in it may belong to the first loop that used it."""
        with ServerThread() as server:
            bench = Bench(self.backend, server)
            stage = _summing(bench)
            for _ in range(3):
                assert asyncio.run(stage.completes()).output == "5"
            _close(bench)

    @either_way
    async def test_closing_leaves_nothing_open(self, bench: Bench, stream: bool) -> None:
        """After `aclose` no connection, task or coroutine is left to be complained about."""
        complaints: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            stage = _summing(bench, stream=stream)
            await stage.completes()
            await stage.agent.aclose()
            bench.agents.clear()
            del stage
            gc.collect()
            await asyncio.sleep(0)
        assert not complaints
        open_still = [str(it.message) for it in caught if issubclass(it.category, ResourceWarning | RuntimeWarning)]
        assert not open_still

    async def test_closing_twice_and_use_after(self, bench: Bench) -> None:
        """Closing again does nothing; a closed agent refuses with a clear word, before it asks anything."""
        stage = _summing(bench)
        await stage.agent.aclose()
        await stage.agent.aclose()
        with pytest.raises(UnifiedAgentsError, match="closed"):
            await stage.agent.run("Do it.")
        with pytest.raises(UnifiedAgentsError, match="closed"):
            async with stage.agent.stream("Do it."):
                pass
        assert not stage.sent

    async def test_two_agents(self, bench: Bench) -> None:
        """Agents side by side share nothing, also when their tools have the same name."""

        def answering(text: str) -> Stage:
            async def answer() -> str:
                return text

            made = tool(answer, name="answer")
            return bench.stage(calls(call("answer")), say("{0}", (0, 0)), tools=[made], instructions=f"You are {text}.")

        one, two = answering("one"), answering("two")
        results = await asyncio.gather(*(stage.completes() for stage in (one, two, one, two)))
        assert [result.output for result in results] == ["one", "two", "one", "two"]
        assert {request["messages"][0]["content"] for request in one.sent} == {"You are one."}

    async def test_the_native_object(self, bench: Bench) -> None:
        """`Agent.native` gives the framework's own object, and `Agent.backend` the name."""
        stage = _summing(bench)
        assert stage.agent.native is not None
        assert stage.agent.backend == self.backend


def _summing(bench: Bench, **options: Any) -> Stage:
    return bench.stage(_SUM, say("{0}", (0, 0)), tools=[add], **options)


def _close(bench: Bench) -> None:
    async def close() -> None:
        for agent in bench.agents:
            await agent.aclose()

    asyncio.run(close())
