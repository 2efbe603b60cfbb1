"""What each framework does with unusual tool calls under `native`, and what `unified` does instead."""

from __future__ import annotations

from typing import Any

import pytest

from support import BACKENDS, run_once, scripted_model
from unified_agents import RunResult, Tool, create_agent
from unified_agents.config import Handling

FRAMEWORKS = [name for name in BACKENDS if name != "custom"]
SCHEMA = {
    "type": "object",
    "properties": {"first": {"type": "integer"}, "second": {"type": "integer"}},
    "required": ["first", "second"],
}


async def run(backend: str, handling: Handling, tools: list[Any], *calls: dict[str, Any]) -> RunResult:
    model = scripted_model({"tool_calls": list(calls)}, {"text": "done"})
    return await run_once(create_agent(backend=backend, handling=handling, model=model, tools=tools), "q")


def asks(id: str | None = None, **arguments: Any) -> dict[str, Any]:
    return {"name": "add", "arguments": arguments} | ({"id": id} if id else {})


@pytest.mark.parametrize("handling", ["native", "unified"])
@pytest.mark.parametrize("backend", FRAMEWORKS)
async def test_two_calls_with_one_id_both_run(backend: str, handling: Handling) -> None:
    seen: list[tuple[int, int]] = []

    def add(first: int, second: int) -> int:
        """Add."""
        seen.append((first, second))
        return first + second

    result = await run(backend, handling, [add], asks("same", first=1, second=2), asks("same", first=3, second=4))
    assert sorted(seen) == [(1, 2), (3, 4)]
    assert [call.content for call in result.tool_calls] == ["3", "7"]
    assert len({call.id for call in result.tool_calls}) == 2


@pytest.mark.parametrize("handling", ["native", "unified"])
@pytest.mark.parametrize("backend", FRAMEWORKS)
@pytest.mark.parametrize(
    "arguments", [{"first": 1, "second": "banana"}, {"first": 1}], ids=["wrong type", "missing argument"]
)
async def test_a_tool_with_a_schema_alone_is_run_with_what_does_not_fit(
    arguments: dict[str, Any], backend: str, handling: Handling
) -> None:
    seen: list[dict[str, Any]] = []

    def note(**given: Any) -> str:
        seen.append(given)
        return "noted"

    one = Tool(name="add", description="Add.", parameters=SCHEMA, handler=note)
    result = await run(backend, handling, [one], asks(**arguments))
    assert seen == ([arguments] if handling == "native" else [])
    assert ("second: " in str(result.tool_calls[0].content)) is (handling == "unified")
