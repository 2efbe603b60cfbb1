"""Calls of one answer that refer to each other."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from support import scripted_model
from unified_agents import (
    Limits,
    RunResult,
    UnsupportedCapabilityError,
    create_agent,
    load_config,
    tool,
)

ROWS = {"rows": [{"name": "Oslo", "n": 7}, {"name": "Rome", "n": 9}], "a/b": {"~": 1}}


@tool
def rows() -> dict[str, Any]:
    """Rows."""
    return ROWS


@tool
def text() -> str:
    """Text that is no JSON."""
    return "call $call 0"


@tool
def boom() -> str:
    """Fails."""
    raise ValueError("no")


@tool
def show(value: Any, more: list[Any] | None = None) -> str:
    """Show a value.

    Args:
        value: It.
        more: And more.
    """
    return json.dumps([value, more])


def call(name: str, id: str | None = None, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments} | ({"id": id} if id is not None else {})


def ref(target: object, path: object = None) -> dict[str, object]:
    return {"$call": target} if path is None else {"$call": target, "path": path}


async def ran(*calls: dict[str, Any], references: bool = True, **options: Any) -> RunResult:
    model = scripted_model({"tool_calls": list(calls)}, {"text": "Done."})
    tools = [rows, text, boom, show, *options.pop("tools", ())]
    agent = create_agent(model=model, tools=tools, tool_references=references, **options)
    return await agent.run("Do it.", record_exchanges=True)


def shown(result: RunResult, index: int) -> Any:
    record = result.tool_calls[index]
    assert record.ok, record.content
    return json.loads(record.content or "")[0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (None, ROWS),
        ("", ROWS),
        ("/rows/1/name", "Rome"),
        ("/rows/0", {"name": "Oslo", "n": 7}),
        ("/a~1b/~0", 1),
    ],
)
async def test_a_value_of_another_result(path: str | None, value: object) -> None:
    result = await ran(call("rows"), call("show", value=ref(0, path)))
    assert shown(result, 1) == value
    assert json.loads(result.tool_calls[1].arguments)["value"] == ref(0, path)  # kept as the model wrote it
    assert result.tool_calls[1].received == {"value": value, "more": None}


async def test_forwards_at_any_depth_and_in_chains() -> None:
    result = await ran(
        call("show", value={"deep": [ref(1), {"x": ref(2, "/rows/0/n")}]}, more=[ref(2, "/rows/1/n")]),
        call("show", value=ref(2, "/rows/0/name")),
        call("rows"),
    )
    assert shown(result, 0) == {"deep": [["Oslo", None], {"x": 7}]}
    assert result.tool_calls[0].received == {"value": {"deep": [["Oslo", None], {"x": 7}]}, "more": [9]}


async def test_text_and_whole_values_only() -> None:
    result = await ran(call("text"), call("show", value=ref(0)), call("show", value='see {"$call": 0}'))
    assert shown(result, 1) == "call $call 0"
    assert shown(result, 2) == 'see {"$call": 0}'


async def test_by_id_where_the_model_wrote_it() -> None:
    result = await ran(call("rows", id="a"), call("show", id="b", value=ref("a", "/rows/0/n")))
    assert shown(result, 1) == 7


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (ref(7), "value: there is no call 7 in this turn: its calls are 0 to 1"),
        (ref(-1), "value: there is no call -1 in this turn"),
        (ref("zz"), 'value: there is no call "zz" in this turn'),
        (ref(True), "value: a reference is"),
        (ref(1.0), "value: a reference is"),
        ({"$call": 0, "note": 1}, "value: a reference is"),
        (ref(0, "rows"), 'value: the path "rows" is no JSON Pointer'),
        (ref(0, "/~2"), "is no JSON Pointer"),
        ([1, ref(9)], "value[1]: there is no call 9"),
        (ref(0, "/rows/5"), "value: the result of call 0 has no value at /rows/5"),
    ],
    ids=str,
)
async def test_references_that_lead_nowhere(value: object, told: str) -> None:
    result = await ran(call("rows"), call("show", value=value))
    assert result.status == "completed"
    record = result.tool_calls[1]
    assert not record.ok
    assert told in (record.content or "")
    assert (record.content or "").startswith("Error: the arguments of tool 'show' are not valid, and it was not run.")
    assert [error.kind for error in result.errors] == ["invalid_input"]
    assert result.tool_calls[0].ok


async def test_two_calls_with_one_id_are_no_target() -> None:
    result = await ran(call("rows", id="a"), call("boom", id="a"), call("show", value=ref("a")))
    assert 'there is no call "a"' in (result.tool_calls[2].content or "")


async def test_a_call_that_failed() -> None:
    result = await ran(call("boom"), call("show", value=ref(0)), call("show", value=ref(1)), call("nothing"))
    assert result.tool_calls[1].content == (
        "Error: tool 'show' was not run: it needs the result of call 0 ('boom'), which failed. Mend that call first."
    )
    assert "call 1 ('show')" in (result.tool_calls[2].content or "")
    assert [error.kind for error in result.errors].count("tool_error") == 3


async def test_calls_in_a_circle() -> None:
    result = await ran(
        call("show", value=ref(1)),
        call("show", value=ref(2)),
        call("show", value=ref(0)),
        call("show", value=ref(3)),
        call("show", value=ref(0)),
        call("show", value=5),
    )
    told = [record.content or "" for record in result.tool_calls]
    assert "in a circle (call 0 → call 1 → call 2 → call 0)" in told[0]
    assert "in a circle (call 1 → call 2 → call 0 → call 1)" in told[1]
    assert "in a circle (call 3 → call 3)" in told[3]
    assert "needs the result of call 0" in told[4]
    assert shown(result, 5) == 5


async def test_what_is_inserted_is_validated() -> None:
    @tool
    def double(n: int) -> int:
        return 2 * n

    result = await ran(call("rows"), call("double", n=ref(0, "/rows/0/n")), call("double", n=ref(0)), tools=[double])
    assert result.tool_calls[1].content == "14"
    assert "n:" in (result.tool_calls[2].content or "")
    assert result.errors[0].kind == "invalid_input"


async def test_a_result_that_was_cut_is_handed_on_whole() -> None:
    @tool(max_result_chars=10)
    def long() -> list[int]:
        return list(range(1000))

    result = await ran(call("long"), call("show", value=ref(0, "/999")), tools=[long])
    assert "[cut:" in (result.tool_calls[0].content or "")
    assert shown(result, 1) == 999


async def test_calls_that_do_not_refer_to_each_other_run_at_once() -> None:
    barrier = asyncio.Barrier(3)

    @tool(timeout=5)
    async def meet() -> int:
        await barrier.wait()
        return 1

    result = await ran(call("meet"), call("meet"), call("show", value=ref(3)), call("meet"), tools=[meet])
    assert all(record.ok for record in result.tool_calls)


async def test_with_one_slot_a_call_that_waits_takes_none() -> None:
    result = await ran(call("show", value=ref(1)), call("rows"), limits=Limits(max_parallel_tools=1, timeout=5.0))
    assert shown(result, 0) == ROWS


async def test_a_limit_in_the_middle() -> None:
    seen = []

    @tool
    async def note(n: Any) -> Any:
        seen.append(n)
        return n

    calls = [call("note", n=ref(2)), call("note", n=1), call("note", n=2)]
    result = await ran(*calls, tools=[note], limits=Limits(max_tool_calls=2, timeout=5.0))
    assert result.status == "limit"
    assert "max_tool_calls" in result.errors[-1].message
    assert seen == [1]


async def test_the_syntax_is_told_only_where_it_holds() -> None:
    for references in (True, False):
        result = await ran(call("rows"), references=references, instructions="Be brief.")
        first = json.loads(result.exchanges[0].sent)["messages"][0]
        assert first["role"] == "system"
        assert first["content"].startswith("Be brief.")
        assert ('{"$call": N}' in first["content"]) is references
    alone = json.loads((await ran(call("rows"))).exchanges[1].sent)["messages"]
    assert [message["role"] for message in alone] == ["system", "user", "assistant", "tool"]


async def test_without_the_option_it_is_ordinary_data() -> None:
    result = await ran(call("rows"), call("show", value=ref(0)), references=False)
    assert shown(result, 1) == {"$call": 0}


def test_native_has_none() -> None:
    model = scripted_model({"text": "x"})
    with pytest.raises(UnsupportedCapabilityError, match="tool_references"):
        create_agent(model=model, handling="native", tool_references=True)


def test_it_is_a_key_of_the_config(tmp_path: Any) -> None:
    (tmp_path / "agent.yaml").write_text("model: script:s.yaml\ntool_references: true\ntool_policy: {attempts: 5}\n")
    config = load_config(tmp_path / "agent.yaml")
    assert config.tool_references
    assert config.tool_policy.attempts == 5


async def test_only_the_first_hundred_calls_can_be_referred_to() -> None:
    calls = [call("show", value=number) for number in range(120)]
    model = scripted_model(
        {"tool_calls": [*calls, call("show", value=ref(99)), call("show", value=ref(100))]}, {"text": "."}
    )
    result = await create_agent(model=model, tools=[show], tool_references=True).run("Go.")
    assert result.tool_calls[-2].content == "[[99, null], null]"
    assert "there is no call 100 in this turn: its calls are 0 to 99" in (result.tool_calls[-1].content or "")
