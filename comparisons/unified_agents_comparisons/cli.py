"""The command `unified-agents compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def compare_command(
    suite: Annotated[str, typer.Argument(help="quickstart, bfcl, or the path of a suite's file.")],
    controls: Annotated[
        str | None,
        typer.Argument(help="With --perturb: which negative controls, with commas between. Default: all of the suite."),
    ] = None,
    *,
    backends: Annotated[
        str | None, typer.Option(help="Names with commas between. Default: all that are installed.")
    ] = None,
    handling: Annotated[
        str | None,
        typer.Option(help="unified, native, or both with a comma between. Default: both; for bfcl unified."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="provider:name; `oracle:` answers by each task's own script, without a network.")
    ] = "oracle:",
    base_url: Annotated[str | None, typer.Option(help="Another server that speaks Chat Completions.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The environment variable that holds the key.")] = None,
    tasks: Annotated[str, typer.Option(help="A shell pattern of task ids, such as 'parallel-*'.")] = "*",
    repeats: Annotated[int, typer.Option(help="How often each cell is run.", min=1)] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder of the records; one that exists is gone on with. Default: a new one here."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the order of the cells.")] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds of wall clock for one run.", min=0.001)] = 60.0,
    python: Annotated[
        list[str] | None, typer.Option(help="BACKEND=PATH: the interpreter of that backend's worker. May be repeated.")
    ] = None,
    perturb: Annotated[
        bool,
        typer.Option("--perturb", help="Negative controls: answers made wrong. Succeeds when every cell fails."),
    ] = False,
    details: Annotated[
        str | None,
        typer.Option(
            help="Which cells leave their exchanges: all, failed or none. Default: all; beyond 1,000, failed."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="bfcl: the folder of the data. Default: that of bfcl-eval, fetched by pip.")
    ] = None,
    categories: Annotated[
        str | None, typer.Option(help="bfcl: names with commas between, such as simple,parallel. Default: all nine.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="bfcl: entries of each category at most.", min=1)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")] = False,
) -> None:
    """Run a suite's tasks on every backend, and show where they differ.

    Negative controls: `unified-agents compare SUITE --perturb`, or only some: `… --perturb wrong-oracle`.

    Exit code 0: every cell under unified handling passed; 1: one did not; 2: something does not fit; 130: interrupted.
    """
    try:
        from unified_agents_comparisons.command import run_command  # noqa: PLC0415  # costs 0.4 s: not at every start
    except ModuleNotFoundError as error:
        if error.name not in ("jinja2", "rich"):
            raise
        sys.stderr.write("unified-agents: comparisons need more; run: pip install 'unified-agents[comparisons]'\n")
        raise typer.Exit(2) from error
    options = {
        "suite": suite,
        "backends": backends,
        "pythons": python or (),
        "handlings": handling,
        "model": model,
        "base_url": base_url,
        "api_key_env": api_key_env,
        "tasks": tasks,
        "repeats": repeats,
        "seed": seed,
        "out": out,
        "timeout": timeout,
        "perturb": perturb,
        "controls": controls,
        "details": details,
        "data": data,
        "categories": categories,
        "limit": limit,
    }
    raise typer.Exit(run_command(options, as_json=json))
