"""The Berkeley Function Calling Leaderboard's corpus on every backend: entries, schemas on the wire, and scores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import BACKENDS, CORPORA, needs_corpora, run_program
from unified_agents_comparisons.bfcl.fetch import PACKAGE, VERSION
from unified_agents_comparisons.bfcl.matching import mismatch
from unified_agents_comparisons.bfcl.mutations import MUTATIONS, mutated
from unified_agents_comparisons.bfcl.schema import json_schema
from unified_agents_comparisons.bfcl.suite import BfclSource, load_bfcl
from unified_agents_comparisons.records import Cell
from unified_agents_comparisons.suite.bfcl_truth import Asked
from unified_agents_comparisons.suite.model import LoadedSuite, Task

pytestmark = [
    pytest.mark.slow,
    needs_corpora,
]
DATA = CORPORA / "bfcl"

FAULTY = {"live_simple_106-63-0", "live_simple_112-68-0", "live_multiple_862-181-3", "live_multiple_964-207-0"}
"""Entries whose ground truth no call can satisfy: the data's README and the reference checker say so."""

REFUSED = {
    "live_multiple_152-58-6",  # a list where the schema has one of an enum
    "live_multiple_596-158-2",  # a number for a string
    "live_multiple_731-167-2",  # a boolean for a string
    "live_multiple_733-167-4",
    "live_multiple_735-167-6",
    "live_multiple_87-38-4",  # outside of the enum
    "live_multiple_871-182-8",
    "live_multiple_947-197-0",
    "live_multiple_964-207-0",  # faulty: without a required parameter
    "live_parallel_multiple_2-2-0",
    "live_simple_106-63-0",  # faulty: without a required parameter
    "live_simple_112-68-0",
    "live_simple_71-35-0",
    "parallel_multiple_21",  # the name of a variable for a list
    "parallel_multiple_94",  # strings for integers
}
"""Entries of which a call of the ground truth breaks the entry's own schema, so that it is refused before it runs."""


def compare(out: Path, *arguments: str, timeout: float = 280) -> subprocess.CompletedProcess[str]:
    chosen = () if "--backends" in arguments else ("--backends", ",".join(BACKENDS))
    return run_program(
        *("compare", "bfcl", "--data", DATA, "--out", out, "--json"), *chosen, *arguments, timeout=timeout
    )


def cells(out: Path) -> list[Cell]:
    return [Cell.model_validate_json(line) for line in (out / "cells.jsonl").read_bytes().splitlines()]


@pytest.fixture(scope="module")
def suite() -> LoadedSuite:
    return load_bfcl(str(BfclSource(data=DATA)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[Cell]]:
    out = tmp_path_factory.mktemp("bfcl") / "out"
    result = compare(out)
    assert result.returncode == 1, result.stderr  # of the faulty entries
    return json.loads(result.stdout), cells(out)


@pytest.mark.timeout(300)
def test_every_entry_passes_on_every_backend_but_the_faulty_ones(whole: tuple[dict[str, Any], list[Cell]]) -> None:
    summary, found = whole
    assert Counter(cell.backend for cell in found) == dict.fromkeys(BACKENDS, 1315)
    for backend in BACKENDS:
        assert {cell.task for cell in found if cell.backend == backend and not cell.passed} == FAULTY
    assert {count["category"]: count["total"] for count in summary["categories"]} == {
        "simple": 201,
        "multiple": 113,
        "parallel": 96,
        "parallel_multiple": 110,
        "live_simple": 129,
        "live_multiple": 516,
        "live_parallel": 8,
        "live_parallel_multiple": 10,
        "irrelevance": 132,
    }


@pytest.mark.timeout(300)
def test_every_call_reaches_the_runner_and_those_that_break_their_schema_are_refused(
    whole: tuple[dict[str, Any], list[Cell]], suite: LoadedSuite
) -> None:
    _, found = whole
    for cell in found:
        truth = suite.task(cell.task).expect.bfcl
        assert truth is not None
        asked = [(call.name, json.loads(call.arguments)) for call in cell.tool_calls]
        assert asked == [tuple(call) for call in truth.oracle()], cell.task
        assert all(call.reached and not call.lost for call in cell.tool_calls), cell.task
    for backend in BACKENDS:
        refused = {cell.task for cell in found if cell.backend == backend and not all(c.ok for c in cell.tool_calls)}
        assert refused == REFUSED
    reasons = [call.error for cell in found for call in cell.tool_calls if not call.ok]
    assert {error.kind for error in reasons if error} == {"invalid_input"}
    assert len(reasons) >= len(REFUSED)


@pytest.mark.timeout(300)
def test_no_keyword_of_any_schema_is_lost_or_added(
    whole: tuple[dict[str, Any], list[Cell]], suite: LoadedSuite
) -> None:
    summary, found = whole
    for task in suite.suite.tasks:
        truth = task.expect.bfcl
        assert truth is not None
        sources = [json_schema(document["parameters"]) for document in truth.functions]
        assert [tool.as_tool().parameters for tool in task.schema_tools] == sources
    documents = sum(len(task.schema_tools) for task in suite.suite.tasks)
    assert documents == 3166
    for cell in found:
        assert [one.tool for one in cell.schemas] == [tool.name for tool in suite.task(cell.task).schema_tools]
    assert {one["backend"] for one in summary["schemas"]} == set(BACKENDS)
    for one in summary["schemas"]:
        assert (one["tools"], one["whole"], one["lost"], one["added"]) == (documents, documents, {}, {})


@pytest.mark.timeout(120)
def test_under_negative_controls_every_cell_fails(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = compare(out, "--perturb", "--limit", "5")
    assert result.returncode == 0, result.stderr
    counts = {count["control"]: count for count in json.loads(result.stdout)["controls"]}
    assert set(counts) == set(MUTATIONS)
    assert all(count["failed"] == count["total"] > 0 for count in counts.values())
    for cell in cells(out):
        if cell.perturb == "value_changed" and cell.task not in REFUSED:
            assert all(call.ok for call in cell.tool_calls), f"{cell.task}: the score must catch it, not the schema"
        if cell.perturb in ("wrong_type", "required_missing"):
            assert any(not call.ok for call in cell.tool_calls), cell.task


@pytest.mark.timeout(120)
def test_natively_what_a_framework_loses_is_seen(tmp_path: Path) -> None:
    """The control of the measure above: it does find losses where there are some."""
    out = tmp_path / "out"
    result = compare(out, "--handling", "native", "--categories", "simple", "--limit", "20")
    assert result.returncode == 0, result.stderr
    by_backend = {one["backend"]: one for one in json.loads(result.stdout)["schemas"]}
    assert by_backend["custom"]["lost"] == {}
    assert any(sum(one["lost"].values()) for one in by_backend.values())
    assert "## Tool schemas" in (out / "report.md").read_text()


REFERENCE = """
import json, sys, types

# The checker looks up only one thing in the leaderboard's table of models, whether a model cannot write dots. The
# table itself imports the client of every vendor. This one has one model, which can.
table = types.ModuleType("bfcl_eval.constants.model_config")
table.MODEL_CONFIG_MAPPING = {"any": types.SimpleNamespace(underscore_to_dot=False)}
sys.modules[table.__name__] = table

from bfcl_eval.constants.enums import Language
from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker

for line in sys.stdin:
    asked = json.loads(line)
    answer = ast_checker(
        asked["functions"], asked["calls"], asked["answers"], Language.PYTHON, asked["category"], "any"
    )
    print(json.dumps(bool(answer["valid"])), flush=True)
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *options, f"{PACKAGE}=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    if done.returncode != 0 and ("NewConnectionError" in done.stderr or "NameResolutionError" in done.stderr):
        pytest.skip("no network: the reference checker comes from PyPI")
    assert done.returncode == 0, done.stderr
    return folder


def variants(task: Task) -> Iterator[tuple[str, tuple[Asked, ...]]]:
    truth = task.expect.bfcl
    assert truth is not None
    yield "oracle", truth.oracle()
    yield from mutated(truth, {tool.name: tool.as_tool() for tool in task.schema_tools}).items()
    # What the oracle never says, right or wrong, so that a rule that is too strict shows as well.
    yield "reversed", truth.oracle()[::-1]
    yield "last", truth.model_copy(update={"calls": tuple(map(last_first, truth.calls))}).oracle()
    yield "loose", tuple(Asked(call.name, loosened(call.arguments)) for call in truth.oracle())
    yield "empty", tuple(Asked(call.name, emptied(call.arguments)) for call in truth.oracle())


def last_first(call: dict[str, Any]) -> dict[str, Any]:
    return {name: {key: accepted[::-1] for key, accepted in answers.items()} for name, answers in call.items()}


def loosened(value: Any) -> Any:
    """Texts as a sloppy model writes them, and whole numbers for floats."""
    match value:
        case str():
            return value.upper().replace(" ", " - ").replace('"', "'")
        case list():
            return [loosened(part) for part in value]
        case dict():
            return {key: loosened(part) for key, part in value.items()}
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def emptied(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: type(value)() if isinstance(value, list | dict | str) else value for key, value in arguments.items()}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("release", [False, True], ids=["corpus", "whole-release"])
def test_the_reference_checker_agrees_on_every_entry_and_every_mutation(
    release: bool, suite: LoadedSuite, reference: Path
) -> None:
    if release:
        suite = load_bfcl(str(BfclSource(data=reference / "bfcl_eval" / "data")))
    scored = [task for task in suite.suite.tasks if task.category != "irrelevance"]
    cases = []
    for task in suite.suite.tasks:
        truth = task.expect.bfcl
        assert truth is not None
        for kind, calls in variants(task):
            ours = mismatch(truth, calls) is None
            if kind == "oracle" or kind in MUTATIONS:
                assert ours is (kind == "oracle" and task.id not in FAULTY), (task.id, kind)
            if truth.category == "irrelevance":
                continue  # the checker is not asked: any call is wrong, none is right
            asked = {
                "functions": truth.functions,
                "answers": truth.calls,
                "category": truth.category,
                "calls": [{call.name: call.arguments} for call in calls],
            }
            cases.append((task.id, kind, ours, json.dumps(asked)))
    done = subprocess.run(
        [sys.executable, "-c", REFERENCE],
        input="\n".join(case[-1] for case in cases),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=os.environ | {"PYTHONPATH": str(reference)},
    )
    assert done.returncode == 0, done.stderr
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(theirs) == len(cases) > 10_000
    disagree = [(task, kind) for (task, kind, ours, _), other in zip(cases, theirs, strict=True) if ours is not other]
    assert disagree == []
    right = Counter(kind for (_, kind, *_), other in zip(cases, theirs, strict=True) if other)
    assert right["oracle"] == len(scored) - len(FAULTY)
    assert right.keys().isdisjoint(MUTATIONS)
    assert min(right["reversed"], right["last"], right["loose"]) > 900
