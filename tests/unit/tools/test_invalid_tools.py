"""What cannot be a tool, or cannot be told to a model: each has a clear error or a defined outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from support import run_once, scripted_model
from unified_agents import ConfigError, Tool, ToolDefinitionError, create_agent, tool
from unified_agents.result import RunResult


def made(name: str = "probe", parameters: Any = None, **options: Any) -> Tool:
    options.setdefault("handler", lambda **_: "ok")
    return Tool(name=name, parameters=parameters or {}, **options)


async def called(tool: Tool, wire_name: str | None = None) -> RunResult:
    call = {"name": wire_name or tool.name, "arguments": {}}
    model = scripted_model({"tool_calls": [call]}, {"text": "done"})
    return await run_once(create_agent(model=model, tools=[tool]), record_exchanges=True)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"type": "objekt"}, "type 'object'"),
        ({"properties": {"a": {"type": "text"}}}, "no valid JSON Schema"),
        ({"properties": {"a": {"pattern": "("}}}, "no valid JSON Schema"),
        ({"properties": {"a": {"minimum": "1"}}}, "no valid JSON Schema"),
        ({"properties": [1]}, "no valid JSON Schema"),
        ({"properties": {"a": {"default": {1, 2}}}}, "plain JSON values"),
        ({"properties": {"a": {"$ref": "https://example.org/a.json"}}}, "another document: write its schema into"),
        ({"properties": {"a": {"$ref": "other.json#/a"}}}, "no valid JSON Schema"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "does not exist"),
        ("nonsense", "must be a JSON Schema"),
    ],
)
def test_a_schema_that_is_none_says_why(parameters: Any, reason: str) -> None:
    with pytest.raises(ToolDefinitionError, match="probe") as caught:
        made(parameters=parameters)
    assert reason in str(caught.value)


def test_a_default_that_does_not_fit_its_type_is_refused() -> None:
    def text(a: int = "z") -> None: ...  # type: ignore[assignment]

    def bounded(q: str, a: Annotated[int, Field(ge=1, alias="first")] = 0) -> None: ...

    def within(a: list[int] = ["q"]) -> None: ...  # type: ignore[list-item]  # noqa: B006

    def in_field(a: int = Field(default="q")) -> None: ...  # type: ignore[assignment]

    for function in (text, bounded, within, in_field):
        with pytest.raises(ToolDefinitionError, match=r"parameter 'a': its default .* does not fit its type: Input"):
            tool(function)


def test_defaults_that_stand_for_not_given_and_those_that_pydantic_takes_are_kept() -> None:
    nothing: Any = object()

    def find(
        q: str,
        a: int = None,  # type: ignore[assignment]  # noqa: RUF013
        b: str = nothing,
        c: Path = "x",  # type: ignore[assignment]
        d: float = 1,
        e: Annotated[int, Field(ge=1)] = 3,
        **rest: int,
    ) -> None: ...

    assert tool(find).parameters["required"] == ["q"]


def test_a_schema_that_holds_itself_works() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}, "additionalProperties": False}
    tool = made(parameters={"properties": {"tree": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": tree}})
    deep: dict[str, Any] = {}
    for _ in range(30):
        deep = {"left": deep}
    assert tool.validate(json.dumps({"tree": deep})) == {"tree": deep}
    with pytest.raises(ValueError, match=r"tree\.left\.right"):
        tool.validate('{"tree": {"left": {"right": {}}}}')


def test_a_reference_that_is_nothing_but_a_circle_is_refused_or_ends() -> None:
    circle = {
        "properties": {"a": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
    }
    tool = made(parameters=circle)
    assert tool.validate('{"a": 1}') == {"a": 1}


def test_two_tools_of_one_name_are_refused() -> None:
    script = scripted_model({"text": "x"})
    with pytest.raises(ConfigError, match="two tools have the name 'probe'"):
        create_agent(model=script, tools=[made(), made()])


@pytest.mark.parametrize("name", ["n" * 200, "сколько_стоит", "données.météo", "a b/c", "🙂"])
async def test_a_name_that_providers_refuse_is_mapped_and_mapped_back(name: str) -> None:
    tool = made(name)
    agent = create_agent(model=scripted_model({"text": "x"}), tools=[tool])
    sent = json.loads((await agent.run("Go.", record_exchanges=True)).exchanges[0].sent)
    await agent.aclose()
    wire = sent["tools"][0]["function"]["name"]
    assert wire.isascii()
    assert 1 <= len(wire) <= 64
    result = await called(tool, wire)
    assert [(call.name, call.ok) for call in result.tool_calls] == [(name, True)]


@pytest.mark.parametrize("value", [object(), {"a": b"\xff"}, (x for x in "ab")], ids=["object", "bytes", "generator"])
async def test_a_result_without_a_json_form_is_an_error_that_the_model_is_told(value: object) -> None:
    result = await called(made(handler=lambda: value))
    (call,) = result.tool_calls
    assert (call.ok, call.error and call.error.kind) == (False, "tool_error")
    assert "has no JSON form" in (call.content or "")
    assert result.output == "done"


async def test_a_result_of_10_mb_is_cut_with_a_mark() -> None:
    result = await called(made(handler=lambda: "x" * 10_000_000))
    (call,) = result.tool_calls
    mark = "\n[cut: the result has 10,000,000 characters, and these were the first 100,000]"
    assert call.content == "x" * 100_000 + mark
    assert len(result.exchanges[1].sent) < 102_000
    assert call.ok


@pytest.mark.parametrize(("limit", "length"), [(None, 200_000), (50, 50), (200_000, 200_000)])
async def test_the_limit_of_a_result_is_the_tools_own(limit: int | None, length: int) -> None:
    result = await called(made(handler=lambda: ["y" * 199_996], max_result_chars=limit))
    content = result.tool_calls[0].content or ""
    assert len(content.partition("\n[cut: ")[0]) == length
    assert ("[cut: " in content) == (length == 50)


@pytest.mark.parametrize("limit", [0, -1, True, "many", 1.5])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(ToolDefinitionError, match="max_result_chars"):
        made(max_result_chars=limit)
