"""The tool runner under load and failure: attempts, turns, slots, and what blocks the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from support import scripted_model
from unified_agents import (
    Agent,
    Event,
    Limits,
    RateLimited,
    RunEnded,
    RunResult,
    Script,
    ScriptedModel,
    Tool,
    ToolCallRetried,
    ToolDefinitionError,
    ToolFailedError,
    ToolPolicy,
    Transient,
    create_agent,
    tool,
)
from unified_agents.backend import run_step
from unified_agents.run.calls import Step

_noted: ContextVar[str] = ContextVar("noted", default="nothing")

AT_ONCE = ToolPolicy(wait_initial=0.0, jitter=0.0)


def scripted(*calls: dict[str, Any]) -> ScriptedModel:
    return scripted_model({"tool_calls": list(calls)}, {"text": "Done."})


def agent_for(made: Tool | list[Tool], *calls: dict[str, Any], policy: ToolPolicy = AT_ONCE, **options: Any) -> Agent:
    tools = made if isinstance(made, list) else [made]
    asked = calls or ({"name": tools[0].name, "arguments": {}},)
    return create_agent(model=scripted(*asked), tools=tools, tool_policy=policy, **options)


def failing(error: Callable[[], Exception], times: int, **options: Any) -> tuple[Tool, list[int]]:
    seen: list[int] = []

    async def work() -> str:
        seen.append(len(seen))
        if len(seen) <= times:
            raise error()
        return "at last"

    return tool(work, **options), seen


@pytest.mark.parametrize("error", [lambda: Transient("busy"), lambda: RateLimited(retry_after=0.0)])
async def test_an_idempotent_tool_is_tried_again(error: Callable[[], Exception]) -> None:
    made, seen = failing(error, 2, idempotent=True)
    result = await agent_for(made).run("Do it.")
    assert len(seen) == 3
    assert [record.content for record in result.tool_calls] == ["at last"]
    assert not result.errors
    [span] = [span for span in result.trace.walk() if span.name == "execute_tool work"]
    waits = [attributes.pop("seconds") for _, _, attributes in span.events]
    assert all(isinstance(wait, float) and 0 <= wait < 1 for wait in waits)
    assert [(name, attributes) for name, _, attributes in span.events] == [
        ("retry", {"attempt": 1, "reason": "tool_error"}),
        ("retry", {"attempt": 2, "reason": "tool_error"}),
    ]


@pytest.mark.parametrize("error", [lambda: Transient("busy"), lambda: RateLimited(retry_after=0.0)])
async def test_another_is_not(error: Callable[[], Exception]) -> None:
    made, seen = failing(error, 2)
    result = await agent_for(made).run("Do it.")
    assert len(seen) == 1
    assert [record.kind for record in result.errors] == ["tool_error"]
    assert "tried" not in (result.tool_calls[0].content or "")


async def test_an_error_that_says_nothing_is_not_tried_again() -> None:
    made, seen = failing(lambda: ValueError("no"), 2, idempotent=True)
    result = await agent_for(made).run("Do it.")
    assert len(seen) == 1
    assert result.tool_calls[0].content == "Error in tool 'work': ValueError: no"


async def test_what_is_used_up_is_told_to_the_model() -> None:
    made, seen = failing(lambda: Transient("busy"), 99, idempotent=True)
    result = await agent_for(made).run("Do it.")
    assert len(seen) == 3
    assert result.status == "completed"
    assert result.tool_calls[0].content == (
        "Error in tool 'work': Transient: busy. It was tried 3 times; do not repeat it at once."
    )
    assert [(record.kind, record.native_type) for record in result.errors] == [
        ("tool_error", "unified_agents.errors.Transient")
    ]


async def test_a_wait_that_is_too_long_is_not_waited_for() -> None:
    made, seen = failing(lambda: RateLimited("come back", retry_after=1000.0), 99, idempotent=True)
    result = await agent_for(made).run("Do it.")
    assert len(seen) == 1
    assert "come back" in (result.tool_calls[0].content or "")


@pytest.mark.timed
async def test_retry_after_is_waited_for_and_counts_as_waiting() -> None:
    wait = 0.6
    made, _ = failing(lambda: RateLimited(retry_after=wait), 1, idempotent=True)
    async with agent_for(made).stream("Do it.") as events:
        seen = [event async for event in events]
    result = events.result
    assert result is not None
    [retried] = [event for event in seen if isinstance(event, ToolCallRetried)]
    assert (retried.attempt, retried.tool, retried.wait, retried.error.kind) == (1, "work", wait, "tool_error")
    assert result.seconds.waiting >= wait - 0.01
    assert result.seconds.tool < 0.1
    assert result.tool_calls[0].seconds < 0.1


@pytest.mark.parametrize(("idempotent", "attempts"), [(True, 2), (False, 1)])
async def test_a_timeout_is_tried_once_more_only_if_idempotent(idempotent: bool, attempts: int) -> None:
    seen = []

    async def slow() -> None:
        seen.append(1)
        await asyncio.Event().wait()

    result = await agent_for(tool(slow, timeout=0.05, idempotent=idempotent)).run("Do it.")
    assert len(seen) == attempts
    assert result.errors[0].kind == "timeout"
    content = result.tool_calls[0].content or ""
    assert content.startswith("Error in tool 'slow': it did not finish within 0.05 seconds and was stopped.")
    assert content.endswith("It was tried 2 times.") is idempotent


async def test_a_further_attempt_gets_the_arguments_as_the_model_gave_them() -> None:
    seen = []

    @tool(idempotent=True)
    async def take(rows: list[int]) -> int:
        seen.append(list(rows))
        rows.clear()
        if len(seen) == 1:
            raise Transient("again")
        return len(seen)

    await agent_for(take, {"name": "take", "arguments": {"rows": [1, 2]}}).run("Do it.")
    assert seen == [[1, 2], [1, 2]]


async def test_a_hung_thread_is_reported_and_its_place_is_free() -> None:
    release = threading.Event()

    def hang() -> None:
        release.wait(20)

    calls = [{"name": "hang", "arguments": {}}] * 3
    agent = agent_for(tool(hang, timeout=0.05), *calls, limits=Limits(max_parallel_tools=1))
    try:
        result = await agent.run("Do it.")
    finally:
        release.set()
    assert result.status == "completed"
    assert len([record for record in result.errors if "abandoned" in record.message]) == 3


def add_up(a: int, b: int) -> int:
    return a + b


class Crowd:
    """Counts how many are in at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def enter(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(5):
            await asyncio.sleep(0)
        self.now -= 1


@pytest.mark.parametrize(("bound", "most"), [(2, 2), (32, 6)])
async def test_so_many_run_at_once(bound: int, most: int) -> None:
    crowd = Crowd()
    calls = [{"name": "enter", "arguments": {}}] * 6
    agent = agent_for(tool(crowd.enter), *calls, limits=Limits(max_parallel_tools=bound))
    result = await agent.run("Do it.")
    assert crowd.most == most
    assert all(record.ok for record in result.tool_calls)


@pytest.mark.parametrize(("resource", "most"), [("db", 1), (None, 6)])
async def test_who_shares_a_resource_takes_turns(resource: str | None, most: int) -> None:
    crowd = Crowd()
    made = [tool(crowd.enter, name=name, exclusive=resource) for name in ("read", "write")]
    calls = [{"name": name, "arguments": {}} for name in ("read", "write") * 3]
    result = await agent_for(made, *calls).run("Do it.")
    assert crowd.most == most
    assert all(record.ok for record in result.tool_calls)


async def test_turns_are_taken_over_runs_and_event_loops() -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def use() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.005)
        with lock:
            inside -= 1

    def elsewhere(agent: Agent) -> RunResult:
        return asyncio.run(agent.run("Do it."))

    agents = [agent_for(tool(use, exclusive="one file")) for _ in range(3)]
    others = [asyncio.to_thread(elsewhere, agent) for agent in agents]
    results = await asyncio.gather(*others, *(agent.run("Do it.") for agent in agents))
    assert most == 1
    assert all(result.tool_calls[0].ok for result in results)


async def test_a_turn_is_given_back_on_cancel_and_on_timeout() -> None:
    started, seen = asyncio.Event(), []

    async def hold() -> None:
        started.set()
        await asyncio.Event().wait()

    async def follow() -> None:
        seen.append("ran")

    holding = agent_for(tool(hold, exclusive="lane"))
    running = asyncio.create_task(holding.run("Do it."))
    await started.wait()
    waiting = [asyncio.create_task(agent_for(tool(follow, exclusive="lane")).run("Do it.")) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert not seen
    waiting[0].cancel()
    running.cancel()
    assert (await waiting[1]).tool_calls[0].ok
    assert seen == ["ran"]
    short = await agent_for(tool(hold, exclusive="lane", timeout=0.05)).run("Do it.")
    assert short.errors[0].kind == "timeout"
    assert (await agent_for(tool(follow, exclusive="lane")).run("Do it.")).tool_calls[0].ok
    await asyncio.wait([waiting[0], running])
    assert waiting[0].cancelled()
    assert running.cancelled()


async def test_a_thread_that_was_given_up_keeps_its_turn_until_it_ends() -> None:
    release, ended, seen = threading.Event(), threading.Event(), []

    @tool(exclusive="vault", timeout=0.05)
    def hang() -> None:
        release.wait(20)
        seen.append("hang has ended")
        ended.set()

    async def follow() -> None:
        seen.append("followed")

    async def run(made: Tool) -> RunResult:
        return await agent_for(made).run("Do it.", limits=Limits(timeout=20.0))

    given_up = await run(hang)
    assert given_up.errors[0].kind == "timeout"
    refused = await run(tool(follow, exclusive="vault", timeout=0.1))
    assert refused.status == "completed"
    assert "could not start: it waited 0.1 seconds for 'vault'" in (refused.tool_calls[0].content or "")
    assert (await run(tool(follow, exclusive="another vault", timeout=0.1))).tool_calls[0].ok
    waiting = asyncio.create_task(run(tool(follow, exclusive="vault", timeout=None)))
    await asyncio.sleep(0.05)
    assert seen == ["followed"]
    release.set()
    assert (await waiting).tool_calls[0].ok
    assert seen == ["followed", "hang has ended", "followed"]


async def test_a_long_line_is_no_reason_to_give_up() -> None:
    async def slow() -> None:
        await asyncio.sleep(0.06)

    calls = [{"name": "slow", "arguments": {}}] * 4
    result = await agent_for(tool(slow, exclusive="a long line", timeout=0.1), *calls).run("Do it.")
    assert [record.ok for record in result.tool_calls] == [True] * 4


async def test_an_agent_within_a_turn_may_use_the_resource() -> None:
    crowd = Crowd()
    inner = agent_for(tool(crowd.enter, exclusive="db"), *[{"name": "enter", "arguments": {}}] * 3)

    async def outer() -> str:
        return (await inner.run("Do it.")).status

    result = await agent_for(tool(outer, exclusive="db")).run("Do it.", limits=Limits(timeout=5.0))
    assert result.tool_calls[0].content == "completed"
    assert crowd.most == 1


async def test_a_coroutine_that_blocks_the_event_loop_is_told(caplog: pytest.LogCaptureFixture) -> None:
    @tool
    async def frozen() -> str:
        await asyncio.sleep(0)
        time.sleep(0.6)  # noqa: ASYNC251  # what a blocking client does
        return "x"

    result = await agent_for(frozen).run("Do it.")
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert re.search(r"tool 'frozen' blocked the event loop for (0\.[6-9]|\d+\.\d) seconds", record.getMessage())
    [span] = [span for span in result.trace.walk() if span.name == "execute_tool frozen"]
    assert [name for name, _, _ in span.events] == ["blocked_event_loop"]


async def test_one_that_only_waits_is_not(caplog: pytest.LogCaptureFixture) -> None:
    @tool
    async def patient() -> str:
        await asyncio.sleep(0.6)
        return "x"

    assert (await agent_for(patient).run("Do it.")).tool_calls[0].content == "x"
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


async def test_a_tool_that_catches_its_cancellation_sees_it() -> None:
    seen = []

    async def careful() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("cleaned up")
            raise

    await agent_for(tool(careful, timeout=0.05)).run("Do it.")
    assert seen == ["cleaned up"]


async def test_an_attempt_does_not_wait_for_the_one_that_was_given_up_before_it() -> None:
    release, seen = threading.Event(), []

    def hang() -> str:
        seen.append(1)
        release.wait(10)
        return "late"

    made = tool(hang, timeout=0.05, idempotent=True, exclusive="a narrow door")
    try:
        result = await agent_for(made).run("Do it.")
    finally:
        release.set()
    assert seen == [1]
    assert result.tool_calls[0].error is not None
    assert result.tool_calls[0].error.kind == "timeout"
    assert "0.05 seconds" in (result.tool_calls[0].content or "")


async def test_an_error_may_be_made_of_another() -> None:
    def look() -> str:
        try:
            return {}["city"]
        except KeyError as error:
            raise ToolFailedError(error) from error  # type: ignore[arg-type]

    result = await agent_for(tool(look)).run("Do it.")
    assert result.tool_calls[0].content == "'city'"


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"idempotent": 1}, "idempotent"), ({"exclusive": ""}, "exclusive"), ({"isolate": "thread"}, "isolate")],
    ids=str,
)
def test_options_that_are_wrong(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ToolDefinitionError, match=reason):
        Tool(name="x", parameters={"type": "object"}, handler=print, **options)
    with pytest.raises(ToolDefinitionError, match=reason):
        tool(name="x", **options)(add_up)


async def ignore_cancels() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


@tool(timeout=0.05)
async def stubborn() -> str:
    """Ignore the timeout."""
    await ignore_cancels()
    return ""


@tool(timeout=0.05)
async def stubborn_within() -> str:
    """Wait for a task that ignores the timeout."""
    await asyncio.create_task(ignore_cancels())
    return ""


@tool(timeout=0.05)
async def slow_to_end() -> str:
    """Clean up for a while."""
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.05)
    return ""


@tool(timeout=5)
async def with_a_timeout_of_its_own() -> str:
    """Go on after a timeout within."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(3600)
    await asyncio.sleep(0.3)
    return "went on"


async def test_an_async_tool_that_ignores_its_timeout_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unified_agents.tool_runner.coroutine.CANCEL_GRACE_SECONDS", 0.1)
    tools = [stubborn, stubborn_within, slow_to_end, with_a_timeout_of_its_own]
    agent = agent_for(tools, *({"name": made.name, "arguments": {}} for made in tools))
    start = time.monotonic()
    result = await agent.run("Do it.")
    assert time.monotonic() - start < 3
    assert result.status == "completed"
    assert [record.content for record in result.tool_calls] == [
        "Error in tool 'stubborn': it did not finish within 0.05 seconds and was stopped.",
        "Error in tool 'stubborn_within': it did not finish within 0.05 seconds, cannot be stopped, and may still take"
        " effect.",
        "Error in tool 'slow_to_end': it did not finish within 0.05 seconds and was stopped.",
        "went on",
    ]
    left = [error.message for error in result.errors if "abandoned" in error.message]
    assert left == [
        f"tool {name!r} does not end when it is cancelled, and was abandoned"
        for name in ("stubborn", "stubborn_within")
    ]


async def test_a_record_has_the_arguments_as_they_were_given() -> None:
    @tool
    async def take(items: list[int]) -> int:
        """Take all."""
        items.clear()
        return len(items)

    result = await agent_for(take, {"name": "take", "arguments": {"items": [1, 2]}}).run("Do it.")
    assert result.tool_calls[0].received == {"items": [1, 2]}


async def test_a_renamed_tool_is_told_of_by_its_new_name() -> None:
    class Odd(BaseModel):
        x: int

        @field_validator("x")
        @classmethod
        def check(cls, value: int) -> int:
            raise KeyError("boom")

    @tool
    async def take(odd: Odd) -> str:
        """Take it."""
        return "taken"

    renamed = take.renamed("shop_take")
    result = await agent_for(renamed, {"name": "shop_take", "arguments": {"odd": {"x": 1}}}).run("Do it.")
    assert "'shop_take'" in (result.tool_calls[0].content or "")
    assert "'take'" not in (result.tool_calls[0].content or "")


async def test_nothing_is_told_after_the_end() -> None:
    release, ended = threading.Event(), threading.Event()

    @tool
    def hang() -> str:
        """Hang."""
        release.wait(20)
        ended.set()
        return "late"

    events: list[Event] = []
    agent = agent_for(hang, handling="native", limits=Limits(timeout=0.3))
    await agent.run("Do it.", on_event=events.append)
    release.set()
    await asyncio.to_thread(ended.wait, 20)
    await asyncio.sleep(0.05)  # what the thread tells comes by way of the loop
    assert isinstance(events[-1], RunEnded)
    assert [event for event in events if isinstance(event, RunEnded)] == events[-1:]


async def test_a_function_that_returns_a_coroutine_leaves_nothing_in_the_context_of_the_next_call() -> None:
    seen: list[str] = []

    def one() -> Awaitable[str]:
        async def work() -> str:
            _noted.set("by one")
            return "1"

        return work()

    def two() -> str:
        seen.append(_noted.get())
        return "2"

    script = Script.model_validate(
        {
            "answers": [{"tool_calls": [{"name": name, "arguments": {}}]} for name in ("one", "two")]
            + [{"text": "Done."}]
        }
    )
    async with create_agent(model=ScriptedModel(script), tools=[tool(one), tool(two)]) as agent:
        result = await agent.run("Go on.")
    assert [record.content for record in result.tool_calls] == ["1", "2"]
    assert seen == ["nothing"]


async def test_a_step_that_is_carried_out_twice_runs_its_call_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def work() -> str:
        ran.append(1)
        return "once"

    outcomes = []

    async def twice(step: Step) -> None:
        outcomes.extend(await run_step(step))
        outcomes.extend(await run_step(step))

    monkeypatch.setattr("unified_agents_custom.loop.run_step", twice)
    result = await agent_for(tool(work)).run("Do it.")
    assert result.status == "completed"
    assert ([outcome.content for outcome in outcomes], len(ran)) == (["once", "once"], 1)
