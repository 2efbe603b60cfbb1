"""`unified-agents diff`: two comparisons before and after a change."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import typer
from scipy.stats import binom
from typer.testing import CliRunner, Result

from simulated_suites import suites
from unified_agents.errors import ConfigError
from unified_agents_comparisons.analysis.run_diff import Limit, RunDiff, diff_runs
from unified_agents_comparisons.diff_cli import diff_command
from unified_agents_comparisons.records import CELLS, Cell

MakeCell = Callable[..., Cell]
HOSTILE = "</td><script>alert(1)</script> | **bold** [x](http://evil.test) `code`"


def noisy(make_cell: MakeCell, *, seed: int, slower: float = 1.0, failing: str = "", **changes: Any) -> list[Cell]:
    chance = random.Random(seed)
    return [
        make_cell(
            f"t{task}",
            repeat=repeat,
            passed=f"t{task}" != failing,
            overhead=(1 + task) * slower * chance.lognormvariate(0, 0.05),
            **changes,
        )
        for task in range(8)
        for repeat in range(5)
    ]


def diff(before: Iterable[Cell], after: Iterable[Cell], *limits: str) -> RunDiff:
    return diff_runs(list(before), list(after), names=("old", "new"), limits=map(Limit.parse, limits))


@pytest.fixture
def run_diff(tmp_path: Path) -> Callable[..., Result]:
    def run(before: list[Cell], after: list[Cell], *options: object, old: str = "old") -> Result:
        for name, cells in ((old, before), ("new", after)):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / CELLS).write_text("".join(f"{cell.model_dump_json()}\n" for cell in cells))
        app = typer.Typer()
        app.command()(diff_command)
        return CliRunner().invoke(app, [str(tmp_path / old), str(tmp_path / "new"), *map(str, options)])

    return run


def test_the_three_verdicts(make_cell: MakeCell) -> None:
    before = noisy(make_cell, seed=1)
    assert diff(before, noisy(make_cell, seed=2, slower=1.2)).verdict == "worse"
    assert diff(before, noisy(make_cell, seed=2, slower=0.8)).verdict == "better"
    assert diff(before, noisy(make_cell, seed=2)).verdict == "inconclusive"
    (side,) = diff(before, noisy(make_cell, seed=2, slower=1.2)).sides
    by_metric = {change.metric: change for change in side.tested}
    assert by_metric["overhead"].test.effect.estimate == pytest.approx(0.2, abs=0.03)
    assert by_metric["passed"].verdict == "inconclusive"


def test_comparisons_without_a_common_task_are_refused(make_cell: MakeCell, run_diff: Callable[..., Result]) -> None:
    before, after = [make_cell("t1"), make_cell("t2", backend="c")], [make_cell("t3"), make_cell("t2", backend="c")]
    (side,) = diff(before, after).sides
    assert side.backend == "c"
    assert f"no task of {before[0].backend}, {before[0].handling} is in both" in diff(before, after).left_out
    done = run_diff(before[:1], after[:1])
    assert done.exit_code == 2
    assert "have no task in common" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_limit_on_a_time_needs_a_change_that_is_shown(make_cell: MakeCell) -> None:
    before, slow = noisy(make_cell, seed=1), noisy(make_cell, seed=2, slower=1.2)
    (exceeded,) = diff(before, slow, "overhead_p50>10%", "overhead_p50>40%", "total_p50<").exceeded
    assert (exceeded.limit, exceeded.backend) == ("overhead_p50>10%", "b")
    few = [cell for cell in slow if cell.repeat == 0 and cell.task == "t0"]
    assert diff(before, few, "overhead_p50>10%").exceeded == ()


def test_a_limit_on_passes_takes_the_number(make_cell: MakeCell) -> None:
    before = noisy(make_cell, seed=1)
    found = diff(before, noisy(make_cell, seed=2, failing="t3"), "passed<", "passed<50%")
    assert [one.limit for one in found.exceeded] == ["passed<"]
    assert found.sides[0].tasks == (("t3", 5, 5, 0, 5),)
    assert diff(before, noisy(make_cell, seed=2), "passed<", "requests>", "bytes>").exceeded == ()
    more = [cell.model_copy(update={"requests": 3}) for cell in before]
    assert [one.limit for one in diff(before, more, "requests>10%").exceeded] == ["requests>10%"]


@pytest.mark.parametrize(
    "text", ["", "overhead", "overhead_p50>ten", "speed>1%", "passed=1", "passed<1%; rm", "passed<" + "9" * 50]
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write FIGURE>N%"):
        Limit.parse(text)


def test_what_does_not_match_is_said(make_cell: MakeCell) -> None:
    before = [*noisy(make_cell, seed=1, versions={"frame": "1"}), make_cell("gone"), make_cell(backend="old")]
    after = noisy(make_cell, seed=2, versions={"frame": "2", "more": "1"}, model="openai:m")
    found = diff(before, after)
    assert found.sides[0].versions == (("frame", "1", "2"), ("more", "none", "1"))
    text = "; ".join(found.left_out)
    assert "only old has old, unified" in text
    assert "such as gone" in text
    assert "in new answered openai:m" in text
    with pytest.raises(ConfigError, match="in common"):
        diff([make_cell(backend="x")], [make_cell(backend="y")])


def test_every_form_says_the_same(make_cell: MakeCell, run_diff: Callable[..., Result], tmp_path: Path) -> None:
    before, after = noisy(make_cell, seed=1), noisy(make_cell, seed=2, slower=1.2)
    limit = ("--fail-on", "overhead_p50>10%")
    for form in ("terminal", "markdown", "html"):
        done = run_diff(before, after, "--format", form, *limit)
        assert done.exit_code == 1
        for what in ("worse", "overhead", "Limit"):
            assert what in done.stdout
    found = RunDiff.model_validate_json(run_diff(before, after, "--format", "json").stdout)
    assert found.verdict == "worse"
    done = run_diff(before, before, "--format", "markdown", "-o", tmp_path / "diff.md", *limit)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "inconclusive" in (tmp_path / "diff.md").read_text()


def test_names_are_text_in_every_form(make_cell: MakeCell, run_diff: Callable[..., Result]) -> None:
    before = noisy(make_cell, seed=1, backend=HOSTILE)
    after = noisy(make_cell, seed=2, failing="t1", backend=HOSTILE)
    page = run_diff(before, after, "--format", "html").stdout
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    text = run_diff(before, after, "--format", "markdown").stdout
    line = next(line for line in text.splitlines() if "evil" in line)
    assert "http://" not in line
    assert not set("<[*`") & set(
        json.dumps(line.replace("\\<", "").replace("\\[", "").replace("\\*", "").replace("\\`", ""))
    )


def test_a_folder_without_cells_is_one_line(
    run_diff: Callable[..., Result], make_cell: MakeCell, tmp_path: Path
) -> None:
    done = run_diff([make_cell()], [make_cell()], "--fail-on", "nonsense")
    assert done.exit_code == 2
    (tmp_path / "new" / CELLS).write_text("no cell\n" * 2)
    app = typer.Typer()
    app.command()(diff_command)
    assert CliRunner().invoke(app, [str(tmp_path / "old"), str(tmp_path / "new")]).exit_code == 2
    assert CliRunner().invoke(app, [str(tmp_path / "old"), str(tmp_path / "nowhere")]).exit_code == 2


def test_a_comparison_that_was_cut_off_is_told(
    run_diff: Callable[..., Result], make_cell: MakeCell, tmp_path: Path
) -> None:
    before = noisy(make_cell, seed=1)
    whole = run_diff(before, before).stdout
    assert "Mind" not in whole
    cut = run_diff(before, before[:-3]).stdout
    assert "Mind: new lacks 3 of the runs of b, unified." in cut
    path = tmp_path / "new" / CELLS
    path.write_text(path.read_text()[:-40])
    app = typer.Typer()
    app.command()(diff_command)
    told = CliRunner().invoke(app, [str(tmp_path / "old"), str(tmp_path / "new")]).stdout
    assert "Mind: new lacks 4 of the runs of b, unified." in told
    assert "Mind: new was cut off in the middle of a record." in told


def test_a_run_against_itself_is_seldom_called_different(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unified_agents_comparisons.analysis.statistics.RESAMPLES", 999)
    pairs = [
        (
            [cell for cell in cells if cell.repeat < 5],
            [cell.model_copy(update={"repeat": cell.repeat - 5}) for cell in cells if cell.repeat >= 5],
        )
        for cells in suites(200, seed=6, repeats=10, backends=("a", "b"))
    ]
    false = sum(diff(*pair).verdict != "inconclusive" for pair in pairs)
    assert false <= binom.ppf(0.999, 200, 0.05)
