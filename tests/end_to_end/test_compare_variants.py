"""`unified-agents compare --variant`, and backends that lack what is compared, as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import BACKENDS, EVERY_BACKEND, run_program
from unified_agents.backend import variants_of
from unified_agents.registry import load_backend
from unified_agents_comparisons.loading import load_suite

HAVING = [name for name in BACKENDS if "react" in variants_of(load_backend(name))]
LACKING = [name for name in EVERY_BACKEND if name not in HAVING]  # those beyond BACKENDS have no text protocol
UNIFIED_ALONE = """
from unified_agents.backend import Capability
from unified_agents.registry import load_backend

WHOLE = load_backend("custom")

class Thin:
    name = "thin"
    capabilities = WHOLE.capabilities - {Capability.NATIVE}

    def build(self, spec):
        return WHOLE.build(spec)
"""


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_program("compare", *arguments, env=os.environ | environment)


def cells_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]


def test_the_text_protocol_passes_on_every_backend_that_has_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("quickstart", "--variant", "react", "--tasks", "*-at-once", "--json", "--out", out)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["variant"] == "react"
    assert {(group["backend"], group["handling"]) for group in summary["groups"]} == {
        (name, "unified") for name in HAVING
    }
    for name in LACKING:
        assert f"left out: backend {name!r} has no variant 'react'" in result.stderr.splitlines()
    assert len(summary["left_out"]) == 1 + len(LACKING)
    assert summary["tasks"] >= 3
    cells = cells_of(out)
    assert {(cell["variant"], cell["passed"]) for cell in cells} == {("react", True)}
    for cell in cells:
        assert cell["requests"] > len(cell["tool_calls"]) >= 2, "one call a turn"
        assert cell["schemas"] == []


@pytest.mark.proof
def test_the_whole_quickstart_passes_in_text(tmp_path: Path) -> None:
    result = run("quickstart", "--variant", "react", "--json", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["surprises"] == []
    assert summary["cells"] == len(load_suite("quickstart").suite.tasks) * len(HAVING)


def test_the_negative_controls_bite_in_text(tmp_path: Path) -> None:
    arguments = ("quickstart", "--variant", "react", "--tasks", "l*", "--backends", "custom", "--perturb", "--json")
    result = run(*arguments, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert {count["control"] for count in summary["controls"]} == {"wrong-oracle", "altered-result"}
    assert {group["passed"] for group in summary["groups"]} == {0}
    assert summary["cells"] >= 10


def test_faults_are_put_into_the_text_as_well(tmp_path: Path) -> None:
    values = load_suite("faults").suite.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    faults = {"kinds": ["html", "broken-json", "tool-raises"], "at": ["middle"], "streamed": [True]}
    suite, out = tmp_path / "suite.yaml", tmp_path / "out"
    suite.write_text(yaml.safe_dump(values | {"faults": faults}), encoding="utf-8")
    result = run(suite, "--variant", "react", "--json", "--out", out)
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)["faults"]
    assert [row["kind"] for row in rows] == faults["kinds"]
    for row in rows:
        assert [one["backend"] for one in row["outcomes"]] == HAVING
        assert [one["verdicts"] for one in row["outcomes"]] == [{"recovered": 1}] * len(HAVING)
    assert {cell["variant"] for cell in cells_of(out)} == {"react"}
    assert any("Observation:" in told for cell in cells_of(out) for told in cell["told"])


@pytest.mark.skipif(not LACKING, reason="every installed backend has the variant")
def test_a_backend_that_was_named_is_not_left_out(tmp_path: Path) -> None:
    names = ",".join((LACKING[0], HAVING[0]))
    result = run("quickstart", "--variant", "react", "--backends", names, "--json", "--out", tmp_path / "out")
    assert result.returncode == 2
    error = json.loads(result.stdout)["error"]
    assert error["message"].startswith(f"backend {LACKING[0]!r} has no variant 'react'")
    assert result.stderr.splitlines()[-1] == f"unified-agents: {error['message']}"


def test_native_is_run_in_text_when_it_is_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("--backends", HAVING[0], "--variant", "react", "--handling", "native,unified", "--tasks", "add*")
    result = run("quickstart", *arguments, "--json", "--out", out)
    assert result.returncode == 0, result.stderr
    assert {(cell["handling"], cell["passed"]) for cell in cells_of(out)} == {("native", True), ("unified", True)}
    assert json.loads(result.stdout)["left_out"] == []


@pytest.fixture
def thin(tmp_path: Path) -> str:
    """A third party's backend without native handling, on the Python path; returns that path."""
    (tmp_path / "thin_backend.py").write_text(UNIFIED_ALONE)
    info = tmp_path / "thin_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thin-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[unified_agents.backends]\nthin = thin_backend:Thin\n")
    return os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])


def test_native_is_left_out_where_a_backend_has_none(thin: str, tmp_path: Path) -> None:
    arguments = ("quickstart", "--backends", "thin,custom", "--tasks", "add*", "--json")
    result = run(*arguments, "--out", tmp_path / "out", PYTHONPATH=thin)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    sides = [(group["backend"], group["handling"]) for group in summary["groups"]]
    assert sides == [("custom", "unified"), ("custom", "native"), ("thin", "unified")]
    assert summary["left_out"] == ["backend 'thin' has no `handling: native`"]
    assert "left out: backend 'thin' has no `handling: native`" in result.stderr
    assert "backend 'thin' has no" in (tmp_path / "out" / "report.md").read_text().replace("\\", "")


def test_native_is_not_left_out_where_it_was_named(thin: str, tmp_path: Path) -> None:
    arguments = ("quickstart", "--backends", "thin,custom", "--tasks", "add*", "--handling", "unified,native")
    result = run(*arguments, "--out", tmp_path / "out", PYTHONPATH=thin)
    assert result.returncode == 2
    assert "unified-agents: backend 'thin' has no `handling: native`" in result.stderr
    assert result.stdout == ""
