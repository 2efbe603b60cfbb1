"""The contract: `handling: native`, where the framework is left as it comes and only watched."""

from __future__ import annotations

import json

import pytest

from unified_agents.backend import Capability
from unified_agents.config import Limits
from unified_agents.errors import RunError
from unified_agents.events import RunEnded, RunStarted
from unified_agents.result import RunResult
from unified_agents.testing.contract import Contract, needs
from unified_agents.testing.harness import (
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
from unified_agents.testing.tools import RecordingTool


class NativeAnswerContract(Contract, needs=(Capability.NATIVE,)):
    """Native runs without tools."""

    async def test_native_answer(self, bench: ContractBench) -> None:
        """`NativeAgent.run` gives the text."""
        scenario, result = await bench.complete(answer("Yes."), handling="native", instructions="Be brief.")
        assert (result.output, result.handling, result.backend) == ("Yes.", "native", self.backend)
        assert result.requests == len(scenario.sent) == 1
        assert [message["role"] for message in scenario.sent[0]["messages"]] == ["system", "user"]

    async def test_native_refused_key(self, bench: ContractBench) -> None:
        """`NativeAgent.translate` makes our error of the framework's, as nothing else can under native."""
        scenario = bench.scenario(fault(status=401, times=99), answer("Yes."), handling="native")
        error = await _error(scenario)
        assert (error.kind, len(scenario.sent)) == ("auth", 1)
        assert error.result is not None

    async def test_native_refused_request(self, bench: ContractBench) -> None:
        """A refused request becomes our error too, with the server's own message."""
        refused = fault(status=400, message="bent", times=99)
        error = await _error(bench.scenario(refused, answer("Yes."), handling="native"))
        assert error.kind == "bad_request"
        assert "bent" in str(error)


class NativeToolContract(Contract, needs=(Capability.NATIVE, Capability.TOOLS)):
    """Native runs with tools."""

    @pytest.mark.parametrize("stream", [None, False, True], ids=["unset", "whole", "streamed"])
    async def test_native_tool_call(self, bench: ContractBench, stream: bool | None) -> None:
        """A simple task completes; the record shows what reached the tool, and the model reads what it returned."""
        name = self.native_name("add")
        asked = calls(call(name, {"a": 2, "b": 3}), call(name, {"a": 4, "b": 5}))
        scenario, result = await bench.complete(asked, answer("Done."), tools=[add], handling="native", stream=stream)
        assert result.output == "Done."
        assert sorted(map(_unwrapped, scenario.tool_results())) == ["5", "9"]
        assert [record.name for record in result.tool_calls] == ["add", "add"]
        assert [(record.reached, record.ok) for record in result.tool_calls] == [(True, True)] * 2
        assert [record.received for record in result.tool_calls] == [{"a": 2, "b": 3}, {"a": 4, "b": 5}]
        assert [record.content for record in result.tool_calls] == ["5", "9"]
        assert {offered["function"]["name"] for offered in scenario.sent[0]["tools"]} == {name}
        assert result.trace.shape() == "invoke_agent(chat, execute_tool add, execute_tool add, chat)"

    @needs(Capability.STREAMING)
    async def test_native_connection_cut_after_the_end(self, bench: ContractBench) -> None:
        """The record holds an answer once its end mark has come: clients close the connection there."""
        _, result = await bench.complete(
            calls(call(self.native_name("add"), {"a": 2, "b": 3})),
            answer("Done."),
            tools=[add],
            handling="native",
            stream=True,
            cut_after_the_end=True,
        )
        assert result.output == "Done."
        assert [record.content for record in result.tool_calls] == ["5"]
        assert not result.errors
        assert (result.requests, result.retries) == (2, 0)

    async def test_native_schema_only_tool(self, bench: ContractBench) -> None:
        """A tool that has a schema and no typed function is called too."""
        schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
        take = RecordingTool("take", schema, returns="taken")
        scenario, result = await bench.complete(
            calls(call(self.native_name("take"), {"x": 1})), answer("Done."), tools=[take.tool], handling="native"
        )
        assert result.output == "Done."
        assert [_unwrapped(content) for content in scenario.tool_results()] == ["taken"]
        assert take.received == [{"x": 1}]
        assert result.tool_calls[0].received == {"x": 1}

    async def test_native_tool_that_raises(self, bench: ContractBench) -> None:
        """The framework decides what follows; the run ends, and the record holds the error."""

        async def boom(x: int) -> str:
            """Fail."""
            raise ValueError(f"no such row: {x}")

        asked = calls(call(self.native_name("boom"), {"x": 1}))
        scenario = bench.scenario(asked, answer("Well then."), tools=[boom], handling="native")
        result = await _ended(scenario)
        [record] = result.tool_calls
        assert (record.reached, record.ok, record.received) == (True, False, {"x": 1})
        assert record.error is not None
        assert record.error.kind == "tool_error"
        assert "no such row: 1" in record.error.message
        assert "tool_error" in [span.error for span in result.trace.walk()]
        if result.status == "failed":
            assert result.errors[-1].kind == "tool_error"

    @pytest.mark.parametrize(
        "arguments",
        [{"a": "banana", "b": 1}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, '{"a": 1,', "[1, 2]", "null"],
        ids=["wrong type", "missing", "extra", "broken JSON", "array", "null"],
    )
    async def test_native_bad_arguments(self, bench: ContractBench, arguments: object) -> None:
        """The framework decides what follows; the run ends, and each call is recorded, reached or not."""
        scenario = bench.scenario(
            calls(call(self.native_name("add"), arguments)),
            answer("Well then."),
            tools=[add],
            handling="native",
            repeat_last=True,
        )
        result = await _ended(scenario)
        [record] = result.tool_calls
        assert (record.step, record.index, record.name) == (0, 0, "add")
        assert record.reached or not record.ok
        assert (record.received is not None) == record.reached
        if isinstance(arguments, str):
            assert record.arguments == arguments

    async def test_native_unknown_tool(self, bench: ContractBench) -> None:
        """A call of a tool that does not exist reaches nothing."""
        scenario = bench.scenario(
            calls(call("nope", {"x": 1})), answer("Well then."), tools=[add], handling="native", repeat_last=True
        )
        result = await _ended(scenario)
        assert [(record.name, record.reached, record.ok) for record in result.tool_calls] == [("nope", False, False)]

    async def test_native_wall_clock(self, bench: ContractBench) -> None:
        """The one limit that holds under native: it cancels the tool, and leaves nothing behind."""
        with no_task_left():
            scenario, held = bench.holding(handling="native")
            await scenario.meets_limit("timeout", limits=Limits(timeout=0.5))
            assert (held.started, held.cancelled) == (1, 1)

    async def test_native_model_that_never_stops(self, bench: ContractBench) -> None:
        """The framework's own bound, or the wall clock, ends it."""
        scenario = bench.scenario(
            calls(call(self.native_name("add"), {"a": 1, "b": 1})), tools=[add], repeat_last=True, handling="native"
        )
        result = await _ended(scenario, Limits(timeout=1.0))
        assert result.status in ("limit", "failed", "completed")
        assert result.requests - len(scenario.sent) in (0, 1), (
            "the last request may have been given up before it was sent"
        )
        assert result.requests > 1

    @needs(Capability.PARALLEL_TOOLS)
    async def test_native_cancel(self, bench: ContractBench) -> None:
        """The caller's cancel ends it at once, with all that it runs."""
        with no_task_left():
            scenario, held = bench.holding(2, handling="native")
            await cancel(await scenario.start(held))
            assert held.cancelled == 2

    async def test_native_events(self, bench: ContractBench) -> None:
        """Native runs emit the events of model calls and tool calls too."""
        scenario = bench.scenario(
            calls(call(self.native_name("add"), {"a": 2, "b": 3})), answer("Done."), tools=[add], handling="native"
        )
        events = await scenario.events(run_id="my-run")
        assert {event.run_id for event in events} == {"my-run"}
        assert isinstance(events[0], RunStarted)
        assert isinstance(events[-1], RunEnded)
        kinds = [event.type for event in events if event.type != "text_delta"]
        assert kinds == [
            "run_started",
            "model_call_started",
            "model_call_completed",
            "tool_call_started",
            "tool_call_completed",
            "model_call_started",
            "model_call_completed",
            "run_ended",
        ]


async def _error(scenario: Scenario) -> RunError:
    with pytest.raises(RunError) as caught:
        await scenario.agent.run("Do it.", limits=Limits(timeout=20))
    return caught.value


async def _ended(scenario: Scenario, limits: Limits | None = None) -> RunResult:
    """Return the result of a run that may fail, and must end."""
    result: RunResult | None
    try:
        result = await scenario.agent.run("Do it.", limits=limits or Limits(timeout=10))
    except RunError as error:
        result = error.result
    assert result is not None, "an error of a run must hold its result"
    return result


def _unwrapped(result: str) -> str:
    """Return a tool's result without the JSON object of one value that some frameworks put around it."""
    try:
        value = json.loads(result)
    except ValueError:
        return result
    if not isinstance(value, dict) or len(value) != 1:
        return result
    [inner] = value.values()
    return inner if isinstance(inner, str) else json.dumps(inner)
