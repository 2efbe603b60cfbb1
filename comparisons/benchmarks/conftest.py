"""`pytest comparisons/benchmarks --benchmark-only`, or `make bench`.

Figures are ratios and differences within one run, never seconds to be compared between machines. They are printed at
the end and kept in `extra_info` of `--benchmark-json`. With UNIFIED_AGENTS_BENCH_ASSERT=1 the bars are asserted.
"""

from __future__ import annotations

import pytest

from benchmarks.figures import Figures

_figures = Figures()


@pytest.fixture(scope="session")
def figures() -> Figures:
    """Return the place where measurements put their figures."""
    return _figures


def pytest_terminal_summary() -> None:
    """Print the table."""
    _figures.print()
