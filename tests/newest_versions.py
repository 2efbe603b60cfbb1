"""Runs the contract suite and the tests of assumptions on the versions that are installed, and keeps what came out.

`nox -s newest` calls it in an environment of each backend: `newest_versions.py BACKEND within|beyond`.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import pytest

from unified_agents import backend_info
from unified_agents.environments.label import framework_package
from unified_agents.extras import package_name
from unified_agents.registry import load_backend

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "docs" / "tried_versions.json"
NATIVE_PROTOCOLS = "tests/end_to_end/test_native_protocols.py"
PARTS = {"contract": "tests/contract/", "assumptions": "tests/unit/adapters/", "protocols": NATIVE_PROTOCOLS}
"""What is counted apart, and where each part's tests are."""


class Outcomes:
    """A plug-in of pytest that counts how the tests of each part end.

    Args:
        backend: The backend. What stands for pairs of a backend and a protocol is tried on the pairs of this one.

    Attributes:
        counts: `passed`, `failed` and `skipped` of each part.
        failed: The ids of the tests that failed, and of files that could not be collected.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self.counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
        self.failed: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the pairs of other backends."""
        items[:] = [one for one in items if _backend_of_pair(one) in (None, self._backend)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: by its call, else by what kept it from being called or failed after it."""
        if report.when == "call" or not report.passed:
            self._count(report.nodeid, report.outcome)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a file that could not be collected as a test that failed."""
        if report.failed:
            self._count(report.nodeid, "failed")

    def _count(self, test: str, outcome: str) -> None:
        part = next((part for part, folder in PARTS.items() if test.startswith(folder)), "contract")
        if outcome == "failed" and test in self.failed:
            return
        self.counts[part][outcome] += 1
        if outcome == "failed":
            self.failed.append(test)


def _backend_of_pair(test: pytest.Item) -> str | None:
    parameters = test.callspec.params if isinstance(test, pytest.Function) and hasattr(test, "callspec") else {}
    return parameters["pair"][0] if "pair" in parameters else None


def installed_versions(backend: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the versions of what a backend's extra asks for, and of what its framework's own package asks for.

    The framework's clients for other protocols stand among the latter.
    """
    info = backend_info(backend)
    own = framework_package(backend, info.requirements)
    asked = [package_name(one) for one in requires(own or "") or () if "extra ==" not in one]
    asked += own_clients(backend)
    others = {}
    for name in sorted(set(asked) - info.requires.keys()):
        try:
            others[name] = version(name)
        except PackageNotFoundError:
            continue  # it is for another platform or another Python
    return dict(sorted(info.requires.items())), others


def own_clients(backend: str) -> tuple[str, ...]:
    """Return the distributions of a framework's own clients for other protocols than Chat Completions."""
    native: Mapping[str, str] = getattr(load_backend(backend), "native_protocols", {})
    return tuple(sorted({*native.values()} - backend_info(backend).requires.keys()))


def run_tests(backend: str) -> tuple[int, Outcomes]:
    """Run the tests on the installed versions; returns pytest's exit code and what came out."""
    title = "Test" + "".join(part.title() for part in backend.split("_"))
    outcomes = Outcomes(backend)
    os.chdir(ROOT)
    tests = ["--continue-on-collection-errors", f"tests/contract/test_contract.py::{title}", "tests/unit/adapters"]
    if own_clients(backend):
        tests.append(NATIVE_PROTOCOLS)
    code = pytest.main(["-q", "-p", "no:cacheprovider", *tests], plugins=[outcomes])
    return int(code), outcomes


def read_rows() -> list[dict[str, Any]]:
    """Return what was kept of former runs."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else []  # type: ignore[no-any-return]


def keep(row: dict[str, Any]) -> None:
    """Keep what came out, in the place of what was known of the same backend and bounds."""
    rows = [one for one in read_rows() if (one["backend"], one["bounds"]) != (row["backend"], row["bounds"])]
    rows = sorted([*rows, row], key=lambda one: (one["backend"], one["bounds"] == "beyond"))
    RECORD.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main(backend: str, bounds: str) -> int:
    """Run the tests, keep what came out, and return pytest's exit code; where no release is beyond, run none."""
    versions, others = installed_versions(backend)
    row: dict[str, Any] = {
        "backend": backend,
        "bounds": bounds,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": versions,
        "others": others,
        "outcomes": None,
        "failed": [],
    }
    if bounds == "beyond" and any(
        (one["backend"], one["bounds"], one["versions"], one["others"]) == (backend, "within", versions, others)
        for one in read_rows()
    ):
        keep(row)
        print(f"{backend}: no release is beyond the bounds")
        return 0
    code, outcomes = run_tests(backend)
    counts = {part: {name: count[name] for name in ("passed", "failed")} for part, count in outcomes.counts.items()}
    keep(row | {"outcomes": counts, "failed": sorted(outcomes.failed)})
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
