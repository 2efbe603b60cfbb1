"""The figures of a session: kept beside pytest-benchmark's own, printed as one table, held against bars on request."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from pytest_benchmark.fixture import BenchmarkFixture
from rich.console import Console
from rich.table import Table

from unified_agents_comparisons.analysis.statistics import Interval

P = ParamSpec("P")
T = TypeVar("T")

_TABLE_WIDTH = 140
ASSERT = "UNIFIED_AGENTS_BENCH_ASSERT"
"""When this variable is 1, a figure above its bar fails the benchmark; else it is only marked."""


@dataclass(slots=True, frozen=True)
class Figure:
    """One line of the table of figures.

    Attributes:
        what: What was measured.
        unit: Of the interval's numbers; "×" for a ratio.
        interval: The median with its 95 % bootstrap interval.
        bar: What the upper end must not exceed; None where there is no bar.
    """

    what: str
    unit: str
    interval: Interval
    bar: float | None

    @property
    def is_met(self) -> bool:
        """Tell whether the upper end is within the bar."""
        return self.bar is None or self.interval.high <= self.bar


def once(benchmark: BenchmarkFixture, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function once, with pytest-benchmark as the witness; the function does its own measuring."""
    result: T = benchmark.pedantic(function, args=args, kwargs=kwargs)  # type: ignore[no-untyped-call]
    return result


class Figures:
    """All figures of the session so far."""

    def __init__(self) -> None:
        self._kept: list[Figure] = []

    def add(
        self, benchmark: BenchmarkFixture, what: str, interval: Interval, *, unit: str = "×", bar: float | None = None
    ) -> None:
        """Keep a figure.

        Raises:
            AssertionError: it is above its bar, and bars are asserted; see `ASSERT`.
        """
        figure = Figure(what, unit, interval, bar)
        self._kept.append(figure)
        benchmark.extra_info[what] = interval.model_dump() | {"unit": unit, "bar": bar}
        if os.environ.get(ASSERT) == "1":
            assert figure.is_met, f"{what}: up to {interval.high:.3f} {unit}, and the bar is {bar:.3f}"

    def print(self) -> None:
        """Print the table, where there is anything to print."""
        if not self._kept:
            return
        table = Table(title="On this machine: median, and 95 % bootstrap interval")
        for name in ("figure", "median", "from", "to", "unit", "bar", ""):
            table.add_column(name, justify="left" if name in {"figure", "unit"} else "right")
        for figure in self._kept:
            numbers = (figure.interval.estimate, figure.interval.low, figure.interval.high)
            bar = "" if figure.bar is None else f"{figure.bar:.2f}"
            met = "" if figure.bar is None else "met" if figure.is_met else "MISSED"
            table.add_row(figure.what, *(f"{number:.3f}" for number in numbers), figure.unit, bar, met)
        console = Console()
        if not console.is_terminal:
            console = Console(width=_TABLE_WIDTH)
        console.print(table)
