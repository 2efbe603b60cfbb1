"""Every code block of the README does what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from unified_agents.config import AgentConfig, load_config, parse_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [body for kind, body in BLOCKS if kind == language]


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {kind for kind, _ in BLOCKS} == {"", "python", "yaml"}
    assert len(blocks("python")) >= 5


@pytest.mark.parametrize("code", blocks("python"), ids=range(len(blocks("python"))))
def test_a_python_block_runs(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    if "15% of the population" in code:
        assert "15 % of the population of Tokyo is 2100000.0 people." in done.stdout


@pytest.mark.parametrize("code", blocks("yaml"), ids=range(len(blocks("yaml"))))
def test_a_yaml_block_is_a_config(code: str) -> None:
    assert parse_config(AgentConfig, yaml.safe_load(code), "README").backend


def test_the_example_file_is_the_one_in_the_readme() -> None:
    assert (ROOT / "examples/agent.yaml").read_text() in blocks("yaml")
    assert load_config(ROOT / "examples/agent.yaml").backend == "custom"


def commands() -> list[str]:
    return [line for block in blocks("") for line in block.splitlines()]


def test_every_command_exists() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for command in commands():
        program, *rest = shlex.split(command)
        if program == "make":
            assert rest[0] in targets
        elif program == "pip":
            assert (ROOT / "constraints.txt").exists()
        else:
            assert program == "unified-agents"


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("unified-agents") and " compare " not in c])
def test_a_command_of_ours_runs(command: str) -> None:
    script = Path(sys.executable).parent / "unified-agents"
    done = subprocess.run(
        [script, *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_links_and_folders_exist() -> None:
    for path in re.findall(r"`((?:adapters|comparisons|tests|examples|unified_agents)(?:/[\w./]+)?)`", TEXT):
        assert (ROOT / path).exists(), path
