"""Functions that a framework calls by itself, however it gives the arguments."""

from __future__ import annotations

from typing import Any

import pytest

from unified_agents import Script, ScriptedModel, Tool, ToolContext, create_agent, tool
from unified_agents.errors import error_chain
from unified_agents.run.calls import Call
from unified_agents.run.context import current_run
from unified_agents.tool_runner.native import observed_function


def plain(city: str, days: int = 1) -> str:
    """Without a context."""
    return f"{city} {days}"


def between(city: str, context: ToolContext, days: int = 1) -> str:
    """With a context between the values."""
    return f"{city} {days} {context.tool}"


def first(context: ToolContext, city: str, days: int = 1) -> str:
    """With a context before the values."""
    return f"{city} {days} {context.tool}"


async def later(context: ToolContext, city: str, days: int = 1) -> str:
    """On the loop."""
    return f"{city} {days} {context.tool}"


def extra(city: str, context: ToolContext, **more: Any) -> str:
    """With further keywords."""
    return f"{city} {more['days']} {context.tool}"


WAYS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("Oslo", 2), {}),
    (("Oslo",), {"days": 2}),
    ((), {"city": "Oslo", "days": 2}),
]


async def answered(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


async def recorded(made: Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Make a call as a framework's loop would, within a run whose model asks for it."""
    calls: list[Call] = []

    async def framework() -> str:
        """Stand for the framework."""
        run = current_run.get()
        assert run is not None
        await answered(observed_function(made)(*args, **kwargs))
        calls.extend(call for step in run.steps for call in step.calls if call.tool is not None)
        return "done"

    asked = [{"name": "framework", "arguments": {}}, {"name": made.name, "arguments": {"city": "Oslo", "days": 2}}]
    script = Script.model_validate({"answers": [{"tool_calls": asked}, {"text": "end"}]})
    agent = create_agent(model=ScriptedModel(script), tools=[framework, made], handling="native")
    await agent.run("Go.")
    await agent.aclose()
    return next(call for call in calls if call.name == made.name)


@pytest.mark.parametrize(("args", "kwargs"), WAYS)
@pytest.mark.parametrize("function", [plain, between, first, later])
async def test_values_reach_their_parameters(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    made = tool(function)
    result = await answered(observed_function(made)(*args, **kwargs))
    assert result.split()[:2] == ["Oslo", "2"]


@pytest.mark.parametrize(("args", "kwargs"), WAYS)
@pytest.mark.parametrize("function", [plain, between, first, later])
async def test_a_call_by_position_is_recorded_by_name(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    made = tool(function)
    record = await recorded(made, args, kwargs)
    assert record.received == {"city": "Oslo", "days": 2}
    assert str(record.outcome).count("Oslo 2") == 1


async def test_further_keywords_are_recorded_beside_the_others() -> None:
    record = await recorded(tool(extra), ("Oslo",), {"days": 2})
    assert record.received == {"city": "Oslo", "days": 2}
    assert "Oslo 2 extra" in str(record.outcome)


def test_a_chain_goes_on_past_an_error_that_is_its_own_cause() -> None:
    first, own = KeyError("first"), ValueError("own")
    with pytest.raises(ValueError, match="own"):  # noqa: PT012  # one raise within another
        try:
            raise first
        except KeyError:
            raise own from own
    assert list(error_chain(own)) == [own, first]
