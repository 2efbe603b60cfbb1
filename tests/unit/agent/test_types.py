"""What type checkers know of an agent's results."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """\
from pydantic import BaseModel

from unified_agents import Agent, RunResult, create_agent


class Plan(BaseModel):
    steps: list[str]


async def main() -> None:
    async with create_agent(model="openai:x", output_type=Plan) as agent:
        result = await agent.run("x")
        reveal_type(result.value)
        async with agent.stream("x") as events:
            reveal_type(events.result)
    reveal_type(create_agent(model="openai:x", output_type=list[int]).run_sync("x").value)
    reveal_type(create_agent(model="openai:x", output_type={"type": "object"}).run_sync("x").value)
    untyped: Agent = create_agent("agent.yaml")
    any_result: RunResult = await untyped.run("x")
    print(any_result.value.whatever)
    any_result = result
"""


def test_the_value_of_a_result_has_the_type_of_output_type(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", str(path)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r'Revealed type is "(.*)"', done.stdout) == [
        "program.Plan | None",
        "unified_agents.result.RunResult[program.Plan | None] | None",
        "list[int] | None",
        "Any",
    ]
