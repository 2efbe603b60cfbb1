"""The contract: the same events and the same trace on every backend."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

import pytest

from unified_agents.backend import Capability
from unified_agents.config import Limits
from unified_agents.errors import BadRequestError
from unified_agents.events import (
    AttemptDiscarded,
    Event,
    ModelCallCompleted,
    ModelCallStarted,
    RunEnded,
    RunStarted,
    TextDelta,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallStarted,
)
from unified_agents.messages import Usage
from unified_agents.result import RunResult
from unified_agents.testing.contract import Contract, whole_and_streamed
from unified_agents.testing.harness import ContractBench, Scenario, add, answer, call, calls, fault
from unified_agents.tools.definition import ToolContext

SEQUENCE = [
    "run_started",
    "model_call_started",
    "model_call_completed",
    "tool_call_started",
    "tool_call_completed",
    "model_call_started",
    "model_call_completed",
    "tool_call_started",
    "tool_call_failed",
    "model_call_started",
    "text_delta",
    "model_call_completed",
    "run_ended",
]
SHAPE = "invoke_agent(chat, execute_tool add, chat, execute_tool boom, chat)"
MANY_RUNS = 20


async def boom() -> str:
    """Fail."""
    raise ValueError("no such row")


class EventContract(Contract, needs=(Capability.TOOLS,)):
    """The events of a run, and its trace."""

    async def test_the_sequence_of_events(self, bench: ContractBench) -> None:
        """The same script gives the same events in the same order, and the same trace."""
        events = await _two_tools(bench).events(run_id="my-run")
        assert _types(events) == SEQUENCE
        assert {event.run_id for event in events} == {"my-run"}
        assert [event.time for event in events] == sorted(event.time for event in events)
        assert _result(events).trace.shape() == SHAPE
        assert _result(events).output == "The sum is 3 today."
        assert isinstance(events[0], RunStarted)
        assert (events[0].backend, events[0].handling) == (self.backend, "unified")

    @whole_and_streamed
    async def test_the_same_without_listening(self, bench: ContractBench, stream: bool) -> None:
        """`run` leaves the same trace as `stream`, with whole answers and streamed ones."""
        result = await _two_tools(bench, stream=stream).completes()
        assert result.trace.shape() == SHAPE
        assert [span.error for span in result.trace.walk()] == [None, None, None, None, "tool_error", None]
        assert all(span.end is not None for span in result.trace.walk())
        assert result.seconds.total >= result.seconds.model > 0

    async def test_what_events_say(self, bench: ContractBench) -> None:
        """Steps, ids, arguments, contents and counts in events are those of the result."""
        events = await _two_tools(bench).events()
        result = _result(events)
        started = [event for event in events if isinstance(event, ToolCallStarted)]
        assert [(event.step, event.index, event.tool, event.call_id, event.arguments) for event in started] == [
            (record.step, record.index, record.name, record.id, record.arguments) for record in result.tool_calls
        ]
        [completed] = [event for event in events if isinstance(event, ToolCallCompleted)]
        [failed] = [event for event in events if isinstance(event, ToolCallFailed)]
        assert (completed.content, failed.content) == tuple(record.content for record in result.tool_calls)
        assert failed.error.kind == "tool_error"
        asked = [event for event in events if isinstance(event, ModelCallStarted)]
        assert [(event.step, event.attempt) for event in asked] == [(0, 1), (1, 1), (2, 1)]
        assert tuple(event.request_bytes for event in asked) == result.request_bytes
        answered = [event for event in events if isinstance(event, ModelCallCompleted)]
        assert [event.tool_calls for event in answered] == [1, 1, 0]
        assert [event.finish_reason for event in answered] == ["tool_calls", "tool_calls", "stop"]
        assert sum((event.usage for event in answered), Usage()) == result.usage

    @pytest.mark.parametrize("stream", [None, False, True], ids=["unset", "whole", "streamed"])
    async def test_text_deltas(self, bench: ContractBench, stream: bool | None) -> None:
        """Under `stream()` the answer's text comes in pieces, whether the framework itself streams or not."""
        text = "Ein Satz über 東京, in Teilen."
        scenario = bench.scenario(answer(text), stream=stream)
        events = await scenario.events()
        deltas = [event for event in events if isinstance(event, TextDelta)]
        assert len(deltas) > 1
        assert "".join(event.text for event in deltas) == text == _result(events).output
        assert _result(events).time_to_first_token is not None
        assert scenario.sent[0]["stream"] is True

    async def test_a_retry(self, bench: ContractBench) -> None:
        """A failed attempt has an event, so that its deltas can be dropped; the next attempt has the same step."""
        text = " ".join(str(number) for number in range(100))
        events = await bench.scenario(fault(truncate=True), answer(text)).events()
        [discarded] = [event for event in events if isinstance(event, AttemptDiscarded)]
        assert (discarded.step, discarded.attempt) == (0, 1)
        assert discarded.error.retryable
        deltas = [event for event in events if isinstance(event, TextDelta)]
        assert {event.step for event in deltas} == {0}
        assert "".join(event.text for event in deltas if event.attempt == 2) == text == _result(events).output
        assert any(event.attempt == 1 for event in deltas)
        assert _result(events).trace.shape() == "invoke_agent(chat)"

    async def test_parallel_calls_in_the_trace(self, bench: ContractBench) -> None:
        """The tool spans of one step stand side by side, between its model call and the next."""
        asked = calls(*(call("add", {"a": n, "b": n}) for n in range(3)))
        result = await bench.scenario(asked, answer("Done."), tools=[add]).completes()
        tools = ", ".join(["execute_tool add"] * 3)
        assert result.trace.shape() == f"invoke_agent(chat, {tools}, chat)"

    async def test_a_run_that_fails(self, bench: ContractBench) -> None:
        """`RunEnded` is the last event of a failed run too, and the error is raised after it."""
        scenario = bench.scenario(fault(status=400, message="no", times=9), answer("Yes."))
        events: list[Event] = []
        with pytest.raises(BadRequestError) as caught:
            await scenario.events(into=events)
        assert _types(events) == ["run_started", "model_call_started", "model_call_failed", "run_ended"]
        assert _result(events).status == "failed"
        assert caught.value.result is _result(events)

    async def test_a_run_that_meets_a_limit(self, bench: ContractBench) -> None:
        """A limit raises nothing, and `RunEnded` holds the result."""
        scenario = bench.scenario(calls(call("add", {"a": 1, "b": 1})), tools=[add], repeat_last=True)
        events = await scenario.events(limits=Limits(max_steps=1))
        assert _types(events) == [*SEQUENCE[:5], "run_ended"]
        assert _result(events).status == "limit"

    async def test_many_runs_at_once(self, bench: ContractBench) -> None:
        """Runs of one agent at the same time mix neither events nor ids, usage, or outputs."""
        together = asyncio.Barrier(MANY_RUNS)

        async def who(context: ToolContext) -> str:
            await together.wait()
            return context.run_id

        scenario = bench.scenario(calls(call("who")), answer("I am {0}.", (0, 0)), tools=[who])
        tasks = {f"run-{n}": f"I am number {n}." + "!" * 40 * n for n in range(MANY_RUNS)}
        runs = await asyncio.gather(*(scenario.events(task, run_id=run_id) for run_id, task in tasks.items()))
        for (run_id, task), events in zip(tasks.items(), runs, strict=True):
            result = _result(events)
            assert {event.run_id for event in events} == {run_id}
            assert (result.run_id, result.output) == (run_id, f"I am {run_id}.")
            assert result.messages[0].content == task
            assert (result.requests, len(result.tool_calls)) == (2, 1)
            answered = [event.usage for event in events if isinstance(event, ModelCallCompleted)]
            assert sum(answered, Usage()) == result.usage
            assert _types(events) == [*SEQUENCE[:6], "text_delta", "model_call_completed", "run_ended"]
        used = [_result(events).usage.input_tokens for events in runs]
        assert used == sorted(set(used), key=lambda count: count or 0), "each longer task must cost more"


def _two_tools(bench: ContractBench, *, stream: bool | None = None) -> Scenario:
    return bench.scenario(
        calls(call("add", {"a": 1, "b": 2})),
        calls(call("boom")),
        answer("The sum is {0} today.", (0, 0)),
        tools=[add, boom],
        stream=stream,
    )


def _types(events: Sequence[Event]) -> list[str]:
    """Return the types in their order, with deltas that follow each other as one."""
    kinds = [event.type for event in events]
    return [kind for kind, group in groupby(kinds) for kind in ([kind] if kind == "text_delta" else group)]


def _result(events: Sequence[Event]) -> RunResult:
    last = events[-1]
    assert isinstance(last, RunEnded), f"RunEnded must be the last event, not {last.type}"
    assert sum(isinstance(event, RunEnded) for event in events) == 1
    return last.result
