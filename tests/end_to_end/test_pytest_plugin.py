"""The fixtures for other projects' tests, in a project of its own."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from unified_agents import Script
from unified_agents.scripted.server import ScriptServer

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


RECORDED = '''
import os
import pytest
from unified_agents import ModelConfig, tool

@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b

@pytest.mark.parametrize("second", [2, 3])
def test_a_sum(agent, cassette, second):
    model = ModelConfig(name="m", base_url=os.environ["MODEL_URL"])
    made = agent(model=model, tools=[add], **cassette)
    assert made.run_sync(f"What is {os.environ.get('FIRST', '1')} + {second}?").output == "3"
'''


async def test_a_cassette_is_recorded_once_and_replayed_on_every_backend(project: Path, server: ScriptServer) -> None:
    call = {"name": "add", "arguments": {"a": 1, "b": 2}}
    url = server.add(Script.model_validate({"answers": [{"tool_calls": [call]}, {"text": "3"}]}))
    (project / "test_mine.py").write_text(RECORDED)

    async def tested(*options: str, **variables: str) -> str:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            done = await asyncio.to_thread(run, project, "--backends", "custom,langchain", *options)
        return done.stdout

    missing = await tested(MODEL_URL=url)
    assert "4 errors" in missing, missing
    assert "record it with pytest --cassettes=record" in missing
    assert "4 passed" in await tested("--cassettes=record", MODEL_URL=url)
    assert len(server.requests(url)) == 4  # two for each value, on one backend
    names = sorted(path.name for path in (project / "cassettes").iterdir())
    assert names == ["test_mine.test_a_sum.second=2.jsonl", "test_mine.test_a_sum.second=3.jsonl"]
    assert "4 passed" in await tested(MODEL_URL="http://127.0.0.1:9/v1")
    missed = await tested(MODEL_URL="http://127.0.0.1:9/v1", FIRST="7")
    assert "4 failed" in missed
    assert "it was 'What is 1 + 2?', and now is 'What is 7 + 2?'" in missed
    assert "4 passed" in await tested("--cassettes=record", MODEL_URL=url, FIRST="7")  # it is recorded anew
    assert len(server.requests(url)) == 8
