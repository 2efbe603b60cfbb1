"""The real worker in its own process, on the backend that needs no framework."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from unified_agents.config import ModelConfig
from unified_agents.errors import ConfigError
from unified_agents_comparisons.execution.protocol import Job, Start, write_line
from unified_agents_comparisons.execution.worker_process import Worker, worker_command
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.records import Cell

TOOLS = '''
import asyncio, os, sys, threading, time
from contextvars import ContextVar
from pathlib import Path

SCRATCH: ContextVar[Path] = ContextVar("SCRATCH")

def shout(text: str) -> str:
    """Print, and read what is not there."""
    print(text, flush=True)
    os.write(1, b"and past Python\\n")
    os.system("echo from a child")
    return repr(sys.stdin.read())

def note(text: str) -> str:
    """Write a file."""
    path = SCRATCH.get() / "note.txt"
    before = path.exists()
    path.write_text(text)
    return f"{path.parent} {before}"

def die() -> str:
    """End the process."""
    os._exit(9)

async def block() -> str:
    """Block the event loop."""
    time.sleep(600)

async def wait() -> str:
    """Wait, and say that it waits."""
    Path(os.environ["WAITING"]).write_text("waiting")
    await asyncio.sleep(600)

def fail() -> str:
    """Raise."""
    raise KeyError("gone")

NOT_A_TOOL = 3
'''
RESULT = {"$result": {"step": 0, "index": 0}}


def task(name: str, arguments: dict[str, Any] | None = None, **expect: Any) -> dict[str, Any]:
    call = {"name": name, "arguments": arguments or {}}
    say = {"text": {"$template": "{0}", "values": [RESULT]}}
    values = {"id": name, "question": "?", "tools": [name], "oracle": {"answers": [{"tool_calls": [call]}, say]}}
    return values | {"expect": expect or {"tool_calls": [{"name": name}]}}


SUITE = {
    "tools": "lab_tools",
    "scratch": "lab_tools:SCRATCH",
    "tasks": [
        {"id": "hello", "question": "?", "expect": {"output": "ok"}, "oracle": {"answers": [{"text": "ok"}]}},
        task("shout", {"text": "noise"}, output="''"),
        task("note", {"text": "hi"}, files={"note.txt": "hi"}, output={"contains": ["False"]}),
        task("die"),
        task("block"),
        task("wait"),
        task("fail", tool_calls=[{"name": "fail", "ok": False}]),
    ],
}


@pytest.fixture
def suite(write_suite: Callable[..., Path]) -> Path:
    path = write_suite(**SUITE)
    (path.parent / "lab_tools.py").write_text(TOOLS)
    return path


@pytest.fixture
def start(suite: Path, tmp_path: Path) -> Callable[..., Start]:
    def make(**changes: Any) -> Start:
        for name in ("scratch", "details"):
            (tmp_path / name).mkdir(exist_ok=True)
        values = {
            "backend": "custom",
            "suite": str(suite),
            "digest": load_suite(suite).digest,
            "model": ModelConfig(provider="oracle", name="oracle"),
            "handlings": ("unified", "native"),
            "scratch": tmp_path / "scratch",
            "details": tmp_path / "details",
            "timeout": 20.0,
        }
        return Start.model_validate(values | changes)

    return make


@pytest.fixture
async def opened(start: Callable[..., Start], tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Worker]]]:
    workers = []

    async def make(**changes: Any) -> Worker:
        worker = Worker(start(**changes), "tiny", worker_command(), tmp_path / "worker.log", grace=1.0)
        workers.append(worker)
        await worker.open()
        return worker

    yield make
    for worker in workers:
        await worker.close()


async def run(worker: Worker, name: str, handling: str = "unified") -> Cell:
    return await worker.run(Job.model_validate({"task": name, "handling": handling, "repeat": 0}))


@pytest.mark.parametrize("handling", ["unified", "native"])
async def test_cells_are_run_scored_and_recorded(
    opened: Callable[..., Awaitable[Worker]], tmp_path: Path, handling: str
) -> None:
    worker = await opened()
    assert {"python", "unified-agents"} <= worker.versions.keys()
    hello, note, fail = [await run(worker, name, handling) for name in ("hello", "note", "fail")]
    assert [hello.reasons, note.reasons, fail.reasons] == [(), (), ()]
    assert [hello.passed, note.passed, fail.passed] == [True, True, True]
    assert hello.seconds is not None
    assert (hello.model, hello.requests, note.requests, len(note.request_bytes)) == ("oracle", 1, 2, 2)
    assert [tokens is not None and tokens > 0 for tokens in note.request_tokens] == [True, True]
    for cell in (hello, note, fail):
        assert cell.yardstick is not None
        assert cell.yardstick.seconds > 0
        assert cell.yardstick.cpu_seconds > 0
    assert note.trace_shape == "invoke_agent(chat, execute_tool note, chat)"
    assert note.tool_calls[0].received == {"text": "hi"}
    details = json.loads((tmp_path / "details" / note.key.file_name).read_text())
    assert len(details["result"]["exchanges"]) == 2
    assert Cell.model_validate(details["cell"]) == note
    assert list((tmp_path / "scratch").iterdir()) == [], "no cell leaves a folder"


async def test_every_cell_has_a_scratch_folder_of_its_own(opened: Callable[..., Awaitable[Worker]]) -> None:
    worker = await opened()
    first, second = await run(worker, "note"), await run(worker, "note", "native")
    assert first.output is not None
    assert second.output is not None
    assert first.output.endswith("False")
    assert second.output.endswith("False")
    assert first.output != second.output


async def test_what_tools_print_does_not_reach_the_protocol(
    opened: Callable[..., Awaitable[Worker]], tmp_path: Path
) -> None:
    cell = await run(await opened(), "shout")
    assert cell.passed, cell.reasons
    log = (tmp_path / "worker.log").read_text()
    for text in ("noise", "and past Python", "from a child"):
        assert text in log


async def test_a_worker_that_dies_or_blocks_loses_that_cell_only(opened: Callable[..., Awaitable[Worker]]) -> None:
    worker = await opened(timeout=0.5)
    died, blocked, after = [await run(worker, name) for name in ("die", "block", "hello")]
    assert died.error is not None
    assert "exit code 9" in died.error.message
    assert blocked.error is not None
    assert blocked.error.kind == "timeout"
    assert after.passed


async def test_a_run_that_waits_for_ever_meets_its_limit(
    opened: Callable[..., Awaitable[Worker]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAITING", str(tmp_path / "waiting"))
    cell = await run(await opened(timeout=0.5), "wait")
    assert (cell.status, cell.passed) == ("limit", False)
    assert cell.error is not None
    assert cell.error.kind == "limit"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "no_such"}, "unknown backend 'no_such'"),
        ({"digest": "0"}, "is another one for"),
    ],
)
async def test_a_worker_refuses_what_it_cannot_do(
    opened: Callable[..., Awaitable[Worker]], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        await opened(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": [task("no_such_tool")]}, "^suite tiny: its module 'lab_tools' has no 'no_such_tool'$"),
        ({"tasks": [task("NOT_A_TOO")]}, "has no 'NOT_A_TOO': did you mean 'NOT_A_TOOL'"),
        ({"tasks": [task("NOT_A_TOOL")]}, "tool lab_tools:NOT_A_TOOL: 3 is no tool"),
        ({"scratch": "lab_tools:NOT_A_TOOL"}, "^suite tiny: .*must be a ContextVar, not int"),
    ],
)
async def test_a_suite_whose_tools_do_not_fit_is_refused(
    opened: Callable[..., Awaitable[Worker]],
    suite: Path,
    write_suite: Callable[..., Path],
    changes: dict[str, Any],
    message: str,
) -> None:
    write_suite(**SUITE | changes)
    with pytest.raises(ConfigError, match=message):
        await opened()


async def test_a_worker_ends_with_the_comparison_that_started_it(start: Callable[..., Start], tmp_path: Path) -> None:
    """Also when it is in the middle of a cell: a comparison that is killed leaves no process behind."""
    waiting = tmp_path / "waiting"
    os.mkfifo(waiting)
    process = await asyncio.create_subprocess_exec(
        *worker_command(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"WAITING": str(waiting)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(write_line(start()) + write_line(Job(task="wait", handling="native", repeat=0)))
    try:
        async with asyncio.timeout(60):
            assert json.loads(await process.stdout.readline())["type"] == "ready"
            assert await asyncio.to_thread(waiting.read_text) == "waiting"
            process.stdin.close()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        os.close(os.open(waiting, os.O_RDWR | os.O_NONBLOCK))  # ends a reader that still waits for a writer


async def test_another_interpreter_runs_the_worker(start: Callable[..., Start], tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ntouch "{tmp_path}/was-here"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    worker = Worker(start(), "tiny", worker_command(str(python)), tmp_path / "worker.log")
    await worker.open()
    assert (await run(worker, "hello")).passed
    await worker.close()
    assert (tmp_path / "was-here").exists()
