"""The commands `tools check` and `tools serve`: what of a catalogue reaches a model, and an MCP server of its tools."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import webbrowser
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from unified_agents.catalogue.catalogue import Catalogue, load_catalogue, mcp_servers, read_entries
from unified_agents.cli.stdio import FAILED, claim_standard_output, exit_on_wrong_usage, print_message, put_json
from unified_agents.cli.tables import console
from unified_agents.config import Handling
from unified_agents.config.importing import import_from
from unified_agents.errors import ConfigError
from unified_agents.fidelity.model_tools import ModelToolFidelity, named_model
from unified_agents.fidelity.report import COUNTED, FidelityReport, StrictFidelity, Threshold, ToolFidelity, check_tools
from unified_agents.fidelity.schema_diff import SchemaChange
from unified_agents.interop.mcp.connection import require_sdk

MAX_VALUE_CHARS = 60
_COLUMNS = ("what", "where", "before", "after", "why")

_Row: TypeAlias = ToolFidelity | StrictFidelity | ModelToolFidelity

app = typer.Typer(
    name="tools", help="Check what of a catalogue's tools reaches a model, or serve the tools.", no_args_is_help=True
)

CatalogueName = Annotated[
    str,
    typer.Argument(help="A YAML file with `tools:` (an agent's too), an OpenAPI document, module:name, a module."),
]


@app.command()
def check(
    catalogue: CatalogueName,
    *,
    backends: Annotated[
        str | None, typer.Option(help="Backends to check, separated by commas; all installed ones by default.")
    ] = None,
    handling: Annotated[Literal["unified", "native", "both"], typer.Option(help="The handling to check.")] = "both",
    fail_on: Annotated[
        Threshold,
        typer.Option(
            help="Exit with 1 when something is lost; with `added` also when something is added, with `changed` also "
            "when something is changed. It applies to unified, and to native when that alone is checked."
        ),
    ] = "lost",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Also show what OpenAI's strict form cannot express of each tool; it then counts as lost."
        ),
    ] = False,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="MODEL",
            help="Also show what goes out to a model whose server takes less than JSON Schema: provider:name, or an "
            "agent's file; it counts too. May be given several times. Nothing is sent.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Compare each tool's schema, keyword by keyword, with the request that each backend really sends.

    What a source has that cannot be a tool is named with the reason, and so is what some providers refuse. Neither
    counts against the threshold.

    Exit codes: 0 within the threshold, 1 beyond it, 2 wrong usage or configuration.
    """
    handlings: tuple[Handling, ...] = ("unified", "native") if handling == "both" else (handling,)
    names = [name.strip() for name in backends.split(",") if name.strip()] if backends else None
    with exit_on_wrong_usage(as_json=as_json), _open_catalogue(catalogue) as opened:
        asked = [named_model(model) for model in models or ()]
        report = asyncio.run(
            check_tools(opened.tools, backends=names, handlings=handlings, strict=strict, models=asked)
        )
    worse: list[_Row] = [
        *(row for row in report.models if row.is_worse_than(COUNTED[fail_on])),
        *(row for row in report.tools if row.handling == handlings[0] and row.is_worse_than(fail_on)),
        *(row for row in report.strict or () if row.is_worse_than(fail_on)),
    ]
    if as_json:
        put_json(_as_json(report, worse) | {"left_out": opened.skipped})
    else:
        _print(report)
        for name, reason in opened.skipped.items():
            console().print(f"{name}: left out: {reason}", markup=False)
    if worse:
        raise typer.Exit(FAILED)


@app.command()
def serve(
    catalogue: CatalogueName,
    transport: Annotated[Literal["stdio", "http"], typer.Option(help="How clients connect.")] = "stdio",
    port: Annotated[
        int, typer.Option(help="The port for http, on the loopback interface only; 0 takes a free one.")
    ] = 8000,
) -> None:
    """Serve the tools as an MCP server, which any framework can use, until it is interrupted."""
    with exit_on_wrong_usage():
        with contextlib.redirect_stdout(sys.stderr):  # modules print on import, and the client reads standard output
            opened = _open_catalogue(catalogue)
        with opened:
            try:
                from unified_agents.interop.mcp.server import serve as serve_tools  # noqa: PLC0415  # needs an extra

                on_ready = None if transport == "stdio" else print_message
                asyncio.run(serve_tools(opened.tools, transport, port, on_ready=on_ready))
            except KeyboardInterrupt:
                raise typer.Exit from None
            finally:
                claim_standard_output()  # the server has ended, and what is printed now is not for the client either


@app.command()
def login(
    catalogue: CatalogueName,
    *,
    server: Annotated[str | None, typer.Option(help="The name of one server; all by default.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the address in a browser, and not only print it.")] = True,
) -> None:
    """Log in at the MCP servers whose `oauth` wants a person, and keep the tokens for agents.

    The tokens are kept in a file that the user alone may read, and renewed there.
    """
    with exit_on_wrong_usage():
        import_from(Path(catalogue).parent, Path.cwd())
        waiting = [
            config
            for config in mcp_servers(read_entries(catalogue))
            if config.oauth is not None and config.oauth.client_secret_env is None and server in (None, config.label)
        ]
        if not waiting:
            raise ConfigError(f"{catalogue}: no MCP server {f'{server!r} ' if server else ''}there has `oauth: true`")
        require_sdk()
        from unified_agents.interop.mcp.login import log_in  # noqa: PLC0415  # needs an extra

        def show(address: str) -> None:
            print_message(f"open this address to log in: {address}")
            if browser:
                webbrowser.open(address)

        for config in waiting:
            count = asyncio.run(log_in(config, show))
            print_message(f"logged in at {config.label}, which has {count} tools")


def _open_catalogue(place: str) -> Catalogue:
    import_from(Path(place).parent, Path.cwd())
    return load_catalogue(place)


def _as_json(report: FidelityReport, worse: Sequence[_Row]) -> dict[str, Any]:
    stacks = [
        {"backend": backend, "handling": handling, **report.counts(backend, handling)}
        for backend, handling in report.stacks()
    ]
    return report.model_dump(mode="json") | {"stacks": stacks, "beyond_threshold": [_name(row) for row in worse]}


def _name(row: _Row) -> dict[str, str]:
    if isinstance(row, StrictFidelity):
        return {"tool": row.tool, "format": "strict"}
    if isinstance(row, ModelToolFidelity):
        return {"tool": row.tool, "model": row.model}
    return {"tool": row.tool, "backend": row.backend, "handling": row.handling}


def _print(report: FidelityReport) -> None:
    out = console()
    summary = Table("backend", "handling", "tools", "lost", "added", "changed", "refused")
    for backend, handling in report.stacks():
        rows = [row for row in report.tools if (row.backend, row.handling) == (backend, handling)]
        counts = report.counts(backend, handling)
        summary.add_row(backend, handling, str(len(rows)), *(str(count) for count in counts.values()))
    out.print(summary)
    for stack, reason in report.skipped.items():
        out.print(f"{stack}: not checked: {reason}", markup=False)
    for name, cautions in report.cautions.items():
        for caution in cautions:
            out.print(caution if name == "*" else f"{name}: {caution}", markup=False)
    for row in report.tools:
        place = f"{row.tool} on {row.backend}, {row.handling}"
        if row.name != row.tool:
            place += f" (on the wire {row.name})"
        _print_tool(out, place, row.refused, _COLUMNS, map(_cells, row.changes))
    if report.models:
        _print_models(out, report.models)
    if report.strict is not None:
        _print_strict(out, report.strict)


def _print_models(out: Console, rows: Sequence[ModelToolFidelity]) -> None:
    summary = Table("model", "protocol", "schema dialect", "tools", "unchanged", "refused")
    for model in dict.fromkeys(row.model for row in rows):
        of_model = [row for row in rows if row.model == model]
        unchanged, refused = sum(not row.changes for row in of_model), sum(row.refused is not None for row in of_model)
        first = of_model[0]
        summary.add_row(model, first.protocol, first.dialect, str(len(of_model)), str(unchanged), str(refused))
    out.print(summary)
    for row in rows:
        place = f"{row.tool} for {row.model}" + ("" if row.name == row.tool else f" (on the wire {row.name})")
        _print_tool(out, place, row.refused, _COLUMNS, map(_cells, row.changes))


def _print_strict(out: Console, rows: Sequence[StrictFidelity]) -> None:
    lost, refused = sum(len(row.losses) for row in rows), sum(row.refused is not None for row in rows)
    summary = Table("strict form", "tools", "lost", "refused")
    summary.add_row("openai", str(len(rows)), str(lost), str(refused))
    out.print(summary)
    for row in rows:
        losses = [(f"/parameters{loss.path}/{loss.keyword}", loss.why) for loss in row.losses]
        _print_tool(out, f"{row.tool} in strict form", row.refused, ("where", "why"), losses)


def _print_tool(
    out: Console, place: str, refused: str | None, titles: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Print why a tool was refused, and a table of its differences; nothing where there are none."""
    table = Table(*(Column(title, overflow="fold") for title in titles), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(escape, row))
    if refused is not None:
        out.print(f"\n{place}: refused: {refused}", markup=False)
    if table.row_count:
        out.print(f"\n{place}:", markup=False)
        out.print(table)


def _cells(change: SchemaChange) -> tuple[str, str, str, str, str]:
    before = "" if change.kind == "added" else _short(change.before)
    after = "" if change.kind == "lost" else _short(change.after)
    return change.kind, change.place, before, after, change.why


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 1] + "…"
