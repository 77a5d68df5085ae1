"""Curves at the resolution that the question has: each unit averaged with its neighbors.

The model tells offsets apart in steps of 0.2 s, and a token sees up to 0.18 s of sound, so that single units of 0.1 s
say more about the sampling than about the moment. A triangle over the units (half-width 0.2 s by default) keeps the
place and most of the height of a peak and averages independent noise away. The paper's figure shows single units: 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attribution.estimation.estimators import Measure
from synchformer.stats.intervals import Array


def triangle(middles: Sequence[float], reach: float) -> Array:
    """Weights (U, U) whose rows sum to 1: unit v counts in unit u by 1 - |their distance| / reach, at least 0.

    Args:
        middles: seconds of the units' middles.
        reach: half-width in seconds; 0 leaves every unit alone.
    """
    if reach <= 0:
        return np.eye(len(middles))
    times = np.asarray(middles)
    weights = np.maximum(1 - np.abs(times[:, None] - times) / reach, 0)
    whole: Array = weights / weights.sum(1, keepdims=True)
    return whole


def smoothed(measure: Measure, middles: Sequence[float], reach: float) -> Measure:
    """A measure (U,) averaged over a triangle, with intervals for the averages.

    Units are masked independently of one another, so that their errors are uncorrelated and the squared distances to
    the ends of their intervals add up ("method of variance estimates recovery", Zou & Donner 2008, Statistics in
    Medicine 27, 1693-1702).
    """
    if reach <= 0:
        return measure
    weights = triangle(middles, reach)
    value = weights @ measure.value
    below, above = (
        np.sqrt(weights**2 @ distance**2) for distance in (measure.value - measure.low, measure.high - measure.value)
    )
    return Measure(value, value - below, value + above)
