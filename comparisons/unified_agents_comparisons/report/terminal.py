"""The report as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from unified_agents.text import visible
from unified_agents_comparisons.analysis.fault_matrix import FaultOutcome
from unified_agents_comparisons.faults.verdict import GOOD_VERDICTS
from unified_agents_comparisons.report import formatting
from unified_agents_comparisons.report.summary import Summary

MAX_REASONS = 3
MAX_SHOWN = 40


def show(summary: Summary, console: Console) -> None:
    """Print a summary: where the sides differ, what went wrong, which versions ran, and last the table."""
    for table in (_categories(summary), _controls(summary), _schemas(summary)):
        if table.row_count:
            console.print(table)
    if summary.faults:
        console.print(_faults(summary))
    elif not summary.perturb:
        _print_differences(summary, console)
    _print_surprises(summary, console)
    for backend, versions in summary.versions.items():
        named = ", ".join(f"{name} {version}" for name, version in versions.items())
        _print(console, f"{backend}: {named}", "dim")
    console.print(_totals(summary))
    _print(console, f"Model: {summary.model}; {summary.note}.", "dim")
    _print(console, "Times are medians of the cells that passed.", "dim")
    _print_tracing(summary, console)
    _print_tests(summary, console)
    for line in formatting.scope(summary.left_out, summary.beyond):
        _print(console, line, "yellow")
    _print(console, summary.verdict, "green" if summary.ok else "bold red")


def _new_table(title: str, left: Iterable[str], right: Iterable[str]) -> Table:
    """Make a table of columns aligned to the left, and others to the right."""
    return Table(*left, *(Column(name, justify="right") for name in right), title=Text(visible(title)))


def _totals(summary: Summary) -> Table:
    loop = "" if summary.variant == "tool_calling" else f", variant {summary.variant}"
    tasks, cells = formatting.counted(summary.tasks, "task"), formatting.counted(summary.cells, "cell")
    title = f"{summary.suite}{loop}: {tasks}, {cells}"
    priced = any(group.cost is not None for group in summary.groups)
    table = _new_table(
        f"{title}, negative controls" if summary.perturb else title,
        ("backend", "handling"),
        ("passed", "total, ms", "overhead, ms", "requests", "tokens", "cached", *(["cost"] if priced else [])),
    )
    for group in summary.groups:
        good = group.passed == (0 if summary.perturb else group.total)
        table.add_row(
            Text(visible(group.backend)),
            group.handling,
            Text(f"{group.passed}/{group.total}", style="green" if good else "red"),
            formatting.median_milliseconds(group.seconds),
            formatting.median_milliseconds(group.overhead),
            str(group.requests),
            formatting.all_tokens(group.usage),
            formatting.cached_tokens(group.usage),
            *([formatting.cost(group, summary.currency)] if priced else []),
        )
    return table


def _categories(summary: Summary) -> Table:
    sides = [(group.backend, group.handling) for group in summary.groups]
    table = _new_table("Passed by category", ["category"], [f"{backend}, {handling}" for backend, handling in sides])
    found = {(count.category, count.backend, count.handling): count for count in summary.categories}
    for name in dict.fromkeys(count.category for count in summary.categories):
        counts = [found.get((name, *side)) for side in sides]
        table.add_row(Text(visible(name)), *(f"{count.passed}/{count.total}" if count else "" for count in counts))
    return table


def _controls(summary: Summary) -> Table:
    table = _new_table("Failed, as they must", ["negative control"], ["failed"])
    for count in summary.controls:
        good = count.failed == count.total
        table.add_row(count.control, Text(f"{count.failed}/{count.total}", style="green" if good else "red"))
    return table


def _faults(summary: Summary) -> Table:
    sides = [(group.backend, group.handling) for group in summary.groups]
    names = Column("fault", no_wrap=True, min_width=max(len(row.kind) for row in summary.faults))
    columns = [f"{backend}, {handling}" for backend, handling in sides]
    table = Table(names, *columns, title="What each fault came to, and the requests that the run made")
    for row in summary.faults:
        found = [row.of(backend, handling) for backend, handling in sides]
        table.add_row(Text(visible(row.kind)), *(_fault(one) if one else "" for one in found))
    return table


def _fault(outcome: FaultOutcome) -> Text:
    good = outcome.verdicts.keys() <= GOOD_VERDICTS
    return Text(f"{outcome.what} ({formatting.span(outcome.requests)})", style="green" if good else "red")


def _schemas(summary: Summary) -> Table:
    title = "Tool schemas as they reached the model"
    table = _new_table(title, ("backend", "handling"), ("arrived whole", "keywords", "lost", "added"))
    for one in summary.schemas:
        counts = (f"{one.keywords:,}", f"{sum(one.lost.values()):,}", f"{sum(one.added.values()):,}")
        table.add_row(Text(visible(one.backend)), one.handling, f"{one.whole}/{one.tools}", *counts)
    return table


def _print_differences(summary: Summary, console: Console) -> None:
    console.print()
    _print(console, "Where they differ", "bold")
    if not summary.differing:
        _print(console, "Nowhere: each task had the same outcome on every backend under every handling.")
    for task in summary.differing[:MAX_SHOWN]:
        console.print(
            Text.assemble((visible(task.task), "bold cyan"), f"  {visible(task.description)}"), soft_wrap=True
        )
        for what, outcomes in task.by_what():
            _print(console, f"  {formatting.sides(outcomes)}: {what}")
        if task.differs_native:
            _print(console, f"  {task.differs_native}", "dim")
    _print_more(console, len(summary.differing))
    console.print()


def _print_tracing(summary: Summary, console: Console) -> None:
    if not summary.tracing:
        return
    right = ("runs", "model calls", "tokens right", "tools", "errors told", "one tree", "CPU, ×")
    table = _new_table("The frameworks' own tracing, against the wire", ("backend", "handling"), right)
    for row in summary.tracing:
        table.add_row(
            Text(visible(row.backend)),
            row.handling,
            str(row.runs),
            f"{row.model_calls_seen}/{row.model_calls}",
            str(row.with_tokens_right),
            f"{row.tools_seen}/{row.tools}",
            f"{row.with_errors_seen}/{row.with_errors}",
            str(row.with_parents_right),
            formatting.factor(row.cpu),
        )
    console.print(table)
    for row in summary.tracing:
        for gap in row.gaps:
            _print(console, f"  {row.backend}, {row.handling} {gap.text}: {gap.runs} of {row.runs} runs")


def _print_tests(summary: Summary, console: Console) -> None:
    shown = [test for test in summary.tests if test.shown]
    for test in shown[:MAX_SHOWN]:
        _print(console, f"{formatting.verdict(test)}: {formatting.effect(test)}")
    _print_more(console, len(shown))
    open_ = [test for test in summary.tests if test.conclusion == "inconclusive"]
    if open_:
        worst = max(open_, key=lambda test: -test.pairs)
        reason = f", such as {formatting.METRIC_NAMES[worst.metric]}: {worst.why}" if worst.why else ""
        _print(console, f"{len(open_)} of {len(summary.tests)} tests are inconclusive{reason}.", "yellow")
    if summary.power:
        _print(console, summary.power, "dim")


def _print_surprises(summary: Summary, console: Console) -> None:
    if not summary.surprises:
        return
    title = "Negative controls that passed" if summary.perturb else "What did not pass under unified handling"
    _print(console, title, "bold red")
    for cell in summary.surprises[:MAX_SHOWN]:
        _print(console, f"  {cell.task}, {cell.backend}, {cell.handling}, repeat {cell.repeat + 1}: {cell.what}")
        for reason in cell.reasons[:MAX_REASONS]:
            _print(console, f"    {reason}")
    _print_more(console, len(summary.surprises))
    console.print()


def _print_more(console: Console, count: int) -> None:
    if count > MAX_SHOWN:
        _print(console, f"  and {count - MAX_SHOWN} more: see the report")


def _print(console: Console, line: str, style: str = "") -> None:
    # Soft wrap: a line that goes into a file or a pipe stays one line.
    console.print(Text(visible(line), style=style), soft_wrap=True)
