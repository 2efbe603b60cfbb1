"""The contract: what reaches the model."""

from __future__ import annotations

import re
from typing import Any

import pytest

from unified_agents.backend import INVALID_CALL_TOOL, Capability
from unified_agents.messages import Message, ToolCall
from unified_agents.testing.contract import Contract, spoken_in, whole_and_streamed
from unified_agents.testing.harness import MODEL_NAME, ContractBench, add, answer, call, calls, canonical_json, fault
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool
from unified_agents.tools.provider_names import provider_names

_LEGAL = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")


def _lookup(**arguments: Any) -> str:
    return canonical_json(arguments)


LOOKUP = Tool(
    name="lookup",
    description='Look "it" up — everywhere.',
    parameters={
        "type": "object",
        "properties": {
            "key": {"$ref": "#/$defs/Key"},
            "depth": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
            "mode": {"enum": ["exact", "loose"], "description": "How."},
            "nested": {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}}}},
        },
        "required": ["key"],
        "additionalProperties": False,
        "$defs": {"Key": {"type": "string", "pattern": "^[a-z]+$"}},
    },
    handler=_lookup,
)


def _plain(chat: dict[str, Any]) -> dict[str, Any]:
    # Whether a turn that only calls has content null, "" or none at all says nothing.
    return {key: value for key, value in chat.items() if value not in (None, "")}


class RequestContract(Contract):
    """The conversation and the parameters that a request holds."""

    @spoken_in("chat_completions")
    async def test_long_history_reaches_the_model_whole(self, bench: ContractBench) -> None:
        """A conversation of 42 long messages, with tool calls among them, reaches the model unaltered and in order."""
        text = "Ein langer Absatz über 東京. " * 60
        talk = [Message(role=("user", "assistant")[n % 2], content=f"{n}: {text}") for n in range(18)]
        asked = tuple(ToolCall(id=f"hist_{n}", name="add", arguments=f'{{"a": {n},  "b": 1}}') for n in range(2))
        turn = [
            Message(role="user", content="Now with a tool."),
            Message(role="assistant", tool_calls=asked),
            Message(role="tool", tool_call_id="hist_0", content="1"),
            Message(role="tool", tool_call_id="hist_1", content="2"),
            Message(role="assistant", content="1 and 2."),
        ]
        history = [*talk, *turn, *talk, Message(role="user", content="And now?")]
        assert len(history) == 42
        scenario = bench.scenario(answer("Yes."), instructions="Be brief.\nAlways.")
        result = await scenario.agent.run(history)
        assert result.output == "Yes."
        [request] = scenario.sent
        system, *sent = request["messages"]
        assert (system["role"], system["content"]) == ("system", "Be brief.\nAlways.")
        assert len(sent) == 42
        named = [
            {**message.to_chat(), "name": "add"} if message.role == "tool" else message.to_chat() for message in history
        ]
        assert [_plain(message) for message in sent] == [_plain(message) for message in named]

    async def test_no_instructions_no_system_message(self, bench: ContractBench) -> None:
        """An agent without instructions sends no system message, not even the framework's own."""
        scenario, _ = await bench.complete(answer("Yes."), task="Just this.")
        assert scenario.sent[0]["messages"] == [{"role": "user", "content": "Just this."}]

    async def test_a_system_message_of_the_task(self, bench: ContractBench) -> None:
        """A system message in the conversation of the task stays where it is."""
        scenario = bench.scenario(answer("Yes."))
        task = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi."}]
        await scenario.agent.run(task)
        assert [_plain(message) for message in scenario.sent[0]["messages"]] == task

    async def test_the_models_name(self, bench: ContractBench) -> None:
        """The model's name goes out as it was configured."""
        scenario, _ = await bench.complete(answer("Yes."))
        assert scenario.sent[0]["model"] == MODEL_NAME

    @spoken_in("chat_completions")
    @whole_and_streamed
    async def test_nothing_is_added(self, bench: ContractBench, stream: bool) -> None:
        """A request has no field that nobody asked for, whatever the framework adds by itself."""
        scenario, _ = await bench.complete(answer("Yes."), stream=stream)
        assert set(scenario.sent[0]) == {"model", "messages"} | ({"stream", "stream_options"} if stream else set())

    @spoken_in("chat_completions")
    async def test_sampling_parameters(self, bench: ContractBench) -> None:
        """Temperature, token limit and seed go out as configured, zero too."""
        scenario, _ = await bench.complete(answer("Yes."), parameters={"temperature": 0, "max_tokens": 123, "seed": 7})
        sent = {key: value for key, value in scenario.sent[0].items() if key not in ("model", "messages")}
        assert sent == {"temperature": 0, "max_tokens": 123, "seed": 7}

    @spoken_in("chat_completions")
    @whole_and_streamed
    async def test_further_parameters(self, bench: ContractBench, stream: bool) -> None:
        """All other parameters go out as configured, by the names of Chat Completions."""
        sampling = {"top_p": 0.5, "stop": ["END", "."], "presence_penalty": 0.1, "frequency_penalty": -0.2}
        words = {"service_tier": "flex", "verbosity": "low"}
        parameters = {**sampling, **words, "reasoning": {"effort": "high"}}
        scenario, _ = await bench.complete(answer("Yes."), parameters=parameters, stream=stream)
        sent = {key: value for key, value in scenario.sent[0].items() if not key.startswith(("m", "stream"))}
        assert sent == {**sampling, **words, "reasoning_effort": "high"}

    async def test_no_key_is_made_up(self, bench: ContractBench) -> None:
        """Without a key no Authorization header goes out: the placeholder that a client wants stays inside."""
        scenario, _ = await bench.complete(answer("Yes."))
        assert "Authorization" not in scenario.received[0].headers

    @spoken_in("chat_completions")
    async def test_the_key_is_sent(self, bench: ContractBench, monkeypatch: pytest.MonkeyPatch) -> None:
        """The key goes out as a bearer token, on retries too."""
        monkeypatch.setenv("CONTRACT_KEY", "sk-right")
        again = fault(status=503, retry_after=0.01)
        scenario, _ = await bench.complete(again, answer("Yes."), api_key="sk-right", api_key_env="CONTRACT_KEY")
        assert [request.headers["Authorization"] for request in scenario.received] == ["Bearer sk-right"] * 2


class OfferContract(Contract, needs=(Capability.TOOLS,)):
    """The instructions and the tools that a request offers to the model."""

    async def test_instructions_come_first_in_each_request(self, bench: ContractBench) -> None:
        """The instructions are one system message, the first, of each request."""
        scenario, _ = await bench.complete(
            calls(call("add", {"a": 1, "b": 1})),
            answer("2"),
            tools=[add],
            instructions="Use the tools.\n\n{braces} stay.",
        )
        assert len(scenario.sent) == 2
        for request in scenario.sent:
            roles = [message["role"] for message in request["messages"]]
            assert roles[0] == "system"
            assert roles.count("system") == 1
            assert request["messages"][0]["content"] == "Use the tools.\n\n{braces} stay."

    @spoken_in("chat_completions", "messages", "generate_content")
    @whole_and_streamed
    async def test_canonical_schemas(self, bench: ContractBench, stream: bool) -> None:
        """The model gets the canonical schema of each tool, our tools only, and no reserved one."""
        scenario, _ = await bench.complete(
            calls(call("add", {"a": 1, "b": 1})), answer("2"), tools=[add, LOOKUP], stream=stream
        )
        expected = [
            {
                "type": "function",
                "function": {"name": it.name, "description": it.description, "parameters": it.parameters},
            }
            for it in (add, LOOKUP)
        ]
        for request in scenario.sent:
            assert request["tools"] == expected

    @spoken_in("chat_completions")
    async def test_nothing_is_added_beside_tools(self, bench: ContractBench) -> None:
        """Neither `tool_choice` nor `parallel_tool_calls` goes out when nobody asked for it."""
        scenario, _ = await bench.complete(calls(call("add", {"a": 1, "b": 1})), answer("2"), tools=[add])
        assert [set(request) for request in scenario.sent] == [{"model", "messages", "tools"}] * 2

    @spoken_in("chat_completions")
    async def test_a_forced_tool_choice_holds_for_the_first_request(self, bench: ContractBench) -> None:
        """A tool that must be called must be called once, else the run would never end."""
        parameters = {"tool_choice": "add", "parallel_tool_calls": False}
        scenario, _ = await bench.complete(
            calls(call("add", {"a": 1, "b": 1})), answer("2"), tools=[add], parameters=parameters
        )
        forced = {"type": "function", "function": {"name": "add"}}
        assert [request.get("tool_choice") for request in scenario.sent] == [forced, None]
        assert [request.get("parallel_tool_calls") for request in scenario.sent] == [False, False]

    async def test_a_free_tool_choice_holds_for_all(self, bench: ContractBench) -> None:
        """`auto` goes out on each request."""
        scenario, _ = await bench.complete(
            calls(call("add", {"a": 1, "b": 1})), answer("2"), tools=[add], parameters={"tool_choice": "auto"}
        )
        assert [request.get("tool_choice") for request in scenario.sent] == ["auto", "auto"]

    async def test_names_that_no_provider_takes(self, bench: ContractBench) -> None:
        """Names with dots, spaces or too many characters are renamed on the wire, and back on the way to the tool."""
        names = ["files.read", "files read", "n" * 80, "n" * 81, "größe", INVALID_CALL_TOOL]
        wire = provider_names(names, taken=frozenset({INVALID_CALL_TOOL}))
        asked = calls(*(call(wire[name], {"x": n}) for n, name in enumerate(names)))
        scenario, result = await bench.complete(asked, answer("Done."), tools=[_echo(name) for name in names])
        sent = [offered["function"]["name"] for offered in scenario.sent[0]["tools"]]
        assert all(_LEGAL.match(name) for name in sent)
        assert len(set(sent)) == len(names)
        assert INVALID_CALL_TOOL not in sent
        assert [record.name for record in result.tool_calls] == names
        assert [record.content for record in result.tool_calls] == [f"{name}: {n}" for n, name in enumerate(names)]

    @pytest.mark.parametrize("name", ["handoff", "run", "config", "print", "class"])
    async def test_names_that_a_framework_keeps_for_itself(self, bench: ContractBench, name: str) -> None:
        """A name that a provider takes is the tool's name on the wire, also where the framework reserves it."""
        scenario, result = await bench.complete(calls(call(name, {"x": 1})), answer("{0}", (0, 0)), tools=[_echo(name)])
        assert [offered["function"]["name"] for offered in scenario.sent[0]["tools"]] == [name]
        assert result.output == f"{name}: 1"

    @whole_and_streamed
    async def test_an_agent_without_tools_that_is_sent_a_call(self, bench: ContractBench, stream: bool) -> None:
        """An agent without tools offers none; a call gets the answer that there are none, and the run goes on."""
        scenario, result = await bench.complete(
            calls(call("add", {"a": 1, "b": 1})), answer("Well then."), stream=stream
        )
        assert result.output == "Well then."
        for request in scenario.sent:
            assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(request)
        assert scenario.tool_results() == ["Error: there is no tool 'add'; no tools are available. Answer without one."]
        assert [error.kind for error in result.errors] == ["tool_not_found"]


def _echo(name: str) -> Tool:
    @tool(name=name, description=f"Echo of {name}.")
    async def echo(x: int) -> str:
        return f"{name}: {x}"

    return echo
