"""What `nox -s newest` keeps of the tests that it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import newest_versions
from support import ROOT, run_code
from unified_agents import backend_info, backend_names
from unified_agents.extras import package_name

FILES = {
    "tests/contract/test_contract.py": """
import pytest
def test_good(): pass
def test_bad(): assert False
def test_left_out(): pytest.skip("not here")
@pytest.fixture
def ending():
    yield
    raise OSError("at its end")
def test_that_ends_badly(ending): assert False
""",
    "tests/unit/adapters/test_one_assumptions.py": "def test_good(): pass",
    "tests/unit/adapters/test_two_assumptions.py": "import no_such_framework",
    "tests/end_to_end/test_native_protocols.py": """
import pytest
@pytest.mark.parametrize("pair", [("one", "messages"), ("other", "messages"), ("one", "generate_content")])
def test_pair(pair): assert pair == ("one", "messages")
""",
}
COUNTING = """
import sys, json, pytest
sys.path.insert(0, sys.argv[1])
from newest_versions import Outcomes
found = Outcomes("one")
options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--rootdir", "."]
pytest.main([*options, "tests"], plugins=[found])
print(json.dumps([found.counts, sorted(found.failed)]))
"""
ROW: dict[str, Any] = {
    "backend": "langchain",
    "bounds": "within",
    "date": "2026-01-02",
    "python": "3.13.0",
    "versions": {"langchain": "1.9.0", "openai": "3.1.0"},
    "others": {"langgraph": "1.3.0"},
    "outcomes": {"contract": {"passed": 80, "failed": 1}, "assumptions": {"passed": 30, "failed": 0}},
    "failed": ["tests/contract/test_contract.py::TestLangchain::test_one"],
}


def test_each_test_is_counted_once_in_its_part(tmp_path: Path) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = run_code(COUNTING, ROOT / "tests", cwd=tmp_path)
    counts, failed = json.loads(done.stdout.splitlines()[-1])
    assert counts == {
        "contract": {"passed": 1, "failed": 2, "skipped": 1},
        "assumptions": {"passed": 1, "failed": 1},
        "protocols": {"passed": 1, "failed": 1},
    }
    assert failed == [
        "tests/contract/test_contract.py::test_bad",
        "tests/contract/test_contract.py::test_that_ends_badly",
        "tests/end_to_end/test_native_protocols.py::test_pair[pair2]",
        "tests/unit/adapters/test_two_assumptions.py",
    ]


def test_a_row_takes_the_place_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_versions, "RECORD", tmp_path / "rows.json")
    for change in ({"bounds": "beyond"}, {"backend": "agno"}, {}, {"date": "2026-03-04"}):
        newest_versions.keep(ROW | change)
    rows = newest_versions.read_rows()
    assert [(row["backend"], row["bounds"], row["date"]) for row in rows] == [
        ("agno", "within", "2026-01-02"),
        ("langchain", "within", "2026-03-04"),
        ("langchain", "beyond", "2026-01-02"),
    ]


def test_nothing_is_run_where_no_release_is_beyond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_versions, "RECORD", tmp_path / "rows.json")
    versions, others = newest_versions.installed_versions("langchain")
    assert versions.keys() == backend_info("langchain").requires.keys()
    assert {"langchain-core", "langgraph"} <= others.keys()
    newest_versions.keep(ROW | {"versions": versions, "others": others})
    assert newest_versions.main("langchain", "beyond") == 0
    assert newest_versions.read_rows()[1]["outcomes"] is None


def test_the_stored_rows_are_of_both_bounds() -> None:
    rows = newest_versions.read_rows()
    tried = [row["backend"] for row in rows if row["bounds"] == "within"]
    assert {"langchain", "llamaindex"} <= set(tried) <= set(backend_names())
    assert [row["backend"] for row in rows if row["bounds"] == "beyond"] == tried == sorted(tried)
    for row in rows:
        assert row["versions"].keys() >= set(map(package_name, backend_info(row["backend"]).requirements))
