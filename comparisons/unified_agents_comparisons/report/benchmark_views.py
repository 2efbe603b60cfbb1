"""Two files of benchmarks set against each other, as a terminal and a pull request show them."""

from __future__ import annotations

from rich.table import Column, Table
from rich.text import Text

from unified_agents.cli.tables import console
from unified_agents.text import visible
from unified_agents_comparisons.analysis.benchmark_diff import BenchmarkChange, BenchmarkDiff
from unified_agents_comparisons.report.formatting import factor
from unified_agents_comparisons.report.markdown import escaped

HEAD = ("benchmark", "before, ms", "after, ms", "after / before", "verdict")


def benchmarks_in_terminal(diff: BenchmarkDiff) -> str:
    """Return the benchmarks as a terminal shows them."""
    printed = console()
    numbers = [Column(name, justify="right") for name in HEAD[1:4]]
    table = Table(HEAD[0], *numbers, HEAD[4], title=Text(visible(f"{diff.before} → {diff.after}")))
    for change in diff.changes:
        table.add_row(*(Text(visible(value)) for value in _row(change)))
    with printed.capture() as captured:
        printed.print(table)
        for line in diff.left_out:
            printed.print(Text(visible(f"Mind: {line}.")), soft_wrap=True)
    return captured.get()


def benchmarks_in_markdown(diff: BenchmarkDiff) -> str:
    """Return the benchmarks as Markdown, for a comment on a pull request."""
    title = f"### {escaped(diff.before)} → {escaped(diff.after)}"
    lines = [title, "", f"| {' | '.join(HEAD)} |", "|---|--:|--:|--:|---|"]
    lines += [f"| {' | '.join(str(escaped(cell)) for cell in _row(change))} |" for change in diff.changes]
    lines += ["", *(f"- Mind: {escaped(line)}." for line in diff.left_out)]
    return "\n".join(lines).rstrip() + "\n"


def _row(change: BenchmarkChange) -> tuple[str, ...]:
    verdict = f"{change.verdict}, beyond the limit" if change.exceeds else change.verdict
    return change.name, f"{change.before * 1000:,.3f}", f"{change.after * 1000:,.3f}", factor(change.ratio), verdict
