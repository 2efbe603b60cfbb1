"""How often a verdict on suites without a difference is false, and how often a planted one is found."""

from __future__ import annotations

import numpy as np
import pytest

from simulated_suites import clustered_suites, suites
from unified_agents_comparisons.analysis.paired_tests import paired_tests, repeats_for_change
from unified_agents_comparisons.analysis.run_diff import diff_runs
from unified_agents_comparisons.analysis.statistics import ALPHA, paired_permutation
from unified_agents_comparisons.records import Cell

pytestmark = pytest.mark.proof


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


def by_backend(cells: list[Cell], backend: str) -> list[Cell]:
    """Return the cells of a backend, as if a comparison of one backend had them."""
    return [cell.model_copy(update={"backend": "one"}) for cell in cells if cell.backend == backend]
