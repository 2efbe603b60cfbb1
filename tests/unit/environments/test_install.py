"""Environments are installed from local wheels, found, used by comparisons, renewed and removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_environments import LocalEnvironments

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def installed(local: LocalEnvironments) -> LocalEnvironments:
    done = local.call("backends", "install", "tiny")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tiny: python 3.")
    return local


def _folder(local: LocalEnvironments, name: str = "tiny") -> Path:
    return local.home / "unified-agents" / "environments" / name


def _row(local: LocalEnvironments) -> dict[str, object]:
    rows = json.loads(local.call("backends", "list", "--json").stdout)
    found: dict[str, object] = next(row for row in rows if row["name"] == "tiny")
    return found


def test_an_environment_holds_this_library_and_the_plugin_from_files(installed: LocalEnvironments) -> None:
    manifest = json.loads((_folder(installed) / "environment.json").read_text())
    assert manifest["facts"]["versions"]["unified-agents-tiny"] == "0.1.0"
    assert set(manifest["facts"]["capabilities"]) == {"tools", "parallel_tools", "streaming"}
    assert manifest["is_constrained"]
    code = "import unified_agents as one, unified_agents_tiny as two; print(one.__file__, two.__file__)"
    python = _folder(installed) / "bin" / "python"
    paths = installed.python("-c", f"import subprocess as s; s.run([{str(python)!r}, '-I', '-c', {code!r}])").stdout
    assert paths.count(str(_folder(installed))) == 2


ISOLATED = """
import os, sys
from unified_agents import Script, ScriptedModel, create_agent, tool
from unified_agents.isolation.worker_process import POOL

@tool
def where() -> str:
    'Tell where this runs.'
    return str(os.getpid())

asks = {"tool_calls": [{"name": "where", "arguments": {}}]}
text = {"text": {"$template": "{0}", "values": [{"$result": {"step": 0, "index": 0}}]}}
model = ScriptedModel(Script.model_validate({"answers": [asks, text]}))
with create_agent(backend="tiny", model=model, tools=[where], isolated=True) as agent:
    print(agent.run_sync("Where?").output == str(os.getpid()), "unified_agents_tiny" in sys.modules)
    print(*(place.python for place in POOL._workers))
"""


def test_an_isolated_agent_runs_in_it_and_its_tools_run_here(installed: LocalEnvironments) -> None:
    done = installed.python("-c", ISOLATED)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "True False"
    assert second == str(_folder(installed) / "bin" / "python")


def test_it_is_listed_and_not_installed_again(installed: LocalEnvironments) -> None:
    (environment,) = _row(installed)["environments"]  # type: ignore[misc]
    assert environment["label"] == "tiny"
    assert environment["trouble"] is None
    assert str(_folder(installed)) in installed.call("backends").stdout
    again = installed.call("backends", "install", "tiny")
    assert again.returncode == 0
    assert "tiny is installed already" in again.stderr


def test_a_comparison_uses_it_where_it_is_named(installed: LocalEnvironments, tmp_path: Path) -> None:
    python = _folder(installed) / "bin" / "python"
    out = tmp_path / "out"
    options = ("--tasks", "no-*", "--handling", "unified", "--out", str(out), "--python", f"tiny={python}")
    done = installed.call("compare", "quickstart", "--backends", "tiny,custom", *options)
    assert done.returncode == 0, done.stderr
    cells = [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]
    assert {cell["backend"] for cell in cells if cell["passed"]} == {"tiny", "custom"}
    assert "unified-agents-tiny" in next(cell["versions"] for cell in cells if cell["backend"] == "tiny")


def test_another_state_of_the_library_is_refused_and_renewed(installed: LocalEnvironments) -> None:
    path = _folder(installed) / "environment.json"
    path.write_text(path.read_text().replace('"library": "0.1.0+', '"library": "0.0.9+'))
    (environment,) = _row(installed)["environments"]  # type: ignore[misc]
    assert "has unified-agents 0.0.9+" in environment["trouble"]
    assert environment["trouble"].endswith("run: unified-agents backends install tiny")
    done = installed.call("backends", "install", "tiny")
    assert done.returncode == 0, done.stderr
    assert "renewing unified-agents" in done.stderr
    (environment,) = _row(installed)["environments"]  # type: ignore[misc]
    assert environment["trouble"] is None


def test_a_broken_file_of_an_environment_is_one_line(installed: LocalEnvironments) -> None:
    path = _folder(installed) / "environment.json"
    kept = path.read_text()
    path.write_text("{")
    try:
        done = installed.call("backends")
    finally:
        path.write_text(kept)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "run: unified-agents backends install tiny" in done.stderr


def test_an_installation_that_fails_names_the_log_and_leaves_the_old(installed: LocalEnvironments) -> None:
    done = installed.call("backends", "install", "smolagents")
    assert done.returncode == 2
    assert "smolagents" in done.stderr.splitlines()[-1]
    log = _folder(installed, "smolagents.log")
    assert str(log) in done.stderr
    assert "ERROR: " in log.read_text()
    names = {path.name for path in _folder(installed).parent.iterdir() if path.is_dir()}
    assert names == {"tiny"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("install", "langchian"), "did you mean 'langchain'"),
        (("install", "langchain>=1"), "NAME==VERSION"),
        (("remove", "langchain==1.4.7"), "no environment of langchain==1.4.7"),
        (("install", "custom==1"), "which of its packages"),
    ],
)
def test_wrong_usage_is_one_line(local: LocalEnvironments, arguments: tuple[str, ...], words: str) -> None:
    done = local.call("backends", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_a_version_that_is_not_there_names_the_command(local: LocalEnvironments) -> None:
    done = local.call("compare", "quickstart", "--backends", "langchain==0.9.*")
    assert done.returncode == 2
    assert "run: unified-agents backends install 'langchain==0.9.*'" in done.stderr


def test_it_is_removed(installed: LocalEnvironments) -> None:
    done = installed.call("backends", "remove", "tiny")
    assert done.returncode == 0, done.stderr
    assert not _folder(installed).exists()
    assert _row(installed)["environments"] == []
