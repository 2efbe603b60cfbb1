"""The commands `unified-agents compare` and `unified-agents report`."""

from __future__ import annotations

import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from unified_agents.cli.stdio import USAGE, exit_on_wrong_usage, print_message, report, stop
from unified_agents.config import Variant
from unified_agents.config.providers import ProtocolName
from unified_agents.errors import ConfigError
from unified_agents.extras import remedy_of_extra

Suite: TypeAlias = Annotated[
    str, typer.Argument(help="quickstart, faults, bfcl, the path of a suite's file, or of an agent's file.")
]
Controls: TypeAlias = Annotated[
    str | None,
    typer.Argument(help="With --perturb: which negative controls, with commas between. Default: all of the suite."),
]
Backends: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="NAME or NAME==VERSION, with commas between, here or in an environment of its own. "
        "Default: all that are installed and have the variant."
    ),
]
HandlingNames: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="unified, native, or both. Default: both, where a backend has both; "
        "for bfcl and for the variant react unified."
    ),
]
Loop: TypeAlias = Annotated[
    Variant | None,
    typer.Option(help="The loop: tool_calling (the default), or react, which is plain text. Of an agent: its own."),
]
Model: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="provider:name; `oracle:` answers by each task's own script, without a network. "
        "Default: an agent's own model; else oracle:."
    ),
]
BaseUrl: TypeAlias = Annotated[str | None, typer.Option(help="Another server that speaks the model's protocol.")]
Protocol: TypeAlias = Annotated[
    ProtocolName | None,
    typer.Option(help="What the model speaks, where it is not the provider's own; for `oracle:` any, and strictly."),
]
KeyVariable: TypeAlias = Annotated[str | None, typer.Option(help="The environment variable that holds the key.")]
Tasks: TypeAlias = Annotated[
    str,
    typer.Option(help="A shell pattern of task ids, such as 'no-*'. For the file of an agent: the file of questions."),
]
Repeats: TypeAlias = Annotated[int, typer.Option(help="How often each cell is run.", min=1)]
UntilDecided: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--until-decided",
        help="Run 1, 2, 4, … repeats, at most --repeats, and stop when no test is inconclusive. Each look is paid for.",
    ),
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Output folder. An existing one is resumed, and the report covers all of it. Default: a new one here."
    ),
]
Seed: TypeAlias = Annotated[int, typer.Option(help="Decides the order of the cells.")]
Timeout: TypeAlias = Annotated[
    float | None,
    typer.Option(help="Seconds of wall clock for one run. Default: 60; of an agent, its own.", min=0.001),
]
Pythons: TypeAlias = Annotated[
    list[str] | None, typer.Option(help="BACKEND=PATH: the interpreter of that backend's worker. May be repeated.")
]
Perturb: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--perturb", help="Negative controls: runs with deliberately wrong answers. Succeeds when every cell fails."
    ),
]
Details: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Which cells keep their request and response bodies: all, failed or none. "
        "Default: all; beyond 1,000, failed."
    ),
]
Data: TypeAlias = Annotated[
    Path | None, typer.Option(help="bfcl: the folder of the data. Default: that of bfcl-eval, fetched by pip.")
]
Categories: TypeAlias = Annotated[
    str | None, typer.Option(help="bfcl: names with commas between, such as simple,parallel. Default: all nine.")
]
Limit: TypeAlias = Annotated[int | None, typer.Option(help="bfcl: entries of each category at most.", min=1)]
TracingOf: TypeAlias = Annotated[
    Literal["native"] | None,
    typer.Option(help="native: score the frameworks' own tracing against the wire. Each task is then run twice."),
]
PricesFile: TypeAlias = Annotated[
    Path | None, typer.Option("--prices", help="A YAML file with the prices of models: the spend is told by it.")
]
Junit: TypeAlias = Annotated[
    Path | None, typer.Option(help="Also write JUnit XML for a CI server; what judges nobody is skipped there.")
]
Csv: TypeAlias = Annotated[Path | None, typer.Option(help="Also write the cells as CSV.")]
Record: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Write the exchanges of all cells with the model to this new file, without secrets."),
]
Replay: TypeAlias = Annotated[
    Path | None, typer.Option(help="Answer from a file that --record wrote; no model is asked.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def compare_command(
    suite: Suite,
    controls: Controls = None,
    *,
    backends: Backends = None,
    handling: HandlingNames = None,
    variant: Loop = None,
    model: Model = None,
    base_url: BaseUrl = None,
    protocol: Protocol = None,
    api_key_env: KeyVariable = None,
    tasks: Tasks = "*",
    repeats: Repeats = 1,
    until_decided: UntilDecided = False,
    out: Out = None,
    seed: Seed = 0,
    timeout: Timeout = None,
    python: Pythons = None,
    perturb: Perturb = False,
    details: Details = None,
    data: Data = None,
    categories: Categories = None,
    limit: Limit = None,
    prices: PricesFile = None,
    tracing: TracingOf = None,
    record: Record = None,
    replay: Replay = None,
    junit: Junit = None,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Run a suite's tasks on every backend, and show where they differ.

    An agent of your own: `unified-agents compare agent.yaml --tasks questions.yaml`.

    Negative controls: `unified-agents compare SUITE --perturb`, or only some: `… --perturb wrong-oracle`.

    Exit codes: 0 every cell under unified handling passed, or with --perturb every cell failed, as it must;
    1 at least one did not; 2 wrong usage or configuration; 130 interrupted.
    """
    check_extra(as_json=json)
    from unified_agents_comparisons.command import (  # noqa: PLC0415  # costs 0.4 s: not at every start
        parse_model,
        plan_comparison,
        run_command,
        suite_source,
    )
    from unified_agents_comparisons.report.exports import Exports  # noqa: PLC0415

    try:
        source, pattern = suite_source(suite, tasks, data=data, categories=categories, limit=limit)
        plan = plan_comparison(
            source,
            backends=backends,
            pythons=python or (),
            handlings=handling,
            variant=variant,
            model=parse_model(model, base_url, api_key_env, protocol),
            tasks=pattern,
            repeats=repeats,
            out=out,
            seed=seed,
            timeout=timeout,
            perturb=perturb,
            controls=controls,
            details=details,
            prices=prices,
            tracing=tracing,
            cassettes={"record": record, "replay": replay},
        )
        code = run_command(plan, as_json=json, until_decided=until_decided, exports=Exports(junit, csv))
    except ConfigError as error:
        stop(error, USAGE, as_json=json)
    raise typer.Exit(code)


Folder: TypeAlias = Annotated[Path, typer.Argument(help="The folder that a comparison wrote.")]
Open: TypeAlias = Annotated[bool, typer.Option("--open", help="Open it in the browser.")]


def report_command(folder: Folder, *, open_: Open = False) -> None:
    """Write a comparison's report.html and report.md anew, from its records; of one that was interrupted, so far.

    Exit codes: 0 written; 2 wrong usage, or the folder holds no comparison.
    """
    check_extra(as_json=False)
    from unified_agents_comparisons.records import read_cells  # noqa: PLC0415  # as in compare_command
    from unified_agents_comparisons.report.markdown import write_report  # noqa: PLC0415
    from unified_agents_comparisons.report.page import write_page  # noqa: PLC0415
    from unified_agents_comparisons.report.summary import summary_of  # noqa: PLC0415

    with exit_on_wrong_usage():
        cells = read_cells(folder)
        summary = summary_of(folder, cells)
        page = write_page(summary, cells, folder)
        write_report(summary, cells, folder)
    print(page)
    if open_ and not webbrowser.open(page.resolve().as_uri()):
        print_message("no browser was found: open the file by hand")


def check_extra(*, as_json: bool) -> None:
    """Exit with the remedy where the packages of comparisons are not installed."""
    if not all(find_spec(name) for name in ("jinja2", "rich", "scipy", "statsmodels")):
        message = f"comparisons need more: {remedy_of_extra('comparisons')}"
        report("usage", ModuleNotFoundError.__name__, message, as_json=as_json)
        raise typer.Exit(USAGE)
