"""Intervals and tests by resampling, over clips; all intervals are two-sided at 95 %.

Every interval rests on the same number of resamples, 9,999, for which its ends stray by less than a hundredth of its
width from what more of them would give. Each function says which kind of interval it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, permutation_test

from synchformer.stats.intervals import wilson_of

Floats = NDArray[np.float64]

RESAMPLES = 9999
BATCH = 100  # resamples at once: thousands of clips times thousands of resamples would fill the memory


@dataclass(frozen=True)
class Mean:
    """A mean over `count` clips with its 95 % interval (BCa bootstrap; the mean itself where clips do not differ)."""

    value: float
    interval: tuple[float, float]
    count: int


def mean_of(values: Floats, seed: int = 0) -> Mean:
    """The mean of one value per clip (N,).

    The interval is bias-corrected and accelerated (BCa; Efron 1987, "Better bootstrap confidence intervals"), for
    values such as absolute offsets are skewed.

    Raises:
        ValueError: when there are no values.
    """
    if not len(values):
        raise ValueError("there is no clip to take the mean of")
    value = float(values.mean())
    if len(values) == 1 or np.ptp(values) == 0:
        return Mean(value, (value, value), len(values))
    result = bootstrap((values,), np.mean, n_resamples=RESAMPLES, batch=BATCH, rng=np.random.default_rng(seed))
    low, high = result.confidence_interval
    return Mean(value, (float(low), float(high)), len(values))


def share_interval(successes: Floats, counts: Floats, seed: int = 0) -> tuple[float, float]:
    """Interval for the share of successes in trials that come in clips: sum of (N,) over sum of (N,).

    Clips are drawn anew, for the trials of one are no independent observations. The ends are percentiles of the
    resampled shares: near 0 and 1, where few clips differ from the others, BCa's corrections are undefined. Where every
    clip has the same share a bootstrap would claim certainty; Wilson's interval for as many trials as there are clips
    stands in.
    """
    if not len(counts) or np.ptp(successes / counts) == 0:
        return wilson_of(int(len(counts) and successes[0] > 0) * len(counts), len(counts))
    return percentile_interval(
        (successes, counts), lambda right, whole, axis: right.sum(axis) / whole.sum(axis), paired=True, seed=seed
    )


def percentile_interval(
    samples: tuple[Floats, ...], statistic: Callable[..., Any], *, paired: bool = False, seed: int = 0
) -> tuple[float, float]:
    """The 2.5 % and 97.5 % points of a statistic over `RESAMPLES` resamples of `samples`, each of (N,).

    Args:
        samples: resampled each by itself, or together where they are `paired`.
        statistic: takes one array for each of them and the axis of their values.
        paired: whether values at one place belong together.
        seed: of the random numbers.
    """
    low, high = bootstrap(
        samples,
        statistic,
        paired=paired,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=BATCH,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(low), float(high)


def sign_flip_p(differences: Floats, seed: int = 0) -> float:
    """How often a mean as far from 0 would come out if the two systems were alike (two-sided, paired permutations).

    Raises:
        ValueError: when there are no values.
    """
    if not len(differences):
        raise ValueError("there is no pair to compare")
    if not differences.any():
        return 1.0
    result = permutation_test(
        (differences,),
        lambda each, axis: each.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=BATCH,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)
