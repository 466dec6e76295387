"""Intervals, a test and a coefficient of agreement for ratings of pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from math import sqrt

import numpy as np
from scipy.stats import binomtest, norm, t

CONFIDENCE = 0.95
RESAMPLES = 10_000


def ratio_interval(
    sums: Sequence[float], counts: Sequence[int], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float] | None:
    """Where sum(sums) / sum(counts) lies with 95 % confidence, by the bootstrap over pairs.

    sums, counts: of all ratings of each pair. Pairs are drawn anew with all their ratings, since
    ratings of one pair are not independent. Percentiles are widened for small numbers of pairs as
    by Hesterberg, "What Teachers Should Know About the Bootstrap" (2015), section 4.4.

    None for fewer than two pairs: their spread cannot be told.
    """
    rated = np.asarray(counts) > 0
    pairs = int(rated.sum())
    if pairs < 2:
        return None
    drawn = np.random.default_rng(seed).multinomial(pairs, np.full(pairs, 1 / pairs), resamples)
    ratios = drawn @ np.asarray(sums)[rated] / (drawn @ np.asarray(counts)[rated])
    # Where the normal distribution has the tail that t has, and sqrt(n / (n - 1)) for the spread,
    # which resamples underestimate.
    tail = norm.cdf(sqrt(pairs / (pairs - 1)) * t.ppf((1 - CONFIDENCE) / 2, pairs - 1))
    low, high = np.quantile(ratios, (tail, 1 - tail))
    return float(low), float(high)


def sign_test(leanings: Sequence[float]) -> float | None:
    """The two-sided p-value of as many positive as negative pairs; None when all are zero.

    leanings: one number per pair, of which only the sign counts.
    """
    positive, negative = sum(x > 0 for x in leanings), sum(x < 0 for x in leanings)
    if not positive + negative:
        return None
    return float(binomtest(positive, positive + negative).pvalue)


def krippendorff_alpha(units: Sequence[Sequence[Hashable]]) -> float | None:
    """Agreement between raters: 1 all agree, 0 as by chance, below 0 they avoid agreeing.

    units: the ratings of each thing that was rated, by any number of raters; names, no order.
    None when no unit has two ratings, or all ratings are the same: then chance agrees as well.
    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), nominal data.
    """
    shared = [Counter(unit) for unit in units if len(unit) >= 2]
    totals = sum(shared, Counter())
    values = totals.total()
    observed = sum(_disagreeing(unit) / (unit.total() - 1) for unit in shared)
    expected = _disagreeing(totals)
    return 1 - (values - 1) * observed / expected if expected else None


def _disagreeing(ratings: Counter[Hashable]) -> int:
    """Ordered pairs of unlike ratings."""
    return ratings.total() ** 2 - sum(number**2 for number in ratings.values())
