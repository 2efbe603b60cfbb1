"""Five hundred runs of one agent at once against a model that often fails: none is lost, and none counts twice."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support import CUSTOM_AND_OTHERS_IN_THE_PROOF, scripted_model
from unified_agents import (
    Limits,
    ModelConfig,
    RunResult,
    create_agent as make_agent,
    tool,
)
from unified_agents.config import ModelPolicy
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

RUNS = 500
SHARE = 0.25
"""Of the answers of a script, each of which takes one request more when it is faulty: a fifth of all requests."""
SEED = 20_261_122
POLICY = ModelPolicy(wait_initial=0.01, wait_max=0.05, jitter=0.02, breaker_failures=100_000)
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 429},
    {"status": 429, "retry_after": 0.02},
    {"status": 500},
    {"disconnect": True},
    {"truncate": True},
    {"html": True},
    {"empty_choices": True},
)
BROKEN = "broken JSON"
STEPS = 3


@dataclass(slots=True)
class Plan:
    """One run: the script that it meets, the requests that it must take, and the calls that must be carried out."""

    number: int
    entries: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0
    faults: int = 0
    calls: list[str] = field(default_factory=list)

    @property
    def task(self) -> str:
        return f"Run {self.number}."


def plan(number: int, share: float = SHARE) -> Plan:
    """The plan of a run, by the seed."""
    chance, made = random.Random(f"{SEED}:{number}"), Plan(number)
    for step in range(STEPS + 1):
        call = {"name": "note", "arguments": {"key": f"{number}.{step}"}}
        faulty = chance.random() < share
        fault = chance.choice([*FAULTS, BROKEN] if step < STEPS else FAULTS)
        if faulty and fault == BROKEN:
            made.entries.append({"tool_calls": [call | {"arguments": '{"key": '}]})
        elif faulty:
            made.entries.append({"fault": fault})
        made.faults += faulty
        made.requests += 1 + faulty
        if step < STEPS:
            made.entries.append({"tool_calls": [call]})
            made.calls.append(f"{number}.{step}")
    made.entries.append({"text": f"Done {number}."})
    return made


class Crowd:
    """A model with a script for each run, found by the run's task; it counts each one's requests."""

    def __init__(self, plans: list[Plan]) -> None:
        self._models = {one.number: scripted_model(*one.entries) for one in plans}
        self.requests: Counter[int] = Counter()

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """The answer of the run's own script."""
        asked = next(message for message in request["messages"] if message["role"] == "user")
        number = int("".join(re.findall(r"\d+", str(asked["content"]))))
        self.requests[number] += 1
        return self._models[number].reply(request, key)


def left_behind() -> tuple[set[threading.Thread], int, set[str]]:
    """Threads, sockets, and what lies in the folder for temporary files."""
    threads = set(threading.enumerate())
    gc.collect()
    folder = Path("/proc/self/fd")
    links = [os.readlink(one) for one in folder.iterdir() if one.is_symlink()] if folder.is_dir() else []
    sockets = sum(link.startswith("socket:") for link in links)
    return threads, sockets, set(os.listdir(tempfile.gettempdir()))


async def storm(backend: str, plans: list[Plan], done: Counter[str]) -> tuple[list[RunResult], Crowd]:
    """All runs at once; `done` counts each execution of a call."""

    @tool
    async def note(key: str) -> str:
        """Note that a call was carried out.

        Args:
            key: Which.
        """
        done[key] += 1
        await asyncio.sleep(0)
        return f"noted {key}"

    crowd = Crowd(plans)
    async with ScriptServer() as server:
        model = ModelConfig(name="m", base_url=server.add(crowd, record=False), policy=POLICY, timeout=60)
        agent = make_agent(backend=backend, model=model, tools=[note], limits=Limits(timeout=100))
        try:
            return await asyncio.gather(*(agent.run(one.task) for one in plans)), crowd
        finally:
            await agent.aclose()


@pytest.fixture
def private_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.usefixtures("private_temporary_folder")
@pytest.mark.parametrize("backend", CUSTOM_AND_OTHERS_IN_THE_PROOF)
async def test_all_end_none_is_lost_and_none_doubled(backend: str) -> None:
    await storm(backend, [plan(number, share=0.0) for number in range(3)], Counter())  # imports, and what they keep
    before, tasks = left_behind(), asyncio.all_tasks()
    plans = [plan(number) for number in range(RUNS)]
    done: Counter[str] = Counter()
    results, crowd = await storm(backend, plans, done)
    assert [result.status for result in results] == ["completed"] * RUNS
    assert [result.output for result in results] == [f"Done {one.number}." for one in plans]
    assert done == Counter(key for one in plans for key in one.calls)
    assert crowd.requests == Counter({one.number: one.requests for one in plans})
    assert [result.requests for result in results] == [one.requests for one in plans]
    await asyncio.get_running_loop().shutdown_default_executor()  # the loop's own pool is no leak of a run
    assert asyncio.all_tasks() == tasks
    threads, sockets, files = left_behind()
    assert (sockets, files) == before[1:]
    assert threads - before[0] == set()


def test_a_fifth_of_the_requests_is_faulty() -> None:
    plans = [plan(number) for number in range(RUNS)]
    faults, requests = sum(one.faults for one in plans), sum(one.requests for one in plans)
    assert 0.18 < faults / requests < 0.22  # three standard deviations of the draw
    assert {str(entry.get("fault")) for one in plans for entry in one.entries} >= {str(fault) for fault in FAULTS}


async def test_a_run_whose_fault_is_not_in_the_plan_is_noticed() -> None:
    honest, lying = plan(1, share=0.0), plan(1, share=1.0)
    lying.requests = honest.requests
    _, crowd = await storm("custom", [lying], Counter())
    assert crowd.requests[1] != honest.requests
