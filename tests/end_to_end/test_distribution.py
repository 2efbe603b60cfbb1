"""The built wheel: what is in it, and that it works away from the checkout, with and without the extras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from support import ROOT, run_process

ROOTS = {
    "unified_agents": ROOT,
    **dict.fromkeys(sorted(path.name for path in (ROOT / "adapters").glob("unified_agents_*")), ROOT / "adapters"),
    "unified_agents_comparisons": ROOT / "comparisons",
}

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV", "COVERAGE_FILE")}
    return run_process(*command, cwd=cwd, env=env, timeout=400)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def tracked() -> set[str]:
    files = run("git", "ls-files", cwd=ROOT).stdout.splitlines()
    found = set()
    for package, root in ROOTS.items():
        prefix = f"{(root / package).relative_to(ROOT).as_posix()}/"
        found |= {f"{package}/{file.removeprefix(prefix)}" for file in files if file.startswith(prefix)}
    return found


def test_the_wheel_holds_what_git_holds_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == tracked() | {"unified_agents/environments/constraints.txt"}
    assert "unified_agents/py.typed" in names
    assert any(name.endswith("suite.yaml") for name in names)


def test_every_dependency_is_bounded_on_both_sides(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
    required = [
        line.removeprefix("Requires-Dist: ").partition(";")[0]
        for line in archive.read(metadata).decode().splitlines()
        if line.startswith("Requires-Dist: ") and "unified-agents" not in line
    ]
    assert required
    assert [spec for spec in required if not (">=" in spec and "<" in spec)] == []


def test_the_constraints_are_plain_and_fit_the_bounds() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if line.count("==") != 1 or " " in line or "/" in line] == []


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bare")
    assert run(sys.executable, "-m", "venv", folder).returncode == 0
    done = run(folder / "bin/python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


BARE = """
import sys
from unified_agents import BackendNotInstalledError, Script, ScriptedModel, create_agent, tool

@tool
def add(a: int, b: int) -> int:
    '''Add.

    Args:
        a: One.
        b: Two.
    '''
    return a + b

calls = [{"name": "add", "arguments": {"a": 1, "b": 2}}]
script = Script.model_validate({"answers": [{"tool_calls": calls}, {"text": "3"}]})
print(create_agent(model=ScriptedModel(script), tools=[add]).run_sync("1 + 2?").output)
for backend in ("langchain", "llamaindex"):
    try:
        create_agent(backend=backend, model=ScriptedModel(script))
    except BackendNotInstalledError as error:
        print(error)
"""


def test_the_base_works_without_extras(bare: Path, tmp_path: Path) -> None:
    done = run(bare / "python", "-c", BARE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer, *refusals = done.stdout.splitlines()
    assert answer == "3"
    assert " 'langchain" in refusals[0].partition("run: pip install")[2]
    assert " 'llama-index-core" in refusals[1].partition("run: pip install")[2]


def test_the_command_line_without_its_extra_names_it(bare: Path, tmp_path: Path) -> None:
    done = run(bare / "unified-agents", "backends", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("unified-agents: the command line is not installed: packaging, rich, typer missing; ")
    assert " 'typer<" in done.stderr.partition("missing; run: pip install")[2]


@pytest.fixture(scope="module")
def full(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, and the frameworks of this one; a path file takes no other path file along,
    so the checkout that is installed here in editable form is not seen there."""
    folder = tmp_path_factory.mktemp("full")
    assert run(sys.executable, "-m", "venv", folder).returncode == 0
    python = folder / "bin/python"
    assert run(python, "-m", "pip", "install", "-q", "--no-deps", wheel).returncode == 0
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").stdout.strip())
    (site / "frameworks.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin"


@pytest.mark.timeout(300)
def test_the_quickstart_passes_from_the_wheel_outside_the_checkout(full: Path, tmp_path: Path) -> None:
    where = run(full / "python", "-c", "import unified_agents; print(unified_agents.__file__)", cwd=tmp_path).stdout
    assert str(ROOT) not in where
    chosen = ("--backends", "custom,langchain,llamaindex")
    done = run(
        full / "unified-agents", "compare", "quickstart", *chosen, "--json", "--out", tmp_path / "out", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    cells = [json.loads(line) for line in (tmp_path / "out/cells.jsonl").read_text().splitlines()]
    unified = [cell for cell in cells if cell["handling"] == "unified"]
    assert {cell["backend"] for cell in unified} == {"custom", "langchain", "llamaindex"}
    assert len(unified) >= 90
    assert [cell["task"] for cell in unified if not cell["passed"]] == []
    assert any(not cell["passed"] for cell in cells if cell["handling"] == "native")


OTHER_PROJECT = {
    "conftest.py": 'pytest_plugins = ["unified_agents.pytest_plugin"]\n',
    "test_mine.py": """
import unified_agents

def test_it_comes_from_the_wheel(agent):
    assert "site-packages" in unified_agents.__file__

def test_the_answer(agent, scripted_model):
    assert agent(model=scripted_model({"text": "3"})).run_sync("What is 1 + 2?").output == "3"

def test_a_wrong_expectation_fails(agent, scripted_model):
    assert agent(model=scripted_model({"text": "4"})).run_sync("What is 1 + 2?").output == "3"
""",
}


def test_the_pytest_plug_in_works_in_a_project_of_its_own(bare: Path, tmp_path: Path) -> None:
    done = run(bare / "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", "pytest")
    assert done.returncode == 0, done.stderr
    for name, text in OTHER_PROJECT.items():
        (tmp_path / name).write_text(text)
    done = run(bare / "python", "-m", "pytest", "-p", "no:cacheprovider", "-v", cwd=tmp_path)
    assert "test_it_comes_from_the_wheel[custom] PASSED" in done.stdout, done.stdout + done.stderr
    assert "test_the_answer[custom] PASSED" in done.stdout
    assert "1 failed, 2 passed" in done.stdout
