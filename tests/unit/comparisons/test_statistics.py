"""Statistical tests and intervals against published values and cases computed by hand."""

from __future__ import annotations

import math
from itertools import product

import pytest

from unified_agents_comparisons.analysis.power import (
    change_for_pairs,
    least_p,
    least_pairs,
    noise,
    pairs_for_change,
    pairs_for_failing,
)
from unified_agents_comparisons.analysis.statistics import (
    clustered_rate,
    holm,
    mcnemar,
    median_interval,
    paired_permutation,
    pass_at_k,
    pass_hat_k,
    rate_difference,
    same_mean,
    same_rate,
    weighted_mean_interval,
    wilson,
)

SAMPLE = [0.12, -0.03, 0.25, 0.07, 0.31, -0.11, 0.02, 0.18, 0.09, 0.4, -0.05, 0.16]


def test_wilson_against_published_values() -> None:
    # Newcombe 1998, table I: 81 of 263 and 15 of 148.
    interval = wilson(81, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)
    interval = wilson(15, 148)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.0624, 0.1605)
    assert (wilson(0, 20).low, round(wilson(0, 20).high, 4)) == (0.0, 0.1611)
    assert wilson(20, 20).high == 1.0
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def test_the_bootstrap_interval_of_a_median() -> None:
    interval = median_interval([float(number) for number in range(1, 102)])
    assert interval is not None
    assert interval.estimate == 51
    # The exact interval from order statistics is 41 to 61.
    assert 37 <= interval.low <= 45
    assert 57 <= interval.high <= 65
    assert median_interval([float(number) for number in range(1, 102)]) == interval, "the seed is fixed"
    assert median_interval([]) is None
    one = median_interval([3.0])
    assert one is not None
    assert (one.low, one.high) == (3.0, 3.0)


def test_clustered_standard_errors_by_hand() -> None:
    passed = {"a": 9, "b": 7, "c": 4, "d": 8, "e": 5, "f": 6, "g": 9, "h": 3, "i": 7, "j": 6}
    passes = [number < count for count in passed.values() for number in range(10)]
    interval = clustered_rate(passes, [name for name in passed for _ in range(10)])
    assert interval is not None
    mean = sum(passed.values()) / 100
    sums = [count - 10 * mean for count in passed.values()]
    error = math.sqrt(10 / 9 * sum(one * one for one in sums)) / 100
    assert interval.estimate == pytest.approx(mean)
    assert interval.high - mean == pytest.approx(2.262157 * error, rel=1e-5)  # the t quantile at 9 degrees of freedom
    alone = wilson(sum(passed.values()), 100)
    assert interval.high - interval.low > 1.1 * (alone.high - alone.low), "repeats of a task are no new tasks"
    assert clustered_rate([True, False], ["a", "a"]) is None
    assert clustered_rate([True, True], ["a", "b"]) is None


def test_pass_at_k_and_pass_hat_k_by_hand() -> None:
    assert pass_at_k(3, 5, 2) == pytest.approx(1 - 1 / 10)
    assert pass_hat_k(3, 5, 2) == pytest.approx(3 / 10)
    assert (pass_at_k(0, 5, 5), pass_hat_k(5, 5, 5), pass_hat_k(4, 5, 5)) == (0.0, 1.0, 0.0)
    assert pass_at_k(3, 5, 1) == pytest.approx(pass_hat_k(3, 5, 1))


def test_mcnemar_is_exact() -> None:
    assert mcnemar(5, 0) == pytest.approx(0.0625)
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar(1, 1) == 1.0
    assert mcnemar(0, 0) == 1.0


def test_the_difference_of_rates_against_published_values() -> None:
    # Newcombe 1998, table II, method 10: 9 of 10 against 3 of 10.
    interval = rate_difference(9, 3, 10)
    assert interval.estimate == pytest.approx(0.6)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.1705, 0.8090)


def test_the_paired_permutation_test_against_all_signs() -> None:
    values, weights = SAMPLE[:8], [1.0, 0.5, 0.5, 1.0, 1.0, 0.5, 0.5, 1.0]
    parts = [value * weight for value, weight in zip(values, weights, strict=True)]
    sums = [sum(s * part for s, part in zip(signs, parts, strict=True)) for signs in product((1, -1), repeat=8)]
    expected = sum(abs(one) >= abs(sum(parts)) - 1e-12 for one in sums) / len(sums)
    assert paired_permutation(values, weights) == pytest.approx(expected)
    assert paired_permutation([1.0, 2.0, 3.0], [1, 1, 1]) == pytest.approx(2 / 8)
    assert paired_permutation([], []) == 1.0
    assert paired_permutation([0.5], [1]) == 1.0
    assert paired_permutation([0.0, 0.0], [1, 1]) == 1.0


def test_many_pairs_are_sampled() -> None:
    p = paired_permutation([0.1 + (number % 7) / 100 for number in range(600)], [1.0] * 600)
    assert p == pytest.approx(2 / 2000)


def test_the_interval_is_what_the_permutation_test_does_not_reject() -> None:
    interval = weighted_mean_interval(SAMPLE, [1.0] * len(SAMPLE))
    assert interval.estimate == pytest.approx(sum(SAMPLE) / len(SAMPLE))

    def p(shift: float) -> float:
        return paired_permutation([value - shift for value in SAMPLE], [1.0] * len(SAMPLE))

    for end, inwards in ((interval.low, 0.02), (interval.high, -0.02)):
        assert p(end + inwards) > 0.05
        assert p(end - inwards) < 0.05


def test_two_one_sided_t_tests_by_hand() -> None:
    def tail(t: float) -> float:  # of Student's t with 3 degrees of freedom
        return 0.5 - (t / math.sqrt(3) / (1 + t * t / 3) + math.atan(t / math.sqrt(3))) / math.pi

    values, margin = [0.02, -0.01, 0.03, -0.02], 0.05
    mean = sum(values) / 4
    error = math.sqrt(sum((value - mean) ** 2 for value in values) / 3 / 4)
    assert same_mean(values, margin) == pytest.approx(tail((margin - mean) / error))
    assert same_mean([0.1], margin) == 1.0
    assert same_mean([0.0, 0.0], margin) == 1.0, "without noise nothing is known of it"


def test_two_one_sided_tests_of_rates_by_hand() -> None:
    # All pass on both sides: the likeliest rates that are 5 points apart are 95 % and 100 %.
    z = 0.05 / math.sqrt(0.95 * 0.05 / 200)
    assert same_rate(200, 200, 200, 0.05) == pytest.approx(math.erfc(z / math.sqrt(2)) / 2, rel=0.05)
    assert same_rate(20, 20, 20, 0.05) > 0.05
    assert same_rate(200, 100, 200, 0.05) == pytest.approx(1.0)


def test_holm_steps_down() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert {name: round(p, 6) for name, p in adjusted.items()} == {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({"a": 0.01}, of=4) == {"a": pytest.approx(0.04)}
    assert holm({}) == {}


def test_the_least_sample_that_can_show_anything() -> None:
    assert least_p(5) == pytest.approx(mcnemar(5, 0))
    for tests in (1, 3, 9, 16):
        needed = least_pairs(tests)
        assert least_p(needed) * tests < 0.05 <= least_p(needed - 1) * tests


def test_power_against_published_values() -> None:
    # Paired t test, effect 0.5, two-sided 5 %, power 0.9: 44 pairs.
    deviation = math.log1p(0.05) / 0.5
    assert pairs_for_change(deviation, 1) == 44
    assert change_for_pairs(deviation, 44, 1) == pytest.approx(0.05, rel=0.01)
    assert pairs_for_change(1e-9, 3) == least_pairs(3)
    # 6 pairs must differ to show anything, and one run in ten does: 6 of n, 9 times in 10.
    assert pairs_for_failing(1) == 91


def test_noise_is_that_within_tasks() -> None:
    within = [[10.0 + one for one in SAMPLE], [-3.0 + one for one in SAMPLE]]
    mean = sum(SAMPLE) / len(SAMPLE)
    plain = math.sqrt(sum((one - mean) ** 2 for one in SAMPLE) / (len(SAMPLE) - 1))
    found = noise(within)
    assert found is not None
    assert plain < found < 1.3 * plain, "the upper end of an interval, whatever lies between the tasks"
    assert noise([[0.1], [0.2]]) is None
