"""Every code block of the README and of the docs does what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from unified_agents.config import AgentConfig, load_config, parse_config

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
BLOCKS = [(page.name, kind, body) for page in PAGES for kind, body in BLOCK.findall(page.read_text())]


def blocks(language: str) -> list[Any]:
    found = [(page, body) for page, kind, body in BLOCKS if kind == language]
    return [pytest.param(body, id=f"{page}-{number}") for number, (page, body) in enumerate(found)]


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {kind for _, kind, _ in BLOCKS} == {"", "python", "yaml"}
    assert len(blocks("python")) >= 5


@pytest.mark.parametrize("code", blocks("python"))
def test_a_python_block_runs(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    if "15% of the population" in code and "print(" in code:
        assert "15 % of the population of Tokyo is 2100000.0 people." in done.stdout


@pytest.mark.parametrize("code", blocks("yaml"))
def test_a_yaml_block_is_a_config(code: str) -> None:
    values = yaml.safe_load(code)
    needs = {"model": "openai:gpt-5-mini"} | values if isinstance(values, dict) and "model" not in values else values
    assert parse_config(AgentConfig, needs, "the page").backend


def test_the_example_file_is_the_one_in_the_readme() -> None:
    assert (ROOT / "examples/agent.yaml").read_text() in [body for page, _, body in BLOCKS if page == "README.md"]
    assert load_config(ROOT / "examples/agent.yaml").backend == "custom"


def commands() -> list[str]:
    return [line for _, kind, block in BLOCKS if not kind for line in block.splitlines()]


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


LASTING = (" compare ", " serve ")


@pytest.mark.parametrize(
    "command",
    [line for line in commands() if line.startswith("unified-agents") and not any(w in line for w in LASTING)],
)
def test_a_command_of_ours_runs(command: str) -> None:
    script = Path(sys.executable).parent / "unified-agents"
    done = subprocess.run(
        [script, *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_links_and_folders_exist() -> None:
    for page in PAGES:
        for path in re.findall(
            r"`((?:adapters|comparisons|docs|tests|examples|unified_agents)(?:/[\w./]+)?)`", page.read_text()
        ):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
