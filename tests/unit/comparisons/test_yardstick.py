"""A slower machine is told from slower code: by the same work, timed beside each run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import typer
from scipy.stats import binom
from typer.testing import CliRunner, Result

from simulated_suites import on_machine, suites
from unified_agents.result import Timing
from unified_agents_comparisons.analysis.run_diff import Limit, RunDiff, SideDiff, diff_runs
from unified_agents_comparisons.diff_cli import diff_command
from unified_agents_comparisons.execution.yardstick import WORK, Measured, measure_yardstick
from unified_agents_comparisons.records import CELLS, Cell, Yardstick, read_cells

MakeCell = Callable[..., Cell]
OLDER = (
    '{"suite":"s","task":"one","backend":"b","handling":"unified","repeat":0,"status":"completed","passed":true,'
    '"score":1.0,"output":"42","requests":2,"usage":{"input_tokens":30,"output_tokens":20},"seconds":{"total":0.03,'
    '"model":0.01,"tool":0.01,"waiting":0.0,"overhead":0.01},"cpu_seconds":0.02,"model":"oracle","versions":{}}\n'
)


@pytest.fixture(autouse=True)
def _fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unified_agents_comparisons.analysis.statistics.RESAMPLES", 999)


def halves(count: int, *, seed: int, slower: float = 1.0, machine: float = 1.0) -> Iterable[tuple[list[Cell], ...]]:
    """Yield the cells before and after: the code slower by one factor, and the machine by another."""
    for number, cells in enumerate(suites(count, seed=seed, repeats=10, slower=slower)):
        ours = [[cell for cell in cells if cell.backend == name] for name in ("a", "b")]
        before, after = ([cell.model_copy(update={"backend": "one"}) for cell in some] for some in ours)
        yield on_machine(before, seed=number), on_machine(after, seed=1000 + number, slower=machine)


def diff(before: Iterable[Cell], after: Iterable[Cell], *limits: str, **options: Any) -> RunDiff:
    return diff_runs(list(before), list(after), names=("old", "new"), limits=map(Limit.parse, limits), **options)


def unmeasured(cells: Iterable[Cell]) -> list[Cell]:
    return [cell.model_copy(update={"yardstick": None}) for cell in cells]


def as_fast(cells: Iterable[Cell]) -> list[Cell]:
    """Return cells with the yardstick of the machine as it was."""
    return [cell.model_copy(update={"yardstick": Yardstick(seconds=0.002, cpu_seconds=0.002)}) for cell in cells]


def test_a_slower_machine_is_no_change() -> None:
    pairs = list(halves(30, seed=1, machine=1.3))
    found = [diff(*pair, "total_p50>15%", "overhead_p95>20%", "cpu_p50>") for pair in pairs]
    assert sum(one.verdict != "inconclusive" for one in found) <= binom.ppf(0.999, 30, 0.05)
    assert not any(one.exceeded for one in found)
    for before, after in pairs[:4]:
        for slow in (as_fast(after), unmeasured(after)):
            found = diff(before, slow, "total_p50>15%")
            assert found.verdict == "worse", "the negative control: slower without a slower yardstick"
            assert [one.limit for one in found.exceeded] == ["total_p50>15%"]


@pytest.mark.parametrize("machine", [0.8, 1.2])
def test_slower_code_is_found_on_a_machine_of_another_speed(machine: float) -> None:
    found = [diff(*pair, "total_p50>2%") for pair in halves(15, seed=2, slower=1.15, machine=machine)]
    shown = [one for one in found if one.verdict == "worse"]
    assert len(shown) >= 13
    assert sum(bool(one.exceeded) for one in shown) >= 12
    effects = [
        change.test.effect.estimate for one in shown for change in one.sides[0].tested if change.metric == "overhead"
    ]
    assert sum(effects) / len(effects) == pytest.approx(0.15, abs=0.02)


def test_a_change_within_the_margin_is_shown_only_where_both_took_turns() -> None:
    pairs = list(halves(15, seed=3, slower=1.04))
    assert not any(diff(*pair).verdict == "worse" for pair in pairs)
    assert sum(diff(*pair, interleaved=True).verdict == "worse" for pair in pairs) >= 3


def test_what_tools_took_has_no_verdict_where_a_script_answered_at_another_time(make_cell: MakeCell) -> None:
    """How soon a tool's thread gets a processor is no property of the code."""
    before, after = (
        timed(make_cell, 0.002, seconds=Timing(total=total, model=0, tool=total - 0.01, waiting=0, overhead=0.01))
        for total in (0.03, 0.05)
    )
    tested = {one.metric: one.verdict for one in only_side(diff(before, after)).tested}
    assert tested == {"passed": "inconclusive", "overhead": "inconclusive"}
    assert diff(before, after, "total_p50>20%").exceeded == ()
    assert diff(before, after, interleaved=True).verdict == "worse"
    real = [[cell.model_copy(update={"model": "openai:m"}) for cell in some] for some in (before, after)]
    assert diff(*real).verdict == "worse"


def timed(make_cell: MakeCell, yardstick: float | None, **changes: Any) -> list[Cell]:
    if yardstick is not None:
        changes["yardstick"] = Yardstick(seconds=yardstick, cpu_seconds=yardstick)
    return [make_cell(f"t{task}", repeat=repeat, **changes) for task in range(4) for repeat in range(5)]


def only_side(found: RunDiff) -> SideDiff:
    (side,) = found.sides
    return side


def change(found: RunDiff, name: str) -> float | None:
    return next(figure.change for figure in only_side(found).figures if figure.name == name)


def test_only_what_this_machine_does_is_divided(make_cell: MakeCell) -> None:
    times = Timing(total=10.0, model=6.0, tool=1.0, waiting=1.0, overhead=2.0)
    changes: dict[str, Any] = {"seconds": times, "cpu_seconds": 3.0, "time_to_first_token": 2.0}

    def of(model: str) -> tuple[float | None, ...]:
        found = diff(timed(make_cell, 0.001, model=model, **changes), timed(make_cell, 0.003, model=model, **changes))
        return tuple(change(found, f"{name}_p50") for name in ("total", "overhead", "cpu", "first_token"))

    third = pytest.approx(-2 / 3)
    for scripted in ("oracle", "replay of day.json"):
        assert of(scripted) == (pytest.approx((1 + 9 * 2 / 3) / (1 + 9 * 2) - 1), third, third, third)
    assert of("openai:m") == (pytest.approx((7 + 3 * 2 / 3) / (7 + 3 * 2) - 1), third, third, 0.0)
    found = diff(timed(make_cell, 0.001, **changes), timed(make_cell, 0.003, **changes))
    assert (change(found, "requests"), change(found, "tokens"), change(found, "passed")) == (0.0, 0.0, 0.0)


def test_times_stay_seconds_where_the_work_is_not_comparable(make_cell: MakeCell) -> None:
    before = timed(make_cell, 0.002)
    found = diff(before, [*timed(make_cell, 0.004)[1:], make_cell("t0")])
    assert change(found, "total_p50") == 0.0
    machine = only_side(found).machine
    assert machine is not None
    assert (machine.before, machine.after) == (0.002, None)
    assert "new did not measure" in machine.why_unused
    found = diff(before, timed(make_cell, 0.004, versions={"python": "4"}))
    assert change(found, "total_p50") == 0.0
    assert "Python" in (only_side(found).machine or machine).why_unused
    other = [cell.model_copy(update={"yardstick": Yardstick(seconds=1.0, cpu_seconds=1.0, work=7)}) for cell in before]
    found = diff(before, other)
    assert change(found, "total_p50") == 0.0
    assert "other work" in (only_side(found).machine or machine).why_unused
    # A run that failed has no time that is compared.
    found = diff(before, [*timed(make_cell, 0.004)[1:], make_cell("t0", passed=False)])
    assert change(found, "total_p50") == pytest.approx(-0.5)
    assert only_side(diff(before, timed(make_cell, 0.004), interleaved=True)).machine is None


@pytest.fixture
def shown(tmp_path: Path) -> Callable[..., Result]:
    def show(before: str, after: str, *options: str) -> Result:
        for name, text in (("old", before), ("new", after)):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / CELLS).write_text(text)
        app = typer.Typer()
        app.command()(diff_command)
        return CliRunner().invoke(app, [str(tmp_path / "old"), str(tmp_path / "new"), *options])

    return show


def lines(cells: Iterable[Cell]) -> str:
    return "".join(f"{cell.model_dump_json()}\n" for cell in cells)


@pytest.mark.parametrize("form", ["terminal", "markdown", "html"])
def test_every_form_tells_the_speed_of_the_machine(
    make_cell: MakeCell, shown: Callable[..., Result], form: str
) -> None:
    before, after = lines(timed(make_cell, 0.0021)), lines(timed(make_cell, 0.0026))
    told = shown(before, after, "--format", form).stdout
    assert "the machine took 2.10 ms in old and 2.60 ms in new for the same work" in told
    assert "-19.2 %" in told
    older = shown(OLDER, after.replace('"task":"t0"', '"task":"one"'), "--format", form).stdout
    assert "the machine took 2.60 ms in new for the same work" in older
    assert "nothing tells a slower machine from slower code: old did not measure" in older


def test_json_and_a_limit_tell_it_too(make_cell: MakeCell, shown: Callable[..., Result]) -> None:
    times = Timing(total=0.05, model=0, tool=0, waiting=0, overhead=0.04)
    slow = timed(make_cell, 0.004, seconds=times)
    before = lines(timed(make_cell, 0.002))
    done = shown(before, lines(slow), "--format", "json", "--fail-on", "overhead_p50>20%", "--fail-on", "total_p50>1%")
    found = RunDiff.model_validate_json(done.stdout)
    assert found.sides[0].machine is not None
    assert (found.sides[0].machine.before, found.sides[0].machine.after) == (0.002, 0.004)
    assert (done.exit_code, [one.limit for one in found.exceeded]) == (1, ["overhead_p50>20%"])
    text = shown(before, lines(slow), "--fail-on", "overhead_p50>20%").stdout
    assert "10.00 ms, now 40.00 ms (at one speed 15.00 ms, now 30.00 ms)" in text


def test_two_backends_of_one_comparison_took_turns(make_cell: MakeCell, tmp_path: Path) -> None:
    cells = [*timed(make_cell, 0.002, backend="a"), *timed(make_cell, 0.004, backend="b")]
    (tmp_path / CELLS).write_text(lines(cells))
    app = typer.Typer()
    app.command()(diff_command)
    done = CliRunner().invoke(app, [str(tmp_path), "--backends", "a,b", "--format", "json"])
    found = RunDiff.model_validate_json(done.stdout)
    assert only_side(found).machine is None
    assert change(found, "total_p50") == 0.0


def test_cells_of_earlier_versions_are_read(tmp_path: Path) -> None:
    (tmp_path / CELLS).write_text(OLDER)
    (cell,) = read_cells(tmp_path)
    assert cell.yardstick is None


def test_the_work_takes_time_and_leaves_the_collector_as_it_was() -> None:
    measured = measure_yardstick()
    assert measured.cpu > 0
    assert measured.wall > 0
    assert gc.isenabled()
    gc.disable()
    try:
        measure_yardstick()
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert Measured(1.0, 4.0).least(Measured(3.0, 2.0)) == Yardstick(seconds=1.0, cpu_seconds=2.0, work=WORK)
