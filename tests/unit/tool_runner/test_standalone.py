"""A tool called by itself, by our rules and in our words."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from unified_agents import (
    ImagePart,
    Script,
    ScriptedModel,
    ToolContext,
    ToolDefinitionError,
    create_agent,
    try_tool,
    try_tool_sync,
)
from unified_agents.errors import ToolFailedError, ToolTimeoutError
from unified_agents.tool_runner.standalone import call_tool, call_tool_sync
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool


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


ISOLATED = """
import os
from unified_agents import Tool, ToolContext, tool

@tool(isolate="process")
def where(day: int, context: ToolContext) -> dict:
    return {"pid": os.getpid(), "day": day, "tool": context.tool, "has_call": bool(context.call_id)}

def plain(rows: list) -> str:
    return f"{len(rows)} in {os.getpid()}"

count = Tool(name="count", parameters={"properties": {"rows": {"type": "array"}}}, handler=plain, isolate="process")

@tool(isolate="process", timeout=0.2)
def hang() -> None:
    import time
    time.sleep(60)

@tool(isolate="process")
def die() -> None:
    os._exit(3)
"""


@pytest.fixture
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "standalone_isolated.py").write_text(ISOLATED, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("standalone_isolated")
    sys.modules.pop("standalone_isolated")


async def test_an_isolated_tool_runs_in_a_process_of_its_own(isolated: Any) -> None:
    told = json.loads((await call_tool(isolated.where, {"day": 3}))[0])
    assert told.pop("pid") != os.getpid()
    assert told == {"day": 3, "tool": "where", "has_call": True}
    text, _ = await call_tool(isolated.count, {"rows": [1, 2]})
    assert text.startswith("2 in ")
    assert text != f"2 in {os.getpid()}"
    assert str(os.getpid()) in isolated.plain([])


def test_an_isolated_tool_is_called_synchronously_too(isolated: Any) -> None:
    assert json.loads(call_tool_sync(isolated.where, {"day": 3})[0])["pid"] != os.getpid()


async def test_an_isolated_tool_that_does_not_return(isolated: Any) -> None:
    with pytest.raises(ToolTimeoutError, match=r"did not finish within 0\.2 seconds"):
        await call_tool(isolated.hang, {})
    with pytest.raises(ToolFailedError, match="3"):
        await call_tool(isolated.die, {})


class Together:
    """How many are at work at once; a call stays until another comes, or a while has passed."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()
        self._second = threading.Event()

    def work(self) -> str:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if self._now == 2:
                self._second.set()
        self._second.wait(0.2)
        with self._lock:
            self._now -= 1
        return "done"


@pytest.mark.parametrize(("exclusive", "most"), [("a thing", 1), (None, 2)])
async def test_calls_of_an_exclusive_tool_take_turns(exclusive: str | None, most: int) -> None:
    together = Together()
    one, other = (tool(together.work, name=name, exclusive=exclusive) for name in ("one", "other"))
    told = await asyncio.gather(call_tool(one, {}), call_tool(other, {}))
    assert [text for text, _ in told] == ["done", "done"]
    assert together.most == most


async def test_a_run_and_a_call_of_its_own_take_turns() -> None:
    together = Together()
    shared = tool(together.work, name="shared", exclusive="a thing")
    asked = {"tool_calls": [{"name": "shared", "arguments": {}}]}
    script = Script.model_validate({"answers": [asked, {"text": "Done."}]})
    agent = create_agent(model=ScriptedModel(script), tools=[shared])
    result, _ = await asyncio.gather(agent.run("x"), call_tool(shared, {}))
    assert result.tool_calls[0].ok
    assert together.most == 1


def test_within_its_turn_a_tool_may_call_another() -> None:
    @tool(exclusive="a thing")
    def inner() -> str:
        return "inner"

    @tool(exclusive="a thing", timeout=5)
    def outer() -> str:
        return call_tool_sync(inner, {})[0] + " and outer"

    assert call_tool_sync(outer, {})[0] == "inner and outer"


async def test_a_thread_that_is_given_up_keeps_its_turn() -> None:
    leave = threading.Event()

    @tool(exclusive="a thing of its own", timeout=0.1)
    def hold(stays: bool) -> str:
        if stays:
            leave.wait(10)
        return "held"

    with pytest.raises(ToolTimeoutError):
        await call_tool(hold, {"stays": True})
    with pytest.raises(ToolFailedError, match=r"could not start: it waited .* for 'a thing of its own'"):
        await call_tool(hold, {"stays": False})
    leave.set()
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(ToolFailedError):
                assert (await call_tool(hold, {"stays": False}))[0] == "held"
                return


@tool
async def greet(name: str, times: int, context: ToolContext) -> str:
    """Greet."""
    context.report_progress(1, 1, "done")
    return f"{context.dependencies}: {name * times}"


async def test_a_tool_is_tried_as_a_model_would_call_it() -> None:
    reports: list[tuple[float, float | None, str]] = []
    outcome = await try_tool(
        greet, '{"name": "a", "times": 2}', dependencies="me", on_progress=lambda *report: reports.append(report)
    )
    assert (outcome.content, outcome.is_error, outcome.parts) == ("me: aa", False, ())
    assert reports == [(1, 1, "done")]
    outcome = await try_tool(greet, {"name": "a", "times": "2"})
    assert outcome.is_error
    assert 'times: "2" given, must be an integer' in outcome.content
    for text in ("", "[1]", "{", '{"name": 1}'):
        assert (await try_tool(greet, text)).is_error
    assert (await try_tool(greet, {"name": object()})).is_error


def test_a_failing_tool_and_a_plain_function_are_tried_too() -> None:
    def half(number: int) -> float:
        """Halve."""
        return 1 / number

    assert try_tool_sync(half, {"number": 2}).content == "0.5"
    failed = try_tool_sync(half, {"number": 0})
    assert (failed.content, failed.is_error) == ("Error in tool 'half': ZeroDivisionError: division by zero", True)
    with pytest.raises(ToolDefinitionError):
        try_tool_sync(3)  # type: ignore[arg-type]
    image = ImagePart.from_bytes(b"x")
    assert try_tool_sync(tool(lambda: image, name="draw")).parts == (image,)
