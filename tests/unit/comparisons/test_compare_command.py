"""The command `unified-agents compare`: its options, its output and its errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from unified_agents.config import read_yaml
from unified_agents_comparisons import loading
from unified_agents_comparisons.cli import compare_command
from unified_agents_comparisons.command import looks
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.records import CELLS, Cell

app = typer.Typer()
app.command()(compare_command)

WriteSuite = Callable[..., Path]
CONSTANT = {"expect": {"output": "ok"}, "oracle": {"answers": [{"text": "ok"}]}}


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("quikstart",), "no suite 'quikstart'"),
        (("quickstart", "--backends", "customs"), "unknown backend 'customs': did you mean 'custom'?"),
        (("quickstart", "--handling", "wild"), "--handling 'wild': give unified, native or both"),
        (("quickstart", "--handling", ","), "handlings"),
        (("quickstart", "--model", "gpt-5"), "write provider:name"),
        (("quickstart", "--backends", "custom", "--tasks", "zzz"), "no task matches 'zzz'"),
        (("quickstart", "--backends", "custom", "--python", "custom"), "write BACKEND=PATH"),
        (("quickstart", "--backends", "custom", "--python", "other=python3"), "--python other"),
        (("quickstart", "--backends", "custom", "--python", "custom=/no/python"), "/no/python cannot be run"),
        (("quickstart", "--backends", "custom", "--perturb", "wrong_oracle"), "did you mean 'wrong-oracle'?"),
        (("quickstart", "--backends", "custom", "--model", "script:no-such.yaml"), "no-such.yaml"),
        (("quickstart", "--repeats", "0"), "repeats"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_key_that_is_not_set_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    result = invoke("quickstart", "--backends", "custom", "--model", "openai:gpt-5-mini", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "OPENAI_API_KEY" in result.stderr


def test_a_suite_of_ones_own_passes_and_leaves_its_report(write_suite: WriteSuite, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = invoke(write_suite("one", "two"), "--backends", "custom", "--out", out)
    assert result.exit_code == 0, result.output
    assert "custom" in result.stdout
    assert f"report: {out / 'report.html'}" in result.stdout
    assert "[4/4]" in result.stderr
    assert {path.name for path in out.iterdir()} >= {"cells.jsonl", "details", "plan.json", "report.md", "summary.json"}


def test_a_suite_is_read_once(write_suite: WriteSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(loading, "read_yaml", lambda path: read.append(path) or read_yaml(path))  # type: ignore[func-returns-value]
    suite = write_suite()
    assert invoke(suite, "--backends", "custom", "--out", tmp_path / "out").exit_code == 0
    assert read == [suite]


def test_json_is_all_that_stands_on_standard_output(write_suite: WriteSuite, tmp_path: Path) -> None:
    result = invoke(write_suite(), "--backends", "custom", "--json", "--out", tmp_path / "out")
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert (summary["ok"], summary["cells"], summary["model"]) == (True, 2, "oracle")
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "[2/2]" in result.stderr


def test_json_has_the_error_where_else_the_summary_stands(
    write_suite: WriteSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("quikstart", "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert (error["kind"], error["type"]) == ("config", "ConfigError")
    assert result.stderr == f"unified-agents: {error['message']}\n"
    assert "error" not in json.loads(invoke(write_suite(), "--backends", "custom", "--json").stdout)


def test_the_table_and_the_report_come_last(write_suite: WriteSuite, tmp_path: Path) -> None:
    result = invoke(write_suite(), "--backends", "custom", "--out", tmp_path / "out")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    (table,) = [at for at, line in enumerate(lines) if "tiny: 1 task," in line]
    assert table > max(at for at, line in enumerate(lines) if line.startswith(("Where they differ", "custom: python")))
    assert len(lines) - table < 14, "it stays in sight"
    assert lines[-1].startswith("report: ")


def test_a_variant_is_run_and_named_everywhere(write_suite: WriteSuite, tmp_path: Path) -> None:
    out = tmp_path / "out"
    suite = write_suite("one", "two")
    result = invoke(suite, "--backends", "custom", "--variant", "react", "--out", out)
    assert result.exit_code == 0, result.output
    assert "left out: handling 'native'" in result.stderr
    assert "tiny, variant react: 2 tasks, 2 cells" in result.stdout
    assert "Left out: handling 'native'" in result.stdout
    assert "variant react" in (out / "report.md").read_text()
    assert json.loads((out / "summary.json").read_text())["variant"] == "react"
    cells = [json.loads(line) for line in (out / CELLS).read_text().splitlines()]
    assert {(cell["variant"], cell["handling"], cell["passed"]) for cell in cells} == {("react", "unified", True)}
    assert all(path.name.endswith(".react.json") for path in (out / "details").iterdir())
    exchanges = json.loads(next((out / "details").iterdir()).read_text())["result"]["exchanges"]
    assert "Final Answer: ok" in exchanges[0]["answered"], "the scripted model speaks the protocol"
    mixed = invoke(suite, "--backends", "custom", "--out", out)
    assert mixed.exit_code == 2
    assert "another variant" in mixed.stderr


def test_the_report_is_of_all_that_the_folder_holds(write_suite: WriteSuite, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wrong = {"id": "bad", "question": "?", "expect": {"output": "ok"}, "oracle": {"answers": [{"text": "no"}]}}
    path = write_suite(tasks=[wrong, wrong | {"id": "good", "expect": {"output": "no"}}])
    assert invoke(path, "--backends", "custom", "--tasks", "bad", "--out", out).exit_code == 1
    both = invoke(path, "--backends", "custom", "--tasks", "good", "--out", out)
    assert both.exit_code == 1, "the cells of before count"
    assert "2 of the cells were not asked for this time" in both.stdout
    assert {"bad", "good"} == {task["task"] for task in json.loads((out / "summary.json").read_text())["outcomes"]}
    alone = invoke(path, "--backends", "custom", "--tasks", "good", "--out", tmp_path / "other")
    assert alone.exit_code == 0
    assert "not asked for" not in alone.stdout


def test_a_unified_cell_that_does_not_pass_is_exit_code_1(write_suite: WriteSuite, tmp_path: Path) -> None:
    wrong = {"id": "a", "question": "?", "expect": {"output": "ok"}, "oracle": {"answers": [{"text": "no"}]}}
    path = write_suite(tasks=[wrong])
    assert invoke(path, "--backends", "custom", "--out", tmp_path / "both").exit_code == 1
    assert invoke(path, "--backends", "custom", "--handling", "native", "--out", tmp_path / "native").exit_code == 0


def test_a_negative_control_passes_when_every_cell_fails(write_suite: WriteSuite, tmp_path: Path) -> None:
    out = tmp_path / "right"
    assert invoke(write_suite(), "--backends", "custom", "--perturb", "wrong-oracle", "--out", out).exit_code == 0
    assert [json.loads(line)["passed"] for line in (out / CELLS).read_text().splitlines()] == [False, False]
    lax = {"id": "a", "question": "?", "expect": {"output": {"regex": ".*"}}, "oracle": {"answers": [{"text": "no"}]}}
    path = write_suite(tasks=[lax])
    result = invoke(path, "--backends", "custom", "--perturb", "wrong-oracle", "--out", tmp_path / "lax")
    assert result.exit_code == 1
    assert "does not prove what it should" in result.stdout


def test_a_folder_of_its_own_is_the_default(
    write_suite: WriteSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(write_suite(), "--backends", "custom").exit_code == 0
    (folder,) = tmp_path.glob("comparison-tiny-*")
    assert (folder / "report.md").is_file()


def test_what_fails_leaves_no_folder(write_suite: WriteSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = write_suite(tools="json", tasks=[{"id": "a", "question": "?", "tools": ["dums"], **CONSTANT}])
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    result = invoke(suite, "--backends", "custom")
    assert result.exit_code == 2
    assert "suite tiny: its module 'json' has no 'dums': did you mean 'dumps'?" in result.stderr
    assert "starting workers" not in result.stderr
    assert not list(here.iterdir())


def test_a_pattern_that_help_names_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERMINAL_WIDTH", "300")
    monkeypatch.setenv("COLUMNS", "300")
    (pattern,) = re.findall(r"shell pattern of task ids, such as '(.+)'", invoke("--help").stdout)
    assert load_suite("quickstart").select(pattern)


def test_tables_in_a_file_are_as_wide_as_their_values(
    write_suite: WriteSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    result = invoke(write_suite("one", "two"), "--backends", "custom", "--out", tmp_path / "out")
    row = next(line for line in result.stdout.splitlines() if "│ unified" in line)
    assert row.replace(" ", "").startswith("│custom│unified│2/2│")
    assert row.count("│") == 9
    assert "…" not in result.stdout


def test_a_second_sitting_only_reports(write_suite: WriteSuite, tmp_path: Path) -> None:
    arguments = (write_suite(), "--backends", "custom", "--out", tmp_path / "out")
    assert invoke(*arguments).exit_code == 0
    again = invoke(*arguments)
    assert again.exit_code == 0
    assert "[1/" not in again.stderr
    assert len((tmp_path / "out" / CELLS).read_text().splitlines()) == 2


def test_both_names_both_handlings(write_suite: WriteSuite, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert invoke(write_suite(), "--backends", "custom", "--handling", "both", "--out", str(out)).exit_code == 0
    assert {cell.handling for cell in map(Cell.model_validate_json, (out / "cells.jsonl").open())} == {
        "unified",
        "native",
    }
    result = invoke(write_suite(), "--handling", "nativ", "--out", str(tmp_path / "other"))
    assert result.exit_code == 2
    assert "--handling 'nativ': give unified, native or both; did you mean 'native'?" in result.stderr


def test_looks_double_up_to_all_repeats() -> None:
    assert [looks(count) for count in (1, 2, 5, 8)] == [(1,), (1, 2), (1, 2, 4, 5), (1, 2, 4, 8)]


def test_until_decided_stops_at_a_decision_and_pays_for_every_look(
    write_suite: WriteSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (write_suite("one", "two"), "--backends", "custom", "--until-decided", "--repeats", "4")
    monkeypatch.setattr("unified_agents_comparisons.command.is_decided", lambda tests: tests[0].pairs >= 4)
    assert invoke(*options, "--out", tmp_path / "early").exit_code == 0
    early = json.loads((tmp_path / "early" / "summary.json").read_text())
    assert (early["repeats"], early["cells"], early["looks"]) == (2, 8, 3)
    monkeypatch.setattr("unified_agents_comparisons.command.is_decided", lambda _: False)
    assert invoke(*options, "--out", tmp_path / "never").exit_code == 0
    assert json.loads((tmp_path / "never" / "summary.json").read_text())["repeats"] == 4


def test_junit_and_csv_are_written_on_demand(write_suite: WriteSuite, tmp_path: Path) -> None:
    files = ("--junit", tmp_path / "j.xml", "--csv", tmp_path / "c.csv")
    done = invoke(write_suite("one", "two"), "--backends", "custom", "--out", tmp_path / "out", *files)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "j.xml").read_text().count("<testcase ") == 4
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 5
