"""Imports by name, and while an event loop goes on."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path

import pytest

from unified_agents.concurrency.off_loop_import import import_off_loop
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
