"""What a sample can show: the least p-value that it allows, and how many repeats find a change."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unified_agents_comparisons.analysis.statistics import ALPHA

POWER = 0.9
CHANGE = 0.05
"""The relative change of a time that the power line speaks of."""
FAILING = 0.1
"""The difference of pass rates that the power line speaks of."""
MAX_PAIRS = 1_000_000


def least_p(pairs: int) -> float:
    """Return the least two-sided p-value that so many pairs allow, in an exact test by signs."""
    return min(1.0, 2.0 ** (1 - pairs))


def least_pairs(tests: int, alpha: float = ALPHA) -> int:
    """Return how many pairs a test needs at least to show anything, as one of so many tests."""
    return math.floor(math.log2(tests / alpha)) + 2


def noise(differences: Sequence[Sequence[float]]) -> float | None:
    """Return the standard deviation of paired differences within tasks; None where it cannot be told.

    It is the upper end of a one-sided 90 % interval, so that what is planned with it mostly suffices. With one repeat
    for each task the deviation is that between tasks.

    Args:
        differences: The differences of each task.
    """
    from scipy.stats import chi2  # noqa: PLC0415  # of the extra `statistics`, and slow to load

    several = [some for some in differences if len(some) > 1]
    groups = several or [[value for some in differences for value in some]]
    free = sum(len(some) - 1 for some in groups)
    if free < 2:
        return None
    squares = sum((value - math.fsum(some) / len(some)) ** 2 for some in groups for value in some)
    return math.sqrt(squares / float(chi2.ppf(0.1, free)))


def pairs_for_change(deviation: float, tests: int, change: float = CHANGE) -> int:
    """Return how many pairs find a relative change of times 9 times in 10, as one of so many tests."""
    from statsmodels.stats.power import TTestPower  # noqa: PLC0415

    least = least_pairs(tests)
    effect = math.log1p(change) / deviation if deviation > 0 else math.inf
    if effect > 3:  # the least sample suffices, and the search for fewer pairs does not converge
        return least
    found = TTestPower().solve_power(effect_size=effect, alpha=ALPHA / tests, power=POWER)
    return max(least, math.ceil(float(found)))


def change_for_pairs(deviation: float, pairs: int, tests: int) -> float:
    """Return the relative change of times that so many pairs find 9 times in 10, as one of so many tests."""
    from statsmodels.stats.power import TTestPower  # noqa: PLC0415

    found = TTestPower().solve_power(nobs=pairs, alpha=ALPHA / tests, power=POWER)
    return math.expm1(float(found) * deviation)


def pairs_for_failing(tests: int, share: float = FAILING) -> int:
    """Return how many pairs find a backend that alone fails this share of its runs 9 times in 10."""
    from scipy.stats import binom  # noqa: PLC0415

    needed = least_pairs(tests)
    low, high = needed, needed
    while binom.sf(needed - 1, high, share) < POWER:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if binom.sf(needed - 1, middle, share) >= POWER else (middle, high)
    return high
