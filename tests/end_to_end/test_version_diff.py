"""A diff between two versions of a backend tells exactly what was changed, and between two of one version nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_agents_comparisons.analysis.wire_diff import _differences

PLUGIN = Path(__file__).parents[1] / "plugin_package" / "unified_agents_tiny"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def _call(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "XDG_DATA_HOME": str(site / "home"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "unified_agents", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=200, check=False)


def _site(folder: Path, *patches: tuple[str, str]) -> Path:
    """Install the tiny plug-in, or a patched copy of it."""
    shutil.copytree(PLUGIN, folder / PLUGIN.name)
    code = folder / PLUGIN.name / "backend.py"
    for old, new in patches:
        assert old in code.read_text()
        code.write_text(code.read_text().replace(old, new))
    info = folder / "unified_agents_tiny-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unified-agents-tiny\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(
        "[unified_agents.backends]\ntiny = unified_agents_tiny.backend:TinyBackend\n"
    )
    return folder


def _compared(site: Path) -> Path:
    out = site / "out"
    done = _call(site, "compare", "quickstart", "--backends", "tiny,custom", "--handling", "unified", "--out", str(out))
    assert (out / "cells.jsonl").exists(), done.stderr
    return out


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _compared(_site(tmp_path_factory.mktemp("plain")))


def _changes(site: Path, *arguments: str) -> list[dict[str, Any]]:
    done = _call(site, "diff", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    (side,) = (side for side in json.loads(done.stdout)["sides"] if side["backend"].startswith("tiny"))
    assert {figure["name"] for figure in side["figures"] if figure["before"] is not None} >= {"cpu_p50", "tokens"}
    found: list[dict[str, Any]] = side["wire"]
    return found


def test_two_installations_of_one_version_show_nothing(plain: Path, tmp_path: Path) -> None:
    again = _compared(_site(tmp_path / "again"))
    assert _changes(tmp_path, str(plain), str(again)) == []


def test_a_planted_change_is_what_is_told(plain: Path, tmp_path: Path) -> None:
    patches = [
        ('"stream": stream}', '"stream": stream, "temperature": 0.1}'),
        ("[tool.declaration for tool in spec.tools]", "[tool.declaration | {'strict': True} for tool in spec.tools]"),
    ]
    patched = _compared(_site(tmp_path / "patched", *patches))
    changes = _changes(tmp_path, str(plain), str(patched))
    names = {change["place"].split(".")[1] for change in changes if change["place"].startswith("tools.")}
    assert names
    assert all(change["kind"] == "framework's request" for change in changes)
    places = {(change["place"], change["before"], change["after"]) for change in changes}
    assert places == {("temperature", "absent", "0.1"), *((f"tools.{name}.strict", "absent", "true") for name in names)}


def test_a_planted_error_is_told(plain: Path, tmp_path: Path) -> None:
    patched = _compared(_site(tmp_path / "patched", ("return text", "raise ValueError('nothing came')")))
    changes = _changes(tmp_path, str(plain), str(patched))
    assert {(change["kind"], change["place"]) for change in changes} == {
        ("error", "status"),
        ("error", "kind"),
        ("error", "message"),
    }
    assert {change["after"] for change in changes if change["place"] == "kind"} == {'"backend"'}


def test_two_backends_of_one_comparison(plain: Path, tmp_path: Path) -> None:
    done = _call(tmp_path, "diff", str(plain), "--backends", "tiny,custom")
    assert done.returncode == 0, done.stderr
    assert "tiny → custom, unified: framework's request" in done.stdout
    assert _changes(tmp_path, str(plain), "--backends", "tiny,tiny") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give two folders, or one and --backends A,B"),
        (("--backends", "tiny"), "two names with a comma"),
        (("--backends", "tiny,langchain"), "has no backend 'langchain'; it has"),
    ],
)
def test_wrong_usage_is_one_line(plain: Path, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = _call(tmp_path, "diff", str(plain), *arguments)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, [("a[1].b", "2", "3")]),
        ({"a": 1}, {"a": 1.0}, [("a", "1", "1.0")]),
        ({"a": True}, {"a": 1}, [("a", "true", "1")]),
        ({"a": [1]}, {"a": [1, 2]}, [("a", "[1]", "[1,2]")]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"x": None}, {}, [("x", "null", "absent")]),
    ],
)
def test_differences_of_bodies(before: Any, after: Any, found: list[tuple[str, str, str]]) -> None:
    assert list(_differences(before, after, "", 0)) == found


FIRST, SECOND = ("a", "1"), ("b", "2")
RESULTS = {
    "chat_completions": lambda one: {"role": "tool", "tool_call_id": one[0], "content": one[1]},
    "responses": lambda one: {"type": "function_call_output", "call_id": one[0], "output": one[1]},
    "messages": lambda one: {"type": "tool_result", "tool_use_id": one[0], "content": one[1]},
    "generate_content": lambda one: {"functionResponse": {"id": one[0], "name": "f", "response": {"result": one[1]}}},
    "generate_content without ids": lambda one: {"functionResponse": {"name": one[0], "response": {"result": one[1]}}},
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_results_of_one_answer_are_compared_by_their_calls(result: Callable[[tuple[str, str]], Any]) -> None:
    """Some frameworks send them in the order in which the calls end, which is another in each run."""
    asked = {"role": "assistant", "content": "x"}
    sent = [asked, result(FIRST), result(SECOND), asked]
    assert list(_differences({"in": sent}, {"in": [asked, result(SECOND), result(FIRST), asked]}, "", 0)) == []
    ((place, before, after),) = _differences(
        {"in": sent}, {"in": [asked, result(("b", "3")), *sent[1:2], asked]}, "", 0
    )
    assert (place.partition(".")[0], before, after) == ("in[2]", '"2"', '"3"')
    other_turn = [asked, result(FIRST), asked, result(SECOND)]
    moved = [asked, result(SECOND), asked, result(FIRST)]
    assert list(_differences({"in": other_turn}, {"in": moved}, "", 0))


def test_a_deep_body_is_compared_as_a_whole() -> None:
    deep: list[Any] = [1]
    other: list[Any] = [2]
    for _ in range(200):
        deep, other = [deep], [other]
    ((place, _, _),) = _differences(deep, other, "", 0)
    assert place.count("[0]") == 60
