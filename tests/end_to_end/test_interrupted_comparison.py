"""The report of a comparison that was interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import run_program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What an interrupted comparison leaves: some of its cells, and no summary."""
    out = tmp_path / "out"
    chosen = ("--backends", "custom", "--handling", "unified", "--tasks", "add-*", "--repeats", 3, "--out", out)
    done = run_program("compare", "quickstart", *chosen)
    assert done.returncode == 0, done.stderr
    cells = (out / "cells.jsonl").read_text().splitlines(keepends=True)
    assert len(cells) == 3
    (out / "cells.jsonl").write_text(cells[0] + cells[1][:50])
    for name in ("summary.json", "report.md", "report.html"):
        (out / name).unlink()
    return out


def test_it_shows_the_cells_that_there_are_and_says_how_many_are_missing(folder: Path) -> None:
    done = run_program("report", folder)
    assert done.returncode == 0, done.stderr
    text = (folder / "report.md").read_text()
    assert "Interrupted: 2 cells of those asked for not run; nothing is judged." in text
    assert "| custom | unified | 1/1 |" in text
    assert not (folder / "summary.json").exists()


def test_it_goes_on_after_the_report(folder: Path) -> None:
    assert run_program("report", folder).returncode == 0
    chosen = ("--backends", "custom", "--handling", "unified", "--tasks", "add-*", "--repeats", 3, "--out", folder)
    done = run_program("compare", "quickstart", *chosen)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "summary.json").read_text())["cells"] == 3
    assert "Interrupted" not in (folder / "report.md").read_text()


def test_a_summary_that_is_older_than_the_cells_is_not_taken(folder: Path) -> None:
    done = run_program(
        "compare",
        "quickstart",
        "--backends",
        "custom",
        "--handling",
        "unified",
        "--tasks",
        "add-*",
        "--repeats",
        3,
        "--out",
        folder,
    )
    assert done.returncode == 0, done.stderr
    lines = (folder / "cells.jsonl").read_text().splitlines(keepends=True)
    (folder / "cells.jsonl").write_text("".join(lines[:2]))
    assert run_program("report", folder).returncode == 0
    assert "Interrupted: 1 cell " in (folder / "report.md").read_text()


def test_a_folder_that_does_not_say_what_was_compared_is_refused(folder: Path) -> None:
    (folder / "asked.json").unlink()
    done = run_program("report", folder)
    assert done.returncode == 2
    assert "does not say what was compared: let it end, with compare --out" in done.stderr
