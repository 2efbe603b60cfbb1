"""The command `unified-agents doctor`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from unified_agents.cli.stdio import COMPLETED, FAILED, exit_on_wrong_usage, put, put_json_text
from unified_agents.cli.tables import console


def doctor(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME …]", help="Backends. Default: all.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Examine the backends: versions, clashes, and one scripted run on each, here and in each environment.

    Exit codes: 0 nothing is wrong; 1 something is, and the remedy stands beside it. A backend that is not installed is
    not wrong.
    """
    from unified_agents.doctor.examination import examine  # noqa: PLC0415  # only who asks for it pays for it

    with exit_on_wrong_usage(as_json=as_json):
        examination = examine(names or ())
    if as_json:
        put_json_text(examination.model_dump_json() + "\n")
        raise typer.Exit(COMPLETED if examination.is_well else FAILED)
    table = Table("backend", "where", "state", "versions", "import, CPU s")
    for one in examination.examined:
        here = ", ".join(f"{package.name} {package.installed} ({package.supported})" for package in one.packages)
        versions = here or ", ".join(f"{name} {version}" for name, version in one.versions.items())
        seconds = "" if one.call is None else f"{one.call.import_seconds:.1f}"
        table.add_row(escape(one.backend), escape(one.where), one.status, escape(versions), seconds)
    console().print(table)
    for one in examination.examined:
        for trouble in one.troubles:
            put(f"{one.backend}, {one.where}: {trouble.what}\n  remedy: {trouble.remedy}\n")
    raise typer.Exit(COMPLETED if examination.is_well else FAILED)
