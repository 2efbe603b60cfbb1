"""A third party's adapter, installed as a distribution of its own: found, listed, and held to the contract."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "plugin_package"
PARALLEL = {"test_parallel_async_calls", "test_parallel_sync_calls"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

CLI = "import sys; from unified_agents.cli.main import main; sys.exit(main())"
TEST_FILE = """
from unified_agents.testing import BackendContract

class TestTiny(BackendContract):
    backend = "{backend}"
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds the installed plug-in."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, "--target", str(target), str(PACKAGE)], check=True, timeout=120)
    return target


def _python(installed: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    paths = [str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=200, check=False
    )


def _contract(installed: Path, folder: Path, backend: str, *options: str) -> tuple[int, dict[str, set[str]], str]:
    """Run an author's test file; gives the exit code and the names of the tests by outcome."""
    (folder / "test_tiny.py").write_text(TEST_FILE.format(backend=backend), encoding="utf-8")
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=short", "-rA", "--strict-markers", *options)
    done = _python(installed, "-m", "pytest", *options, "test_tiny.py", cwd=folder)
    outcomes: dict[str, set[str]] = {}
    for outcome, test in re.findall(
        r"^(PASSED|FAILED|ERROR|XFAIL|XPASS|SKIPPED) \S+::(\w+)", done.stdout, re.MULTILINE
    ):
        outcomes.setdefault(outcome, set()).add(test)
    return done.returncode, outcomes, done.stdout + done.stderr


def test_a_plugin_is_found_only_where_it_is_installed(installed: Path) -> None:
    code = "from unified_agents.registry import backend_names; print(*backend_names())"
    assert "tiny" in _python(installed, "-c", code).stdout.split()
    assert "tiny" not in _python(Path(os.devnull), "-c", code).stdout.split()


def test_a_plugin_is_listed(installed: Path) -> None:
    done = _python(installed, "-c", CLI, "backends")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\btiny\b.*0\.1\.0", done.stdout)


def test_a_plugin_keeps_the_contract(installed: Path, tmp_path: Path) -> None:
    code, outcomes, output = _contract(installed, tmp_path, "tiny")
    assert code == 0, output
    assert outcomes.keys() == {"PASSED", "XFAIL"}
    assert all(name.startswith("test_native_") for name in outcomes["XFAIL"])
    assert not any(name.startswith("test_native_") for name in outcomes["PASSED"])
    assert outcomes["PASSED"] >= PARALLEL


@pytest.mark.proof
def test_a_serial_backend_keeps_the_whole_contract(installed: Path, tmp_path: Path) -> None:
    code, outcomes, output = _contract(installed, tmp_path, "tiny_serial")
    assert code == 0, output
    assert outcomes.keys() == {"PASSED", "XFAIL"}
    assert outcomes["XFAIL"] >= PARALLEL | {"test_ended_by_a_limit", "test_running_tools_finish"}
    assert not outcomes["PASSED"] & PARALLEL
    assert {"test_one_tool_call", "test_many_runs_at_once", "test_calls_that_refer_to_each_other"} <= outcomes["PASSED"]


@pytest.mark.proof
def test_a_backend_that_cannot_stream_keeps_the_whole_contract(installed: Path, tmp_path: Path) -> None:
    code, outcomes, output = _contract(installed, tmp_path, "tiny_whole")
    assert code == 0, output
    assert outcomes.keys() == {"PASSED", "XFAIL"}
    assert outcomes["XFAIL"] >= {"test_the_framework_streams_when_asked", "test_connection_cut_after_the_end"}
    assert outcomes["PASSED"] >= {"test_cut_answers", "test_unusable_answers_for_ever", *PARALLEL}


def test_a_declaration_that_is_too_much_is_red(installed: Path, tmp_path: Path) -> None:
    code, outcomes, output = _contract(installed, tmp_path, "tiny_boastful", "-k", "parallel and whole or one_tool")
    assert code == 1, output
    assert outcomes["FAILED"] >= PARALLEL
    assert "test_one_tool_call" in outcomes["PASSED"]


def test_a_declaration_that_is_too_little_is_red(installed: Path, tmp_path: Path) -> None:
    code, outcomes, output = _contract(installed, tmp_path, "tiny_modest", "-k", "parallel and whole or one_tool")
    assert code == 1, output
    assert outcomes["FAILED"] >= PARALLEL
    assert "works, and is not declared: add Capability.PARALLEL_TOOLS" in output


def test_dropped_calls_are_red(installed: Path, tmp_path: Path) -> None:
    code, outcomes, output = _contract(
        installed, tmp_path, "tiny_careless", "-k", "identical or provider_ids or one_tool"
    )
    assert code == 1, output
    assert outcomes["FAILED"] == {"test_identical_calls_both_run", "test_provider_ids_that_are_no_ids"}
    assert outcomes["PASSED"] == {"test_one_tool_call"}


def test_a_text_that_does_not_come_back_is_red(installed: Path, tmp_path: Path) -> None:
    code, outcomes, output = _contract(installed, tmp_path, "tiny_voiceless", "-k", "refusal or broke_off or in_other")
    assert code == 1, output
    assert outcomes["FAILED"] == {
        "test_the_words_of_a_refusal",
        "test_an_answer_that_the_provider_broke_off",
        "test_a_text_in_other_words",
        "test_a_call_in_other_words",
    }


def test_errors_that_are_not_translated_are_red(installed: Path, tmp_path: Path) -> None:
    code, outcomes, output = _contract(installed, tmp_path, "tiny_blunt", "-k", "errors_by_kind or refused_key")
    assert code == 1, output
    assert outcomes["FAILED"] == {"test_native_errors_by_kind", "test_native_refused_key"}
    assert "test_a_refused_key" in outcomes["PASSED"]
