"""The contract: `handling: native`, where the framework is left as it comes and only watched."""

from __future__ import annotations

import asyncio

import pytest

from unified_agents.backend import Capability
from unified_agents.config import Limits
from unified_agents.errors import RunError
from unified_agents.events import Event, RunEnded, RunStarted
from unified_agents.result import RunResult
from unified_agents.testing.contract import Contract
from unified_agents.testing.harness import Bench, Held, Stage, add, call, calls, fault, new_tasks, say
from unified_agents.tools.definition import Tool

AT_ONCE = 3.0


class NativeAnswerContract(Contract, needs=(Capability.NATIVE,)):
    """Native runs without tools."""

    async def test_native_answer(self, bench: Bench) -> None:
        """`NativeAgent.run` gives the text."""
        stage = bench.stage(say("Yes."), handling="native", instructions="Be brief.")
        result = await stage.completes()
        assert (result.output, result.handling, result.backend) == ("Yes.", "native", self.backend)
        assert result.requests == len(stage.sent) == 1
        assert [message["role"] for message in stage.sent[0]["messages"]] == ["system", "user"]

    async def test_native_refused_key(self, bench: Bench) -> None:
        """`NativeAgent.translate` makes our error of the framework's, as the only way to know it under native."""
        stage = bench.stage(fault(status=401, times=99), say("Yes."), handling="native")
        with pytest.raises(RunError) as caught:
            await stage.agent.run("Do it.", limits=Limits(timeout=20))
        assert caught.value.kind == "auth"
        assert caught.value.result is not None
        assert len(stage.sent) == 1

    async def test_native_refused_request(self, bench: Bench) -> None:
        """So is a refused request."""
        stage = bench.stage(fault(status=400, message="bent", times=99), say("Yes."), handling="native")
        with pytest.raises(RunError) as caught:
            await stage.agent.run("Do it.", limits=Limits(timeout=20))
        assert caught.value.kind == "bad_request"
        assert "bent" in str(caught.value)


class NativeToolContract(Contract, needs=(Capability.NATIVE, Capability.TOOLS)):
    """Native runs with tools."""

    @pytest.mark.parametrize("stream", [None, False, True], ids=["unset", "whole", "streamed"])
    async def test_native_tool_call(self, bench: Bench, stream: bool | None) -> None:
        """A simple task completes, and the record says what reached the tool."""
        asked = calls(call("add", {"a": 2, "b": 3}), call("add", {"a": 4, "b": 5}))
        stage = bench.stage(asked, say("{0} {1}", (0, 0), (0, 1)), tools=[add], handling="native", stream=stream)
        result = await stage.completes()
        assert result.output == "5 9"
        assert [(record.reached, record.ok) for record in result.tool_calls] == [(True, True)] * 2
        assert [record.received for record in result.tool_calls] == [{"a": 2, "b": 3}, {"a": 4, "b": 5}]
        assert [record.content for record in result.tool_calls] == ["5", "9"]
        assert {offered["function"]["name"] for offered in stage.sent[0]["tools"]} == {"add"}
        assert result.trace.shape() == "invoke_agent(chat, execute_tool add, execute_tool add, chat)"

    async def test_native_connection_cut_after_the_end(self, bench: Bench) -> None:
        """The record holds an answer once its end mark has come: clients close the connection there."""
        stage = bench.stage(
            calls(call("add", {"a": 2, "b": 3})),
            say("It is {0}.", (0, 0)),
            tools=[add],
            handling="native",
            stream=True,
            cut_after_the_end=True,
        )
        result = await stage.completes()
        assert result.output == "It is 5."
        assert [record.content for record in result.tool_calls] == ["5"]
        assert not result.errors
        assert (result.requests, result.retries) == (2, 0)

    async def test_native_schema_only_tool(self, bench: Bench) -> None:
        """A tool with nothing but a schema is called too."""
        seen: list[dict[str, object]] = []

        async def take(**arguments: object) -> str:
            seen.append(arguments)
            return "taken"

        schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
        one = Tool(name="take", description="Take it.", parameters=schema, handler=take)
        stage = bench.stage(calls(call("take", {"x": 1})), say("{0}", (0, 0)), tools=[one], handling="native")
        result = await stage.completes()
        assert result.output == "taken"
        assert seen == [{"x": 1}]
        assert result.tool_calls[0].received == {"x": 1}

    async def test_native_tool_that_raises(self, bench: Bench) -> None:
        """The framework decides what becomes of it; the run ends, and the record says what happened."""

        async def boom(x: int) -> str:
            """Fail."""
            raise ValueError(f"no such row: {x}")

        stage = bench.stage(calls(call("boom", {"x": 1})), say("Well then."), tools=[boom], handling="native")
        result = await _ended(stage)
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
    async def test_native_bad_arguments(self, bench: Bench, arguments: object) -> None:
        """The framework decides; the run ends, and each call stands in the record, reached or not."""
        stage = bench.stage(
            calls(call("add", arguments)), say("Well then."), tools=[add], handling="native", repeat_last=True
        )
        result = await _ended(stage)
        [record] = result.tool_calls
        assert (record.step, record.index, record.name) == (0, 0, "add")
        assert record.reached or not record.ok
        assert (record.received is not None) == record.reached
        if isinstance(arguments, str):
            assert record.arguments == arguments

    async def test_native_unknown_tool(self, bench: Bench) -> None:
        """A call of a tool that does not exist reaches nothing."""
        stage = bench.stage(
            calls(call("nope", {"x": 1})), say("Well then."), tools=[add], handling="native", repeat_last=True
        )
        result = await _ended(stage)
        assert [(record.name, record.reached, record.ok) for record in result.tool_calls] == [("nope", False, False)]

    async def test_native_wall_clock(self, bench: Bench) -> None:
        """The one limit that holds under native: it cancels the tool, and leaves nothing behind."""
        held = Held(expected=1)
        before = asyncio.all_tasks()
        stage = bench.stage(calls(call("hold", {"n": 1})), say("Done."), tools=[held.tool], handling="native")
        await stage.meets_limit("timeout", limits=Limits(timeout=0.5))
        assert (held.started, held.cancelled) == (1, 1)
        assert not new_tasks(before)

    async def test_native_model_that_never_stops(self, bench: Bench) -> None:
        """The framework's own bound, or the wall clock, ends it."""
        stage = bench.stage(calls(call("add", {"a": 1, "b": 1})), tools=[add], repeat_last=True, handling="native")
        result = await _ended(stage, Limits(timeout=1.0))
        assert result.status in ("limit", "failed", "completed")
        assert result.requests - len(stage.sent) in (0, 1), "the last request may have been given up before it was sent"
        assert result.requests > 1

    async def test_native_cancel(self, bench: Bench) -> None:
        """The caller's cancel ends it at once, with all that it runs."""
        held = Held()
        before = asyncio.all_tasks()
        asked = calls(call("hold", {"n": 1}), call("hold", {"n": 2}))
        stage = bench.stage(asked, say("Done."), tools=[held.tool], handling="native")
        running = asyncio.create_task(stage.agent.run("Do it."))
        await held.all_started.wait()
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=AT_ONCE)
        assert done, f"a cancelled run must end at once, and this one did not within {AT_ONCE:g} seconds"
        assert running.cancelled()
        assert held.cancelled == 2
        assert not new_tasks(before)

    async def test_native_events(self, bench: Bench) -> None:
        """The seams tell events under native too."""
        stage = bench.stage(
            calls(call("add", {"a": 2, "b": 3})), say("It is {0}.", (0, 0)), tools=[add], handling="native"
        )
        events: list[Event] = []
        async with stage.agent.stream("Do it.", run_id="my-run") as stream:
            async for event in stream:
                events.append(event)
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


async def _ended(stage: Stage, limits: Limits | None = None) -> RunResult:
    """The result of a run that may fail, and must end."""
    result: RunResult | None
    try:
        result = await stage.agent.run("Do it.", limits=limits or Limits(timeout=10))
    except RunError as error:
        result = error.result
    assert result is not None, "an error of a run must hold its result"
    return result
