"""What the LlamaIndex adapter assumes of LlamaIndex and of its client. An upgrade that changes one fails by name."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support import asks_for
from unified_agents import errors
from unified_agents.agent import create_agent
from unified_agents.config import Handling, Limits, ModelConfig, ModelParameters
from unified_agents.result import RunResult
from unified_agents.scripted.model import Script
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import add
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool, ToolContext

Run = Callable[..., Any]

BOTH_WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture
def make(server: ScriptServer) -> Run:
    def create(
        *answers: Any,
        tools: Any = (),
        handling: Handling = "unified",
        model: str = "scripted",
        deltas: str = "separate",
        **parameters: Any,
    ) -> Any:
        script = Script.model_validate({"answers": answers, "tool_call_deltas": deltas})
        config = ModelConfig(name=model, base_url=server.add(script), parameters=ModelParameters(**parameters))
        return create_agent(
            backend="llamaindex", model=config, tools=list(tools), handling=handling, instructions="Be brief."
        )

    return create


@pytest.fixture
def run(make: Run) -> Run:
    async def go(*answers: Any, task: Any = "Go.", **more: Any) -> RunResult:
        async with make(*answers, **more) as agent:
            result: RunResult = await agent.run(task, record_exchanges=True)
            return result

    return go


def received(result: RunResult, request: int = 0) -> dict[str, Any]:
    """What LlamaIndex itself sent."""
    body: dict[str, Any] = json.loads(result.exchanges[request].received)
    return body


class TestTheTransport:
    @BOTH_WAYS
    async def test_the_client_that_is_handed_over_carries_every_request(self, run: Run, stream: bool) -> None:
        result = await run(asks_for("add", a=1, b=2), {"text": "3"}, tools=[add], stream=stream)
        assert (result.output, result.requests, len(result.exchanges)) == ("3", 2, 2)
        assert bool(received(result).get("stream")) is stream

    @BOTH_WAYS
    async def test_the_places_where_messages_are_sent_as_they_are_given_are_reached(
        self, run: Run, stream: bool
    ) -> None:
        result = await run({"text": "ok"}, model="gpt-5-mini", stream=stream)
        assert received(result)["messages"][0] == {"role": "system", "content": "Be brief."}

    async def test_natively_the_role_follows_the_name_of_the_model(self, run: Run) -> None:
        result = await run({"text": "ok"}, model="gpt-5-mini", handling="native")
        assert received(result)["messages"][0]["role"] == "developer"

    async def test_a_name_that_the_constructor_refuses_works_under_unified_only(self, run: Run, make: Run) -> None:
        assert (await run({"text": "ok"}, model="gpt-5.2-pro")).output == "ok"
        with pytest.raises(errors.UnsupportedCapabilityError, match=r"gpt-5\.2-pro"):
            make({"text": "ok"}, model="gpt-5.2-pro", handling="native")

    async def test_a_synchronous_model_call_is_refused(self, make: Run) -> None:
        for handling in ("unified", "native"):
            with pytest.raises(errors.UnsupportedCapabilityError, match="run_sync"):
                make({"text": "ok"}, handling=handling).native.llm.chat([])


class TestTheToolHook:
    @BOTH_WAYS
    async def test_each_of_identical_calls_is_known_by_its_own_id(self, run: Run, stream: bool) -> None:
        seen: list[str] = []

        @tool
        async def who(context: ToolContext) -> str:
            seen.append(context.call_id)
            return context.call_id

        calls = {"tool_calls": [{"name": "who", "id": f"id-{number}"} for number in range(3)]}
        result = await run(calls, {"text": "done"}, tools=[who], stream=stream)
        assert sorted(seen) == ["id-0", "id-1", "id-2"]
        assert [call.content for call in result.tool_calls] == ["id-0", "id-1", "id-2"]

    async def test_thirty_calls_of_one_answer_run_at_the_same_time(self, run: Run) -> None:
        together = asyncio.Barrier(30)

        @tool
        async def meet(number: int) -> int:
            async with asyncio.timeout(5):
                await together.wait()
            return number

        calls = {"tool_calls": [{"name": "meet", "arguments": {"number": number}} for number in range(30)]}
        result = await run(calls, {"text": "done"}, tools=[meet])
        assert [call.content for call in result.tool_calls] == [str(number) for number in range(30)]

    async def test_natively_four_calls_run_at_the_same_time(self, run: Run) -> None:
        running, most = 0, 0
        full = asyncio.Event()

        @tool
        async def count(number: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if running == 4:
                asyncio.get_running_loop().call_later(0.05, full.set)  # time for a fifth, were there a worker
            await full.wait()
            running -= 1
            return number

        calls = {"tool_calls": [{"name": "count", "arguments": {"number": number}} for number in range(8)]}
        await run(calls, {"text": "done"}, tools=[count], handling="native")
        assert most == 4

    async def test_all_calls_in_one_delta_run_under_unified_and_only_the_first_natively(self, run: Run) -> None:
        calls = {"tool_calls": [{"name": "add", "arguments": {"a": number, "b": 0}} for number in range(3)]}
        for handling, expected in (("unified", [True, True, True]), ("native", [True, False, False])):
            result = await run(calls, {"text": "done"}, tools=[add], handling=handling, stream=True, deltas="together")
            assert [call.reached for call in result.tool_calls] == expected

    @pytest.mark.parametrize("name", ["handoff", "a-b", "x" * 64])
    async def test_a_name_passes(self, run: Run, name: str) -> None:
        passing = Tool(name=name, parameters={"type": "object"}, handler=lambda: "here")
        result = await run(asks_for(name), {"text": "done"}, tools=[passing])
        assert [call.content for call in result.tool_calls] == ["here"]

    async def test_natively_one_name_is_refused_in_one_line(self, make: Run) -> None:
        handoff = Tool(name="handoff", parameters={"type": "object"}, handler=lambda: "here")
        with pytest.raises(errors.UnsupportedCapabilityError) as refused:
            make({"text": "ok"}, tools=[handoff], handling="native")
        assert "'handoff' is a reserved tool name" in str(refused.value)
        assert "\n" not in str(refused.value)

    async def test_parameters_of_any_name_reach_the_handler(self, run: Run) -> None:
        names = ["self", "args", "kwargs", "ctx", "input", "tool_input", "_x", "Content-Type", "schema"]
        given = {name: name for name in names}
        schema = {"type": "object", "properties": {name: {} for name in names}}
        echo = Tool(name="echo", parameters=schema, handler=lambda **arguments: arguments)
        result = await run(asks_for("echo", **given), {"text": "done"}, tools=[echo])
        assert result.tool_calls[0].received == given
        assert json.loads(result.tool_calls[0].content) == given

    async def test_a_synchronous_tool_call_is_refused(self, make: Run) -> None:
        translated = make({"text": "ok"}, tools=[add]).native.tools[0]
        for call in (translated, translated.call):
            with pytest.raises(errors.UnsupportedCapabilityError, match="run_sync"):
                call(a=1, b=2)

    async def test_natively_a_schema_without_a_function_becomes_a_class_with_its_names(self, run: Run) -> None:
        schema = {
            "type": "object",
            "properties": {"_x": {"type": "string", "description": "The x."}, "n": {"type": "integer", "default": 3}},
            "required": ["_x"],
        }
        echo = Tool(name="echo", description="Echo.", parameters=schema, handler=lambda **arguments: arguments)
        result = await run(asks_for("echo", _x="1"), {"text": "done"}, tools=[echo], handling="native")
        sent = received(result)["tools"][0]["function"]
        assert (sent["name"], sent["description"]) == ("echo", "Echo.")
        assert sent["parameters"]["required"] == ["_x"]
        assert sent["parameters"]["properties"]["_x"]["description"] == "The x."
        assert sent["parameters"]["properties"]["n"]["default"] == 3
        assert result.tool_calls[0].received == {"_x": "1"}


class TestTheConversation:
    async def test_all_of_a_long_history_goes_out_as_it_was_given_and_natively_much_of_it_does_not(
        self, run: Run
    ) -> None:
        words = "long " * 2000
        history: list[dict[str, Any]] = [
            message
            for number in range(19)
            for message in (
                {"role": "user", "content": f"{number} {words}"},
                {"role": "assistant", "content": f"{number} {words}"},
            )
        ]
        image = {"type": "image_url", "image_url": {"url": "https://example.org", "detail": "low"}}
        call = {"id": "old", "type": "function", "function": {"name": "add", "arguments": '{"a": 1,  "b":2}'}}
        history += [
            {"role": "user", "content": [{"type": "text", "text": "See:"}, image]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "3", "tool_call_id": "old"},
            {"role": "user", "content": "And now?", "name": "bob"},
        ]
        answers = [{"text": "ok"}] * 42
        result = await run(*answers, task=history, tools=[add])
        assert received(result)["messages"][1:] == history
        result = await run(*answers, task=history, tools=[add], handling="native")
        assert len(received(result)["messages"]) < 20

    @pytest.mark.parametrize("role", ["assistant", "system"])
    async def test_a_conversation_without_a_user_is_no_problem(self, run: Run, role: str) -> None:
        result = await run({"text": "ok"}, {"text": "ok"}, task=[{"role": role, "content": "Go on."}])
        assert [message["role"] for message in received(result)["messages"]] == ["system", role]

    async def test_twenty_steps_are_the_native_limit_and_none_under_unified(self, run: Run) -> None:
        answers = [asks_for("add", a=number, b=0) for number in range(25)]
        assert (await run(*answers, {"text": "done"}, tools=[add])).requests == 26
        with pytest.raises(errors.BackendError, match="Max iterations of 20") as failed:
            await run(*answers, {"text": "done"}, tools=[add], handling="native")
        assert failed.value.native_type == "workflows.errors.WorkflowRuntimeError"

    @BOTH_WAYS
    async def test_one_agent_serves_many_runs_at_once(self, make: Run, stream: bool) -> None:
        @tool
        async def who(context: ToolContext) -> str:
            await asyncio.sleep(0)
            return context.run_id

        answer = {"text": {"$result": {"step": 0, "index": 0}}}
        async with make(asks_for("who"), answer, tools=[who], stream=stream) as agent:
            names = [f"run-{number}" for number in range(30)]
            results = await asyncio.gather(*(agent.run("Go.", run_id=name) for name in names))
        assert [result.output for result in results] == names

    async def test_parameters_reach_the_native_request(self, run: Run) -> None:
        asked = {"temperature": 0.5, "max_tokens": 7, "seed": 3, "parallel_tool_calls": False}
        result = await run(
            asks_for("add", a=1, b=2), {"text": "3"}, tools=[add], handling="native", tool_choice="add", **asked
        )
        first, second = received(result), received(result, 1)
        assert {name: first[name] for name in asked} == asked
        assert first["tool_choice"] == {"type": "function", "function": {"name": "add"}}
        assert second["tool_choice"] == "auto"

    async def test_natively_it_streams_unless_it_is_told_not_to_and_asks_for_no_usage(self, run: Run) -> None:
        streamed = await run({"text": "ok"}, handling="native")
        assert received(streamed)["stream"] is True
        assert "stream_options" not in received(streamed)
        assert streamed.usage.total_tokens is None
        whole = await run({"text": "ok"}, handling="native", stream=False)
        assert received(whole)["stream"] is False


class TestTheEnd:
    @pytest.fixture
    def release(self) -> Iterator[threading.Event]:
        event = threading.Event()
        yield event
        event.set()

    @pytest.mark.parametrize("handling", ["unified", "native"])
    @pytest.mark.parametrize("cause", ["cancel", "clock"])
    @pytest.mark.parametrize("kind", ["async", "sync"])
    async def test_no_task_is_left_of_a_run_with_two_tools_in_flight(
        self, make: Run, release: threading.Event, handling: Handling, cause: str, kind: str
    ) -> None:
        started = threading.Semaphore(0)

        @tool(name="hang")
        async def hang_async(number: int) -> int:
            started.release()
            await asyncio.Event().wait()
            return number

        @tool(name="hang")
        def hang_sync(number: int) -> int:
            started.release()
            release.wait(30)
            return number

        calls = {"tool_calls": [{"name": "hang", "arguments": {"number": number}} for number in range(2)]}
        agent = make(calls, {"text": "never"}, tools=[hang_async if kind == "async" else hang_sync], handling=handling)
        before = _tasks()
        running = asyncio.create_task(agent.run("Go.", limits=Limits(timeout=30 if cause == "cancel" else 0.5)))
        for _ in range(2):
            assert await asyncio.to_thread(started.acquire, timeout=10)
        if cause == "cancel":
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        else:
            assert (await running).status == "limit"
        assert _tasks() - before == set()


def _tasks() -> set[asyncio.Task[Any]]:
    """All tasks but those of the scripted server's connections."""
    return {task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task.get_coro())}


class TestNativeFailures:
    @pytest.mark.parametrize("fault", ["empty_choices", "html", "not_json"])
    async def test_natively_an_answer_that_is_none_is_a_bad_response(self, run: Run, fault: str) -> None:
        with pytest.raises(errors.BadResponseError):
            await run({"fault": {fault: True}}, {"text": "ok"}, handling="native", stream=False)

    async def test_natively_the_step_fails_with_the_error_of_the_client(self, run: Run) -> None:
        refused = {"fault": {"status": 400, "message": "no such thing"}}
        with pytest.raises(errors.BadRequestError, match="no such thing") as failed:
            await run(refused, {"text": "ok"}, handling="native")
        assert failed.value.native_type == "openai.BadRequestError"
