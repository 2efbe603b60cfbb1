"""What it costs to begin: all public names, and an agent over our own loop."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.figures import Figures, once
from benchmarks.measure import SEED, Samples, ratio

BAR = 1.5
ROUNDS = 20
FRAMEWORKS = ("langchain", "langchain_core", "langgraph", "llama_index", "openai", "httpx")

YARDSTICK = "import pydantic, aiohttp"
EVERYTHING = "import unified_agents as u\nfor name in u.__all__: getattr(u, name)\n"
BUILD = '''
def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: One.
        b: Two.
    """
    return a + b
u.create_agent(model=u.ModelConfig(name="m", base_url="http://127.0.0.1:1/v1"), tools=[add])
'''
CHECK = f"import sys; found = sorted(set(sys.modules) & set({FRAMEWORKS!r})); assert not found, found"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Compiled files of its own, so that nothing is compiled while it is measured, whoever edits the tree."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return inherited | {"PYTHONPYCACHEPREFIX": str(tmp_path)}


def test_import_and_build(benchmark: BenchmarkFixture, figures: Figures, environment: dict[str, str]) -> None:
    _python(EVERYTHING + BUILD + CHECK, environment)
    samples = once(benchmark, _samples, environment)
    yardstick = samples["yardstick"]
    figures.add(benchmark, "start: A/A of the yardstick, wall", ratio(samples["yardstick again"], yardstick))
    figures.add(benchmark, "start: all public names / yardstick", ratio(samples["names"], yardstick))
    what = "start: all public names and an agent / yardstick"
    figures.add(benchmark, what, ratio(samples["names and agent"], yardstick), bar=BAR)


def _samples(environment: dict[str, str]) -> Samples:
    programs = {
        "yardstick": YARDSTICK,
        "yardstick again": YARDSTICK,
        "names": EVERYTHING,
        "names and agent": EVERYTHING + BUILD,
    }
    chance = random.Random(SEED)
    samples: Samples = {name: [] for name in programs}
    for program in programs.values():
        _python(program, environment)
    for _ in range(ROUNDS):
        for name in chance.sample(list(programs), len(programs)):
            start = time.perf_counter()
            _python(programs[name], environment)
            samples[name].append(time.perf_counter() - start)
    return samples


def _python(program: str, environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
