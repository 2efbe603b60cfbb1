"""What the seams assume of LangChain, LangGraph and the openai client, one named test for each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from pydantic import BaseModel, Field

from support import make_script
from unified_agents.agent import Agent, create_agent
from unified_agents.backend import AgentSpec, ModelClient
from unified_agents.config import Handling, ModelConfig, ModelParameters
from unified_agents.errors import ServerError, UnsupportedCapabilityError
from unified_agents.messages import Message, ToolCall
from unified_agents.result import RunResult
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import add, call
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool
from unified_agents.wire.endpoint import ModelEndpoint
from unified_agents.wire.local_upstream import LocalUpstream
from unified_agents.wire.unified import Wire
from unified_agents_langchain.model import chat_model

HANDLINGS: tuple[Handling, ...] = ("unified", "native")
ODD_NAMES = (
    "self",
    "config",
    "run_manager",
    "callbacks",
    "runtime",
    "state",
    "args",
    "kwargs",
    "input",
    "_x",
    "Content-Type",
)


def agent_for(answers: Script, *tools: Any, handling: Handling = "unified", **options: Any) -> Agent:
    return create_agent(backend="langchain", model=ScriptedModel(answers), tools=tools, handling=handling, **options)


def received(result: RunResult, place: int = 0) -> dict[str, Any]:
    """What the framework itself wrote."""
    body: dict[str, Any] = json.loads(result.exchanges[place].received)
    return body


def sent(result: RunResult, place: int = 0) -> dict[str, Any]:
    """What went to the model."""
    body: dict[str, Any] = json.loads(result.exchanges[place].sent)
    return body


class TestModel:
    @pytest.mark.parametrize("handling", HANDLINGS)
    async def test_chat_openai_sends_through_the_transport_that_it_is_given(self, handling: Handling) -> None:
        # The model is in this process, so an answer proves that no other way was taken.
        result = await agent_for(make_script({"text": "hello"}), handling=handling).run("q", record_exchanges=True)
        assert result.output == "hello"
        assert received(result)["messages"] == [{"role": "user", "content": "q"}]

    @pytest.mark.parametrize("handling", HANDLINGS)
    @pytest.mark.parametrize("stream", [True, False])
    async def test_it_streams_when_asked_and_only_then(self, handling: Handling, stream: bool) -> None:
        agent = agent_for(
            make_script({"text": "x"}), handling=handling, model_parameters=ModelParameters(stream=stream)
        )
        body = received(await agent.run("q", record_exchanges=True))
        assert bool(body.get("stream")) is stream
        # ChatOpenAI by itself asks a server of one's own for no usage, so native does not either.
        assert ("stream_options" in body) is (stream and handling == "unified")

    @pytest.mark.parametrize("handling", HANDLINGS)
    @pytest.mark.parametrize("stream", [True, False])
    async def test_it_writes_all_messages_and_tools_of_the_second_request_too(
        self, handling: Handling, stream: bool
    ) -> None:
        answers = make_script({"tool_calls": [call("add", {"a": 1, "b": 2})]}, {"text": "x"})
        parameters = ModelParameters(stream=stream)
        agent = agent_for(answers, add, handling=handling, instructions="Be brief.", model_parameters=parameters)
        body = received(await agent.run("q", record_exchanges=True), 1)
        assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool"]
        declared = {item["function"]["name"]: item["function"]["description"] for item in body["tools"]}
        assert declared["add"] == "Add two numbers."
        assert body.keys() & {"extra_body", "extra_headers"} == set()

    @pytest.mark.parametrize("handling", HANDLINGS)
    async def test_its_own_structured_output_still_works_outside_of_a_run(self, handling: Handling) -> None:
        class Sum(BaseModel):
            value: int

        upstream = LocalUpstream(ScriptedModel(make_script({"text": '{"value": 3}'})))
        wire = Wire([ModelEndpoint(ModelConfig(name="m", protocol="chat_completions"), upstream)])
        model = chat_model(AgentSpec("a", None, (), ModelClient(wire), handling))
        assert await model.with_structured_output(Sum).ainvoke("q") == Sum(value=3)

    @pytest.mark.parametrize(("handling", "role"), [("unified", "system"), ("native", "developer")])
    async def test_rules_that_it_reads_into_a_name_hold_under_native_only(self, handling: Handling, role: str) -> None:
        async with ScriptServer() as server:
            model = ModelConfig(name="o3-mini", base_url=server.add(make_script({"text": "x"})))
            agent = create_agent(backend="langchain", model=model, instructions="be brief", handling=handling)
            result = await agent.run("q", record_exchanges=True)
            await agent.aclose()
        assert sent(result)["messages"][0] == {"role": role, "content": "be brief"}
        assert sent(result)["model"] == "o3-mini"

    @pytest.mark.parametrize(("handling", "requests"), [("unified", 4), ("native", 3)])
    async def test_it_tries_twice_more_under_native_and_leaves_retries_to_the_wire_under_unified(
        self, handling: Handling, requests: int
    ) -> None:
        agent = agent_for(make_script({"fault": {"status": 500}, "times": 99}, {"text": "x"}), handling=handling)
        with pytest.raises(ServerError) as caught:
            await agent.run("q")
        assert caught.value.result is not None
        assert caught.value.result.requests == requests

    @pytest.mark.parametrize(("handling", "retries", "clock"), [("unified", 0, None), ("native", None, 120.0)])
    def test_its_own_retries_and_clock_are_settings_of_these_names(
        self, handling: Handling, retries: int | None, clock: float | None
    ) -> None:
        upstream = LocalUpstream(ScriptedModel(make_script({"text": "x"})))
        wire = Wire([ModelEndpoint(ModelConfig(name="m"), upstream)])
        model = chat_model(AgentSpec("a", None, (), ModelClient(wire), handling))
        assert (model.max_retries, model.stream_chunk_timeout) == (retries, clock)

    async def test_native_parameters_are_sent_by_the_framework(self) -> None:
        parameters = ModelParameters(
            temperature=0.3, max_tokens=7, seed=4, tool_choice="add", parallel_tool_calls=False, stream=False
        )
        answers = make_script({"tool_calls": [call("add", {"a": 1, "b": 2})]}, {"text": "x"})
        agent = agent_for(answers, add, handling="native", model_parameters=parameters)
        result = await agent.run("q", record_exchanges=True)
        first, second = sent(result, 0), sent(result, 1)
        assert (first["temperature"], first["max_completion_tokens"], first["seed"]) == (0.3, 7, 4)
        assert first["parallel_tool_calls"] is second["parallel_tool_calls"] is False
        assert first["tool_choice"] == {"type": "function", "function": {"name": "add"}}
        assert "tool_choice" not in second

    async def test_a_native_tool_choice_has_the_name_that_the_provider_takes(self) -> None:
        query = Tool(name="db.query", parameters={"type": "object"}, handler=lambda: "rows")
        parameters = ModelParameters(tool_choice="db.query")
        agent = agent_for(make_script({"text": "x"}), query, handling="native", model_parameters=parameters)
        request = sent(await agent.run("q", record_exchanges=True))
        names = [item["function"]["name"] for item in request["tools"]]
        assert request["tool_choice"] == {"type": "function", "function": {"name": names[0]}}

    async def test_native_adds_no_parameter_that_nobody_set(self) -> None:
        result = await agent_for(make_script({"text": "x"}), handling="native").run("q", record_exchanges=True)
        assert set(sent(result)) == {"model", "messages", "stream"}

    @pytest.mark.parametrize("handling", HANDLINGS)
    async def test_a_proxy_in_the_environment_does_not_stop_it(
        self, handling: Handling, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_PROXY", "http://127.0.0.1:9")
        assert (await agent_for(make_script({"text": "x"}), handling=handling).run("q")).output == "x"

    async def test_without_our_setting_that_proxy_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_PROXY", "http://127.0.0.1:9")
        async with httpx.AsyncClient() as client:
            with pytest.raises(ValueError, match="openai_proxy"):
                ChatOpenAI(model="m", api_key="k", http_async_client=client)

    @pytest.mark.parametrize(("handling", "requests"), [("unified", 1), ("native", 0)])
    async def test_a_global_cache_answers_under_native_only(
        self, handling: Handling, requests: int, cache: InMemoryCache
    ) -> None:
        agent = agent_for(make_script({"text": "x"}), handling=handling)
        await agent.run("q")
        assert (await agent.run("q")).requests == requests

    @pytest.fixture
    def cache(self) -> Iterator[InMemoryCache]:
        cache = InMemoryCache()
        set_llm_cache(cache)
        yield cache
        set_llm_cache(None)

    @pytest.mark.parametrize("handling", HANDLINGS)
    async def test_a_synchronous_call_of_the_graph_is_refused_in_our_words(self, handling: Handling) -> None:
        native: Any = agent_for(make_script({"text": "x"}), add, handling=handling).native
        with pytest.raises(UnsupportedCapabilityError, match="run_sync"):
            native.invoke({"messages": [{"role": "user", "content": "q"}]})


class TestHistory:
    @pytest.mark.parametrize("handling", HANDLINGS)
    async def test_given_messages_reach_the_wire_unaltered(self, handling: Handling) -> None:
        calls = (
            ToolCall(id="h1", name="add", arguments='{"b":2,  "a":1}'),
            ToolCall(id="h2", name="add", arguments="{broken"),
            ToolCall(id="h3", name="gone", arguments='{"é":1}'),
        )
        parts = [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "file", "file": {"file_id": "file-1"}},
        ]
        task = [
            *(Message(role="user" if i % 2 == 0 else "assistant", content=f"é {i} {'x' * 3000}") for i in range(42)),
            Message(role="user", content=parts, name="ann"),
            Message(role="assistant", tool_calls=calls),
            *(Message(role="tool", content=f"result {known.id}", tool_call_id=known.id) for known in calls),
            Message(role="assistant", content="so", name="bob"),
            Message(role="system", content="be brief"),
            Message(role="developer", content="be kind"),
            Message(role="user", content="go on"),
        ]
        result = await agent_for(make_script({"text": "x"}), add, handling=handling, instructions="hi").run(
            task, record_exchanges=True
        )
        wanted = [{"role": "system", "content": "hi"}, *(message.to_chat() for message in task)]
        if handling == "unified":  # some servers want the tool's name in its message
            names = {known.id: known.name for known in calls}
            wanted = [{**one, "name": names[one["tool_call_id"]]} if one["role"] == "tool" else one for one in wanted]
        assert sent(result)["messages"] == wanted

    async def test_the_framework_would_rewrite_calls_that_it_has_parsed(self) -> None:
        raw = [{"id": "h1", "type": "function", "function": {"name": "add", "arguments": '{"b":2,  "a":1}'}}]
        turn = AIMessage("", additional_kwargs={"tool_calls": raw})
        assert turn.tool_calls == [{"name": "add", "args": {"b": 2, "a": 1}, "id": "h1", "type": "tool_call"}]


class _Noting(BaseTool):
    """A tool with the hook alone."""

    name: str = "note"
    description: str = "Notes what its hook is given."
    args_schema: Any = Field(default_factory=lambda: {"type": "object", "properties": {}})
    noted: list[Any] = Field(default_factory=list)

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        self.noted.append(input)
        return await super().ainvoke(input, config, **kwargs)

    async def _arun(self, /, *args: Any, **kwargs: Any) -> str:
        return json.dumps([args, kwargs])

    def _run(self, *args: Any, **kwargs: Any) -> str:
        raise AssertionError("the synchronous way was taken")


class _Starts(AsyncCallbackHandler):
    """Notes the tools that LangChain's own tracing sees."""

    def __init__(self) -> None:
        self.tools: list[tuple[str, Any]] = []

    async def on_tool_start(self, serialized: dict[str, Any], input_str: str, *, run_id: UUID, **kwargs: Any) -> None:
        self.tools.append((serialized["name"], kwargs.get("tool_call_id")))


class TestTools:
    async def test_the_hook_is_given_the_id_and_the_arguments_pass_as_keywords(self) -> None:
        noting = _Noting()
        graph = StateGraph(MessagesState).add_node("tools", ToolNode([noting])).add_edge(START, "tools").compile()
        arguments = dict.fromkeys(ODD_NAMES, 1)
        turn = AIMessage("", tool_calls=[{"name": "note", "args": arguments, "id": "c1", "type": "tool_call"}])
        state = await graph.ainvoke({"messages": [turn]})
        assert noting.noted == [{"name": "note", "args": arguments, "id": "c1", "type": "tool_call"}]
        assert json.loads(state["messages"][-1].content) == [[], arguments]

    @pytest.mark.parametrize("stream", [True, False])
    async def test_arguments_of_any_name_reach_the_handler(self, stream: bool) -> None:
        seen: list[dict[str, Any]] = []
        odd = Tool(
            name="odd",
            parameters={"type": "object", "properties": {name: {"type": "integer"} for name in ODD_NAMES}},
            handler=lambda **arguments: seen.append(arguments),
        )
        wanted = {name: number for number, name in enumerate(ODD_NAMES)}
        answers = make_script({"tool_calls": [call("odd", wanted)]}, {"text": "x"})
        result = await agent_for(answers, odd, model_parameters=ModelParameters(stream=stream)).run("q")
        assert seen == [wanted]
        assert result.tool_calls[0].ok

    async def test_schema_tools_under_native_lose_calls_with_an_argument_named_self(self) -> None:
        # What `_arun(self, /)` is there for: should LangChain mend this, it is no longer needed.
        handler = StructuredTool(
            name="odd", description="d", args_schema={"type": "object", "properties": {}}, func=lambda **_: "ok"
        )
        with pytest.raises(TypeError, match="multiple values for argument 'self'"):
            await handler.ainvoke({"self": 1})

    @pytest.mark.parametrize("handling", HANDLINGS)
    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize("deltas", ["separate", "together"])
    async def test_parallel_calls_are_all_run_at_once_and_keep_their_order(
        self, handling: Handling, stream: bool, deltas: str
    ) -> None:
        barrier = asyncio.Barrier(8)

        @tool
        async def wait(number: int) -> int:
            """Wait for the others."""
            await barrier.wait()
            await asyncio.sleep(0)
            return number

        calls = [call("wait", {"number": number}) for number in range(8)]
        answers = make_script({"tool_calls": calls}, {"text": "x"}, tool_call_deltas=deltas)
        agent = agent_for(answers, wait, handling=handling, model_parameters=ModelParameters(stream=stream))
        result = await asyncio.wait_for(agent.run("q", record_exchanges=True), 10)
        assert [message["content"] for message in sent(result, 1)["messages"][-8:]] == [str(n) for n in range(8)]

    async def test_the_framework_is_told_which_calls_failed(self) -> None:
        statuses: list[Any] = []

        class Ends(AsyncCallbackHandler):
            async def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
                statuses.append((output.tool_call_id, output.status))

        answers = make_script(
            {"tool_calls": [call("add", {"a": 1, "b": 2}, id="good"), call("add", {"a": "x"}, id="bad")]},
            {"text": "x"},
        )
        agent = agent_for(answers, add)
        await RunnableLambda(agent.run).ainvoke("q", {"callbacks": [Ends()]})
        assert sorted(statuses) == [("bad", "error"), ("good", "success")]

    async def test_the_frameworks_own_tracing_still_sees_the_tools(self) -> None:
        handler = _Starts()
        answers = make_script(
            {"tool_calls": [call("add", {"a": 1, "b": 2}, id="one"), call("nope", "{broken", id="two")]}, {"text": "x"}
        )
        agent = agent_for(answers, add)
        await RunnableLambda(agent.run).ainvoke("q", {"callbacks": [handler]})
        assert sorted(handler.tools) == [("add", "one"), ("invalid_tool_call", "two")]

    @pytest.mark.parametrize("name", ["get.weather", "two words", "größe", "x" * 70])
    async def test_names_that_providers_refuse_come_back_as_they_were(self, name: str) -> None:
        strange = Tool(name=name, parameters={"type": "object", "properties": {}}, handler=lambda: "ok")
        probe = await agent_for(make_script({"text": "x"}), strange).run("q", record_exchanges=True)
        wire_name = sent(probe)["tools"][0]["function"]["name"]
        result = await agent_for(make_script({"tool_calls": [call(wire_name, {})]}, {"text": "x"}), strange).run("q")
        assert [(made.name, made.content) for made in result.tool_calls] == [(name, "ok")]

    async def test_a_synchronous_call_of_a_tool_is_refused_in_our_words(self) -> None:
        native: Any = agent_for(make_script({"text": "x"}), add).native
        translated = native.get_graph().nodes["tools"].data.tools_by_name["add"]
        with pytest.raises(UnsupportedCapabilityError, match="run_sync"):
            translated.invoke({"name": "add", "args": {"a": 1, "b": 2}, "id": "c", "type": "tool_call"})

    async def test_a_function_that_the_framework_cannot_take_is_named_under_native(self) -> None:
        def odd(model_config: int, v__args: int) -> int:
            """Names that pydantic keeps for itself."""
            return model_config + v__args

        with pytest.raises(UnsupportedCapabilityError, match=r"cannot take tool 'odd'.*use `handling: unified`"):
            agent_for(make_script({"text": "x"}), odd, handling="native")
        answers = make_script({"tool_calls": [call("odd", {"model_config": 1, "v__args": 2})]}, {"text": "x"})
        assert (await agent_for(answers, odd).run("q")).tool_calls[0].content == "3"

    async def test_native_lets_the_framework_validate_and_answer(self) -> None:
        answers = make_script({"tool_calls": [call("add", {"a": "x", "b": 1}), call("nope", {})]}, {"text": "x"})
        result = await agent_for(answers, add, handling="native").run("q", record_exchanges=True)
        wrong, unknown = [message["content"] for message in sent(result, 1)["messages"][-2:]]
        assert wrong.startswith("Error invoking tool 'add' with kwargs {'a': 'x', 'b': 1}")
        assert unknown.startswith("Error: nope is not a valid tool")
        assert not any(made.reached for made in result.tool_calls)
