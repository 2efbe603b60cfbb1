"""Two hundred runs of one agent at once, each with its own answers, tools and length, some of them cancelled."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from support import BACKENDS
from unified_agents import (
    Agent,
    Event,
    ModelCallCompleted,
    ModelConfig,
    RunEnded,
    RunResult,
    RunStarted,
    TextDelta,
    Tool,
    ToolCallCompleted,
    ToolContext,
    create_agent,
    tool,
)
from unified_agents.scripted.rendering.chat_completions import JSON_TYPE, STREAM_TYPE
from unified_agents.testing.harness import ServerThread, new_tasks
from unified_agents.wire.local_upstream import Reply
from unified_agents.wire.protocols.chat_completions_writer import stream_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

RUNS = 200
SEED = 20_261_122


@dataclass(slots=True, frozen=True)
class Plan:
    """What one run is to do.

    Attributes:
        number: Which run; its task says so, and the model knows it from there.
        steps: For each step the calls, as tool and argument; every argument belongs to one run alone.
        cancelled_in: The step that is never finished; None when the run ends by itself.
        cancelled_by_tool: Whether that step hangs in a tool; else in the model's answer.
    """

    number: int
    steps: tuple[tuple[tuple[str, int], ...], ...]
    cancelled_in: int | None = None
    cancelled_by_tool: bool = False

    @property
    def run_id(self) -> str:
        return f"run-{self.number}"

    @property
    def task(self) -> str:
        return f"Task {self.number}"

    @property
    def calls(self) -> list[tuple[str, int]]:
        return [call for step in self.steps for call in step]

    @property
    def results(self) -> list[str]:
        return [self._result(name, argument) for name, argument in self.calls]

    @property
    def output(self) -> str:
        return f"{self.number}: {', '.join(self.results)}"

    @property
    def requests(self) -> int:
        return len(self.steps) + 1 if self.cancelled_in is None else self.cancelled_in + 1

    @property
    def streams(self) -> bool:
        return self.number % 2 == 1

    def _result(self, name: str, argument: int) -> str:
        return f"{self.run_id}:{argument}" if name == "who" else str({"double": 2, "triple": 3}[name] * argument)


def plans() -> list[Plan]:
    """Every run's plan; one in ten is cancelled, at a random point."""
    chance = random.Random(SEED)
    made = [_plan(chance, number) for number in range(RUNS)]
    for number in chance.sample(range(RUNS), RUNS // 10):
        plan = made[number]
        by_tool = bool(plan.steps) and chance.random() < 0.5
        where = chance.randrange(len(plan.steps) + (not by_tool))
        made[number] = replace(plan, cancelled_in=where, cancelled_by_tool=by_tool)
    return made


def _plan(chance: random.Random, number: int) -> Plan:
    shape = [chance.choices(["double", "triple", "who"], k=chance.randint(1, 3)) for _ in range(chance.randint(0, 3))]
    steps = (
        tuple((name, number * 100 + step * 10 + index) for index, name in enumerate(names))
        for step, names in enumerate(shape)
    )
    return Plan(number, tuple(steps))


class Crowd:
    """The model of all runs, and what cancels some of them: it knows a run by its task alone."""

    def __init__(self, made: Sequence[Plan]) -> None:
        self.plans = made
        self.requests: Counter[int] = Counter()
        self.hanging = {plan.number: asyncio.Event() for plan in made if plan.cancelled_in is not None}
        self._loop = asyncio.get_running_loop()

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """Answer from what the request says; called in the server's thread."""
        messages = request["messages"]
        number = int(next(message for message in messages if message["role"] == "user")["content"].split()[1])
        step = sum(message["role"] == "assistant" for message in messages)
        plan = self.plans[number]
        self.requests[number] += 1
        streamed = bool(request.get("stream"))
        if step == plan.cancelled_in and not plan.cancelled_by_tool:
            self._loop.call_soon_threadsafe(self.hanging[number].set)
            return Reply(200, STREAM_TYPE if streamed else JSON_TYPE, ending="stall")
        body = self._body(plan, step, [message["content"] for message in messages if message["role"] == "tool"])
        if streamed:
            return Reply(200, STREAM_TYPE, chunks=tuple(stream_of(body, include_usage=True)))
        return Reply(200, JSON_TYPE, chunks=(orjson.dumps(body),))

    def _body(self, plan: Plan, step: int, told: Sequence[str]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if step == len(plan.steps):
            message["content"] = f"{plan.number}: {', '.join(told)}"
        else:
            calls = [*plan.steps[step], *([("hold", plan.number)] if step == plan.cancelled_in else [])]
            message["tool_calls"] = [_call(step, index, *call) for index, call in enumerate(calls)]
        finish = "stop" if step == len(plan.steps) else "tool_calls"
        usage = {"prompt_tokens": 1000 + plan.number, "completion_tokens": step, "total_tokens": 0}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {"id": f"a{plan.number}", "created": 0, "model": "m", "choices": [choice], "usage": usage}

    def tools(self, *, leaky: bool) -> list[Tool]:
        """The tools of all runs. A leaky one keeps what belongs to a call where all calls meet."""
        shared = {"argument": 0}

        async def double(argument: int) -> int:
            shared["argument"] = argument
            await asyncio.sleep(0)
            return 2 * (shared["argument"] if leaky else argument)

        def triple(argument: int) -> int:
            return 3 * argument

        async def who(argument: int, context: ToolContext) -> str:
            return f"{context.run_id}:{argument}"

        async def hold(argument: int) -> None:
            self.hanging[argument].set()
            await asyncio.get_running_loop().create_future()

        return [tool(double), tool(triple), tool(who), tool(hold)]


def _call(step: int, index: int, name: str, argument: int) -> dict[str, Any]:
    # The ids repeat in all runs, so that whatever keeps calls by their id alone is found out.
    function = {"name": name, "arguments": f'{{"argument": {argument}}}'}
    return {"id": f"call_{step}_{index}", "type": "function", "function": function}


@dataclass(slots=True, frozen=True)
class Seen:
    """What came of one run.

    Attributes:
        cancelled: Whether it ended by its cancel.
        result: Its result; None when it was cancelled.
        events: Its events; None when nobody listened.
    """

    cancelled: bool
    result: RunResult | None
    events: list[Event] | None


@dataclass(slots=True)
class Outcome:
    """What came of all runs."""

    plans: list[Plan]
    seen: list[Seen]
    requests: Counter[int]
    at_once: int


@dataclass(slots=True)
class _Running:
    agent: Agent
    now: int = 0
    most: int = 0
    events: dict[int, list[Event]] = field(default_factory=dict)

    async def carry_out(self, plan: Plan) -> RunResult | None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if not plan.streams:
                return await self.agent.run(plan.task, run_id=plan.run_id)
            kept = self.events[plan.number] = []
            async with self.agent.stream(plan.task, run_id=plan.run_id) as events:
                async for event in events:
                    kept.append(event)
            return events.result
        finally:
            self.now -= 1


async def all_at_once(backend: str, *, leaky: bool = False) -> Outcome:
    """Carry out all plans with one agent, cancel those that hang, and leave nothing behind."""
    made = plans()
    crowd = Crowd(made)
    with ServerThread() as server:
        model = ModelConfig(name="m", base_url=server.add(crowd, record=False))
        agent = create_agent(backend=backend, model=model, tools=crowd.tools(leaky=leaky))
        running = _Running(agent)
        tasks = [asyncio.create_task(running.carry_out(plan)) for plan in made]
        cancels = [asyncio.create_task(_cancel(tasks[number], event)) for number, event in crowd.hanging.items()]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*cancels)
        await agent.aclose()
    broken = [one for one in ended if isinstance(one, BaseException) and not isinstance(one, asyncio.CancelledError)]
    if broken:
        raise broken[0]
    seen = [
        Seen(isinstance(one, BaseException), one if isinstance(one, RunResult) else None, running.events.get(number))
        for number, one in enumerate(ended)
    ]
    return Outcome(made, seen, crowd.requests, running.most)


async def _cancel(task: asyncio.Task[Any], hanging: asyncio.Event) -> None:
    await hanging.wait()
    task.cancel()


def faults(plan: Plan, seen: Seen) -> list[str]:
    """Where a run is not what its plan says."""
    found = [] if seen.cancelled == (plan.cancelled_in is not None) else ["cancelled"]
    if seen.events is not None:
        found += _faults_of_events(plan, seen.events)
    if not seen.cancelled:
        found += ["no result"] if seen.result is None else _faults_of_result(plan, seen.result)
    return [f"{plan.run_id}: {fault}" for fault in found]


def _faults_of_result(plan: Plan, result: RunResult) -> list[str]:
    calls = [(call.name, orjson.loads(call.arguments)["argument"]) for call in result.tool_calls]
    spans = list(result.trace.walk())
    used = [span.name.removeprefix("execute_tool ") for span in spans if span.name.startswith("execute_tool")]
    tokens = [1000 + plan.number] * plan.requests, range(plan.requests)
    checks = {
        "run id": result.run_id == plan.run_id,
        "status": result.status == "completed" and not result.errors,
        "output": result.output == plan.output,
        "calls": calls == plan.calls and all(call.ok for call in result.tool_calls),
        "results": [call.content for call in result.tool_calls] == plan.results,
        "ids": len({call.id for call in result.tool_calls}) == len(calls),
        "usage": (result.usage.input_tokens, result.usage.output_tokens) == (sum(tokens[0]), sum(tokens[1])),
        "requests": result.requests == plan.requests and not result.retries,
        "messages": result.messages[0].content == plan.task and result.messages[-1].content == plan.output,
        "spans of tools": sorted(used) == sorted(name for name, _ in plan.calls),
        "spans of requests": len(spans) == 1 + plan.requests + len(calls),
        "open spans": all(span.end is not None for span in spans),
    }
    return [what for what, holds in checks.items() if not holds]


def _faults_of_events(plan: Plan, events: Sequence[Event]) -> list[str]:
    told = [event.content for event in events if isinstance(event, ToolCallCompleted)]
    checks = {
        "events of another run": {event.run_id for event in events} == {plan.run_id},
        "first event": isinstance(events[0], RunStarted),
        "events out of time": [event.time for event in events] == sorted(event.time for event in events),
    }
    if plan.cancelled_in is None:
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        checks |= {
            "last event": isinstance(events[-1], RunEnded),
            "text": text == plan.output,
            "events of tools": sorted(told) == sorted(plan.results),
            "events of the model": sum(isinstance(one, ModelCallCompleted) for one in events) == plan.requests,
        }
    return [what for what, holds in checks.items() if not holds]


def sockets() -> set[str]:
    """The open sockets of this process; none where there is no /proc."""
    found = set()
    for entry in Path("/proc/self/fd").glob("*"):
        try:
            found.add(os.readlink(entry))
        except OSError:
            continue  # the descriptor of this very listing
    return {name for name in found if name.startswith("socket:")}


def busy_threads() -> set[threading.Thread]:
    """The threads that are there, without those that pools keep for the next job."""
    pools = ("unified-agents-tool", "asyncio_", "ThreadPoolExecutor")
    return {thread for thread in threading.enumerate() if not thread.name.startswith(pools)}


@pytest.mark.parametrize("backend", BACKENDS)
async def test_runs_of_one_agent_do_not_mix_and_leave_nothing(backend: str) -> None:
    await _one_run(backend)  # what is loaded once, with its threads, is there before we count
    tasks, threads, open_before = asyncio.all_tasks(), busy_threads(), sockets()
    outcome = await all_at_once(backend)
    assert outcome.at_once == RUNS
    assert [fault for plan, seen in zip(outcome.plans, outcome.seen, strict=True) for fault in faults(plan, seen)] == []
    assert outcome.requests == {plan.number: plan.requests for plan in outcome.plans}
    assert new_tasks(tasks) == []
    assert busy_threads() - threads == set()
    assert sockets() - open_before == set()


async def _one_run(backend: str) -> None:
    with ServerThread() as server:
        crowd = Crowd([Plan(0, ((("double", 1), ("triple", 2)),))])
        model = ModelConfig(name="m", base_url=server.add(crowd))
        agent = create_agent(backend=backend, model=model, tools=crowd.tools(leaky=False))
        assert (await agent.run("Task 0")).output == "0: 2, 6"
        await agent.aclose()


def test_the_plans_hold_what_they_should() -> None:
    made = plans()
    cancelled = [plan for plan in made if plan.cancelled_in is not None]
    assert len(cancelled) == RUNS // 10
    assert {plan.cancelled_by_tool for plan in cancelled} == {True, False}
    assert {len(plan.steps) for plan in made} == {0, 1, 2, 3}
    assert {plan.streams for plan in cancelled} == {True, False}


async def test_a_tool_that_shares_its_state_is_caught() -> None:
    outcome = await all_at_once(BACKENDS[0], leaky=True)
    found = [fault for plan, seen in zip(outcome.plans, outcome.seen, strict=True) for fault in faults(plan, seen)]
    assert any(fault.endswith(": output") for fault in found)
    assert any(fault.endswith(": results") for fault in found)


async def test_what_belongs_to_another_run_is_caught() -> None:
    outcome = await all_at_once(BACKENDS[0])
    streamed = [
        number for number, plan in enumerate(outcome.plans) if plan.streams and plan.steps and plan.cancelled_in is None
    ]
    one, other = streamed[:2]
    plan, seen, wrong = outcome.plans[one], outcome.seen[one], outcome.seen[other]
    assert faults(plan, seen) == []
    assert any("another run" in fault for fault in faults(plan, replace(seen, events=wrong.events)))
    assert any("usage" in fault for fault in faults(plan, replace(seen, result=wrong.result)))
    assert seen.events is not None
    assert wrong.events is not None
    assert faults(plan, replace(seen, events=[*seen.events[:-1], wrong.events[2], seen.events[-1]]))
    assert faults(plan, replace(seen, cancelled=True)) == [f"{plan.run_id}: cancelled"]


async def test_what_is_left_behind_is_caught() -> None:
    tasks, threads, open_before = asyncio.all_tasks(), busy_threads(), sockets()
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    task = asyncio.create_task(asyncio.Event().wait())
    with socket.socket():
        assert len(new_tasks(tasks)) == 1
        assert busy_threads() - threads == {thread}
        assert not open_before or len(sockets() - open_before) == 1
    task.cancel()
    release.set()
    thread.join()
