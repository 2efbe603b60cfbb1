"""What the user sees while a comparison runs: a bar, a line for each cell, or little on a CI server."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.progress import show_progress
from unified_agents_comparisons.records import Cell


@pytest.fixture
def shown(
    tmp_path: Path, write_suite: Callable[..., Path], make_cell: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    def show(*, terminal: bool = False, ci: str = "", count: int = 30) -> str:
        monkeypatch.setenv("CI", ci)
        monkeypatch.setenv("TERM", "xterm")
        plan = ComparisonPlan(suite=load_suite(write_suite()), backends=("custom",), out=tmp_path)
        console = Console(file=io.StringIO(), force_terminal=terminal, width=200)
        with show_progress(plan, console) as progress:
            for ended in range(1, count + 1):
                progress.on_cell(make_cell(passed=ended != 7), ended, count)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    return show


def test_a_file_gets_a_line_for_each_cell(shown: Callable[..., str]) -> None:
    lines = shown().splitlines()
    assert len(lines) == 31
    assert lines[7] == "[7/30] one b unified: completed, not passed 0.030 s"


@pytest.mark.parametrize("ci", ["true", "1"])
def test_a_ci_server_gets_ten_lines(shown: Callable[..., str], ci: str) -> None:
    lines = shown(ci=ci).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "[30/30] 29/30 passed, 1,500 tokens"
    assert len(shown(ci=ci, count=3).splitlines()) == 4
    assert len(shown(ci="false").splitlines()) == 31


def test_a_terminal_gets_a_bar_with_passes_and_the_time_that_is_left(shown: Callable[..., str]) -> None:
    text = shown(terminal=True)
    assert "30/30" in text
    assert "left:" in text
    assert "29/30 passed, 1,500 tokens" in text
