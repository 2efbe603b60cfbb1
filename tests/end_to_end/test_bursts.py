"""Bursts of failures and dead servers under many runs at once, on every backend and over a real socket."""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from support import BACKENDS, CUSTOM_AND_OTHERS_IN_THE_PROOF, on_each_backend
from unified_agents import Agent, Limits, ModelConfig, RunError, create_agent
from unified_agents.config import ModelPolicy

RUNS = 200
POLICY = ModelPolicy(wait_initial=0.05, wait_max=0.4, jitter=0.05, breaker_seconds=1.0)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Server:
    """A server that fails some requests, and counts them all.

    Args:
        fails: Tells whether a request fails, from the number of the task's request and the number of all requests.
        gathers: Whether the first answers are kept until a request of each run has come.
    """

    def __init__(self, fails: Callable[[str, int, int], bool], *, gathers: bool) -> None:
        self._fails = fails
        self._gathers = gathers
        self._all_there = asyncio.Event()
        self._by_task: dict[str, int] = {}
        self.requests = 0

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=4096).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        task: Any = (await request.json())["messages"][-1]["content"]
        task = task if isinstance(task, str) else task[0]["text"]
        self.requests += 1
        number = self.requests
        self._by_task[task] = self._by_task.get(task, 0) + 1
        if self._gathers and not self._all_there.is_set():
            if len(self._by_task) == RUNS:
                self._all_there.set()
            await asyncio.wait_for(self._all_there.wait(), 60)
        if self._fails(task, self._by_task[task], number):
            return web.json_response({"error": {"message": "restarting"}}, status=503)
        message = {"role": "assistant", "content": "done"}
        return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


def first_of_all(task: str, number: int, total: int) -> bool:
    return number == 1


def first_three_of_all(task: str, number: int, total: int) -> bool:
    return number <= 3


def first_of_a_third(task: str, number: int, total: int) -> bool:
    return number == 1 and int(task.rsplit(maxsplit=1)[-1]) % 3 == 0


def one_server_of_two(task: str, number: int, total: int) -> bool:
    # A balancer picks by chance. The pick is the same alone and in a burst, and some runs pick the dead one each time.
    return random.Random(f"{task} {number}").random() < 0.5


async def completed_alone(backend: str, fails: Callable[[str, int, int], bool]) -> set[int]:
    """Return the numbers of the runs that complete when each is alone, with nothing that could hold it back."""
    policy = POLICY.model_copy(update={"breaker_failures": 1_000_000, "wait_initial": 0.001, "jitter": 0.0})
    async with (
        Server(fails, gathers=False) as url,
        create_agent(backend=backend, model=ModelConfig(name="m", base_url=url, policy=policy)) as agent,
    ):
        ends = [(await asyncio.gather(agent.run(f"task {n}"), return_exceptions=True))[0] for n in range(RUNS)]
    return {number for number, end in enumerate(ends) if not isinstance(end, BaseException)}


async def completed_together(backend: str, fails: Callable[[str, int, int], bool], *, gathers: bool) -> set[int]:
    """Return the numbers of the runs that complete when all start at once."""
    async with (
        Server(fails, gathers=gathers) as url,
        create_agent(backend=backend, model=ModelConfig(name="m", base_url=url, policy=POLICY)) as agent,
    ):
        ends = await asyncio.gather(*(agent.run(f"task {n}") for n in range(RUNS)), return_exceptions=True)
    return {number for number, end in enumerate(ends) if not isinstance(end, BaseException)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "fails"),
    on_each_backend(
        [first_of_all, first_three_of_all, first_of_a_third, one_server_of_two], on_frameworks=[first_of_all]
    ),
)
async def test_a_burst_fails_no_run_that_completes_alone(backend: str, fails: Callable[[str, int, int], bool]) -> None:
    alone = await completed_alone(backend, fails)
    assert (alone == set(range(RUNS))) is (fails is not one_server_of_two)
    assert len(alone) > 0.9 * RUNS
    for gathers in (True, False):
        assert await completed_together(backend, fails, gathers=gathers) == alone


class MeasuringSelector(selectors.DefaultSelector):
    """Counts the seconds in which an event loop had nothing to do.

    A thousand runs at once keep the loop at work for many seconds: that is the frameworks' computing, which grows with
    the load of the machine. What a run waits for (attempts, backoff, the breaker) passes while the loop is idle.

    Attributes:
        idle: The seconds so far.
    """

    idle = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.monotonic()
        ready = super().select(timeout)
        self.idle += time.monotonic() - began
        return ready


MODEL_SECONDS = 30.0
"""Long enough for a server that shares its loop with a thousand runs, so that all of them hear that it is dead."""
DEAD = POLICY.model_copy(update={"attempts": {"server": 4}})
WAITS = 0.05 + 0.1 + 0.2 + 3 * DEAD.jitter
"""All the backoff of four attempts."""
MARGIN = 1.5
"""A loaded machine wakes a selector late, a few hundred times in a run."""


async def runs_on_a_dead_server(backend: str, at_once: int, breaker_failures: int, selector: MeasuringSelector) -> None:
    """Make a thousand runs with 50 agents, and check how often the server was asked, and how long each run waited."""
    policy = DEAD.model_copy(update={"breaker_failures": breaker_failures})
    server = Server(lambda *_: True, gathers=False)
    async with server as url:
        model = ModelConfig(name="m", base_url=url, policy=policy, timeout=MODEL_SECONDS)
        agents = [create_agent(backend=backend, model=model) for _ in range(50)]
        waited: list[float] = []

        async def runs_of(agent: Agent, number: int) -> None:
            for _ in range(number):
                idle = selector.idle
                with pytest.raises(RunError) as caught:
                    await agent.run("q")
                assert caught.value.kind == "server"
                waited.append(selector.idle - idle)

        began = time.monotonic()
        await asyncio.gather(*(runs_of(agent, 20 // at_once) for agent in agents for _ in range(at_once)))
        trials = (time.monotonic() - began) / DEAD.breaker_seconds
        for agent in agents:
            await agent.aclose()
    assert len(waited) == 1000
    assert server.requests <= 50 * (breaker_failures * at_once + trials + 1)
    assert server.requests >= 1000
    # One trial decides for all that are held back, so nobody waits for two.
    assert max(waited) < WAITS + DEAD.breaker_seconds + MARGIN


@pytest.mark.slow
@pytest.mark.parametrize("backend", CUSTOM_AND_OTHERS_IN_THE_PROOF)
@pytest.mark.parametrize(("at_once", "breaker_failures"), [pytest.param(1, 6, marks=pytest.mark.proof), (20, 2)])
def test_a_dead_server_is_asked_no_more_than_the_breaker_allows(
    backend: str, at_once: int, breaker_failures: int
) -> None:
    """A thousand runs of 50 agents, each agent with 20 in a row or 20 at once; without the breaker 4,000 times."""
    selector = MeasuringSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(runs_on_a_dead_server(backend, at_once, breaker_failures, selector))


@pytest.mark.slow
@pytest.mark.timed
async def test_no_run_outlives_its_own_timeout_at_a_dead_server(backend: str) -> None:
    """The wall clock of a run cuts attempts, backoff and the wait for the breaker short."""
    policy = DEAD.model_copy(
        update={"wait_initial": 30.0, "wait_max": 30.0, "breaker_failures": 1, "breaker_seconds": 60}
    )
    limits = Limits(timeout=1.0)

    async with Server(lambda *_: True, gathers=False) as url:
        agents = [
            create_agent(backend=backend, model=ModelConfig(name="m", base_url=url, policy=policy), limits=limits)
            for _ in range(5)
        ]
        warm = await asyncio.gather(*(agent.run("warm") for agent in agents))  # a first run has its own price
        assert {result.status for result in warm} == {"limit"}

        async def seconds_of_a_run(agent: Agent) -> float:
            began = time.monotonic()
            result = await agent.run("q")
            assert (result.status, result.limit) == ("limit", "timeout")
            return time.monotonic() - began

        seconds = await asyncio.gather(*(seconds_of_a_run(agent) for agent in agents for _ in range(4)))
        for agent in agents:
            await agent.aclose()
    assert max(seconds) < limits.timeout + MARGIN
