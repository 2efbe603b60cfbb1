"""`unified-agents compare` with a suite that has faults, as a user starts it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from support import BACKENDS, run_program
from unified_agents_comparisons.loading import load_suite


def small_suite(folder: Path, **faults: object) -> Path:
    suite = load_suite("faults").suite.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(suite | {"faults": faults}), encoding="utf-8")
    return path


def test_the_matrix_is_shown_everywhere(tmp_path: Path) -> None:
    suite = small_suite(tmp_path, kinds=["html", "broken-json"], at=["middle"], native_at=["middle"], streamed=[False])
    out = tmp_path / "out"
    result = run_program("compare", suite, "--backends", "custom", "--out", out)
    assert result.returncode == 0, result.stderr
    assert "broken-json" in result.stdout
    assert "## Faults" in (out / "report.md").read_text()
    rows = {row["kind"]: row["outcomes"] for row in json.loads((out / "summary.json").read_text())["faults"]}
    assert [one["verdicts"] for one in rows["html"]] == [{"recovered": 1}, {"failed clearly": 1}]
    told = rows["broken-json"][0]["told"]
    assert len(told) == 1
    assert told[0].startswith("Error: the arguments of tool 'add' are not valid")


@pytest.mark.timed
def test_the_figures_of_the_report_are_the_known_ones_on_every_backend(tmp_path: Path) -> None:
    """The task takes three requests; each fault comes at the second, which asks for `add`."""
    kinds = ["retry-after", "html", "broken-json", "tool-hangs"]
    policy = {"wait_initial": 0.9, "jitter": 0.0}
    suite = small_suite(tmp_path, kinds=kinds, at=["middle"], streamed=[False], policy=policy)
    out = tmp_path / "out"
    result = run_program(
        "compare", suite, "--backends", ",".join(BACKENDS), "--handling", "unified", "--json", "--out", out
    )
    assert result.returncode == 0, result.stderr
    rows = {row["kind"]: row["outcomes"] for row in json.loads(result.stdout)["faults"]}
    assert all({one["backend"] for one in row} == set(BACKENDS) for row in rows.values())
    requests = {"retry-after": 3 + 2, "html": 3 + 1, "broken-json": 3 + 1, "tool-hangs": 3 + 1}
    assert {kind: {tuple(one["requests"]) for one in row} for kind, row in rows.items()} == {
        kind: {(number,)} for kind, number in requests.items()
    }
    # Twice the server's 0.03 seconds; the policy's first wait; none; the tool's timeout of 0.3 seconds.
    waited = {"retry-after": 0.06, "html": 0.9, "broken-json": 0.0, "tool-hangs": 0.3}
    lost = {kind: [one["seconds_lost"] for one in row] for kind, row in rows.items()}
    for kind, seconds in lost.items():
        assert all(waited[kind] - 0.1 < one < waited[kind] + 0.8 for one in seconds), lost
    told = {kind: {tuple(one["told"]) for one in row} for kind, row in rows.items()}
    assert told["retry-after"] == told["html"] == {()}
    for kind, what in (("broken-json", "the arguments of tool 'add' are not valid"), ("tool-hangs", "0.3 seconds")):
        [[text]] = told[kind]
        assert what in text
        assert text.splitlines()[0] in (out / "report.md").read_text()


def test_negative_controls_are_run_without_faults(tmp_path: Path) -> None:
    suite = small_suite(tmp_path, kinds=["html"], at=["first"])
    arguments = ("--perturb", "--backends", "custom", "--json", "--out", tmp_path / "out")
    result = run_program("compare", suite, *arguments)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["faults"], summary["cells"]) == ([], 4)
