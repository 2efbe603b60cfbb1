"""Statistical tests and confidence intervals against published values."""

from __future__ import annotations

import math
from itertools import product

import pytest

from unified_agents_comparisons.analysis.statistics import holm, median_interval, sign_test, signed_rank, wilson


def test_wilson_against_published_values() -> None:
    # Newcombe 1998, table I: 81 of 263 and 15 of 148.
    interval = wilson(81, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)
    interval = wilson(15, 148)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.0624, 0.1605)
    assert (wilson(0, 20).low, round(wilson(0, 20).high, 4)) == (0.0, 0.1611)
    assert wilson(20, 20).high == 1.0


def test_the_sign_test_is_exact() -> None:
    assert sign_test([1] * 5) == pytest.approx(0.0625)
    assert sign_test([1] * 9 + [-1]) == pytest.approx(22 / 1024)
    assert sign_test([1, -1, 0]) == 1.0
    assert sign_test([]) == 1.0


def test_the_signed_rank_test_against_a_published_example() -> None:
    # Hollander & Wolfe, depression scale: V = 40, one-sided p = 0.01953.
    first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    p = signed_rank([one - other for one, other in zip(first, second, strict=True)])
    assert p == pytest.approx(0.0390625)
    assert signed_rank([other - one for one, other in zip(first, second, strict=True)]) == pytest.approx(p)


def test_the_signed_rank_test_with_ties_against_all_signs() -> None:
    magnitudes, ranks = [1.0, 2.0, 2.0, 2.0, 5.0, 6.0], [1.0, 3.0, 3.0, 3.0, 5.0, 6.0]
    signs = (1, 1, -1, 1, 1, 1)
    sums = [
        sum(rank for rank, sign in zip(ranks, each, strict=True) if sign > 0) for each in product((1, -1), repeat=6)
    ]
    observed = sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign > 0)
    expected = 2 * sum(one >= observed for one in sums) / len(sums)
    differences = [magnitude * sign for magnitude, sign in zip(magnitudes, signs, strict=True)]
    assert signed_rank([*differences, 0.0]) == pytest.approx(expected)


def test_without_differences_nothing_is_shown() -> None:
    assert signed_rank([]) == 1.0
    assert signed_rank([0.0, 0.0]) == 1.0


def test_beyond_200_pairs_the_approximation_goes_on_where_the_exact_test_ends() -> None:
    def p(count: int) -> float:
        return signed_rank([float(number if number % 5 < 3 else -number) for number in range(1, count + 1)])

    assert p(200) > p(205) > p(300) > 0
    assert p(205) == pytest.approx(p(200), rel=0.2)
    assert signed_rank([float(sign * number) for number in range(1, 301) for sign in (1, -1)]) == 1.0


def test_many_pairs_stay_finite() -> None:
    p = signed_rank([float(number) for number in range(1, 201)])
    assert 0 < p < 1e-50
    assert math.isfinite(p)


def test_holm_steps_down() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert {name: round(p, 6) for name, p in adjusted.items()} == {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


def test_the_bootstrap_interval_of_a_median() -> None:
    interval = median_interval([float(number) for number in range(1, 102)])
    assert interval is not None
    assert interval.estimate == 51
    # The exact interval from order statistics is 41 to 61.
    assert 37 <= interval.low <= 45
    assert 57 <= interval.high <= 65
    assert median_interval([float(number) for number in range(1, 102)]) == interval, "the seed is fixed"
    assert median_interval([]) is None
