"""What the user sees while a comparison runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from unified_agents_comparisons.execution.comparison import OnCell, OnNote
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.records import Cell


class ProgressCallbacks(NamedTuple):
    """The functions that a comparison calls with each cell as it ends, and with notes for the user."""

    on_cell: OnCell
    on_note: OnNote


@contextmanager
def show_progress(plan: ComparisonPlan, console: Console) -> Iterator[ProgressCallbacks]:
    """Show the cells as they end: a bar on a terminal, else one plain line for each; and notes as lines."""

    def print_line(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    starting = f"starting workers: {', '.join(plan.backends)}"
    if not console.is_terminal:
        print_line(starting)
        yield ProgressCallbacks(
            lambda cell, ended, total: print_line(f"[{ended}/{total}] {_description(cell)}"), print_line
        )
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(starting, total=None)
        yield ProgressCallbacks(
            lambda cell, ended, total: bar.update(task, completed=ended, total=total, description=_description(cell)),
            print_line,
        )


def _description(cell: Cell) -> str:
    result = "passed" if cell.passed else f"{cell.status}, not passed" if cell.status == "completed" else cell.status
    seconds = "" if cell.seconds is None else f" {cell.seconds.total:.3f} s"
    variant = "" if cell.variant == "tool_calling" else f" {cell.variant}"
    return f"{cell.task} {cell.backend} {cell.handling}{variant}: {result}{seconds}"
