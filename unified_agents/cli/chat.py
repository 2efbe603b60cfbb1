"""The command `chat`: a conversation with an agent in the terminal."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from unified_agents.agent import Agent, create_agent
from unified_agents.cli.agent_options import AgentOptions, BackendOption
from unified_agents.cli.cassettes import RecordOption, ReplayOption, check_cassettes
from unified_agents.cli.journals import JournalOption, decided, exit_with, journal_place, stop_failed, way_on
from unified_agents.cli.questions import TERMINAL, has_terminal
from unified_agents.cli.stdio import exit_on_wrong_usage, print_message, put_answer, report_error
from unified_agents.concurrency.background_loop import run_in_background
from unified_agents.config import load_config
from unified_agents.config.importing import import_from
from unified_agents.errors import DivergenceError, JournalError, RunError
from unified_agents.result import RunResult

PROMPT = "> "


def chat(
    file: Annotated[Path, typer.Argument(help="The agent's YAML file.")],
    *,
    session: Annotated[
        str | None,
        typer.Option(help="The conversation to go on with; by default a new one. It needs a journal to last."),
    ] = None,
    backend: BackendOption = None,
    journal: JournalOption = None,
    record: RecordOption = None,
    replay: ReplayOption = None,
) -> None:
    """Talk with the agent of a YAML file, one line a turn, until the input ends.

    A turn that fails is told, and the conversation goes on without it; it ends where a replayed file has no answer.
    Where nobody can be asked, it also ends at a tool call that waits for a decision, with exit code 4.
    """
    import_from(file.parent, Path.cwd())
    with exit_on_wrong_usage():
        check_cassettes(record, replay)
        config = load_config(file)
        config = config.model_copy(update={"journal": journal_place(journal, config.journal)})
        agent = create_agent(config, backend=backend, record=record, replay=replay)
        try:
            waits = run_in_background(lambda: _talk(agent, config.journal, file, session or secrets.token_hex(4)))
        except RunError as error:
            stop_failed(error, as_json=False)
    if waits is not None:
        exit_with(waits, config.journal, file, AgentOptions(), as_json=False)


async def _talk(agent: Agent[Any], journal: str | None, file: Path, session: str) -> RunResult[Any] | None:
    """Take turns until the input ends; return a turn that waits for a decision, where nobody can be asked."""
    async with agent:
        if sys.stdin.isatty():
            print_message(f"session {session}; end with Ctrl-D")
        while line := await TERMINAL.call(_read):
            if line.strip():
                result = await _turn(agent, session, line.strip())
                if result is None or result.status != "suspended":
                    continue
                if not has_terminal():
                    return result
                print_message(way_on(result, journal, file, AgentOptions()))
    return None


async def _turn(agent: Any, session: str, said: str) -> RunResult[Any] | None:
    """Take a turn, and tell how it ended; None where it failed. One that waits for a decision is told by the caller."""
    try:
        result: RunResult[Any] = await decided(agent, await agent.run(said, session=session), as_json=False)
    except DivergenceError:
        raise
    except RunError as error:
        if isinstance(error, JournalError) and error.result is None:
            raise  # the next turn could not begin either
        report_error(error, as_json=False)
        return None
    if result.status == "suspended":
        return result
    if result.output is not None:
        put_answer(result.output + "\n")
    if result.status != "completed":
        print_message(f"the turn is not completed, and is not remembered: {result.errors[-1].message}")
    return result


def _read() -> str:
    """Return the next line; empty at the end of the input."""
    if sys.stdin.isatty():
        sys.stderr.write(PROMPT)
        sys.stderr.flush()
    return sys.stdin.readline()
