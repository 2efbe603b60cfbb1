"""The contract: from the arguments that a model wrote to those that a tool gets."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from unified_agents.backend import Capability
from unified_agents.config import Limits
from unified_agents.messages import JsonObject
from unified_agents.testing.contract import Contract, spoken_in, whole_and_streamed
from unified_agents.testing.harness import ContractBench, add, answer, call, calls, canonical_json, error_kind
from unified_agents.testing.tools import RecordingTool
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool

AWKWARD_NAMES = [
    "self",
    "cls",
    "config",
    "run_manager",
    "callbacks",
    "_x",
    "__y",
    "Content-Type",
    "kwargs",
    "args",
    "input",
    "name",
    "id",
    "type",
    "ctx",
    "context",
    "state",
    "store",
    "runtime",
    "tool_call_id",
    "tool_name",
    "tool_input",
    "call_id",
    "run_id",
    "tags",
    "metadata",
    "verbose",
    "return_direct",
    "schema",
    "model_config",
    "function",
    "handler",
    "call_tool",
    "with.dot",
    "with space",
    "1st",
    "größe",
]

_REFUSED = (
    "Error: the arguments of tool 'order' are not valid, and it was not run.\n- {}\nCorrect them and call it again."
)

REFUSED_ARGUMENTS = [
    pytest.param({"item": "tea", "count": "banana"}, r'count: "banana" given, must be an integer', id="wrong type"),
    pytest.param({"item": "tea", "count": "2"}, r'count: "2" given, must be an integer', id="a number as text"),
    pytest.param({"item": "tea", "count": None}, r"count: null given, must be an integer", id="null"),
    pytest.param({"item": "tea", "count": 1.5}, r"count: 1\.5 given, must be an integer", id="a fraction"),
    pytest.param({"count": 1}, r"item: missing, required", id="missing"),
    pytest.param(
        {"item": "tea", "count": 1, "size": 2},
        r"size: 2 given, no such argument; there are item, count, tags",
        id="extra",
    ),
    pytest.param({"item": "tea", "count": 99}, r"count: 99 given, must be at most 9", id="out of range"),
    pytest.param(
        {"item": "tea", "tags": [{"key": "a"}, {"key": 7}]}, r"tags\[1\]\.key: 7 given, must be a string", id="nested"
    ),
    pytest.param(
        '{"item": "tea", "count": 1',
        r'arguments: {"item": "tea", "count": 1 given, must be a JSON object: .+',
        id="broken JSON",
    ),
    pytest.param("tea, please", r"arguments: tea, please given, must be a JSON object: .+", id="no JSON"),
    pytest.param(
        '{"item": "tea", "item": "milk"}',
        r'arguments: .+ given, must be a JSON object: the key "item" is given twice',
        id="a key given twice",
    ),
    pytest.param('["tea", 1]', r'arguments: \["tea", 1\] given, must be an object', id="array"),
    pytest.param("null", r"arguments: null given, must be an object", id="null for all"),
    pytest.param('"tea"', r'arguments: "tea" given, must be an object', id="text for all"),
]


class Tag(BaseModel):
    """A model that is a part of an argument."""

    key: str


class Colour(StrEnum):
    """An enum that is a part of an argument."""

    RED = "red"
    BLUE = "blue"


ORDER_SCHEMA = {
    "type": "object",
    "properties": {
        "item": {"type": "string"},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "tags": {
            "type": "array",
            "items": {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
        },
    },
    "required": ["item"],
    "additionalProperties": False,
}


class _TypedOrder:
    """A tool `order` with a typed function, which keeps the arguments of each call."""

    def __init__(self) -> None:
        self.received: list[JsonObject] = []
        self.tool = tool(self._order, name="order")

    async def _order(
        self, item: str, count: Annotated[int, Field(ge=1, le=9)] = 1, tags: list[Tag] | None = None
    ) -> str:
        self.received.append({"item": item, "count": count, "tags": tags})
        return "ordered"


class ArgumentContract(Contract, needs=(Capability.TOOLS,)):
    """Arguments that fit."""

    @whole_and_streamed
    async def test_arguments_arrive_exactly(self, bench: ContractBench, stream: bool) -> None:
        """A schema-only tool gets the JSON values as they stood on the wire, with their types, at any depth."""
        seen: list[dict[str, Any]] = []

        def take(**arguments: Any) -> str:
            seen.append(arguments)
            return "taken"

        written = {
            "text": 'naïve 東京 🎉 "quoted" \\ {brace} \n\t end',
            "empty": "",
            "integer": 9007199254740993,
            "float": 1.0,
            "small": 1e-7,
            "yes": True,
            "one": 1,
            "nothing": None,
            "list": [1, [2, {"x": []}], {}],
            "object": {"deep": {"deeper": [None, False, "1"]}},
        }
        anything = Tool(name="take", parameters={"type": "object"}, handler=take)
        _, result = await bench.complete(
            calls(call("take", written)), answer("{0}", (0, 0)), tools=[anything], stream=stream
        )
        assert [canonical_json(arguments) for arguments in seen] == [canonical_json(written)]
        assert canonical_json(result.tool_calls[0].received) == canonical_json(written)

    @pytest.mark.parametrize("name", AWKWARD_NAMES)
    async def test_parameter_names(self, bench: ContractBench, name: str) -> None:
        """A parameter may have any name: the framework's wrapper must reserve none for itself."""
        properties = {name: {"type": "object"}, "other": {"type": "integer"}}
        schema = {"type": "object", "properties": properties, "required": [name]}
        arguments = {name: {"v": [1, "2"]}, "other": 3}
        take = RecordingTool("take", schema, returns="taken")
        _, result = await bench.complete(calls(call("take", arguments)), answer("{0}", (0, 0)), tools=[take.tool])
        assert result.output == "taken"
        assert take.received == [arguments]

    async def test_defaults(self, bench: ContractBench) -> None:
        """What the model leaves out has the function's default; empty text means no arguments."""
        seen = []

        @tool
        async def take(a: int = 1, b: str = "x", c: list[int] | None = None) -> str:
            seen.append((a, b, c))
            return "taken"

        asked = calls(call("take", {}), call("take", {"b": "y"}), call("take", ""))
        _, result = await bench.complete(asked, answer("Done."), tools=[take])
        assert sorted(seen, key=str) == [(1, "x", None), (1, "x", None), (1, "y", None)]
        assert result.tool_calls[1].received == {"a": 1, "b": "y", "c": None}

    async def test_typed_arguments_are_built(self, bench: ContractBench) -> None:
        """A typed function is called with its own types: models, enums, containers."""
        seen: list[object] = []

        @tool
        def take(tag: Tag, colours: set[Colour]) -> str:
            seen.extend([tag, colours])
            return "taken"

        await bench.complete(
            calls(call("take", {"tag": {"key": "ä"}, "colours": ["red", "blue"]})), answer("{0}", (0, 0)), tools=[take]
        )
        assert seen == [Tag(key="ä"), {Colour.RED, Colour.BLUE}]


class RefusalContract(Contract, needs=(Capability.TOOLS,)):
    """Calls that cannot be carried out: the model is told why, and can correct them."""

    @pytest.mark.parametrize("typed", [True, False], ids=["typed function", "schema only"])
    @pytest.mark.parametrize(("arguments", "problem"), REFUSED_ARGUMENTS)
    async def test_bad_arguments_never_reach_the_tool(
        self, bench: ContractBench, arguments: object, problem: str, typed: bool
    ) -> None:
        """The tool is not run, the model is told path and reason, and its own turn goes back as it wrote it."""
        if isinstance(arguments, str) and bench.spoken in ("messages", "generate_content"):
            pytest.skip("has arguments as objects, which cannot be broken")
        orders = _TypedOrder() if typed else RecordingTool("order", ORDER_SCHEMA, returns="ordered")
        corrected = calls(call("order", {"item": "tea", "count": 2}))
        scenario, result = await bench.complete(
            calls(call("order", arguments)), corrected, answer("Done."), tools=[orders.tool]
        )
        [content] = scenario.tool_results(1)
        assert re.fullmatch(re.escape(_REFUSED).replace(r"\{\}", f"({problem})"), content), content
        assert [(order["item"], order["count"]) for order in orders.received] == [("tea", 2)]
        refused, accepted = result.tool_calls
        assert (refused.ok, refused.reached, refused.received, refused.content) == (False, True, None, content)
        assert error_kind(refused.error) == "invalid_input"
        assert accepted.ok
        assert [error.kind for error in result.errors] == ["invalid_input"]
        [turn] = scenario.assistant_turns(1)
        assert turn["tool_calls"][0]["function"] == {"name": "order", "arguments": refused.arguments}
        if isinstance(arguments, str):
            assert refused.arguments == arguments

    @spoken_in("chat_completions", "responses", "generate_content")
    @pytest.mark.parametrize("deltas", ["separate", "together"])
    @whole_and_streamed
    async def test_good_and_bad_calls_in_one_answer(self, bench: ContractBench, stream: bool, deltas: str) -> None:
        """Calls that a framework would choke on go by the reserved tool; each gets its own answer, in call order."""
        asked = calls(
            call("add", {"a": 1, "b": 1}),
            call("add", '{"a": 1,'),
            call("ad", {"a": 1, "b": 1}),
            call("add", "[]"),
            call("add", {"a": 2, "b": 2}),
        )
        scenario, result = await bench.complete(asked, answer("Done."), tools=[add], stream=stream, deltas=deltas)
        assert [record.ok for record in result.tool_calls] == [True, False, False, False, True]
        assert all(record.reached for record in result.tool_calls)
        first, broken, unknown, array, last = scenario.tool_results()
        assert (first, last) == ("2", "4")
        assert "given, must be a JSON object: " in broken
        assert "no tool 'ad'" in unknown
        assert "[] given, must be an object" in array
        [turn] = scenario.assistant_turns()
        written = [(made["function"]["name"], made["function"]["arguments"]) for made in turn["tool_calls"]]
        ones = '{"a":1,"b":1}'
        assert written == [("add", ones), ("add", '{"a": 1,'), ("ad", ones), ("add", "[]"), ("add", '{"a":2,"b":2}')]
        assert len({made["id"] for made in turn["tool_calls"]}) == 5

    @whole_and_streamed
    async def test_an_unknown_tool(self, bench: ContractBench, stream: bool) -> None:
        """The model is told the closest name, and the run goes on."""
        scenario, result = await bench.complete(
            calls(call("addd", {"a": 1, "b": 2})),
            calls(call("add", {"a": 1, "b": 2})),
            answer("{0}", (1, 0)),
            tools=[add],
            stream=stream,
        )
        assert scenario.tool_results(1) == ["Error: there is no tool 'addd'. The closest names: add."]
        assert result.output == "3"
        assert [error.kind for error in result.errors] == ["tool_not_found"]
        unknown = result.tool_calls[0]
        assert (unknown.name, unknown.ok, unknown.received) == ("addd", False, None)
        assert scenario.assistant_turns(1)[0]["tool_calls"][0]["function"] == {
            "name": "addd",
            "arguments": '{"a":1,"b":2}',
        }

    async def test_a_model_that_never_mends_its_calls(self, bench: ContractBench) -> None:
        """Answers with broken calls count as steps, so a model that gives nothing else meets the limit."""
        scenario = bench.scenario(calls(call("add", "{")), tools=[add], repeat_last=True, limits=Limits(max_steps=3))
        result = await scenario.meets_limit("max_steps")
        assert len(scenario.sent) == 3
        assert [record.ok for record in result.tool_calls] == [False] * 3
