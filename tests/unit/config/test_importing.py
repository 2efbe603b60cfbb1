"""Imports by name, and while an event loop goes on."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from pathlib import Path

import pytest

from support import run_code
from unified_agents.concurrency.off_loop_import import import_off_loop
from unified_agents.concurrency.uncollected_import import importing_uncollected
from unified_agents.config.importing import import_module, import_named
from unified_agents.errors import ConfigError

SLOW = "import threading\nTHREAD = threading.get_ident()\n"


async def test_a_module_is_imported_in_a_thread_and_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_module_of_a_test.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    started: list[str] = []
    start = threading.Thread.start

    def noting(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noting)
    try:
        first = await import_off_loop("slow_module_of_a_test")
        again = await import_off_loop("slow_module_of_a_test")
    finally:
        sys.modules.pop("slow_module_of_a_test", None)
    assert first is again
    assert threading.get_ident() != first.THREAD
    assert started == ["import slow_module_of_a_test"]


async def test_an_import_that_fails_says_so_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="late_module_of_a_test"):
        await import_off_loop("late_module_of_a_test")
    (tmp_path / "late_module_of_a_test.py").write_text(SLOW)
    importlib.invalidate_caches()
    try:
        late = await import_off_loop("late_module_of_a_test")
    finally:
        sys.modules.pop("late_module_of_a_test", None)
    assert threading.get_ident() != late.THREAD


async def test_nothing_is_collected_while_a_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "asking_module_of_a_test.py").write_text("import gc\nCOLLECTS = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        asking = await import_off_loop("asking_module_of_a_test")
    finally:
        sys.modules.pop("asking_module_of_a_test", None)
    assert not asking.COLLECTS
    assert gc.isenabled()


def test_an_import_that_fails_leaves_collections_on() -> None:
    with pytest.raises(ModuleNotFoundError), importing_uncollected("missing_module_of_a_test"):
        importlib.import_module("missing_module_of_a_test")
    assert gc.isenabled()


def test_collections_go_on_where_the_module_is_imported_already() -> None:
    with importing_uncollected("sys"):
        assert gc.isenabled()


AFTER_AN_IMPORT = """
import gc
from unified_agents.concurrency.uncollected_import import importing_uncollected
{before}
with importing_uncollected("missing_module_of_a_test"):
    made = [[] for _ in range(5000)]
young, old = gc.get_count()[0], any(one is made for one in gc.get_objects(2))
print(gc.isenabled(), gc.get_freeze_count() > 0, young < 1000, old)
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "True False True True"),
        ("gc.disable()", "False False False False"),
        ("gc.freeze()", "True True True False"),
    ],
)
def test_what_an_import_made_is_old_and_the_settings_of_the_program_hold(before: str, after: str) -> None:
    done = run_code(AFTER_AN_IMPORT.format(before=before))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == after


@pytest.mark.parametrize(
    ("reference", "example"),
    [
        ("./mytools.py:get_weather", "mytools:get_weather"),
        (r"C:\tools\x.py:f", "x:f"),
        ("tools/x:f", "my_package.tools:search"),
        ("mytools.py", "mytools:name"),
        ("mytools.py:f", "mytools:f"),
        ("../x", "my_package.tools:search"),
    ],
)
def test_a_path_in_place_of_a_module_is_told(reference: str, example: str) -> None:
    for importer in (import_named, import_module):
        with pytest.raises(ConfigError, match=f"write module:name, such as {example}, and not a path") as caught:
            importer(reference, "tool")
        assert "\n" not in str(caught.value)
