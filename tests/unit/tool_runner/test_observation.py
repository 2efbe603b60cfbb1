"""The observation of a tool call: the same events and log under `unified` and `native`."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import pytest

from support import scripted_model
from unified_agents import (
    Event,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallStarted,
    ToolFailedError,
    create_agent,
    tool,
)


async def fail() -> str:
    """Fail."""
    raise ValueError("no")


async def succeed() -> str:
    """Succeed."""
    return "yes"


@pytest.mark.parametrize("handling", ["unified", "native"])
async def test_both_ways_of_handling_observe_alike(handling: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "unified_agents.tools")
    calls = [{"name": "succeed", "arguments": {}}, {"name": "fail", "arguments": {}}]
    model = scripted_model({"tool_calls": calls}, {"text": "Done."})
    agent = create_agent(backend="langchain", model=model, tools=[tool(succeed), tool(fail)], handling=handling)
    events: list[Event] = []
    with suppress(ToolFailedError):  # under native the framework lets the tool's error end the run
        async with agent.stream("Do it.") as stream:
            async for event in stream:
                events.append(event)
    started = [event.tool for event in events if isinstance(event, ToolCallStarted)]
    [completed] = [event for event in events if isinstance(event, ToolCallCompleted)]
    [failed] = [event for event in events if isinstance(event, ToolCallFailed)]
    assert sorted(started) == ["fail", "succeed"]
    assert (completed.tool, completed.content, failed.tool, failed.error.kind) == (
        "succeed",
        "yes",
        "fail",
        "tool_error",
    )
    [line] = [record.getMessage() for record in caplog.records]
    assert line == f"tool call failed: tool_error (fail, run {failed.run_id} on langchain)"
    assert completed.seconds > 0
    assert failed.seconds > 0
