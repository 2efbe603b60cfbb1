"""`unified-agents tools`: what reaches a model of a catalogue, and the catalogue as an MCP server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from unified_agents.catalogue.catalogue import Catalogue, load_catalogue
from unified_agents.cli import tables as consoles
from unified_agents.cli.stdio import FAILED, USAGE, claim_standard_output, put, say, stop
from unified_agents.config import Handling
from unified_agents.config.importing import import_from
from unified_agents.errors import UnifiedAgentsError
from unified_agents.fidelity.report import FidelityReport, StrictFidelity, Threshold, ToolFidelity, check_tools
from unified_agents.fidelity.schema_diff import SchemaChange

_SHOWN = 60

app = typer.Typer(name="tools", help="Look at a catalogue of tools, or serve it.", no_args_is_help=True)

CatalogueName = Annotated[
    str, typer.Argument(help="A YAML file with `tools:` (an agent's too), module:name, or a module.")
]


@app.command()
def check(
    catalogue: CatalogueName,
    *,
    backends: Annotated[
        str | None, typer.Option(help="Backends to check, separated by commas; all installed ones by default.")
    ] = None,
    handling: Annotated[
        Literal["unified", "native", "both"], typer.Option(help="Which way of handling to check.")
    ] = "both",
    fail_on: Annotated[
        Threshold,
        typer.Option(
            help="Exit with 1 when something is lost; `added` counts what is lost too, `changed` all three. "
            "Held against unified, and against native when that alone is checked."
        ),
    ] = "lost",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Show, too, what OpenAI's strict form cannot carry of each tool; it then counts as lost."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Show what of each tool reaches the model on each stack, keyword by keyword, from the real wire.

    Exit codes: 0 within the threshold, 1 beyond it, 2 wrong usage or configuration.
    """
    handlings: tuple[Handling, ...] = ("unified", "native") if handling == "both" else (handling,)
    names = [name.strip() for name in backends.split(",") if name.strip()] if backends else None
    with _opened(catalogue, as_json=as_json) as found:
        try:
            report = asyncio.run(check_tools(found.tools, backends=names, handlings=handlings, strict=strict))
        except UnifiedAgentsError as error:
            stop(error, USAGE, as_json=as_json)
    worse: list[ToolFidelity | StrictFidelity] = [
        *(row for row in report.tools if row.handling == handlings[0] and row.is_worse_than(fail_on)),
        *(row for row in report.strict or () if row.is_worse_than(fail_on)),
    ]
    if as_json:
        put(json.dumps(_as_json(report, worse), ensure_ascii=False) + "\n")
    else:
        _print(report)
    if worse:
        raise typer.Exit(FAILED)


@app.command()
def serve(
    catalogue: CatalogueName,
    transport: Annotated[Literal["stdio", "http"], typer.Option(help="How clients reach it.")] = "stdio",
    port: Annotated[int, typer.Option(help="For http, on the loopback interface only; 0 takes a free one.")] = 8000,
) -> None:
    """Serve the tools as an MCP server, so that any stack can use them, until it is interrupted."""
    with contextlib.redirect_stdout(sys.stderr):  # a client reads standard output, also what modules print on import
        opened = _opened(catalogue)
    with opened as found:
        try:
            from unified_agents.interop.mcp.server import serve as serve_tools  # noqa: PLC0415  # its SDK is an extra

            asyncio.run(serve_tools(found.tools, transport, port, on_ready=None if transport == "stdio" else say))
        except KeyboardInterrupt:
            raise typer.Exit from None
        except UnifiedAgentsError as error:
            stop(error, USAGE)
        finally:
            claim_standard_output()  # given back to us: what is printed from here on is not for the client either


def _opened(place: str, *, as_json: bool = False) -> Catalogue:
    import_from(Path(place).parent, Path.cwd())
    try:
        return load_catalogue(place)
    except UnifiedAgentsError as error:
        stop(error, USAGE, as_json=as_json)


def _as_json(report: FidelityReport, worse: Sequence[ToolFidelity | StrictFidelity]) -> dict[str, Any]:
    stacks = [
        {"backend": backend, "handling": handling, **report.counts(backend, handling)}
        for backend, handling in report.stacks()
    ]
    return report.model_dump(mode="json") | {"stacks": stacks, "beyond_threshold": list(map(_named, worse))}


def _named(row: ToolFidelity | StrictFidelity) -> dict[str, str]:
    if isinstance(row, StrictFidelity):
        return {"tool": row.tool, "format": "strict"}
    return {"tool": row.tool, "backend": row.backend, "handling": row.handling}


def _print(report: FidelityReport) -> None:
    console = consoles.console()
    summary = Table("backend", "handling", "tools", "lost", "added", "changed", "refused")
    for backend, handling in report.stacks():
        rows = [row for row in report.tools if (row.backend, row.handling) == (backend, handling)]
        counts = report.counts(backend, handling)
        summary.add_row(backend, handling, str(len(rows)), *(str(count) for count in counts.values()))
    console.print(summary)
    for stack, reason in report.skipped.items():
        console.print(f"{stack}: not checked: {reason}", markup=False)
    for row in report.tools:
        _print_row(console, row)
    if report.strict is not None:
        _print_strict(console, report.strict)


def _print_row(console: Console, row: ToolFidelity) -> None:
    place = f"{row.tool} on {row.backend}, {row.handling}"
    if row.name != row.tool:
        place += f" (on the wire {row.name})"
    if row.refused is not None:
        console.print(f"\n{place}: refused: {row.refused}", markup=False)
    elif row.changes:
        console.print(f"\n{place}:", markup=False)
        columns = [Column(title, overflow="fold") for title in ("what", "where", "before", "after", "why")]
        table = Table(*columns, box=None, pad_edge=False)
        for change in row.changes:
            table.add_row(*map(escape, _cells(change)))
        console.print(table)


def _print_strict(console: Console, rows: Sequence[StrictFidelity]) -> None:
    lost, refused = sum(len(row.losses) for row in rows), sum(row.refused is not None for row in rows)
    summary = Table("strict form", "tools", "lost", "refused")
    summary.add_row("openai", str(len(rows)), str(lost), str(refused))
    console.print(summary)
    for row in rows:
        if row.refused is not None:
            console.print(f"\n{row.tool} in strict form: refused: {row.refused}", markup=False)
        if row.losses:
            console.print(f"\n{row.tool} in strict form:", markup=False)
            table = Table(*(Column(title, overflow="fold") for title in ("where", "why")), box=None, pad_edge=False)
            for loss in row.losses:
                table.add_row(escape(f"/parameters{loss.path}/{loss.keyword}"), escape(loss.why))
            console.print(table)


def _cells(change: SchemaChange) -> tuple[str, str, str, str, str]:
    before = "" if change.kind == "added" else _short(change.before)
    after = "" if change.kind == "lost" else _short(change.after)
    return change.kind, change.place, before, after, change.why


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
