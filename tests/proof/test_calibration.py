"""How often a verdict on suites without a difference is false, and how often a planted one is found."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from simulated_suites import clustered_suites, on_machine, suites
from support import run_process
from unified_agents_comparisons.analysis.paired_tests import paired_tests, repeats_for_change
from unified_agents_comparisons.analysis.run_diff import diff_runs
from unified_agents_comparisons.analysis.statistics import ALPHA, paired_permutation
from unified_agents_comparisons.records import Cell, read_cells
from unified_agents_comparisons.report.summary import read_summary

pytestmark = pytest.mark.proof

REAL_SUITES = 200
SIX_TASKS = "l*-*"


def test_of_suites_of_one_backend_against_itself_at_most_6_percent_show_any_difference() -> None:
    false = sum(
        any(test.shown for test in paired_tests(cells)) for cells in suites(2000, seed=11, backends=("a", "b", "c"))
    )
    print(f"{false} of 2000 suites show a false difference")
    assert false <= 0.06 * 2000


def test_the_time_test_alone_has_its_level_on_50_tasks() -> None:
    chance = np.random.default_rng(12)
    false = 0
    for number in range(4000):
        times = chance.lognormal(0, 0.1, (2, 50)) * np.where(chance.random((2, 50)) < 0.02, 1.5, 1.0)
        false += paired_permutation(list(np.log(times[0] / times[1])), [1.0] * 50, seed=number) < ALPHA
    print(f"{false / 40:.2f} % of 4000 tests are false")
    assert 0.04 <= false / 4000 <= 0.06


def test_a_planted_slowdown_of_5_percent_is_found_at_the_repeats_of_the_power_line() -> None:
    found = 0
    chosen = []
    pilots = list(suites(300, seed=13))
    for number, pilot in enumerate(pilots):
        repeats = repeats_for_change(pilot)
        assert repeats is not None
        chosen.append(repeats)
        (cells,) = suites(1, seed=1000 + number, repeats=repeats, slower=1.05)
        found += any(test.metric == "total" and test.conclusion == "less" for test in paired_tests(cells))
    print(f"{found} of 300 found, with {min(chosen)} to {max(chosen)} repeats")
    assert found >= 0.9 * 300


def test_clusters_with_correlation_are_respected() -> None:
    wrong = ignored = 0
    for cells, sources in clustered_suites(1000, seed=14):
        wrong += any(test.generalises for test in paired_tests(cells, sources))
        ignored += any(test.generalises for test in paired_tests(cells))
    print(f"{wrong} of 1000 with their sources, {ignored} without")
    assert wrong <= 0.06 * 1000
    assert ignored > 0.1 * 1000, "the negative control: tasks that go together, taken as independent"


def test_of_diffs_of_a_backend_with_itself_at_most_6_percent_show_any_change() -> None:
    false = sum(
        diff_runs(by_backend(cells, "a"), by_backend(cells, "b"), names=("before", "after")).verdict != "inconclusive"
        for cells in suites(2000, seed=15)
    )
    print(f"{false} of 2000 simulated diffs show a false change")
    assert false <= 0.06 * 2000


def test_of_diffs_on_a_machine_whose_speed_changed_at_most_6_percent_show_any_change() -> None:
    false = ignored = 0
    for number, cells in enumerate(suites(1000, seed=16)):
        before = on_machine(by_backend(cells, "a"), seed=number)
        after = on_machine(by_backend(cells, "b"), seed=5000 + number, slower=1.3)
        false += diff_runs(before, after, names=("before", "after")).verdict != "inconclusive"
        untold = [cell.model_copy(update={"yardstick": None}) for cell in after]
        ignored += diff_runs(before, untold, names=("before", "after")).verdict != "inconclusive"
    print(f"{false} of 1000 simulated diffs show a false change, {ignored} without a yardstick")
    assert false <= 0.06 * 1000
    assert ignored > 0.9 * 1000, "the negative control: a slower machine, taken for slower code"


def by_backend(cells: list[Cell], backend: str) -> list[Cell]:
    """Return the cells of a backend, as if a comparison of one backend had them."""
    return [cell.model_copy(update={"backend": "one"}) for cell in cells if cell.backend == backend]


@pytest.fixture(scope="module")
def real_suites(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Run real comparisons of six tasks on a backend and its twin: the same class, in a worker of its own."""
    site = tmp_path_factory.mktemp("site")
    info = site / "twin_of_custom-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: twin-of-custom\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[unified_agents.backends]\ntwin = unified_agents_custom.backend:CustomBackend\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
    options = ("--backends", "custom,twin", "--handling", "unified", "--tasks", SIX_TASKS, "--details", "none")
    folders = [site / f"{number}" for number in range(REAL_SUITES)]
    for number, folder in enumerate(folders):
        repeats = ("--repeats", "5", "--seed", str(number), "--out", str(folder))
        command = (sys.executable, "-m", "unified_agents", "compare", "quickstart", *options, *repeats)
        done = run_process(*command, env=environment, timeout=900)
        assert done.returncode == 0, done.stderr
    assert {len(read_cells(folder)) for folder in folders} == {2 * 5 * 6}
    return folders


def test_of_real_suites_of_a_backend_against_itself_at_most_8_percent_show_a_difference(
    real_suites: list[Path],
) -> None:
    false = sum(any(test.shown for test in read_summary(folder).tests) for folder in real_suites)
    print(f"{false} of {len(real_suites)} real suites show a false difference")
    assert false <= 0.08 * len(real_suites)


def test_of_real_diffs_of_a_backend_with_itself_at_most_8_percent_show_a_change(real_suites: list[Path]) -> None:
    """Each comparison with the one after it, for either of the two: as many diffs as comparisons."""
    cells = [read_cells(folder) for folder in real_suites]
    verdicts = [
        diff_runs(by_backend(list(before), backend), by_backend(list(after), backend), names=("1", "2")).verdict
        for before, after in zip(cells[::2], cells[1::2], strict=True)
        for backend in ("custom", "twin")
    ]
    false = len(verdicts) - verdicts.count("inconclusive")
    print(f"{false} of {len(verdicts)} real diffs show a false change")
    assert false <= 0.08 * len(verdicts)
