"""The runs before the first cell of a worker, which no record is made of."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from unified_agents.config import Handling, ModelConfig
from unified_agents.config.providers import PROVIDERS
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.scripted.server import ScriptServer
from unified_agents_comparisons.execution.cell import CellRunner
from unified_agents_comparisons.suite.model import Task

MAX_RUNS = 20
MAX_SECONDS = 1.0
"""Of the runs after the first one, which imports, under each handling. About a dozen are slower than all later ones."""
_WITHOUT_ORACLE = Script.model_validate({"answers": [{"text": "ok"}]})


async def warm_up(runner: CellRunner, handlings: Iterable[Handling]) -> None:
    """Run a task under each handling, without the plan's model, until a cell pays for no import and no cold start.

    The first task with an oracle is run by it. Without one, a text answers, and no tool is called. Where the plan's
    model is a server, one on loopback stands for it, so that the way there is warm too.

    Raises:
        ConfigError: the backend cannot be used at all.
    """
    unrecorded = replace(runner, cassette={})
    tasks = runner.suite.suite.tasks
    task = next((task for task in tasks if task.oracle is not None), tasks[0])
    for handling in handlings:
        await _run(unrecorded, task, handling)
        end = time.monotonic() + MAX_SECONDS
        for _ in range(MAX_RUNS):
            if time.monotonic() >= end:
                break
            await _run(unrecorded, task, handling)


async def _run(runner: CellRunner, task: Task, handling: Handling) -> None:
    model = ScriptedModel(_WITHOUT_ORACLE) if task.oracle is None else runner.oracle(task, None)
    run_id = f"warm-up.{handling}"
    if runner.start.model.provider not in PROVIDERS or runner.start.cassettes.replay is not None:
        await runner.attempt(task, handling, model, run_id)
        return
    async with ScriptServer() as server:
        spoken = runner.start.model.for_handling(handling).spoken_protocol
        served = ModelConfig(name="warm-up", base_url=server.add(model), protocol=spoken)
        await runner.attempt(task, handling, served, run_id)
