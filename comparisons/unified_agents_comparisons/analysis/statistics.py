"""Intervals and tests by SciPy and statsmodels; every random choice has a fixed seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from unified_agents_comparisons.frozen_model import FrozenModel

LEVEL = 0.95
ALPHA = 0.05
RESAMPLES = 9_999
MANY = 500
"""More pairs than these are tested with fewer resamples."""
FEWER_RESAMPLES = 1_999
MAX_BATCH = 2_000_000
"""Numbers that a permutation test holds at once."""

K = TypeVar("K")


class Interval(FrozenModel):
    """An estimate with its 95 % confidence interval."""

    estimate: float
    low: float
    high: float


def median_interval(values: Sequence[float], *, seed: int = 0) -> Interval | None:
    """Return the median with a percentile bootstrap interval; None without values."""
    import numpy as np  # noqa: PLC0415  # of the extra `statistics`, and slow to load
    from scipy.stats import bootstrap  # noqa: PLC0415

    if not values:
        return None
    middle = float(np.median(values))
    if len(set(values)) == 1:
        return Interval(estimate=middle, low=middle, high=middle)
    batch = max(1, MAX_BATCH // len(values))
    found = bootstrap(
        (values,),
        np.median,
        n_resamples=2_000,
        batch=batch,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(estimate=middle, low=float(found.low), high=float(found.high))


def ratio_of_medians(of: Sequence[float], to: Sequence[float], *, among: int = 1, seed: int = 0) -> Interval:
    """Return the ratio of two medians of unpaired samples with a percentile bootstrap interval.

    Args:
        of: The samples above the line.
        to: Those below it; all are positive.
        among: So many intervals hold together with 95 %.
        seed: Of the resampling.
    """
    import numpy as np  # noqa: PLC0415  # of the extra `statistics`, and slow to load

    chance = np.random.default_rng(seed)
    above, below = np.asarray(of), np.asarray(to)
    count = max(1, min(RESAMPLES, 20_000_000 // (len(above) + len(below))))
    drawn = np.median(chance.choice(above, (count, len(above))), axis=1)
    ratios = drawn / np.median(chance.choice(below, (count, len(below))), axis=1)
    low, high = np.quantile(ratios, [0.025 / among, 1 - 0.025 / among])
    return Interval(estimate=float(np.median(above) / np.median(below)), low=float(low), high=float(high))


def wilson(passed: int, total: int) -> Interval:
    """Return the share of passes with its Wilson score interval; of no runs anything is possible."""
    from statsmodels.stats.proportion import proportion_confint  # noqa: PLC0415

    if total == 0:
        return Interval(estimate=0.0, low=0.0, high=1.0)
    low, high = proportion_confint(passed, total, alpha=1 - LEVEL, method="wilson")
    return Interval(estimate=passed / total, low=max(0.0, float(low)), high=min(1.0, float(high)))


def clustered_rate(passes: Sequence[bool], clusters: Sequence[str]) -> Interval | None:
    """Return the share of passes with an interval from standard errors that are clustered.

    Runs of one cluster, such as the repeats of a task, may stand or fall together: the interval is as wide as the
    clusters differ. None where it cannot be estimated: with one cluster, or when every cluster has the same share.
    """
    import numpy as np  # noqa: PLC0415
    from statsmodels.api import OLS  # noqa: PLC0415

    numbers = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    values = np.asarray(passes, dtype=float)
    groups = np.asarray([numbers[name] for name in clusters])
    if len(numbers) < 2 or len({values[groups == number].mean() for number in numbers.values()}) == 1:
        return None
    fit = OLS(values, np.ones_like(values)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    low, high = fit.conf_int(alpha=1 - LEVEL)[0]
    return Interval(estimate=float(values.mean()), low=max(0.0, float(low)), high=min(1.0, float(high)))


def pass_at_k(passed: int, total: int, k: int) -> float:
    """Return how likely at least one of k repeats passes, estimated without bias from the repeats of one task."""
    return 1 - math.comb(total - passed, k) / math.comb(total, k)


def pass_hat_k(passed: int, total: int, k: int) -> float:
    """Return how likely all of k repeats pass, estimated without bias from the repeats of one task."""
    return math.comb(passed, k) / math.comb(total, k)


def mcnemar(left_alone: int, right_alone: int) -> float:
    """Return the p-value of McNemar's exact test, two-sided.

    Args:
        left_alone: Pairs in which only the left one passed.
        right_alone: Pairs in which only the right one passed.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact  # noqa: PLC0415

    if not left_alone + right_alone:
        return 1.0
    return min(1.0, float(exact([[0, left_alone], [right_alone, 0]], exact=True).pvalue))


def rate_difference(left: int, right: int, total: int) -> Interval:
    """Return the difference of two pass rates over as many runs each, with Newcombe's interval."""
    from statsmodels.stats.proportion import confint_proportions_2indep  # noqa: PLC0415

    low, high = confint_proportions_2indep(left, total, right, total, method="newcomb", compare="diff")
    return Interval(estimate=(left - right) / total, low=float(low), high=float(high))


def same_rate(left: int, right: int, total: int, margin: float) -> float:
    """Return the p-value of two one-sided tests (TOST): small when the rates differ by less than the margin."""
    import numpy as np  # noqa: PLC0415
    from statsmodels.stats.proportion import tost_proportions_2indep  # noqa: PLC0415

    with np.errstate(all="ignore"):  # it computes odds on the way, also where all passed
        found = tost_proportions_2indep(left, total, right, total, -margin, margin, compare="diff", method="score")
    return 1.0 if math.isnan(found.pvalue) else float(found.pvalue)


def paired_permutation(differences: Sequence[float], weights: Sequence[float], *, seed: int = 0) -> float:
    """Return the p-value of the two-sided paired permutation test of a weighted mean.

    Without an effect each difference could as well have the other sign. Exact where all signs can be gone through.
    """
    import numpy as np  # noqa: PLC0415
    from scipy.stats import permutation_test  # noqa: PLC0415

    if len(differences) < 2 or not any(differences):
        return 1.0
    shares = np.asarray(weights, dtype=float)

    def mean(values: Any, axis: int) -> Any:
        return np.sum(values * shares, axis=axis)

    count = len(differences)
    found = permutation_test(
        (np.asarray(differences, dtype=float),),
        mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples(count),
        batch=max(1, MAX_BATCH // count),
        rng=np.random.default_rng(seed),
    )
    return min(1.0, float(found.pvalue))


def weighted_mean_interval(differences: Sequence[float], weights: Sequence[float], *, seed: int = 0) -> Interval:
    """Return a weighted mean with the interval that belongs to `paired_permutation`.

    The means of random subsets are what the test, turned around, does not reject (Hartigan's typical values).
    """
    import numpy as np  # noqa: PLC0415

    values, shares = np.asarray(differences, dtype=float), np.asarray(weights, dtype=float)
    chance = np.random.default_rng(seed)
    drawn = resamples(len(values))
    means = []
    for first in range(0, drawn, step := max(1, MAX_BATCH // len(values))):
        subsets = chance.random((min(step, drawn - first), len(values))) < 0.5
        parts = subsets * shares
        sums = parts.sum(axis=1)
        means.append((parts @ values)[sums > 0] / sums[sums > 0])
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    estimate = float(values @ shares / shares.sum())
    return Interval(estimate=estimate, low=min(estimate, float(low)), high=max(estimate, float(high)))


def resamples(count: int) -> int:
    """Return how often so many pairs are resampled."""
    return RESAMPLES if count <= MANY else FEWER_RESAMPLES


def same_mean(differences: Sequence[float], margin: float) -> float:
    """Return the p-value of two one-sided t tests (TOST): small when the mean is nearer to 0 than the margin."""
    from statsmodels.stats.weightstats import DescrStatsW  # noqa: PLC0415

    if len(set(differences)) < 2:
        return 1.0
    return float(DescrStatsW(list(differences)).ttost_mean(-margin, margin)[0])


def holm(p_values: Mapping[K, float], *, of: int | None = None) -> dict[K, float]:
    """Adjust p-values for their number by Holm's step-down method.

    Args:
        p_values: The p-values by name.
        of: How many tests there are, with some whose p-value is not needed since it counts as 1.
    """
    # By hand: that of statsmodels collects all garbage at each call.
    adjusted: dict[K, float] = {}
    least = 0.0
    count = of or len(p_values)
    for rank, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, p * (count - rank)))
        adjusted[key] = least
    return adjusted
