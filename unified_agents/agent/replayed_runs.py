"""Runs that are repeated from their rows: nothing is asked of a model, and no tool runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unified_agents.agent.create import create_agent
from unified_agents.concurrency.background_loop import run_in_background
from unified_agents.config import AgentConfig, load_config
from unified_agents.config.importing import import_from
from unified_agents.errors import ConfigError
from unified_agents.journal.memory import MemoryJournal
from unified_agents.journal.rows import EndRow, RunRow
from unified_agents.result import RunResult
from unified_agents.scripted.replay import CassetteModel
from unified_agents.wire.cassette import read_cassette_rows


def replay_run(agent: str | Path, rows: str | Path, *, backend: str | None = None) -> RunResult[Any]:
    """Repeat a run from its rows with the agent as it is now, and return what comes out.

    The framework's own loop runs; the model's answers and the tools' results come from the rows. `unified-agents runs
    export RUN --as test` writes a test that calls it.

    Args:
        agent: The agent's YAML file. Modules of its tools are looked up beside it.
        rows: The run's rows, one JSON object a line, as `unified-agents runs events RUN` prints them.
        backend: The backend; None takes that of the file.

    Raises:
        ConfigError: a file cannot be read, or the rows are those of no run.
        RunError: the agent asks something else than the run did (a `DivergenceError`), or fails otherwise.
    """
    file = Path(agent)
    import_from(file.parent)
    config = load_config(file)
    return run_in_background(lambda: _replayed(config, Path(rows), backend))


async def _replayed(config: AgentConfig, path: Path, backend: str | None) -> RunResult[Any]:
    rows = [row for row in read_cassette_rows(path) if not isinstance(row, EndRow)]
    if not rows or not isinstance(rows[0], RunRow) or sum(isinstance(row, RunRow) for row in rows) > 1:
        raise ConfigError(f"{path}: these are not the rows of one run: take them from `runs events RUN`")
    journal = MemoryJournal()
    lease = await journal.begin(path.stem, rows)
    await journal.append(lease, [], release=True)
    model = CassetteModel.load(path)
    async with create_agent(config, backend=backend, journal=journal, replay=model) as agent:
        return await agent.resume(path.stem)
