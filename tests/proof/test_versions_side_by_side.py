"""Versions of the real frameworks side by side: `diff` tells what a patched copy does otherwise, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from local_environments import LocalEnvironments
from unified_agents import backend_info
from unified_agents.extras import package_name

pytestmark = [pytest.mark.proof, pytest.mark.timeout(1800)]


@dataclass
class Compared:
    """A comparison of a version, of the same version in another environment, and of the patched copy."""

    local: LocalEnvironments
    out: Path
    labels: tuple[str, str, str]

    def changes(self, other: int) -> list[dict[str, Any]]:
        """Return what is otherwise on the wire between the first label and another one, under both handlings."""
        pair = f"{self.labels[0]},{self.labels[other]}"
        done = self.local.call("diff", str(self.out), "--backends", pair, "--format", "json")
        assert done.returncode == 0, done.stderr
        sides = json.loads(done.stdout)["sides"]
        assert {side["handling"] for side in sides} == {"unified", "native"}
        return [change | {"handling": side["handling"]} for side in sides for change in side["wire"]]


def _compared(backend: str, package: str, local: LocalEnvironments, out: Path) -> Compared:
    here = version(package)
    labels = (f"{backend}=={here}", f"{backend}=={here}.*", f"{backend}=={_next(here)}")
    for label in labels:
        done = local.call("backends", "install", label)
        assert done.returncode == 0, done.stderr
    done = local.call("compare", "quickstart", "--backends", ",".join(labels), "--out", str(out))
    assert done.returncode == 0, done.stderr
    versions = {cell["backend"]: cell["versions"] for cell in map(json.loads, (out / "cells.jsonl").open())}
    assert [versions[label][package] for label in labels] == [here, here, _next(here)]
    return Compared(local, out, labels)


def _next(text: str) -> str:
    known = Version(text)
    return f"{known.major}.{known.minor}.{known.micro + 1}"


def _local(backend: str, folder: Path) -> LocalEnvironments:
    return LocalEnvironments(folder, more=[package_name(one) for one in backend_info(backend).requirements])


@pytest.fixture(scope="module")
def langchain(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("langchain")
    local = _local("langchain", folder)
    settings = "tool_choice=request.tool_choice, **request.model_settings"
    patch = ("langchain/agents/factory.py", settings, f"{settings}, seed=7")
    local.plant("langchain", _next(version("langchain")), patch)
    return _compared("langchain", "langchain", local, folder / "out")


@pytest.fixture(scope="module")
def llamaindex(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("llamaindex")
    local = _local("llamaindex", folder)
    parameters = '"parameters": self.get_parameters_dict(),'
    patch = ("llama_index/core/tools/types.py", parameters, f'{parameters} "planted": 1,')
    planted = _next(version("llama-index"))
    local.plant("llama-index-core", planted, patch)
    local.plant("llama-index", planted, requires=f"llama-index-core=={planted}")
    return _compared("llamaindex", "llama-index", local, folder / "out")


def test_two_environments_of_one_langchain_show_nothing(langchain: Compared) -> None:
    assert langchain.changes(1) == []


def test_a_change_planted_in_langchain_is_what_is_told(langchain: Compared) -> None:
    found = langchain.changes(2)
    assert {(one["handling"], one["kind"], one["place"], one["before"], one["after"]) for one in found} == {
        ("unified", "framework's request", "seed", "absent", "7"),
        ("native", "request", "seed", "absent", "7"),
    }


def test_two_environments_of_one_llamaindex_show_nothing(llamaindex: Compared) -> None:
    assert llamaindex.changes(1) == []


def test_a_change_planted_in_llamaindex_is_what_is_told(llamaindex: Compared) -> None:
    found = llamaindex.changes(2)
    places = [one["place"].split(".") for one in found]
    assert {(one["handling"], one["kind"], one["before"], one["after"]) for one in found} == {
        ("unified", "framework's request", "absent", "1"),
        ("native", "schema", "absent", "1"),
    }
    assert {(first, *others) for first, _, *others in places} == {("tools", "function", "planted")}
    assert {"calculate", "read_sensor", "query_database"} <= {tool for _, tool, *_ in places}
