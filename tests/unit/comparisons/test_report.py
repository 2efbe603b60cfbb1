"""The report of a comparison, on the terminal and in files."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from unified_agents.errors import ErrorRecord
from unified_agents_comparisons.analysis.run_diff import diff_runs
from unified_agents_comparisons.execution.comparison import Comparison
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.records import Cell
from unified_agents_comparisons.report.diff_views import markdown, terminal
from unified_agents_comparisons.report.markdown import escaped, render, write_report
from unified_agents_comparisons.report.summary import Summary, summarise, write_summary
from unified_agents_comparisons.report.terminal import show

MakeCell = Callable[..., Cell]
Summarise = Callable[..., Summary]
HOSTILE = "a | b\n\n# head <script> [x](http://evil.test) *bold* `code` \\"


@pytest.fixture
def summary(tmp_path: Path, write_suite: Callable[..., Path]) -> Summarise:
    def make(*cells: Cell, **changes: Any) -> Summary:
        suite = load_suite(write_suite("one", "two"))
        plan = ComparisonPlan.model_validate({"suite": suite, "backends": ("b",), "out": tmp_path} | changes)
        return summarise(Comparison(plan, suite.suite.tasks, cells, {"b": {"python": "3.11", "frame": "1.2"}}))

    return make


def shown(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=80)
    show(summary, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def everything(make_cell: MakeCell, **native: Any) -> list[Cell]:
    native = {"passed": False, "output": ""} | native
    return [make_cell("one"), make_cell("two"), make_cell("one", handling="native", **native)]


def test_every_report_names_the_model_its_worth_and_the_versions(summary: Summarise, make_cell: MakeCell) -> None:
    made = summary(make_cell())
    for text in (shown(made), render(made, ()), made.model_dump_json()):
        assert "oracle" in text
        assert "a scripted model answered: this proves the plumbing, never a model's quality" in text
        assert "frame" in text
        assert "1.2" in text
    real = summary(make_cell(), model={"name": "gpt-5-mini", "base_url": "http://127.0.0.1:9/v1"})
    for text in (shown(real), render(real, ())):
        assert "openai:gpt-5-mini" in text
        assert "scripted" not in text


def test_where_they_differ(summary: Summarise, make_cell: MakeCell) -> None:
    made = summary(*everything(make_cell))
    assert [task.task for task in made.differing] == ["one"]
    for text in (shown(made), render(made, ())):
        assert "b (native): the answer was empty" in text
        assert "b (unified): as expected" in text
    same = summary(make_cell("one"), make_cell("two"))
    for text in (shown(same), render(same, ())):
        assert "Nowhere" in text


def test_the_verdict_is_of_unified_alone(summary: Summarise, make_cell: MakeCell) -> None:
    assert summary(*everything(make_cell)).ok
    failed = summary(make_cell("one"), make_cell("two", passed=False, reasons=("the answer is 'x'",)))
    assert not failed.ok
    assert failed.verdict == "1 cell under unified handling did not pass."
    for text in (shown(failed), render(failed, ())):
        assert "two, b, unified, repeat 1: the answer is 'x'" in text
    assert "nothing is judged" in summary(make_cell(handling="native")).verdict


def test_a_negative_control_must_fail_everywhere(summary: Summarise, make_cell: MakeCell) -> None:
    control = {"perturb": "wrong-oracle"}
    plan = {"perturb": ["wrong-oracle"]}
    failing = [make_cell(task, passed=False, **control) for task in ("one", "two")]
    assert summary(*failing, **plan).ok
    passing = summary(failing[0], make_cell("two", handling="native", **control), **plan)
    assert not passing.ok
    for text in (shown(passing), render(passing, ())):
        assert "two, b, native, repeat 1: passed, though it was made wrong on purpose (wrong-oracle)" in text.replace(
            "\\", ""
        )
    for text in (shown(passing), render(passing, ()).replace("\\", "")):
        assert "1/2" in next(line for line in text.splitlines() if "wrong-oracle" in line and "1/2" in line)
    assert [(count.control, count.failed, count.total) for count in passing.controls] == [("wrong-oracle", 1, 2)]


def test_what_a_model_wrote_is_shown_and_not_obeyed(summary: Summarise, make_cell: MakeCell) -> None:
    harmless = render(summary(*everything(make_cell)), everything(make_cell))
    hostile = everything(make_cell, output="x", reasons=(HOSTILE,))
    text = render(summary(*hostile), hostile)
    lines = text.splitlines()
    assert len(lines) == len(harmless.splitlines()), "it adds no line"
    assert [line for line in lines if line.startswith("#")] == [
        line for line in harmless.splitlines() if line.startswith("#")
    ]
    (line,) = [line for line in lines if "evil" in line]
    unescaped = re.sub(r"\\.", "", line)
    assert not set("<[*`|") & set(unescaped)
    assert "http://" not in line


ORDERS = "\x1b[31mred\x1b[0m \x1b]8;;http://evil.test\x07link \u202egnp.exe\u2069 \x9b2J \r over"
"""What a terminal obeys: colours, a link, writing from right to left, clearing the screen."""


def test_no_form_of_the_report_holds_what_a_terminal_obeys(
    summary: Summarise, make_cell: MakeCell, run_diff_forms: Callable[[list[Cell]], list[str]]
) -> None:
    error = ErrorRecord(kind="backend", type="BackendError", message=ORDERS)
    cells = everything(make_cell, output=None, error=error, status="failed", reasons=(ORDERS,), model=ORDERS)
    cells += [make_cell("one", backend=ORDERS, passed=False, reasons=(ORDERS,), versions={ORDERS: ORDERS})]
    changed = {"suite": ORDERS, "description": ORDERS, "model": ORDERS, "note": ORDERS, "left_out": (ORDERS,)}
    outcomes = tuple(
        one.model_copy(update={"description": ORDERS, "differs_native": ORDERS}) for one in summary(*cells).outcomes
    )
    made = summary(*cells).model_copy(update=changed | {"outcomes": outcomes, "versions": {ORDERS: {ORDERS: ORDERS}}})
    texts = {"terminal": shown(made), "Markdown": render(made, cells), "notebook": made._repr_html_()}
    texts |= {f"diff {number}": text for number, text in enumerate(run_diff_forms(cells))}
    for name, text in texts.items():
        assert not {"\x1b", "\x07", "\u202e", "\u2069", "\x9b", "\r"} & set(text), name
        assert "gnp.exe" in text, name
    assert "\\x1b[31mred" in texts["terminal"]


@pytest.fixture
def run_diff_forms() -> Callable[[list[Cell]], list[str]]:
    def forms(cells: list[Cell]) -> list[str]:
        found = diff_runs(cells, cells, names=(ORDERS, f"{ORDERS} again"))
        return [terminal(found), markdown(found)]

    return forms


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("a - b 1.5 (c)", "a - b 1.5 (c)"),
        ("a_b", r"a\_b"),
        ("two\n lines", "two lines"),
        (12, "12"),
    ],
)
def test_escaping(value: object, expected: str) -> None:
    assert escaped(value) == expected


def test_the_terminal_takes_markup_of_a_model_as_text(summary: Summarise, make_cell: MakeCell) -> None:
    text = shown(summary(*everything(make_cell, output="x", reasons=("[red]not red[/red] [/nothing]",))))
    assert "[red]not red[/red] [/nothing]" in text


def test_the_files_are_written(summary: Summarise, make_cell: MakeCell, tmp_path: Path) -> None:
    cells = everything(make_cell)
    made = summary(*cells)
    assert Summary.model_validate_json(write_summary(made, tmp_path).read_text()) == made
    assert json.loads((tmp_path / "summary.json").read_text())["outcomes"][0]["differs"] is True
    assert write_report(made, cells, tmp_path).read_text(encoding="utf-8") == render(made, cells)


def test_no_group_without_a_time_breaks_the_report(summary: Summarise, make_cell: MakeCell) -> None:
    made = summary(make_cell("one", passed=False, seconds=None, status="failed"))
    assert "n/a" in shown(made)
    assert "n/a" in render(made, ())
