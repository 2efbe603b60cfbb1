"""`unified-agents compare bfcl` on a small folder of data, on the backend that needs no framework."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from unified_agents_comparisons.bfcl.mutations import MUTATIONS
from unified_agents_comparisons.cli import compare_command
from unified_agents_comparisons.records import Cell

app = typer.Typer()
app.command()(compare_command)

FUNCTION = {
    "name": "math.add",
    "description": "Add.",
    "parameters": {
        "type": "dict",
        "properties": {"a": {"type": "float"}, "of": {"type": "string", "enum": ["x", "y"], "optional": True}},
        "required": ["a"],
    },
}
OTHER = {"name": "noop", "description": "Nothing.", "parameters": {"type": "dict", "properties": {}, "required": []}}


def entry(category: str, number: int, *truth: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{category}_{number}",
        "category": category,
        "question": [[{"role": "user", "content": "Add."}]],
        "function": [FUNCTION, OTHER] if category == "parallel" else [FUNCTION],
        "ground_truth": truth,
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    entries = {
        "simple": [
            entry("simple", 0, {"math.add": {"a": [2.0], "of": ["x", ""]}}),
            entry("simple", 1, {"math.add": {"a": ["2"]}}),
            entry("simple", 2, {"math.add": {"a": []}}),
        ],
        "parallel": [entry("parallel", 0, {"math.add": {"a": [1]}}, {"math.add": {"a": [2]}})],
        "irrelevance": [entry("irrelevance", 0)],
    }
    folder = tmp_path / "data"
    folder.mkdir()
    for category, lines in entries.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{category}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return folder


@pytest.fixture
def compare(data: Path, tmp_path: Path) -> Callable[..., tuple[Result, list[Cell], Path]]:
    def run(*arguments: str, name: str = "out") -> tuple[Result, list[Cell], Path]:
        out = tmp_path / name
        options = ["--data", str(data), "--backends", "custom", "--out", str(out), "--json"]
        result = CliRunner().invoke(app, ["bfcl", *arguments, *options])
        path = out / "cells.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        return result, [Cell.model_validate_json(line) for line in lines], out

    return run


Compare = Callable[..., tuple[Result, list[Cell], Path]]


def test_entries_are_run_under_unified_and_scored_by_what_was_asked_for(compare: Compare) -> None:
    result, cells, _ = compare("--categories", "simple,parallel,irrelevance")
    assert result.exit_code == 1, result.stderr
    assert {cell.handling for cell in cells} == {"unified"}
    assert {cell.task: cell.passed for cell in cells} == {
        "simple_0": True,
        "simple_1": True,
        "simple_2": False,
        "parallel_0": True,
        "irrelevance_0": True,
    }
    by_task = {cell.task: cell for cell in cells}
    parallel = [(call.name, json.loads(call.arguments), call.ok) for call in by_task["parallel_0"].tool_calls]
    assert parallel == [("math.add", {"a": 1}, True), ("math.add", {"a": 2}, True)]
    (refused,) = by_task["simple_1"].tool_calls
    assert (refused.ok, refused.reached, refused.lost) == (False, True, False)
    assert refused.error is not None
    assert "must be a number" in refused.error.message
    assert by_task["irrelevance_0"].tool_calls == ()
    summary = json.loads(result.stdout)
    counts = {count["category"]: (count["passed"], count["total"]) for count in summary["categories"]}
    assert counts == {"simple": (2, 3), "parallel": (1, 1), "irrelevance": (1, 1)}
    assert [(one["tools"], one["whole"], one["lost"]) for one in summary["schemas"]] == [(6, 6, {})]


def test_a_bare_perturb_takes_every_control_and_every_cell_fails(compare: Compare) -> None:
    result, cells, out = compare("--categories", "simple,parallel,irrelevance", "--limit", "1", "--perturb")
    assert result.exit_code == 0, result.stderr
    assert {cell.perturb for cell in cells if cell.task == "parallel_0"} == set(MUTATIONS)
    assert [cell.perturb for cell in cells if cell.task == "irrelevance_0"] == ["call_added"]
    assert not any(cell.passed for cell in cells)
    changed = [cell for cell in cells if cell.perturb == "value_changed"]
    assert all(call.ok for cell in changed for call in cell.tool_calls)
    controls = json.loads(result.stdout)["controls"]
    assert sum(control["failed"] for control in controls) == len(cells) == 13
    assert "| value\\_changed | 2/2 |" in (out / "report.md").read_text()


def test_controls_can_be_named(compare: Compare) -> None:
    result, cells, _ = compare("--categories", "simple", "--limit", "1", "--perturb", "wrong_type,call_dropped")
    assert result.exit_code == 0, result.stderr
    assert {cell.perturb for cell in cells} == {"wrong_type", "call_dropped"}


def test_details_are_kept_of_the_cells_that_are_asked_for(compare: Compare) -> None:
    for keep, expected in (("all", 3), ("failed", 1), ("none", 0)):
        _, cells, out = compare("--categories", "simple", "--details", keep, name=keep)
        assert len(cells) == 3
        assert len(list((out / "details").iterdir())) == expected
    _, cells, out = compare(
        "--categories", "simple", "--limit", "1", "--perturb", "--details", "failed", name="control"
    )
    assert cells
    assert list((out / "details").iterdir()) == [], "of a negative control, only what passed is worth a look"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bfcl", "--categories", "singular"), "categories.0"),
        (("bfcl", "--categories", "multiple"), "has no multiple.jsonl.gz"),
        (("quickstart", "--limit", "3"), "--limit goes with the suite bfcl"),
        (("bfcl", "wrong_type", "--categories", "simple"), "one word too many"),
        (("bfcl", "--categories", "simple", "--perturb", "wrong-oracle"), "takes the control wrong-oracle"),
        (("bfcl", "--categories", "simple", "--details", "some"), "details"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(
    arguments: tuple[str, ...], message: str, data: Path, tmp_path: Path
) -> None:
    options = ["--backends", "custom", "--out", str(tmp_path / "out")]
    options += ["--data", str(data)] if arguments[0] == "bfcl" else []
    result = CliRunner().invoke(app, [*arguments, *options])
    assert result.exit_code == 2
    assert message in result.stderr
    assert [line for line in result.stderr.splitlines() if message in line] == result.stderr.splitlines()[-1:]
