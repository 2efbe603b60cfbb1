"""What one sees while a comparison runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from unified_agents_comparisons.execution.comparison import OnCell, OnNote, Plan
from unified_agents_comparisons.records import Cell


class Told(NamedTuple):
    """Whom a comparison tells: of each cell as it ends, and of what the user should know."""

    cell: OnCell
    note: OnNote


@contextmanager
def progress(plan: Plan, console: Console) -> Iterator[Told]:
    """Tell of the cells as they end: a bar on a terminal, else one plain line for each; and of notes in lines."""

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    starting = f"starting workers: {', '.join(plan.backends)}"
    if not console.is_terminal:
        say(starting)
        yield Told(lambda cell, ended, total: say(f"[{ended}/{total}] {_told(cell)}"), say)
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(starting, total=None)
        yield Told(
            lambda cell, ended, total: bar.update(task, completed=ended, total=total, description=_told(cell)), say
        )


def _told(cell: Cell) -> str:
    result = "passed" if cell.passed else f"{cell.status}, not passed" if cell.status == "completed" else cell.status
    seconds = "" if cell.seconds is None else f" {cell.seconds.total:.3f} s"
    variant = "" if cell.variant == "tool_calling" else f" {cell.variant}"
    return f"{cell.task} {cell.backend} {cell.handling}{variant}: {result}{seconds}"
