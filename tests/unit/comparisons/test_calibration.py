"""How often a verdict on suites without a difference is false; `make proof` has the same with far more suites."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from simulated_suites import clustered_suites, suites
from unified_agents_comparisons.analysis.paired_tests import paired_tests, repeats_for_change


@pytest.fixture(autouse=True)
def _fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unified_agents_comparisons.analysis.statistics.RESAMPLES", 999)


def test_a_backend_against_itself_is_seldom_called_different() -> None:
    false = sum(any(test.shown for test in paired_tests(cells)) for cells in suites(300, seed=1))
    assert false <= binom.ppf(0.999, 300, 0.05)


def test_clusters_are_no_further_tasks() -> None:
    found = [paired_tests(cells, names) for cells, names in clustered_suites(150, seed=2)]
    wrong = sum(any(test.generalises for test in tests) for tests in found)
    assert wrong <= binom.ppf(0.999, 150, 0.05)


@pytest.mark.proof
def test_the_repeats_of_the_power_line_find_what_it_says() -> None:
    (pilot,) = suites(1, seed=3)
    repeats = repeats_for_change(pilot)
    assert repeats is not None
    found = sum(
        any(test.metric == "total" and test.conclusion == "less" for test in paired_tests(cells))
        for cells in suites(100, seed=4, repeats=repeats, slower=1.05)
    )
    assert found >= binom.ppf(0.001, 100, 0.9)
