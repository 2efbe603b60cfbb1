"""The shipped suites and 200 entries of BFCL over each protocol, on every backend, on strict servers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support import BACKENDS, CORPORA, needs_corpora, run_program
from unified_agents.config.providers import PROTOCOL_TITLES

pytestmark = pytest.mark.proof
PROTOCOLS = tuple(PROTOCOL_TITLES)

ENTRIES_OF_EACH_CATEGORY = 27
"""So that there are 200 of all nine categories, of which some have fewer."""


def compared(out: Path, *arguments: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run a comparison, and return its summary and its cells."""
    options = ("--handling", "unified", "--json", "--out", out)
    done = run_program("compare", *arguments, *options, timeout=3000)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout), [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("suite", ["quickstart", "faults"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_cell_of_a_shipped_suite_passes(protocol: str, suite: str, tmp_path: Path) -> None:
    summary, cells = compared(tmp_path / "out", suite, "--protocol", protocol)
    assert summary["surprises"] == []
    assert [cell["task"] for cell in cells if not cell["passed"]] == []
    assert set(Counter(cell["backend"] for cell in cells)) == set(BACKENDS)


@needs_corpora
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_hundred_entries_of_all_categories_pass(protocol: str, tmp_path: Path) -> None:
    source = ("bfcl", "--data", CORPORA / "bfcl", "--limit", ENTRIES_OF_EACH_CATEGORY)
    _, cells = compared(tmp_path / "out", *source, "--protocol", protocol)
    assert [cell["task"] for cell in cells if not cell["passed"]] == []
    counts = Counter(cell["backend"] for cell in cells)
    assert counts.keys() == set(BACKENDS)
    assert min(counts.values()) >= 200
    assert len({cell["task"].rstrip("-0123456789").rstrip("_") for cell in cells}) == 9
