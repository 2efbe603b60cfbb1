"""What `report.html` carries, and its verdict in words; a browser reads the page in the end-to-end tests."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from unified_agents_comparisons.cli import compare_command, report_command
from unified_agents_comparisons.records import CELLS, Cell, write_details
from unified_agents_comparisons.report.classic_table import classic_table
from unified_agents_comparisons.report.conclusions import conclusions
from unified_agents_comparisons.report.page import MODULES, PAGE, render_page
from unified_agents_comparisons.report.page_bodies import packed_bodies, read_details, repeated_bytes
from unified_agents_comparisons.report.summary import Summary

MakeCell = Callable[..., Cell]
MakeResult = Callable[..., Any]
MakeSummary = Callable[..., Summary]


def data_of(page: str, name: str) -> Any:
    (found,) = re.findall(rf'id="{name}">([^<]*)<', page)
    return json.loads(gzip.decompress(base64.b64decode(found)))


def run_command(command: Callable[..., None], *arguments: object) -> Any:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_page_has_every_module_and_its_policy_names_them(
    make_cell: MakeCell, make_summary: MakeSummary, tmp_path: Path
) -> None:
    page = render_page(make_summary([make_cell()]), [make_cell()], tmp_path)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, flags=re.DOTALL)
    assert not re.search(r"^(import|export)\b", script, flags=re.MULTILINE)
    assert "innerHTML" not in script
    folder = Path(__file__).parents[3] / "comparisons" / "unified_agents_comparisons" / "report" / "page"
    assert {path.stem for path in folder.glob("*.js")} == set(MODULES)
    import hashlib

    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_texts_are_carried_once_cut_and_dropped_before_the_page_grows_too_large(
    make_cell: MakeCell, make_result: MakeResult, tmp_path: Path
) -> None:
    from unified_agents.result import Exchange

    cells = [make_cell("one", repeat=repeat, passed=repeat != 5) for repeat in range(6)]
    for cell in cells:
        text = json.dumps({"messages": [{"content": f"{cell.repeat}" * 30_000}, {"content": "same"}]})
        one = Exchange(step=0, attempt=1, received=text, sent=text, status=200, answered="{}", returned="{}")
        write_details(tmp_path / "details", "all", cell, make_result(exchanges=(one, one)))
    details = read_details(tmp_path, cells)
    packed, kept = packed_bodies(cells, details, 100_000)
    bodies = json.loads(gzip.decompress(packed))
    assert (kept.cut, kept.cells, kept.with_details) == (20_000, 6, 6)
    first = bodies["cells"]["0"]["exchanges"][0]
    assert first[3] == first[4], "a text that is the same is carried once"
    whole = "".join(bodies["pieces"][piece] for piece in bodies["texts"][first[3]])
    assert whole.endswith("more characters)")
    assert repeated_bytes(details[0]) > 30_000
    _, less = packed_bodies(cells, details, len(packed) - 1)
    assert less.cut < kept.cut
    nothing, none = packed_bodies(cells, details, 0)
    assert (none.cells, none.with_details) == (0, 6)
    assert json.loads(gzip.decompress(nothing))["cells"] == {}


def test_a_torn_file_of_details_is_left_out(make_cell: MakeCell, tmp_path: Path) -> None:
    (tmp_path / "details").mkdir()
    (tmp_path / "details" / make_cell().key.file_name).write_text('{"cell": ')
    assert read_details(tmp_path, [make_cell()]) == {}


def test_the_verdict_is_no_stronger_than_the_numbers(make_cell: MakeCell, make_summary: MakeSummary) -> None:
    cells = [
        make_cell(f"t{number}", backend, repeat=repeat, passed=backend == "a" or number > 2)
        for number in range(6)
        for repeat in range(5)
        for backend in "ab"
    ]
    texts = [one.text for one in conclusions(make_summary(cells))]
    assert "a, unified passes 50 points more often than b, unified (30 to 67), on these tasks alone." in texts
    few = [one.text for one in conclusions(make_summary(cells[:4]))]
    assert any("inconclusive" in text and "cannot show anything" in text for text in few)
    assert not any("more often" in text for text in few)


def test_the_verdict_tells_the_largest_differences_of_each_kind(
    make_cell: MakeCell, make_summary: MakeSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many backends the differences in passes alone would fill it, and nothing would tell who is faster."""
    monkeypatch.setattr("unified_agents_comparisons.analysis.statistics.RESAMPLES", 4999)
    sides = [(name, number * 1.5, number < 3) for number, name in enumerate("abcdef", 1)]
    cells = [
        make_cell(f"t{task}", name, repeat=repeat, overhead=0.01 * slower, passed=passes or task < 3)
        for task in range(6)
        for repeat in range(8)
        for name, slower, passes in sides
    ]
    texts = [one.text for one in conclusions(make_summary(cells)) if one.kind == "shown"]
    of_time = [text for text in texts if "total time" in text or "less time" in text or "more time" in text]
    of_overhead = [text for text in texts if "overhead" in text]
    assert len([text for text in texts if "passes" in text]) == 3
    assert (len(of_time), len(of_overhead)) == (3, 2)
    assert of_overhead[0].startswith("a, unified has 83 % less overhead than f, unified")
    assert any(text.endswith("more differences shown in the table of tests.") for text in texts)


def test_the_classic_table_says_what_was_not_measured(make_cell: MakeCell, make_summary: MakeSummary) -> None:
    cells = [make_cell(trace_shape="invoke_agent(chat, chat)"), make_cell("two", trace_shape="invoke_agent")]
    rows = {row.what: row.values for row in classic_table(make_summary(cells), cells)}
    assert rows["Ease of use"] == rows["Retrieval"] == ()
    assert rows["Performance"] == ("10.0 ms",)
    assert rows["Debugging"] == ("1/2",)


def test_report_writes_the_page_anew(write_suite: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_command(compare_command, write_suite(), "--backends", "custom", "--out", out).exit_code == 0
    before = (out / PAGE).read_text()
    (out / PAGE).unlink()
    done = run_command(report_command, out)
    assert done.exit_code == 0, done.output
    assert str(out / PAGE) in done.output
    assert data_of((out / PAGE).read_text(), "data") == data_of(before, "data")


@pytest.mark.parametrize(("lost", "code"), [(CELLS, 2), ("summary.json", 0)])
def test_a_folder_without_its_records_is_said_and_one_without_its_summary_is_told_anew(
    lost: str, code: int, write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run_command(compare_command, write_suite(), "--backends", "custom", "--out", out).exit_code == 0
    (out / lost).unlink()
    (out / PAGE).unlink()
    assert run_command(report_command, out).exit_code == code
    assert (out / PAGE).exists() is (code == 0)
