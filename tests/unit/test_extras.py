"""Remedies for what is not installed: they name packages, and never the library itself, which may be a checkout."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, PathDistribution, distribution
from pathlib import Path
from typing import Any

import pytest

from support import ROOT
from unified_agents import to_langchain, tool
from unified_agents.catalogue.selection import Bm25Selector
from unified_agents.errors import BackendNotInstalledError, ConfigError
from unified_agents.extras import OURS, package_name, remedy_of_extra, requirements_of_extra
from unified_agents.interop.mcp.connection import require_sdk

EXTRAS = {
    "cli": "typer",
    "comparisons": "jinja2",
    "langchain": "langchain",
    "llamaindex": "llama-index-core",
    "mcp": "mcp",
    "postgres": "psycopg",
    "selection": "bm25s",
    "statistics": "scipy",
}


@pytest.mark.parametrize(("extra", "package"), EXTRAS.items())
def test_a_remedy_names_packages(extra: str, package: str) -> None:
    remedy = remedy_of_extra(extra)
    assert re.search(rf" '{package}[\[<>]", remedy.partition("run: pip install")[2])
    assert OURS not in remedy


def test_extras_have_the_names_that_wheels_give_them() -> None:
    """Older pips find an extra by this name alone, and install nothing where it is written otherwise."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [name for name in project["optional-dependencies"] if "_" in name] == []
    template = (ROOT / "unified_agents/adapter_template/files/pyproject.toml.template").read_text()
    assert '\n$dashed = ["$requirement"]' in template


def test_an_extra_in_an_extra_is_opened() -> None:
    requirements = requirements_of_extra(distribution(OURS), "comparisons")
    assert {"typer", "rich", "jinja2"} <= set(map(package_name, requirements))
    assert set(requirements_of_extra(distribution(OURS), "cli")) < set(requirements_of_extra(distribution(OURS), "all"))


@pytest.mark.parametrize("written", ["google-adk", "google_adk", "Google.ADK"])
@pytest.mark.parametrize("asked", ["google-adk", "google_adk"])
def test_an_extra_is_found_however_the_metadata_writes_it(written: str, asked: str, tmp_path: Path) -> None:
    """Build tools write `google-adk` for the extra `google_adk`."""
    lines = [
        "Metadata-Version: 2.4",
        "Name: mine",
        "Version: 1",
        f"Requires-Dist: google-adk[openai]<3; extra == '{written}'",
        f"Requires-Dist: mine[{written}]; extra == 'all'",
        "Requires-Dist: other; python_version > '3' and extra == \"adk\"",
    ]
    (tmp_path / "METADATA").write_text("\n".join(lines))
    made = PathDistribution(tmp_path)
    assert requirements_of_extra(made, asked) == ["google-adk[openai]<3"]
    assert requirements_of_extra(made, "all") == ["google-adk[openai]<3"]
    assert requirements_of_extra(made, "adk") == ["other"]


def test_the_missing_ones_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in {"bm25s", "pystemmer"}:
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr("unified_agents.extras.version", version)
    assert remedy_of_extra("selection").startswith("bm25s, pystemmer missing; run: pip install 'bm25s")


def test_without_metadata_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("unified_agents.extras.distribution", not_found)
    assert remedy_of_extra("mcp") == "install what the extra 'mcp' in its pyproject.toml asks for"


def test_who_lacks_an_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    for module in ("mcp", "bm25s", "unified_agents_langchain.convert"):
        monkeypatch.setitem(sys.modules, module, None)
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match=r"MCP needs the package mcp, version 2 .*pip install .*'mcp[<>]"):
        require_sdk()
    with pytest.raises(ConfigError, match=r"choosing tools by bm25 needs more: .*pip install .*'bm25s[<>]"):
        Bm25Selector()
    with pytest.raises(BackendNotInstalledError, match=r"cannot be imported .*pip install .*'langchain[<>]"):
        to_langchain([add])
