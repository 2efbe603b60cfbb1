"""`coercion` of an agent holds for all of its tools, and a source's own before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unified_agents import Tool, UnsupportedCapabilityError, create_agent, load_config, tool
from unified_agents.scripted.model import Script, ScriptedModel

received: list[Any] = []


@tool(coercion="lenient")
def lenient(count: int) -> str:
    received.append(("lenient", count))
    return "done"


@tool
def strict(count: int) -> str:
    received.append(("strict", count))
    return "done"


def schema_tool(name: str) -> Tool:
    parameters = {"properties": {"count": {"type": "integer"}}}
    return Tool(name=name, parameters=parameters, handler=lambda count: received.append((name, count)))


CALLS = [{"name": name, "arguments": {"count": "5"}} for name in ("lenient", "strict", "x_strict", "schema")]


@pytest.mark.parametrize(
    ("coercion", "expected"),
    [(None, {"lenient"}), ("lenient", {"lenient", "strict", "schema"}), ("strict", set())],
)
async def test_it_holds_for_every_tool_but_those_of_a_source_with_its_own(coercion: Any, expected: set[str]) -> None:
    received.clear()
    model = ScriptedModel(Script.model_validate({"answers": [{"tool_calls": CALLS}, {"text": "done"}]}))
    source = {"python": f"{__name__}:strict", "prefix": "x_", "coercion": "strict"}
    agent = create_agent(model=model, tools=[lenient, strict, source, schema_tool("schema")], coercion=coercion)
    async with agent:
        result = await agent.run("?")
    assert {name for name, count in received if count == 5} == expected == {name for name, _ in received}
    assert {call.name for call in result.tool_calls if call.coerced} == expected


def test_a_file_may_say_it_and_native_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("model: script:s.yaml\ncoercion: lenient\n")
    assert load_config(tmp_path / "agent.yaml").coercion == "lenient"
    with pytest.raises(UnsupportedCapabilityError, match="coercion needs `handling: unified`"):
        create_agent(
            model=ScriptedModel(Script.model_validate({"answers": [{"text": "x"}]})),
            handling="native",
            coercion="strict",
        )
