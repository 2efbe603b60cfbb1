"""Two files of pytest-benchmark, set against each other."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from support import run_program
from unified_agents import ConfigError
from unified_agents_comparisons.analysis.benchmark_diff import diff_benchmarks
from unified_agents_comparisons.analysis.statistics import ratio_of_medians
from unified_agents_comparisons.report.benchmark_views import benchmarks_in_markdown


def write(path: Path, **medians: float) -> Path:
    """Write a file as pytest-benchmark does, with times around each median."""
    chance = random.Random(f"{path.name}")
    benchmarks = [
        {
            "fullname": f"test_it.py::{name}",
            "stats": {"data": [centre * chance.gauss(1, 0.02) for _ in range(60)]},
        }
        for name, centre in medians.items()
    ]
    path.write_text(json.dumps({"benchmarks": benchmarks, "version": "5.1.0"}))
    return path


def test_what_is_slower_is_worse_and_what_is_faster_is_better(tmp_path: Path) -> None:
    before = write(tmp_path / "a.json", slow=1.0, fast=1.0, same=1.0, gone=1.0)
    after = write(tmp_path / "b.json", slow=1.2, fast=0.8, same=1.0, new=1.0)
    found = diff_benchmarks(before, after, ["median>10%"])
    verdicts = {change.name.rpartition(":")[2]: (change.verdict, change.exceeds) for change in found.changes}
    assert verdicts == {"slow": ("worse", True), "fast": ("better", False), "same": ("inconclusive", False)}
    assert [line.rpartition(":")[2] for line in found.left_out] == ["gone", "new"]
    assert diff_benchmarks(before, after, ["median>30%"]).exceeded == ()
    assert "| worse, beyond the limit |" in benchmarks_in_markdown(found)


def test_an_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    chance, covered = random.Random(1), 0
    for _ in range(100):
        of, to = ([centre * chance.lognormvariate(0, 0.2) for _ in range(40)] for centre in (1.1, 1.0))
        interval = ratio_of_medians(of, to)
        covered += interval.low <= 1.1 <= interval.high
    assert 88 <= covered <= 100


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "is no file of pytest-benchmark"),
        ("[]", "is no file of pytest-benchmark"),
        ("nonsense", "is no JSON"),
        ('{"benchmarks": [{"fullname": "x", "stats": {}}]}', "has no times"),
        ('{"benchmarks": [{"fullname": "x", "stats": {"data": [0]}}]}', "x has no times"),
        ('{"benchmarks": []}', "no benchmark in common"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(ConfigError, match=words):
        diff_benchmarks(write(tmp_path / "a.json", one=1.0), tmp_path / "b.json")


def test_a_limit_on_something_else_is_refused(tmp_path: Path) -> None:
    file: Any = write(tmp_path / "a.json", one=1.0)
    with pytest.raises(ConfigError, match="of benchmarks write median>N%"):
        diff_benchmarks(file, file, ["passed<"])


def test_the_command_reads_what_pytest_writes(tmp_path: Path) -> None:
    before, after = write(tmp_path / "a.json", slow=1.0), write(tmp_path / "b.json", slow=1.5)
    done = run_program("diff", before, after, "--fail-on", "median>10%", "--format", "json")
    assert done.returncode == 1, done.stderr
    [change] = json.loads(done.stdout)["changes"]
    assert (change["verdict"], change["exceeds"]) == ("worse", True)
    shown = run_program("diff", before, after)
    assert (shown.returncode, "worse" in shown.stdout) == (0, True)
    assert run_program("diff", before, after, "--format", "html").returncode == 2
