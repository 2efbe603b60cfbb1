"""`unified-agents compare` with a suite that has faults, as a user starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from unified_agents_comparisons.suite import load_suite

COMMAND = (sys.executable, "-c", "from unified_agents.cli.main import main; main()", "compare")


def small_suite(folder: Path, **faults: object) -> Path:
    suite = load_suite("faults").suite.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(suite | {"faults": faults}), encoding="utf-8")
    return path


def test_the_matrix_is_shown_everywhere(tmp_path: Path) -> None:
    suite = small_suite(tmp_path, kinds=["html", "broken-json"], at=["middle"], native_at=["middle"], streamed=[False])
    out = tmp_path / "out"
    command = [*COMMAND, str(suite), "--backends", "custom", "--out", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert "broken-json" in result.stdout
    assert "## Faults" in (out / "report.md").read_text()
    rows = {row["kind"]: row["outcomes"] for row in json.loads((out / "summary.json").read_text())["faults"]}
    assert [one["verdicts"] for one in rows["html"]] == [{"recovered": 1}, {"failed clearly": 1}]
    told = rows["broken-json"][0]["told"]
    assert len(told) == 1
    assert told[0].startswith("Error: the arguments of tool 'add' are not valid")


def test_negative_controls_are_run_without_faults(tmp_path: Path) -> None:
    suite = small_suite(tmp_path, kinds=["html"], at=["first"])
    command = [*COMMAND, str(suite), "--perturb", "--backends", "custom", "--json", "--out", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["faults"], summary["cells"]) == ([], 4)
