"""The command `unified-agents diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from unified_agents.cli.stdio import exit_on_wrong_usage, put
from unified_agents_comparisons.cli import check_extra

Before: TypeAlias = Annotated[Path, typer.Argument(help="The folder of the comparison before the change.")]
After: TypeAlias = Annotated[Path, typer.Argument(help="The folder of the comparison after it.")]
FailOn: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        help="A limit: 'overhead_p50>10%', 'passed<'. Beyond it the command fails; of a time only where the change is "
        "shown too. May be repeated."
    ),
]
Form: TypeAlias = Annotated[Literal["terminal", "markdown", "html", "json"], typer.Option("--format", help="The form.")]
Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file to write to. Default: standard output.")
]


def diff_command(
    before: Before, after: After, *, fail_on: FailOn = None, form: Form = "terminal", output: Output = None
) -> None:
    """Set two comparisons of a suite against each other: better, worse or inconclusive.

    Exit codes: 0 all limits are kept; 1 one is exceeded; 2 wrong usage, or a folder holds no comparison.
    """
    check_extra(as_json=False)
    from unified_agents_comparisons.analysis.run_diff import Limit, diff_runs  # noqa: PLC0415  # as in compare_command
    from unified_agents_comparisons.records import read_cells, write_atomically  # noqa: PLC0415
    from unified_agents_comparisons.report.diff_views import html, markdown, terminal  # noqa: PLC0415

    with exit_on_wrong_usage():
        limits = [Limit.parse(text) for text in fail_on or ()]
        names = (before.name, after.name) if before.name != after.name else (str(before), str(after))
        diff = diff_runs(read_cells(before), read_cells(after), names=names, limits=limits)
    if form == "json":
        text = diff.model_dump_json(indent=2) + "\n"
    else:
        text = {"markdown": markdown, "html": html, "terminal": terminal}[form](diff)
    if output is None:
        put(text)
    else:
        write_atomically(output, text)
    raise typer.Exit(1 if diff.exceeded else 0)
