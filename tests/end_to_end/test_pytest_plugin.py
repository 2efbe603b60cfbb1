"""The fixtures for other projects' tests, in a project of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = {
    "conftest.py": 'pytest_plugins = ["unified_agents.pytest_plugin"]\n',
    "test_mine.py": '''
import pytest
from unified_agents import tool

closed = []

@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b

def test_the_tool_is_called(agent, scripted_model):
    call = {"name": "add", "arguments": {"a": 1, "b": 2}}
    made = agent(model=scripted_model({"tool_calls": [call]}, {"text": "3"}), tools=[add])
    result = made.run_sync("What is 1 + 2?")
    assert result.tool_calls[0].content == "3"
    assert result.output == "3"
    closed.append(made)

def test_it_was_closed():
    with pytest.raises(Exception, match="closed"):
        closed[0].run_sync("Again?")

def test_a_wrong_expectation_fails(agent, scripted_model):
    assert agent(model=scripted_model({"text": "4"})).run_sync("What is 1 + 2?").output == "3"
''',
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *options]
    return subprocess.run(
        command, check=False, cwd=project, env=dict(os.environ), capture_output=True, text=True, timeout=100
    )


def test_a_test_runs_on_each_backend_and_can_fail(project: Path) -> None:
    done = run(project, "--backends", "custom,langchain")
    assert "test_the_tool_is_called[custom] PASSED" in done.stdout, done.stdout
    assert "test_the_tool_is_called[langchain] PASSED" in done.stdout
    assert "test_it_was_closed PASSED" in done.stdout
    assert "2 failed, 3 passed" in done.stdout


def test_an_unknown_backend_is_said(project: Path) -> None:
    done = run(project, "--backends", "nonsense")
    assert done.returncode != 0
    assert re.search(r"nonsense: no such backend; there are (\w+, )*custom", done.stdout + done.stderr)
