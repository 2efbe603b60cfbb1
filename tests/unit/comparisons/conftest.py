"""Fixtures of the tests of comparisons."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from unified_agents.errors import ErrorRecord
from unified_agents.messages import Usage
from unified_agents.result import RunResult, Timing, ToolCallRecord
from unified_agents.tracing.spans import Span
from unified_agents_comparisons.analysis.metrics import groups
from unified_agents_comparisons.analysis.paired_tests import paired_tests
from unified_agents_comparisons.records import Cell
from unified_agents_comparisons.report.summary import Summary

MakeResult = Callable[..., RunResult]
MakeCell = Callable[..., Cell]


@pytest.fixture
def make_call() -> Callable[..., ToolCallRecord]:
    def make(name: str, arguments: Any = None, **changes: Any) -> ToolCallRecord:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        reached = changes.pop("reached", True)
        received = None if isinstance(arguments, str) or not reached else arguments or {}
        fields = {"step": 0, "index": 0, "id": "c", "ok": reached, "received": received} | changes
        return ToolCallRecord(name=name, arguments=text, reached=reached, **fields)

    return make


@pytest.fixture
def make_result() -> MakeResult:
    def make(**changes: Any) -> RunResult:
        fields: dict[str, Any] = {
            "run_id": "r",
            "backend": "b",
            "handling": "unified",
            "status": "completed",
            "output": "42",
            "messages": (),
            "usage": Usage(input_tokens=3, output_tokens=2),
            "errors": (),
            "tool_calls": (),
            "requests": 1,
            "retries": 0,
            "request_bytes": (100,),
            "seconds": Timing(total=1.0, model=0.5, tool=0.2, waiting=0.0, overhead=0.3),
            "time_to_first_token": None,
            "trace": Span("invoke_agent", 0.0, 1.0),
        }
        return RunResult(**fields | changes)

    return make


@pytest.fixture
def make_cell() -> MakeCell:
    def make(task: str = "one", backend: str = "b", handling: str = "unified", **changes: Any) -> Cell:
        passed = changes.setdefault("passed", True)
        overhead = changes.pop("overhead", 0.01)
        fields: dict[str, Any] = {
            "suite": "s",
            "task": task,
            "backend": backend,
            "handling": handling,
            "repeat": 0,
            "status": "completed",
            "score": float(passed),
            "output": "42",
            "requests": 2,
            "usage": Usage(input_tokens=30, output_tokens=20),
            "request_bytes": (100, 200),
            "seconds": Timing(total=overhead + 0.02, model=0.01, tool=0.01, waiting=0.0, overhead=overhead),
            "model": "oracle",
            "versions": {"python": "3"},
        }
        return Cell(**fields | changes)

    return make


@pytest.fixture
def make_summary() -> Callable[..., Summary]:
    def make(cells: list[Cell], **changes: Any) -> Summary:
        fields: dict[str, Any] = {
            "suite": "s",
            "description": "",
            "digest": "0" * 20,
            "model": "oracle",
            "note": "a script",
            "perturb": (),
            "ok": True,
            "out": "o",
            "tasks": 1,
            "repeats": 1,
            "seed": 0,
            "cells": len(cells),
            "versions": {"b": {"python": "3"}},
            "groups": groups(cells),
            "categories": (),
            "controls": (),
            "schemas": (),
            "tests": paired_tests(cells),
            "outcomes": (),
            "surprises": (),
        }
        return Summary(**fields | changes)

    return make


@pytest.fixture
def failure() -> ErrorRecord:
    return ErrorRecord(kind="tool_error", type="ToolFailedError", message="no", native_type="builtins.ValueError")


@pytest.fixture
def write_suite(tmp_path: Path) -> Callable[..., Path]:
    """Write a suite of constant answers with as many tasks as are named, into a folder of its own."""

    def write(*tasks: str, **changes: Any) -> Path:
        values: dict[str, Any] = {
            "name": "tiny",
            "description": "A tiny suite.",
            "tasks": [
                {
                    "id": task,
                    "question": "Say ok.",
                    "expect": {"output": "ok"},
                    "oracle": {"answers": [{"text": "ok"}]},
                }
                for task in tasks or ("one",)
            ],
        }
        folder = tmp_path / "suite"
        folder.mkdir(exist_ok=True)
        path = folder / "suite.yaml"
        path.write_text(yaml.safe_dump(values | changes), encoding="utf-8")
        return path

    return write


WORKER = """
import json, os, signal, sys, time

def say(message):
    sys.stdout.write(json.dumps(message) + "\\n")
    sys.stdout.flush()

start = json.loads(sys.stdin.readline())
life = os.path.join(os.path.dirname(start["details"]), "lives." + start["backend"])
with open(life, "a") as file:
    file.write(f"{os.getpid()}\\n")
lives = len(open(life).readlines())
READY
for text in sys.stdin:
    job = json.loads(text)
    cell = dict(suite="tiny", task=job["task"], backend=start["backend"], handling=job["handling"],
                repeat=job["repeat"], status="completed", passed=True, score=1.0, model="oracle", versions={})
    JOB
    say({"type": "done", "cell": cell})
"""


@pytest.fixture
def fake_worker(tmp_path: Path) -> Callable[..., Callable[[str | None], tuple[str, ...]]]:
    """A worker process that speaks the protocol and runs nothing; `ready` and `job` are code put into it."""

    def make(job: str = "pass", ready: str = 'say({"type": "ready", "versions": {"python": "3"}})') -> Any:
        path = tmp_path / "fake_worker.py"
        path.write_text(WORKER.replace("READY", textwrap.dedent(ready)).replace("JOB", job), encoding="utf-8")
        return lambda _: (sys.executable, str(path))

    return make
