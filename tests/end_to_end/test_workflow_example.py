"""The example of a workflow for GitHub Actions, as far as a runner can be simulated: its commands, in its order."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from support import PROGRAM, ROOT, run_process

WORKFLOW = ROOT / "examples" / "compare-workflow.yaml"
GIT = shutil.which("git")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(GIT is None, reason="no git")]


@pytest.fixture
def steps() -> list[dict[str, Any]]:
    found = yaml.safe_load(WORKFLOW.read_text())
    assert found[True] == "pull_request"  # YAML 1.1 reads the key `on` so
    return list(found["jobs"]["compare"]["steps"])


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """What a runner gives a step: a checked out repository with a branch of origin, and its variables."""
    origin, workspace = tmp_path / "origin", tmp_path / "workspace"
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")
    run_process(GIT, *identity, "init", origin, check=True)
    (origin / "README.md").write_text("A project.")
    run_process(GIT, "-C", origin, "add", ".", check=True)
    run_process(GIT, *identity, "-C", origin, "commit", "-m", "First", check=True)
    run_process(GIT, "clone", origin, workspace, check=True)
    return {
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "step-summary.md"),
        "CI": "true",
        "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
    }


def carried_out(step: dict[str, Any], runner: dict[str, str]) -> tuple[int, str]:
    """Carry out the commands of a step as a runner does: `bash -e` in the workspace."""
    done = run_process(
        "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"],
        cwd=runner["GITHUB_WORKSPACE"], env=os.environ | runner,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(300)
def test_its_commands_leave_what_it_keeps(steps: list[dict[str, Any]], runner: dict[str, str]) -> None:
    commands = [step for step in steps if "run" in step]
    assert commands[0]["run"].startswith("pip install ")
    for step in commands[1:]:
        code, told = carried_out(step, runner)
        # Two runs of a task on a busy machine may be shown to be slower; that is no fault of the example.
        assert code == 0 or (step["name"] == "Tell the difference" and "overhead_p50>25%" in told), told
    workspace = Path(runner["GITHUB_WORKSPACE"])
    for name in steps[-1]["with"]["path"].split():
        assert (workspace / name).stat().st_size > 0, name
    assert "before → after" in Path(runner["GITHUB_STEP_SUMMARY"]).read_text()
    suites = ElementTree.parse(workspace / "after.xml").getroot()
    assert [suite.get("failures") for suite in suites] == ["0", "0"]


@pytest.mark.timeout(300)
def test_a_change_for_the_worse_fails_the_step(steps: list[dict[str, Any]], runner: dict[str, str]) -> None:
    workspace = Path(runner["GITHUB_WORKSPACE"])
    by_name = {step.get("name"): step for step in steps}
    assert carried_out(by_name["Compare"], runner)[0] == 0
    shutil.copytree(workspace / "after", workspace / "before")
    cells = workspace / "after" / "cells.jsonl"
    cells.write_text(cells.read_text().replace('"passed":true', '"passed":false'))
    code, _ = carried_out(by_name["Tell the difference"], runner)
    assert code == 1
    assert "Limit passed" in (workspace / "diff.md").read_text()
