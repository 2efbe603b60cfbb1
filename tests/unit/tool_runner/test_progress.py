"""A tool tells how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support import asks_for, scripted_model
from unified_agents import ScriptedModel, ToolCallProgress, ToolContext, create_agent
from unified_agents.errors import ToolFailedError

LATE: list[Callable[..., None]] = []


def in_a_thread(context: ToolContext) -> str:
    """Tell of progress from a thread."""
    context.report_progress(1, 4)
    context.report_progress(0.5, message="half of it")
    LATE.append(context.report_progress)
    return "done"


async def on_the_loop(context: ToolContext) -> str:
    """Tell of progress on the loop."""
    context.report_progress(1, 4)
    context.report_progress(0.5, message="half of it")
    LATE.append(context.report_progress)
    return "done"


async def its_own_words() -> str:
    """Fail, and say what the model shall read."""
    raise ToolFailedError("Ask me again tomorrow.")


def model(tool: str) -> ScriptedModel:
    return scripted_model(asks_for(tool), {"text": "end"})


@pytest.mark.parametrize("tool", [in_a_thread, on_the_loop])
@pytest.mark.parametrize("handling", ["unified", "native"])
async def test_progress_is_an_event_of_its_call(tool: Any, handling: Any) -> None:
    agent = create_agent(model=model(tool.__name__), tools=[tool], handling=handling)
    types: list[str] = []
    seen: list[tuple[str, float, float | None, str]] = []
    async with agent.stream("Go.") as events:
        async for event in events:
            types.append(event.type)
            if isinstance(event, ToolCallProgress):
                seen.append((event.tool, event.progress, event.total, event.message))
                assert event.to_dict()["type"] == "tool_call_progress"
            if event.type == "tool_call_completed":
                LATE.pop()(9, 9, "too late")  # after its end a call has no progress
    await agent.aclose()
    assert seen == [(tool.__name__, 1, 4, ""), (tool.__name__, 0.5, None, "half of it")]
    start = types.index("tool_call_started")
    assert types[start : start + 4] == [
        *("tool_call_started", "tool_call_progress", "tool_call_progress", "tool_call_completed")
    ]


async def test_without_a_listener_nothing_happens() -> None:
    context = ToolContext(run_id="r", call_id="c", step=0, tool="t")
    context.report_progress(1)
    agent = create_agent(model=model("in_a_thread"), tools=[in_a_thread])
    result = await agent.run("Go.")
    await agent.aclose()
    assert result.tool_calls[0].content == "done"


async def test_a_handler_may_say_itself_what_the_model_reads() -> None:
    agent = create_agent(model=model("its_own_words"), tools=[its_own_words])
    result = await agent.run("Go.")
    await agent.aclose()
    assert result.tool_calls[0].content == "Ask me again tomorrow."
    assert result.errors[0].kind == "tool_error"
