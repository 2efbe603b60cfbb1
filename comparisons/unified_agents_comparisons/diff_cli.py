"""The command `unified-agents diff`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeAlias

import typer

from unified_agents.cli.stdio import exit_on_wrong_usage, put, put_json_text
from unified_agents.errors import ConfigError
from unified_agents_comparisons.cli import check_extra

Before: TypeAlias = Annotated[Path, typer.Argument(help="The comparison before, or a file of pytest-benchmark.")]
After: TypeAlias = Annotated[
    Path | None, typer.Argument(help="That after the change. With --backends it may be the same.")
]
Pair: TypeAlias = Annotated[
    str | None,
    typer.Option(help="A,B: set backend A of the first against B of the second, such as two versions of a framework."),
]
FailOn: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        help="A limit: 'overhead_p50>10%', 'passed<'. Beyond it the command fails; of a time only where the change is "
        "shown too, and in units of the same work, where that was timed beside every run. May be repeated."
    ),
]
Form: TypeAlias = Annotated[Literal["terminal", "markdown", "html", "json"], typer.Option("--format", help="The form.")]
Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file to write to. Default: standard output.")
]


def diff_command(
    before: Before,
    after: After = None,
    *,
    backends: Pair = None,
    fail_on: FailOn = None,
    form: Form = "terminal",
    output: Output = None,
) -> None:
    """Set two comparisons of a suite against each other, or two files of pytest-benchmark: better, worse, inconclusive.

    Exit codes: 0 all limits are kept; 1 one is exceeded; 2 wrong usage, or a folder holds no comparison.
    """
    check_extra(as_json=False)
    from unified_agents_comparisons.analysis.run_diff import Limit  # noqa: PLC0415  # as in compare_command
    from unified_agents_comparisons.analysis.version_diff import Recorded, diff_recorded  # noqa: PLC0415
    from unified_agents_comparisons.report.diff_views import html, markdown, terminal  # noqa: PLC0415

    if before.is_file() and after is not None:
        _diff_benchmarks(before, after, fail_on or (), form, output)
    with exit_on_wrong_usage():
        limits = [Limit.parse(text) for text in fail_on or ()]
        pair = _pair(backends)
        if after is None and backends is None:
            raise ConfigError("give two folders, or one and --backends A,B")
        second = after or before
        names = (before.name, second.name) if before.name != second.name else (str(before), str(second))
        if pair != (None, None):
            names = (f"{names[0]}, {pair[0]}", f"{names[1]}, {pair[1]}")
        sides = (Recorded.read(before, pair[0], names[0]), Recorded.read(second, pair[1], names[1]))
        diff = diff_recorded(*sides, limits=limits, is_pair=backends is not None)
    if form == "json":
        text = diff.model_dump_json(indent=2) + "\n"
    else:
        text = {"markdown": markdown, "html": html, "terminal": terminal}[form](diff)
    _write(text, form, output)
    raise typer.Exit(1 if diff.exceeded else 0)


def _diff_benchmarks(before: Path, after: Path, limits: Sequence[str], form: str, output: Path | None) -> NoReturn:
    from unified_agents_comparisons.analysis.benchmark_diff import diff_benchmarks  # noqa: PLC0415
    from unified_agents_comparisons.report.benchmark_views import (  # noqa: PLC0415
        benchmarks_in_markdown,
        benchmarks_in_terminal,
    )

    with exit_on_wrong_usage():
        if form == "html":
            raise ConfigError("benchmarks have no form html: give terminal, markdown or json")
        diff = diff_benchmarks(before, after, limits)
    if form == "json":
        text = diff.model_dump_json(indent=2) + "\n"
    else:
        text = (benchmarks_in_markdown if form == "markdown" else benchmarks_in_terminal)(diff)
    _write(text, form, output)
    raise typer.Exit(1 if diff.exceeded else 0)


def _write(text: str, form: str, output: Path | None) -> None:
    from unified_agents_comparisons.records import write_atomically  # noqa: PLC0415

    if output is None:
        (put_json_text if form == "json" else put)(text)
    else:
        write_atomically(output, text)


def _pair(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise ConfigError(
            f"--backends {text!r}: write two names with a comma between, such as langchain==1.3.*,langchain"
        )
    return names[0], names[1]
