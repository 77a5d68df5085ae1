"""Intervals and tests by resampling, over clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, permutation_test

Floats = NDArray[np.float64]

RESAMPLES = 9999


@dataclass(frozen=True)
class Mean:
    """A mean over `count` clips with its 95 % interval (BCa bootstrap; the mean itself where clips do not differ)."""

    value: float
    interval: tuple[float, float]
    count: int


def mean_of(values: Floats, seed: int = 0) -> Mean:
    """The mean of one value per clip (N,).

    Raises:
        ValueError: when there are no values.
    """
    if not len(values):
        raise ValueError("there is no clip to take the mean of")
    value = float(values.mean())
    if len(values) == 1 or np.ptp(values) == 0:
        return Mean(value, (value, value), len(values))
    # In batches, for thousands of clips times thousands of resamples would fill the memory.
    found = bootstrap((values,), np.mean, n_resamples=RESAMPLES, batch=100, rng=np.random.default_rng(seed))
    low, high = found.confidence_interval
    return Mean(value, (float(low), float(high)), len(values))


def sign_flip_p(differences: Floats, seed: int = 0) -> float:
    """How often a mean as far from 0 would come out if the two systems were alike (two-sided, paired permutations).

    Raises:
        ValueError: when there are no values.
    """
    if not len(differences):
        raise ValueError("there is no pair to compare")
    if not differences.any():
        return 1.0
    found = permutation_test(
        (differences,),
        lambda each, axis: each.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=100,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)
