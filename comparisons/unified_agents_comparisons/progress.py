"""What one sees while a comparison runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from unified_agents_comparisons.records import Cell
from unified_agents_comparisons.runner import OnCell, Plan


@contextmanager
def progress(plan: Plan, console: Console) -> Iterator[OnCell]:
    """Tell of the cells as they end: a bar on a terminal, else one plain line for each."""
    starting = f"starting workers: {', '.join(plan.backends)}"
    if not console.is_terminal:
        console.print(Text(starting), soft_wrap=True)
        yield lambda cell, ended, total: console.print(Text(f"[{ended}/{total}] {_told(cell)}"), soft_wrap=True)
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(starting, total=None)
        yield lambda cell, ended, total: bar.update(task, completed=ended, total=total, description=_told(cell))


def _told(cell: Cell) -> str:
    result = "passed" if cell.passed else f"{cell.status}, not passed" if cell.status == "completed" else cell.status
    seconds = "" if cell.seconds is None else f" {cell.seconds.total:.3f} s"
    return f"{cell.task} {cell.backend} {cell.handling}: {result}{seconds}"
