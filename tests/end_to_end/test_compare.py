"""`unified-agents compare`, as a user starts it, on every backend that is installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import BACKENDS, CUSTOM_AND_OTHERS_IN_THE_PROOF, PROGRAM, is_alive, run_program
from unified_agents_comparisons.loading import load_suite

TOOLS = '''
import asyncio, os
from pathlib import Path

async def wait() -> str:
    """Wait for ever, the first time."""
    begun = Path(os.environ["BEGUN"])
    if not begun.exists():
        begun.write_text(str(os.getpid()))
        await asyncio.sleep(600)
    return "ok"
'''


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return run_program("compare", *arguments, **options)


@pytest.mark.timed
@pytest.mark.slow
def test_the_quickstart_passes_everywhere_under_unified_and_differs_natively_where_it_says(tmp_path: Path) -> None:
    start = time.monotonic()
    result = run("quickstart", "--backends", ",".join(BACKENDS), "--json", "--out", tmp_path / "out")
    seconds = time.monotonic() - start
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["surprises"] == []
    suite = load_suite("quickstart").suite
    assert summary["cells"] == len(suite.tasks) * len(BACKENDS) * 2
    assert set(summary["versions"]) == set(BACKENDS)
    announced = {task.id for task in suite.tasks if task.differs_native}
    assert len(announced) >= 5
    assert {task["task"] for task in summary["outcomes"] if task["differs"]} == announced
    assert seconds < 60


@pytest.mark.slow
@pytest.mark.parametrize("control", ["wrong-oracle", "altered-result"])
@pytest.mark.parametrize("backend", CUSTOM_AND_OTHERS_IN_THE_PROOF)
def test_under_a_negative_control_every_cell_fails(backend: str, control: str, tmp_path: Path) -> None:
    result = run("quickstart", "--backends", backend, "--perturb", control, "--json", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["surprises"] == []
    assert {group["passed"] for group in summary["groups"]} == {0}
    assert summary["cells"] > 25 * len({group["handling"] for group in summary["groups"]})


@pytest.fixture
def waiting_suite(tmp_path: Path) -> Path:
    """A suite whose second task waits for ever, once."""
    say = [{"text": "ok"}]
    tasks = [
        {"id": f"task-{number}", "question": "?", "expect": {"output": "ok"}, "oracle": {"answers": say}}
        for number in range(4)
    ]
    call = {"tool_calls": [{"name": "wait", "arguments": {}}]}
    tasks.append(tasks[0] | {"id": "waits", "tools": ["wait"], "oracle": {"answers": [call, *say]}})
    path = tmp_path / "suite" / "suite.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"name": "waiting", "tools": "waiting_tools", "tasks": tasks}))
    (path.parent / "waiting_tools.py").write_text(TOOLS)
    return path


@pytest.mark.parametrize(
    ("ending", "code"),
    [pytest.param(signal.SIGINT, 130, id="ctrl-c"), pytest.param(signal.SIGKILL, -9, id="kill")],
)
def test_a_comparison_that_is_ended_leaves_no_process_and_goes_on(
    ending: signal.Signals, code: int, waiting_suite: Path, tmp_path: Path
) -> None:
    begun, out = tmp_path / "begun", tmp_path / "out"
    arguments = [str(waiting_suite), "--backends", "custom", "--handling", "native", "--out", str(out), "--json"]
    environment = os.environ | {"BEGUN": str(begun), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [PROGRAM, "compare", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    worker = int(_when_there(begun))
    assert is_alive(worker)
    process.send_signal(ending)
    printed, told = process.communicate(timeout=20)
    assert process.returncode == code
    assert [json.loads(line)["error"]["kind"] for line in printed.splitlines()] == ["cancelled"] * (code == 130)
    assert ("go on with --out" in told) is (ending is signal.SIGINT)
    _until(lambda: not is_alive(worker))
    kept = (out / "cells.jsonl").read_text().splitlines()
    result = run(*arguments, env=environment)
    assert result.returncode == 0, result.stderr
    lines = (out / "cells.jsonl").read_text().splitlines()
    assert lines[: len(kept)] == kept
    assert sorted(json.loads(line)["task"] for line in lines) == [*(f"task-{number}" for number in range(4)), "waits"]
    assert all(json.loads(line)["passed"] for line in lines)


def _when_there(path: Path) -> str:
    _until(lambda: path.exists() and path.read_text() != "")
    return path.read_text()


def _until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come to pass within 20 seconds"
        time.sleep(0.02)
