"""`unified-agents new-adapter`, and the guide in CONTRIBUTING, which a test follows to the letter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT, run_program

GUIDE = (ROOT / "CONTRIBUTING.md").read_text().partition("## Writing an adapter")[2]
FILES = dict(re.findall(r'^```python title="([^"]+)"\n(.*?)^```', GUIDE, flags=re.MULTILINE | re.DOTALL))
FRAMEWORK = ROOT / "tests" / "parrot_package"
STEPS = {"model.py": "step 2", "tools.py": "step 3", "backend.py": "step 4"}


def new_adapter(folder: Path, *arguments: str) -> Path:
    done = run_program("new-adapter", "parrot", "--requires", "parrot>=1,<2", "--out", folder, *arguments)
    assert done.returncode == 0, done.stderr
    return folder / "unified-agents-parrot"


def installed(target: Path, *packages: Path) -> dict[str, str]:
    """Install distributions, and return an environment in which they are found."""
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, "--upgrade", "--target", str(target), *map(str, packages)], check=True, timeout=120)
    paths = [str(target), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def run_pytest(folder: Path, env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "--tb=short",
        *options,
    ]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_it_writes_a_distribution_and_says_what_comes_next(tmp_path: Path) -> None:
    done = run_program("new-adapter", "my_framework", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "unified-agents-my-framework"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    package = {f"unified_agents_my_framework/{name}.py" for name in ("__init__", "backend", "errors", "model", "tools")}
    assert found == {"pyproject.toml", "README.md", "tests/test_contract.py"} | package
    assert f"cd {folder} && pip install -e '.[my-framework,test]' && pytest" in done.stdout
    for path in folder.rglob("*.py"):
        compile(path.read_text(), str(path), "exec")
        assert "$" not in path.read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [("MyFramework", "write lower-case words"), ("langchain", "is there already"), ("class", "write lower-case words")],
)
def test_a_name_that_cannot_be_is_refused(name: str, message: str, tmp_path: Path) -> None:
    done = run_program("new-adapter", name, "--out", tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (new_adapter(tmp_path) / "README.md").write_text("mine")
    done = run_program("new-adapter", "parrot", "--out", tmp_path)
    assert done.returncode == 2
    assert (tmp_path / "unified-agents-parrot" / "README.md").read_text() == "mine"


def test_the_guide_names_each_file_that_has_to_be_filled_in(tmp_path: Path) -> None:
    package = new_adapter(tmp_path) / "unified_agents_parrot"
    unfinished = {path.name for path in package.glob("*.py") if "step " in path.read_text().lower()}
    assert {Path(name).name for name in FILES} == unfinished
    assert all(step in (package / name).read_text() for name, step in STEPS.items())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_contract_is_red_as_written_and_green_after_the_guide(tmp_path: Path) -> None:
    folder, site = new_adapter(tmp_path), tmp_path / "site"
    env = installed(site, FRAMEWORK, folder)
    red = run_pytest(folder, env, "-k", "one_tool_call or refused_key or parallel_async")
    assert red.returncode == 1, red.stdout
    assert "passed" not in red.stdout
    assert "the adapter of 'parrot' is not filled in: step 2" in red.stdout
    agent = tmp_path / "agent.yaml"
    agent.write_text("backend: parrot\nmodel: {name: m, base_url: 'http://127.0.0.1:1/v1'}\n")
    ran = run_program("run", agent, "hello", env=env)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr
    assert "the adapter of 'parrot' is not filled in: step 2" in ran.stderr
    for name, text in FILES.items():
        (folder / name).write_text(text)
    green = run_pytest(folder, installed(site, folder))
    assert green.returncode == 0, green.stdout[-6000:]
    assert re.search(r"\d{3} passed", green.stdout)
