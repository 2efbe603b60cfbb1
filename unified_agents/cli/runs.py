"""The commands `runs …`: what a journal holds, and how its runs go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from unified_agents.agent import Agent, create_agent
from unified_agents.agent.decisions import Decision, accept, approve, cancel, decline, deny, edit, finished
from unified_agents.agent.journaling import OnDivergence
from unified_agents.cli import run_files
from unified_agents.cli.agent_options import (
    AgentOptions,
    ApiKeyEnvOption,
    BackendOption,
    BaseUrlOption,
    ModelOption,
    VariantOption,
)
from unified_agents.cli.export import export
from unified_agents.cli.journals import (
    AgentOption,
    JournalOption,
    RunArgument,
    decided,
    exit_with,
    file_of,
    need_journal,
    read_run,
    stop_failed,
    with_journal,
)
from unified_agents.cli.stdio import exit_on_wrong_usage, put_json, put_json_text
from unified_agents.cli.tables import console
from unified_agents.concurrency.background_loop import run_in_background
from unified_agents.config import load_config
from unified_agents.config.importing import import_from
from unified_agents.errors import ConfigError, RunError
from unified_agents.journal.protocol import RunInfo
from unified_agents.journal.record import waiting_calls
from unified_agents.journal.rows import RunRow, write_row
from unified_agents.result import RunResult
from unified_agents.text import visible

app = typer.Typer(name="runs", help="Look at the runs of a journal, and go on with them.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@app.command("list")
def list_runs(journal: JournalOption = None, agent: AgentOption = None, as_json: JsonOption = False) -> None:
    """List the runs of a journal, the newest first."""
    with exit_on_wrong_usage(as_json=as_json):
        infos = asyncio.run(with_journal(need_journal(journal, agent), lambda opened: opened.runs()))
    if as_json:
        put_json([_described(info) for info in infos])
        return
    table = Table("run", "state", "began", "rows")
    for info in infos:
        began = datetime.fromtimestamp(info.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(_cell(info.run_id), _state(info), began, str(info.rows))
    console().print(table)


@app.command()
def show(
    run: RunArgument, journal: JournalOption = None, agent: AgentOption = None, as_json: JsonOption = False
) -> None:
    """Show how a run stands: its task, its last answer, and the calls that wait."""
    with exit_on_wrong_usage(as_json=as_json):
        info, rows = asyncio.run(read_run(need_journal(journal, agent), run))
    first = rows[0]
    calls = [{"id": call.call_id, "tool": call.tool, "arguments": call.arguments} for call in waiting_calls(rows)]
    details = _described(info) | {"unfinished": calls, "begun": json.loads(write_row(first))}
    if as_json:
        put_json(details)
        return
    table = Table(show_header=False)
    for name in ("run", "state", "rows"):
        table.add_row(name, _cell(details[name]))
    if isinstance(first, RunRow):
        for name in ("agent", "file", "backend", "model"):
            table.add_row(name, _cell(getattr(first, name) or ""))
        table.add_row("task", _cell(_short(first.messages[-1].content)))
    for call in calls:
        table.add_row("unfinished", _cell(_short(f"{call['tool']}({call['arguments']}) {call['id']}")))
    console().print(table)


@app.command()
def events(run: RunArgument, journal: JournalOption = None, agent: AgentOption = None) -> None:
    """Print the rows of a run, one JSON object a line, in their order."""
    with exit_on_wrong_usage():
        _, rows = asyncio.run(read_run(need_journal(journal, agent), run))
    for row in rows:
        put_json_text(write_row(row).decode() + "\n")


@app.command()
def resume(
    run: RunArgument,
    *,
    agent: Annotated[
        Path | None, typer.Option("--agent", help="The agent's YAML file; by default the one that the run began with.")
    ] = None,
    journal: JournalOption = None,
    backend: BackendOption = None,
    model: ModelOption = None,
    base_url: BaseUrlOption = None,
    api_key_env: ApiKeyEnvOption = None,
    variant: VariantOption = None,
    approved: Annotated[list[str] | None, typer.Option("--approve", help="The id of a call that may run.")] = None,
    denied: Annotated[
        list[str] | None, typer.Option("--deny", help="The id of a call that must not run; CALL=REASON tells why.")
    ] = None,
    edited: Annotated[list[str] | None, typer.Option("--edit", help="CALL=JSON: runs it with these arguments.")] = None,
    done: Annotated[
        list[str] | None, typer.Option("--finished", help="CALL=RESULT: it was carried out, and returned this.")
    ] = None,
    accepted: Annotated[
        list[str] | None, typer.Option("--accept", help="CALL=JSON: answers what the call's MCP server asks.")
    ] = None,
    declined: Annotated[
        list[str] | None, typer.Option("--decline", help="The id of a call whose MCP server gets no answer: refused.")
    ] = None,
    cancelled: Annotated[list[str] | None, typer.Option("--cancel", help="The same, where no choice was made.")] = None,
    on_divergence: Annotated[
        OnDivergence, typer.Option(help="What to do where the agent differs from the one that began.")
    ] = "stop",
    as_json: JsonOption = False,
) -> None:
    """Go on with a run; what is finished is answered from the journal, and is not run again.

    Exit codes are those of `run`.
    """
    options = AgentOptions(backend=backend, model=model, base_url=base_url, api_key_env=api_key_env, variant=variant)
    with exit_on_wrong_usage(as_json=as_json):
        place = need_journal(journal, agent)
        info, rows = asyncio.run(read_run(place, run))
        file = agent or file_of(rows)
        import_from(file.parent, Path.cwd())
        decisions = _decisions(
            {
                "--approve": approved,
                "--deny": denied,
                "--edit": edited,
                "--finished": done,
                "--accept": accepted,
                "--decline": declined,
                "--cancel": cancelled,
            }
        )
        try:
            made = create_agent(options.changed(load_config(file)), journal=place, **options.for_agent())
            result = run_in_background(lambda: _resume(made, info.run_id, decisions, on_divergence, as_json=as_json))
        except RunError as error:
            stop_failed(error, as_json=as_json)
    exit_with(result, place, file, options, as_json=as_json)


async def _resume(
    agent: Agent[Any],
    run_id: str,
    decisions: dict[str, Decision],
    on_divergence: OnDivergence,
    *,
    as_json: bool,
) -> RunResult[Any]:
    async with agent:
        result = await agent.resume(run_id, decisions=decisions, on_divergence=on_divergence)
        return await decided(agent, result, as_json=as_json)


def _decisions(options: Mapping[str, list[str] | None]) -> dict[str, Decision]:
    """Return the decisions that the options make, by call.

    Args:
        options: What was given of each option.

    Raises:
        ConfigError: an option cannot be read, or two are about one call.
    """
    decisions: dict[str, Decision] = {}
    deciding: dict[str, str] = {}
    for option, values in options.items():
        for value in values or ():
            call, _, text = value.partition("=")
            if call in decisions:
                raise ConfigError(
                    f"{deciding[call]} and {option} both decide about call {call}: give one decision for it"
                )
            decisions[call], deciding[call] = _decision(option, call, text), option
    return decisions


def _decision(option: str, call: str, text: str) -> Decision:
    match option:
        case "--approve":
            return approve()
        case "--deny":
            return deny(text)
        case "--finished":
            return finished(text)
        case "--decline":
            return decline()
        case "--cancel":
            return cancel()
    try:
        return (edit if option == "--edit" else accept)(dict(json.loads(text)))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{option} {call}: give CALL=JSON, with a JSON object: {error}") from error


for _command in (run_files.fork, run_files.recover, run_files.prune, export):
    app.command()(_command)


def _described(info: RunInfo) -> dict[str, Any]:
    return {"run": info.run_id, "state": _state(info), "created": info.created, "rows": info.rows}


def _state(info: RunInfo) -> str:
    if info.status is not None:
        return info.status
    return "running" if info.is_owned else "orphan"


def _cell(text: object) -> str:
    """Return a text for a table, with nothing in it that a terminal or the table's markup obeys."""
    return escape(visible(str(text)))


def _short(text: object) -> str:
    shown = " ".join(str(text).split())
    return shown if len(shown) <= 200 else shown[:199] + "…"
