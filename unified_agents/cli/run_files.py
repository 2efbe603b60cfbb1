"""The commands `runs fork | recover | prune`: what changes a journal."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from unified_agents.agent import Agent, create_agent
from unified_agents.cli.journals import (
    AgentOption,
    JournalOption,
    RunArgument,
    file_of,
    need_journal,
    read_run,
    with_journal,
)
from unified_agents.cli.stdio import FAILED, exit_on_wrong_usage, print_message, put
from unified_agents.concurrency.background_loop import run_in_background
from unified_agents.config import load_config
from unified_agents.config.importing import import_from
from unified_agents.errors import ConfigError, RunBusyError, UnifiedAgentsError
from unified_agents.journal.forks import fork_run
from unified_agents.journal.protocol import Journal
from unified_agents.result import RunResult

DAY = 86400.0


def fork(
    run: RunArgument,
    *,
    at: Annotated[int, typer.Option("--at", help="The first step that the new run makes itself.")],
    message: Annotated[str | None, typer.Option(help="The task, in the place of the old one.")] = None,
    result: Annotated[list[str] | None, typer.Option(help="CALL=TEXT: the result of a finished call.")] = None,
    answer: Annotated[
        str | None, typer.Option(help="The model's answer of the step: a text, or JSON with `text` and `tool_calls`.")
    ] = None,
    journal: JournalOption = None,
    agent: AgentOption = None,
) -> None:
    """Make a new run of the first steps of another, as they were or edited, and print its id.

    `runs resume` goes on with it; `runs recover` does not.
    """
    with exit_on_wrong_usage():
        place = need_journal(journal, agent)
        info, _ = asyncio.run(read_run(place, run))
        edited = dict(_pair(text) for text in result or ())
        turn = None if answer is None else _answer(answer)

        async def work(opened: Journal) -> str:
            return await fork_run(opened, info.run_id, at, message=message, results=edited, answer=turn)

        put(asyncio.run(with_journal(place, work)) + "\n")


def recover(
    journal: JournalOption = None,
    agent: Annotated[
        Path | None, typer.Option("--agent", help="Go on with this agent; by default with the file of each run.")
    ] = None,
) -> None:
    """Go on with every run whose process died. Several processes may do so at once: each run is driven once.

    Exit codes: 0 all ended or wait for a decision, 1 a run failed, 2 wrong usage or configuration.
    """
    with exit_on_wrong_usage():
        place = need_journal(journal, agent)
        infos = asyncio.run(with_journal(place, lambda opened: opened.runs()))
        failed = False
        for info in reversed(infos):
            if info.is_orphan:
                failed = not _recovered(place, info.run_id, agent) or failed
    if failed:
        raise typer.Exit(FAILED)


def _recovered(place: str, run_id: str, agent: Path | None) -> bool:
    try:
        file = agent or file_of(asyncio.run(read_run(place, run_id))[1])
        import_from(file.parent, Path.cwd())
        made = create_agent(load_config(file), journal=place)
        result = run_in_background(lambda: _resumed(made, run_id))
    except RunBusyError:
        return True  # another process was faster
    except UnifiedAgentsError as error:
        print_message(f"run {run_id}: {error}")
        return False
    put(f"{run_id} {result.status}\n")
    return result.status != "failed"


async def _resumed(agent: Agent[Any], run_id: str) -> RunResult[Any]:
    async with agent:
        return await agent.resume(run_id)


def prune(
    older_than: Annotated[float, typer.Argument(min=0, help="Days since the run began.")],
    *,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also delete runs that wait, failed, or whose process died.")
    ] = False,
    journal: JournalOption = None,
    agent: AgentOption = None,
) -> None:
    """Delete runs that are completed and older than some days, and print how many. What is driven stays."""
    with exit_on_wrong_usage():
        place = need_journal(journal, agent)

        async def work(opened: Journal) -> int:
            old = [info for info in await opened.runs() if info.created < time.time() - older_than * DAY]
            return await opened.delete([info.run_id for info in old if unfinished or info.status == "completed"])

        put(f"{asyncio.run(with_journal(place, work))}\n")


def _pair(text: str) -> tuple[str, str]:
    call, sign, value = text.partition("=")
    if not sign:
        raise ConfigError(f"--result {text}: give CALL=TEXT")
    return call, value


def _answer(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return {"text": text}
    try:
        answer: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"--answer: this is no JSON: {error}") from error
    for call in answer.get("tool_calls") or ():
        if isinstance(call, dict) and isinstance(call.get("arguments"), dict):
            call["arguments"] = json.dumps(call["arguments"])
    return answer
