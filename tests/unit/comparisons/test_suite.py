"""The files of suites: reading them, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from unified_agents.errors import ConfigError
from unified_agents_comparisons.loading import load_suite, shipped_suites

TASK = {"id": "a", "question": "?", "expect": {"output": "x"}}


def test_a_shipped_suite_is_found_by_its_name() -> None:
    assert "quickstart" in shipped_suites()
    loaded = load_suite("quickstart")
    assert loaded.suite.name == "quickstart"
    assert loaded.folder is None
    assert load_suite(loaded.source) == loaded


def test_an_unknown_name_lists_the_shipped_suites() -> None:
    with pytest.raises(
        ConfigError, match=r"no suite 'quikstart': .*faults, quickstart, bfcl; did you mean 'quickstart'\?"
    ):
        load_suite("quikstart")


def test_a_suite_is_read_from_its_file_or_its_folder(write_suite: Callable[..., Path]) -> None:
    path = write_suite("one", "two")
    loaded = load_suite(path)
    assert [task.id for task in loaded.suite.tasks] == ["one", "two"]
    assert loaded.folder == path.parent
    assert load_suite(path.parent) == loaded


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": [TASK, TASK]}, "the id 'a' stands twice"),
        ({"tasks": [TASK | {"id": "a/b"}]}, r"tasks\.0\.id"),
        ({"tasks": [TASK | {"expect": {}}]}, "expects nothing"),
        ({"tasks": [TASK | {"expect": {"output": {"regex": "("}}}]}, "no regular expression"),
        ({"tasks": [TASK | {"tools": ["add"]}]}, "names no tools module"),
        ({"tasks": [TASK | {"expect": {"files": {"a": "b"}}}]}, "names no scratch variable"),
        ({"tasks": [TASK | {"qestion": "?"}]}, "unknown key"),
        ({"tasks": []}, "tasks"),
        ({"tasks": [TASK | {"oracle": {"answers": [{"txt": "x"}]}}]}, "task a: oracle"),
        ({"tools": "no_such_module_here"}, "'no_such_module_here' is not found"),
    ],
)
def test_what_does_not_fit_is_named(write_suite: Callable[..., Path], changes: dict[str, object], message: str) -> None:
    path = write_suite(**changes)
    with pytest.raises(ConfigError, match=message):
        load_suite(path)


def test_tasks_are_selected_by_a_shell_pattern(write_suite: Callable[..., Path]) -> None:
    loaded = load_suite(write_suite("parallel-two", "parallel-eight", "row"))
    assert [task.id for task in loaded.select("parallel-*")] == ["parallel-two", "parallel-eight"]
    with pytest.raises(ConfigError, match="no task matches 'x'; it has parallel-two"):
        loaded.select("x")


def test_where_no_task_matches_the_closest_ones_are_named_first(write_suite: Callable[..., Path]) -> None:
    loaded = load_suite(write_suite(*(f"task-{number}" for number in range(30)), "add-numbers"))
    with pytest.raises(ConfigError, match=r"'ad-number\*'; it has add-numbers, (task-\d+, ){6}task-6 and 23 more$"):
        loaded.select("ad-number*")


def test_the_digest_follows_the_file_and_the_tools_module(write_suite: Callable[..., Path]) -> None:
    path = write_suite(tools="my_tools")
    tools = path.parent / "my_tools.py"
    tools.write_text("A = 1\n")
    first = load_suite(path).digest
    (path.parent / "notes.txt").write_text("beside it")
    assert load_suite(path).digest == first
    tools.write_text("A = 2\n")
    second = load_suite(path).digest
    path.write_text(path.read_text() + "# a remark\n")
    assert len({first, second, load_suite(path).digest}) == 3
    assert "my_tools" not in sys.modules, "reading a suite runs none of its code"


def test_the_digest_follows_the_data_of_a_tools_package(write_suite: Callable[..., Path]) -> None:
    path = write_suite(tools="my_package.tools")
    package = path.parent / "my_package"
    (package / "data").mkdir(parents=True)
    (package / "__pycache__").mkdir()
    for name in ("__init__.py", "tools.py", "data/rates.json"):
        (package / name).write_text("1")
    first = load_suite(path).digest
    (package / "__pycache__" / "tools.pyc").write_text("other")
    assert load_suite(path).digest == first
    (package / "data" / "rates.json").write_text("2")
    assert load_suite(path).digest != first
