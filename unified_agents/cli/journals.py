"""Which journal a command uses, and how a command ends that has driven a run."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from unified_agents.agent.protocol import Agent
from unified_agents.cli.agent_options import AgentOptions
from unified_agents.cli.questions import TERMINAL, ask_about, has_terminal
from unified_agents.cli.stdio import FAILED, LIMIT, SUSPENDED, USAGE, print_message, put_answer, put_json, stop
from unified_agents.config import load_config
from unified_agents.errors import ConfigError, JournalError, RunError
from unified_agents.journal.addresses import is_postgres, shown_place, without_password
from unified_agents.journal.opening import OpenJournal
from unified_agents.journal.protocol import Journal, RunInfo
from unified_agents.journal.rows import Row, RunRow
from unified_agents.journal.turns import with_history
from unified_agents.result import RunResult

T = TypeVar("T")

VARIABLE = "UNIFIED_AGENTS_JOURNAL"

JournalOption = Annotated[
    str | None,
    typer.Option(
        "--journal", help=f"The journal: a file or a postgresql:// URL. Else the agent file's; else {VARIABLE}."
    ),
]
RunArgument = Annotated[str, typer.Argument(help="The run's id, or a beginning of it that no other has.")]
AgentOption = Annotated[Path | None, typer.Option("--agent", help="The agent's YAML file.")]


def journal_place(option: str | None, of_the_file: str | None) -> str | None:
    """Return the journal that a command uses; None where none is named."""
    return option or of_the_file or os.environ.get(VARIABLE) or None


def need_journal(option: str | None, agent: Path | None) -> str:
    """Return the journal that a command needs.

    Raises:
        ConfigError: none is named, or there is no such file.
    """
    place = journal_place(option, None if option or agent is None else load_config(agent).journal)
    if place is None:
        raise ConfigError(
            f"no journal: give --journal FILE, or the --agent FILE whose journal it is, or set {VARIABLE}"
        )
    if not is_postgres(place) and not Path(place).exists():
        raise ConfigError(f"there is no journal {shown_place(place)}")
    return place


async def decided(agent: Agent[Any], result: RunResult[Any], *, as_json: bool) -> RunResult[Any]:
    """Ask about calls that wait, where somebody can answer, and go on until none waits or nothing is decided."""
    while result.status == "suspended" and not as_json and has_terminal():
        decisions = await TERMINAL.call(functools.partial(ask_about, result))
        if not decisions:
            break
        result = await agent.resume(result.run_id, decisions=decisions)
    return result


def exit_with(
    result: RunResult[Any],
    journal: str | None,
    agent: Path,
    options: AgentOptions,
    *,
    as_json: bool,
    is_shown: bool = False,
) -> None:
    """Print the result of a run, and exit with the code for how it ended; a completed run returns.

    Args:
        result: The result.
        journal: The journal that the command used.
        agent: The agent's file.
        options: What the command changed of it.
        as_json: Whether the whole result is printed as JSON.
        is_shown: Whether its output has been printed already.

    Raises:
        typer.Exit: the run waits for a decision, or a limit ended it.
    """
    if as_json:
        put_json(result.to_dict())
    elif result.output is not None and not is_shown:
        put_answer(result.output + "\n")
    if result.status == "suspended":
        print_message(way_on(result, journal, agent, options))
        raise typer.Exit(SUSPENDED)
    if result.status == "limit":
        print_message(result.errors[-1].message)
        raise typer.Exit(LIMIT)


def stop_failed(error: RunError, *, as_json: bool) -> NoReturn:
    """Tell of a run that failed, with its result where JSON is asked for, and exit.

    A journal that cannot be used, so that nothing was run, is wrong usage.

    Raises:
        typer.Exit: always.
    """
    if as_json and error.result is not None:
        put_json(error.result.to_dict())
    code = USAGE if isinstance(error, JournalError) and error.result is None else FAILED
    stop(error, code, as_json=as_json and error.result is None)


def way_on(result: RunResult[Any], journal: str | None, agent: Path, options: AgentOptions) -> str:
    """Return which command goes on with a run that waits, in whatever folder it is given.

    The password of a journal is not shown: the command finds it where it was found, or in `PGPASSWORD`.
    """
    command = ["unified-agents", "runs", "resume", result.run_id, "--agent", str(agent.absolute())]
    command += ["--backend", result.backend, *options.as_given()]
    hint = ""
    if journal is not None and not is_postgres(journal):
        command += ["--journal", str(Path(journal).expanduser().absolute())]
    elif journal is not None and (shown := without_password(journal)) == journal:
        command += ["--journal", journal]
    elif journal is not None and journal_place(None, _journal_of(agent)) != journal:
        command += ["--journal", shown]
        hint = " (set PGPASSWORD to the journal's password first: it is not shown)"
    reasons = {call.reason for call in result.pending}
    call_id = shlex.quote(result.pending[0].id) if len(result.pending) == 1 else "CALL"
    decisions = []
    if "in_flight" in reasons:
        decisions.append(f"--finished {call_id}=RESULT (it was carried out)")
        decisions += [f"--approve {call_id} (run it again)", f"--deny {call_id}"]
    elif "approval" in reasons:
        decisions += [f"--approve {call_id}", f"--deny {call_id}"]
    if "elicitation" in reasons:
        decisions += [f"--accept {call_id}=JSON", f"--decline {call_id}"]
    died = {call.id: ", under way when its process died" for call in result.pending if call.reason == "in_flight"}
    calls = ", ".join(f"{call.name} ({call.id}{died.get(call.id, '')})" for call in result.pending)
    words = f"{shlex.join(command)} {', or '.join(decisions)}{hint}"
    return f"the run waits for a decision on {calls}; go on with: {words}"


def _journal_of(agent: Path) -> str | None:
    """Return the journal that an agent's file names now; None where it names none, or was spoilt meanwhile."""
    try:
        return load_config(agent).journal
    except ConfigError:
        return None


async def with_journal(place: str, work: Callable[[Journal], Awaitable[T]]) -> T:
    """Open a journal, do some work with it, and close it."""
    opened = OpenJournal(place)
    try:
        return await work(opened.store)
    finally:
        await opened.aclose()


async def read_run(place: str, run: str) -> tuple[RunInfo, list[Row]]:
    """Return how a run stands, and its rows; its id may be cut where no other begins so.

    Raises:
        RunNotFoundError: there is none.
        ConfigError: several begin so.
    """

    async def work(journal: Journal) -> tuple[RunInfo, list[Row]]:
        infos = await journal.runs()
        found = [info for info in infos if info.run_id == run] or [
            info for info in infos if info.run_id.startswith(run)
        ]
        if len(found) > 1:
            raise ConfigError(f"{len(found)} runs begin with {run!r}: give more of the id")
        run_id = found[0].run_id if found else run
        rows = await journal.read(run_id)
        if isinstance(rows[0], RunRow):
            rows[0] = await with_history(journal, rows[0])
        return (found[0] if found else RunInfo(run, None, 0.0, False, 0)), rows

    return await with_journal(place, work)


def file_of(rows: Sequence[Row]) -> Path:
    """Return the agent's file that a run began with.

    Raises:
        ConfigError: it began with none, or the file is gone.
    """
    first = rows[0]
    if not isinstance(first, RunRow) or first.file is None:
        raise ConfigError("the run began with an agent that was made in Python: name a YAML file with --agent")
    if not Path(first.file).exists():
        raise ConfigError(f"the run's agent file {first.file} is gone: name another with --agent")
    return Path(first.file)
