"""The contract: from a task to its answer, by way of tool calls."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from unified_agents.backend import Capability
from unified_agents.testing.contract import Contract, proves, spoken_in, whole_and_streamed
from unified_agents.testing.harness import ContractBench, add, answer, call, calls, canonical_json
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool

MANY = 8
MEETING_SECONDS = 3.0

delta_shapes = pytest.mark.parametrize(
    ("stream", "deltas"),
    [(False, "separate"), (True, "separate"), (True, "together")],
    ids=["whole", "one delta per call", "all calls in one delta"],
)


class AnswerContract(Contract):
    """A model that answers without tools."""

    @whole_and_streamed
    async def test_simple_answer(self, bench: ContractBench, stream: bool) -> None:
        """`NativeAgent.run` gives the text of an answer that calls no tool."""
        scenario, result = await bench.complete(answer("Grüße, 世界."), stream=stream, task="Say hello.")
        assert result.output == "Grüße, 世界."
        assert (result.backend, result.handling) == (self.backend, "unified")
        assert (result.requests, result.retries, len(scenario.sent)) == (1, 0, 1)
        assert [message.role for message in result.messages] == ["user", "assistant"]
        assert result.messages[-1].content == "Grüße, 世界."
        assert result.usage.input_tokens
        assert result.usage.output_tokens
        assert not result.errors
        assert not result.tool_calls

    async def test_the_framework_streams_only_when_asked(self, bench: ContractBench) -> None:
        """Neither the framework nor the wire asks for a stream when nobody wants one, as it costs twice the time."""
        scenario = bench.scenario(answer("Yes."))
        result = await scenario.completes(record_exchanges=True)
        assert not json.loads(result.exchanges[0].received).get("stream")
        assert not scenario.sent[0].get("stream")

    @spoken_in("chat_completions", "responses", "messages")
    @proves(Capability.STREAMING)
    async def test_the_framework_streams_when_asked(self, bench: ContractBench) -> None:
        """`NativeAgent.run(…, stream=True)` lets the framework ask for a stream, which is what STREAMING declares."""
        scenario = bench.scenario(answer("Yes, of course."), stream=True)
        result = await scenario.completes(record_exchanges=True)
        assert result.output == "Yes, of course."
        assert json.loads(result.exchanges[0].received).get("stream") is True
        assert scenario.sent[0]["stream"] is True

    async def test_runs_share_nothing(self, bench: ContractBench) -> None:
        """A second run of an agent sees nothing of the first: `NativeAgent` keeps no state of a run."""
        scenario = bench.scenario(answer("Yes."))
        await scenario.completes("one")
        await scenario.completes("two")
        assert [[message["content"] for message in request["messages"]] for request in scenario.sent] == [
            ["one"],
            ["two"],
        ]


class ToolCallContract(Contract, needs=(Capability.TOOLS,)):
    """A model that calls tools."""

    @whole_and_streamed
    async def test_one_tool_call(self, bench: ContractBench, stream: bool) -> None:
        """A call reaches the tool runner by its id, and the outcome reaches the model under the same id."""
        scenario, result = await bench.complete(
            calls(call("add", {"a": 2, "b": 3})),
            answer("It is {0}.", (0, 0)),
            tools=[add],
            stream=stream,
            task="What is 2 + 3?",
        )
        assert (result.output, result.requests) == ("It is 5.", 2)
        [record] = result.tool_calls
        assert (record.step, record.index, record.name, record.ok, record.reached) == (0, 0, "add", True, True)
        assert (record.received, record.content) == ({"a": 2, "b": 3}, "5")
        user, turn, outcome = scenario.sent[1]["messages"]
        assert user == {"role": "user", "content": "What is 2 + 3?"}
        assert turn["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a":2,"b":3}'}
        assert (outcome["role"], outcome["content"]) == ("tool", "5")
        assert outcome["tool_call_id"] == turn["tool_calls"][0]["id"] == record.id

    @whole_and_streamed
    async def test_a_call_that_needs_an_earlier_result(self, bench: ContractBench, stream: bool) -> None:
        """Several steps in a row: each request holds all turns and results so far."""
        first = {"$result": {"step": 0, "index": 0}}
        second = {"$result": {"step": 1, "index": 0}}
        scenario, result = await bench.complete(
            calls(call("add", {"a": 1, "b": 2})),
            calls(call("add", {"a": first, "b": 10})),
            calls(call("add", {"a": first, "b": second})),
            answer("{0}, {1}, {2}", (0, 0), (1, 0), (2, 0)),
            tools=[add],
            stream=stream,
        )
        assert result.output == "3, 13, 16"
        assert [record.received for record in result.tool_calls] == [
            {"a": 1, "b": 2},
            {"a": 3, "b": 10},
            {"a": 3, "b": 13},
        ]
        assert [len(request["messages"]) for request in scenario.sent] == [1, 3, 5, 7]

    async def test_text_beside_a_call(self, bench: ContractBench) -> None:
        """The assistant turn goes back to the model as the model wrote it, text and calls."""
        scenario, result = await bench.complete(
            calls(call("add", {"a": 1, "b": 1}), text="Let me add."), answer("2"), tools=[add]
        )
        [turn] = scenario.assistant_turns()
        assert turn["content"] == "Let me add."
        assert len(turn["tool_calls"]) == 1
        assert result.output == "2"

    @proves(Capability.PARALLEL_TOOLS)
    @delta_shapes
    async def test_parallel_async_calls(self, bench: ContractBench, stream: bool, deltas: str) -> None:
        """All calls of one answer run at the same time; results reach the model in call order, however they end."""
        barrier = asyncio.Barrier(MANY)
        ended = [asyncio.Event() for _ in range(MANY + 1)]
        ended[MANY].set()

        async def meet(n: int) -> str:
            try:
                async with asyncio.timeout(MEETING_SECONDS):
                    await barrier.wait()
                    await ended[n + 1].wait()  # so they end in reverse
            except TimeoutError:
                await barrier.abort()
                raise
            ended[n].set()
            return f"number {n}"

        await _call_all_at_once(bench, tool(meet), stream, deltas)

    @proves(Capability.PARALLEL_TOOLS)
    @delta_shapes
    async def test_parallel_sync_calls(self, bench: ContractBench, stream: bool, deltas: str) -> None:
        """Synchronous tools of one answer run at the same time too, and do not block the event loop."""
        barrier = threading.Barrier(MANY, timeout=MEETING_SECONDS)
        ended = [threading.Event() for _ in range(MANY + 1)]
        ended[MANY].set()

        def meet(n: int) -> str:
            barrier.wait()
            ended[n + 1].wait(MEETING_SECONDS)
            ended[n].set()
            return f"number {n}"

        await _call_all_at_once(bench, tool(meet), stream, deltas)

    @delta_shapes
    async def test_identical_calls_both_run(self, bench: ContractBench, stream: bool, deltas: str) -> None:
        """Two calls of one answer that are the same in name and arguments are two calls."""
        seen = []

        @tool
        async def note(text: str) -> int:
            seen.append(text)
            return len(seen)

        twice = call("note", {"text": "same"})
        _, result = await bench.complete(
            calls(twice, twice), answer("{0} {1}", (0, 0), (0, 1)), tools=[note], stream=stream, deltas=deltas
        )
        assert seen == ["same", "same"]
        assert sorted(result.output or "") == sorted("1 2")

    @pytest.mark.parametrize("id", ["call_same", ""], ids=["repeated", "missing"])
    @whole_and_streamed
    async def test_provider_ids_that_are_no_ids(self, bench: ContractBench, stream: bool, id: str) -> None:
        """Calls whose ids repeat, within an answer or over several, or are missing: each runs once, under an id."""
        scenario, result = await bench.complete(
            calls(call("add", {"a": 1, "b": 1}, id=id), call("add", {"a": 2, "b": 2}, id=id)),
            calls(call("add", {"a": 3, "b": 3}, id=id)),
            answer("Done."),
            tools=[add],
            stream=stream,
        )
        assert [record.content for record in result.tool_calls] == ["2", "4", "6"]
        assert all(record.ok for record in result.tool_calls)
        assert scenario.tool_results() == ["2", "4", "6"]
        asked = [made["id"] for turn in scenario.assistant_turns() for made in turn["tool_calls"]]
        answered = [message["tool_call_id"] for message in scenario.sent[-1]["messages"] if message["role"] == "tool"]
        assert asked == answered
        assert len(set(asked)) == 3
        assert all(asked)


async def _call_all_at_once(bench: ContractBench, meet: Tool, stream: bool, deltas: str) -> None:
    """Check that the calls of one answer run at the same time, and that their results keep the order of the calls."""
    asked = calls(*(call("meet", {"n": n}) for n in range(MANY)))
    parallel = {"parallel_tool_calls": True}  # what a backend that runs one call at a time must refuse
    scenario, result = await bench.complete(
        asked, answer("We met."), tools=[meet], stream=stream, deltas=deltas, parameters=parallel
    )
    expected = [f"number {n}" for n in range(MANY)]
    assert [record.content for record in result.tool_calls] == expected, "the calls did not run at the same time"
    assert scenario.tool_results() == expected, "results must reach the model in call order"
    [turn] = scenario.assistant_turns()
    assert canonical_json([made["function"]["arguments"] for made in turn["tool_calls"]]) == canonical_json(
        [f'{{"n":{n}}}' for n in range(MANY)]
    )
