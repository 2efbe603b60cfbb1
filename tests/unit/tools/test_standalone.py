"""A tool called by itself, by our rules and in our words."""

from __future__ import annotations

import asyncio

import pytest

from unified_agents.errors import ToolFailedError, ToolTimeoutError
from unified_agents.tools.definition import Tool, tool
from unified_agents.tools.standalone import call_tool, call_tool_sync


def raising(error: BaseException, *, is_async: bool) -> Tool:
    async def leave_at_once() -> None:
        raise error

    def leave() -> None:
        raise error

    return tool(leave_at_once if is_async else leave, name="leave")


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), ValueError("no")], ids=repr)
async def test_what_a_tool_raises_is_its_own_failure(error: BaseException, is_async: bool) -> None:
    with pytest.raises(ToolFailedError, match=f"Error in tool 'leave'.*{type(error).__name__}"):
        await call_tool(raising(error, is_async=is_async), {})


def test_an_exit_in_a_tool_ends_no_program() -> None:
    with pytest.raises(ToolFailedError, match="SystemExit"):
        call_tool_sync(raising(SystemExit(3), is_async=False), {})


async def test_the_callers_own_cancel_is_no_failure_of_the_tool() -> None:
    started = asyncio.Event()

    @tool
    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    calling = asyncio.create_task(call_tool(hang, {}))
    await started.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_a_timeout_is_told() -> None:
    @tool(timeout=0.05)
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ToolTimeoutError, match=r"did not finish within 0\.05 seconds"):
        await call_tool(hang, {})
