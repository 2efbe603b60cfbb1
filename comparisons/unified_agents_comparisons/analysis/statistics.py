"""Intervals and tests, from the standard library alone; every random choice has a fixed seed."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import NormalDist, median
from typing import TypeVar

from unified_agents_comparisons.frozen_model import FrozenModel

RESAMPLES = 2000
LEVEL = 0.95
ALPHA = 0.05
MAX_EXACT_DIFFERENCES = 200
"""More differences than these make the signed-rank test use an approximation."""

K = TypeVar("K")


class Interval(FrozenModel):
    """An estimate with its 95 % confidence interval."""

    estimate: float
    low: float
    high: float


def median_interval(values: Sequence[float], *, seed: int = 0) -> Interval | None:
    """Return the median with a percentile bootstrap interval; None without values."""
    if not values:
        return None
    chance = random.Random(seed)  # noqa: S311  # resampling, not a secret
    medians = sorted(median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    tail = round(RESAMPLES * (1 - LEVEL) / 2)
    return Interval(estimate=median(values), low=medians[tail], high=medians[-tail - 1])


def wilson(passed: int, total: int) -> Interval:
    """Return the share of passes among at least one run, with its Wilson score interval."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, bound = passed / total, 1 + z * z / total
    centre = (share + z * z / (2 * total)) / bound
    half = z / bound * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return Interval(estimate=share, low=max(0.0, centre - half), high=min(1.0, centre + half))


def sign_test(differences: Sequence[float]) -> float:
    """Return the p-value of the two-sided exact sign test of paired differences.

    Ties are left out. On pairs of one pass or fail each this is McNemar's test.
    """
    above, below = sum(one > 0 for one in differences), sum(one < 0 for one in differences)
    count = above + below
    tail = sum(math.comb(count, least) for least in range(min(above, below) + 1))
    return min(1.0, 2 * tail / (1 << count))


def signed_rank(differences: Sequence[float]) -> float:
    """Return the p-value of the two-sided Wilcoxon signed-rank test of paired differences.

    Zeros are left out, ties share their rank.

    Exact up to 200 differences. Beyond, by the normal approximation with a correction for continuity: the exact
    distribution would take minutes.
    """
    left = sorted((one for one in differences if one != 0), key=abs)
    doubled = _doubled_ranks([abs(one) for one in left])
    if len(left) > MAX_EXACT_DIFFERENCES:
        return _approximate_signed_rank(left, doubled)
    # The distribution of the sum of the positive ranks when each sign is as likely as the other.
    counts = [1]
    for rank in doubled:
        shifted = [0] * rank + counts
        counts = [with_it + without for with_it, without in zip(shifted, counts + [0] * rank, strict=True)]
    positive = sum(rank for rank, one in zip(doubled, left, strict=True) if one > 0)
    tail = sum(counts[: min(positive, sum(doubled) - positive) + 1])
    return min(1.0, 2 * tail / (1 << len(left)))


def _approximate_signed_rank(left: Sequence[float], doubled: Sequence[int]) -> float:
    signed = sum(rank if one > 0 else -rank for rank, one in zip(doubled, left, strict=True)) / 2
    deviation = math.sqrt(sum(rank * rank for rank in doubled)) / 2
    return math.erfc(max(0.0, abs(signed) - 1) / deviation / math.sqrt(2))


def _doubled_ranks(magnitudes: Sequence[float]) -> list[int]:
    first = {value: at for at, value in reversed(list(enumerate(magnitudes)))}
    last = {value: at for at, value in enumerate(magnitudes)}
    return [first[value] + last[value] + 2 for value in magnitudes]


def holm(p_values: Mapping[K, float]) -> dict[K, float]:
    """Adjust p-values for their number by Holm's step-down method."""
    adjusted: dict[K, float] = {}
    least = 0.0
    for rank, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, p * (len(p_values) - rank)))
        adjusted[key] = least
    return adjusted
