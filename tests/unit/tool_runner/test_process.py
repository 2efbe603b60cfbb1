"""Tools in a process of their own."""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from unified_agents import (
    Agent,
    Limits,
    RunResult,
    Script,
    ScriptedModel,
    Tool,
    ToolDefinitionError,
    ToolPolicy,
    create_agent,
    tool,
)

SOURCE = """
import asyncio, datetime, os, subprocess, sys, time
from pathlib import Path
from unified_agents import RateLimited, ToolContext, Transient, tool

@tool(isolate="process")
def where(day: datetime.date, context: ToolContext) -> dict:
    print("printed, and in nobody's way")
    subprocess.run(["echo", "this too"], check=True)
    return {"pid": os.getpid(), "day": day, "year": day.year, "call": context.call_id}

@tool(isolate="process")
async def later(text: str) -> str:
    await asyncio.sleep(0)
    return text.upper()

def plain(rows: list) -> int:
    return len(rows)

def note(folder: str) -> None:
    path = Path(folder)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (path / "new").write_text(f"{os.getpid()} {child.pid}")
    (path / "new").rename(path / "pids")

@tool(isolate="process", timeout=2.0)
def hang(folder: str) -> None:
    note(folder)
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

@tool(isolate="process")
def leave_a_child(folder: str) -> str:
    note(folder)
    return "done"

@tool(isolate="process", timeout=60.0)
def hang_long(folder: str) -> None:
    note(folder)
    time.sleep(60)

@tool(isolate="process")
def fail(how: str) -> str:
    if how == "raise":
        raise ValueError("no such row")
    if how == "leave":
        sys.exit("enough")
    if how == "die":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), 9)
    return object()

@tool(isolate="process", idempotent=True)
def flaky(file: str) -> str:
    path = Path(file)
    count = int(path.read_text()) if path.exists() else 0
    path.write_text(str(count + 1))
    if count == 0:
        raise Transient("busy")
    if count == 1:
        raise RateLimited("slow down", retry_after=0.0)
    return "at last"

@tool(isolate="process", max_result_chars=None)
def much(n: int) -> str:
    return "x" * n

class Shop:
    def method(self) -> int:
        return 1

"""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("isolated")
    (folder / "tools_of_a_test.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("tools_of_a_test")
    sys.path.remove(str(folder))
    del sys.modules["tools_of_a_test"]


def agent_for(made: Tool, **arguments: Any) -> Agent:
    script = {"answers": [{"tool_calls": [{"name": made.name, "arguments": arguments}]}, {"text": "Done."}]}
    policy = ToolPolicy(wait_initial=0.0, jitter=0.0)
    return create_agent(model=ScriptedModel(Script.model_validate(script)), tools=[made], tool_policy=policy)


async def ran(made: Tool, **arguments: Any) -> RunResult:
    return await agent_for(made, **arguments).run("Do it.")


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z" and os.getppid() != pid  # an orphan that nobody in this container collects


async def until_gone(*pids: int) -> None:
    async with asyncio.timeout(5):
        while not all(map(is_gone, pids)):  # noqa: ASYNC110  # what another process does is no event of ours
            await asyncio.sleep(0.01)


async def pids_in(folder: Path) -> list[int]:
    async with asyncio.timeout(20):
        while not (folder / "pids").exists():  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


async def test_it_runs_elsewhere_with_its_types_and_its_prints_hurt_nothing(
    tools: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    result = await ran(tools.where, day="2026-01-02")
    [record] = result.tool_calls
    assert record.ok, record.content
    told = json.loads(record.content or "")
    assert told == {"pid": told["pid"], "day": "2026-01-02", "year": 2026, "call": record.id}
    assert told["pid"] != os.getpid()
    printed = capfd.readouterr()
    assert "nobody's way" not in printed.out
    assert "nobody's way" in printed.err
    assert "this too" in printed.err


async def test_a_coroutine_function(tools: ModuleType) -> None:
    assert (await ran(tools.later, text="grüße")).tool_calls[0].content == "GRÜSSE"


async def test_a_schema_tool(tools: ModuleType) -> None:
    schema = {"type": "object", "properties": {"rows": {"type": "array"}}, "required": ["rows"]}
    made = Tool(name="count", parameters=schema, handler=tools.plain, isolate="process")
    assert (await ran(made, rows=[1, 2, 3])).tool_calls[0].content == "3"


async def test_a_large_result(tools: ModuleType) -> None:
    assert (await ran(tools.much, n=5_000_000)).tool_calls[0].content == "x" * 5_000_000


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("raise", "Error in tool 'fail': ValueError: no such row"),
        ("leave", "Error in tool 'fail': SystemExit: enough"),
        ("die", "Error in tool 'fail': its process ended with exit code 3 before it gave a result."),
        ("kill", "Error in tool 'fail': its process was ended by signal 9 before it gave a result."),
        ("shapeless", "Error in tool 'fail': ToolFailedError: the tool's result has no JSON form"),
    ],
)
async def test_what_goes_wrong_there_is_told(tools: ModuleType, how: str, told: str) -> None:
    result = await ran(tools.fail, how=how)
    assert (result.tool_calls[0].content or "").startswith(told)
    assert [error.kind for error in result.errors] == ["tool_error"]


async def test_it_may_ask_to_be_tried_again(tools: ModuleType, tmp_path: Path) -> None:
    result = await ran(tools.flaky, file=str(tmp_path / "count"))
    assert result.tool_calls[0].content == "at last"
    assert (tmp_path / "count").read_text() == "3"


async def test_it_is_killed_at_its_timeout_with_what_it_started(tools: ModuleType, tmp_path: Path) -> None:
    started = time.monotonic()
    result = await ran(tools.hang, folder=str(tmp_path))
    assert time.monotonic() - started < 6
    assert result.errors[0].kind == "timeout"
    assert not [error for error in result.errors if "abandoned" in error.message]
    await until_gone(*await pids_in(tmp_path))


async def test_what_it_started_ends_with_it(tools: ModuleType, tmp_path: Path) -> None:
    result = await ran(tools.leave_a_child, folder=str(tmp_path))
    assert result.tool_calls[0].content == "done"
    await until_gone(*await pids_in(tmp_path))


async def test_it_is_killed_with_the_run(tools: ModuleType, tmp_path: Path) -> None:
    running = asyncio.create_task(agent_for(tools.hang_long, folder=str(tmp_path)).run("Do it."))
    pids = await pids_in(tmp_path)
    assert not any(map(is_gone, pids))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert is_gone(pids[0])
    await until_gone(*pids)


async def test_the_wall_clock_ends_it_too(tools: ModuleType, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = await agent_for(tools.hang_long, folder=str(tmp_path)).run("Do it.", limits=Limits(timeout=1.5))
        gc.collect()
    assert result.status == "limit"
    await until_gone(*await pids_in(tmp_path))
    assert not [str(it.message) for it in caught if issubclass(it.category, ResourceWarning)]


def test_in_the_background_loop_and_in_another(tools: ModuleType) -> None:
    agent = agent_for(tools.later, text="a")
    assert agent.run_sync("Do it.").tool_calls[0].content == "A"
    assert asyncio.run(agent.run("Do it.")).tool_calls[0].content == "A"


def test_it_dies_when_its_parent_does(tools: ModuleType, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import asyncio, os, threading, time\nfrom pathlib import Path\n"
        "import tools_of_a_test as it\nfrom unified_agents import Script, ScriptedModel, create_agent\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "def leave():\n"
        "    while not (folder / 'pids').exists(): time.sleep(0.01)\n"
        "    os._exit(0)\n"
        "threading.Thread(target=leave).start()\n"
        "script = {'answers': [{'tool_calls': [{'name': 'hang_long', 'arguments': {'folder': str(folder)}}]}]}\n"
        "model = ScriptedModel(Script.model_validate(script))\n"
        "create_agent(model=model, tools=[it.hang_long]).run_sync('Do it.')\n"
    )

    async def check() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        await until_gone(*await pids_in(tmp_path))

    asyncio.run(check())


def test_what_another_process_cannot_import_is_refused(tools: ModuleType) -> None:
    def local() -> int:
        return 1

    refused = [
        (local, "stands in another function"),
        (lambda: 1, "is a lambda"),
        (functools.partial(tools.plain, rows=[]), "has no name of its own"),
        (tools.Shop().method, "is a method of an object"),
    ]
    for handler, reason in refused:
        with pytest.raises(ToolDefinitionError, match=reason):
            tool(handler, name="x", isolate="process")


async def test_a_name_that_leads_elsewhere_is_told(tools: ModuleType) -> None:
    made = tool(tools.plain, name="count", isolate="process")
    original, tools.plain = tools.plain, tools.note
    try:
        result = await ran(made, rows=[1])
    finally:
        tools.plain = original
    assert "tools_of_a_test:plain does not lead to its function" in (result.tool_calls[0].content or "")
    assert (await ran(made, rows=[1])).tool_calls[0].content == "1"
