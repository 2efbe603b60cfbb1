"""What the user sees while a comparison runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from unified_agents.text import visible
from unified_agents_comparisons.execution.comparison import OnCell, OnNote
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.records import Cell

TENTHS = 10


class ProgressCallbacks(NamedTuple):
    """The functions that a comparison calls with each cell as it ends, and with notes for the user."""

    on_cell: OnCell
    on_note: OnNote


@dataclass(slots=True)
class _Tally:
    """What the cells that ended in this sitting came to."""

    passed: int = 0
    cells: int = 0
    tokens: int = 0
    currency: str | None = None
    cost: float | None = None

    def add(self, cell: Cell) -> None:
        self.cells += 1
        self.passed += cell.passed
        self.tokens += cell.usage.total_tokens or 0
        if cell.cost is not None:
            self.cost = (self.cost or 0.0) + cell.cost

    def __str__(self) -> str:
        tokens = f", {self.tokens:,} tokens" if self.tokens else ""
        unit = f" {self.currency}" if self.currency else ""
        spent = "" if self.cost is None else f", {self.cost:.4g}{unit} spent"
        return f"{self.passed}/{self.cells} passed{tokens}{spent}"


@contextmanager
def show_progress(plan: ComparisonPlan, console: Console) -> Iterator[ProgressCallbacks]:
    """Show the cells as they end, and notes as lines.

    On a terminal there is a bar, with the time that is left, the passes and the tokens. Elsewhere each cell is a plain
    line; on a CI server, which sets the variable `CI`, each tenth of the cells.
    """

    def print_line(line: str) -> None:
        console.print(Text(visible(line)), soft_wrap=True)

    tally = _Tally(currency=plan.currency)
    starting = f"starting workers: {', '.join(plan.backends)}"
    if not console.is_terminal:
        quiet = os.environ.get("CI", "").lower() not in {"", "0", "false"}

        def tell(cell: Cell, ended: int, total: int) -> None:
            tally.add(cell)
            if not quiet:
                print_line(f"[{ended}/{total}] {_description(cell)}")
            elif ended * TENTHS // total > (ended - 1) * TENTHS // total:
                print_line(f"[{ended}/{total}] {tally}")

        print_line(starting)
        yield ProgressCallbacks(tell, print_line)
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(starting, total=None)

        def move(cell: Cell, ended: int, total: int) -> None:
            tally.add(cell)
            bar.update(task, completed=ended, total=total, description=f"{tally}; {_description(cell)}")

        yield ProgressCallbacks(move, print_line)


def _description(cell: Cell) -> str:
    result = "passed" if cell.passed else f"{cell.status}, not passed" if cell.status == "completed" else cell.status
    seconds = "" if cell.seconds is None else f" {cell.seconds.total:.3f} s"
    variant = "" if cell.variant == "tool_calling" else f" {cell.variant}"
    return visible(f"{cell.task} {cell.backend} {cell.handling}{variant}: {result}{seconds}")
