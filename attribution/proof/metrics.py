"""How good an attribution curve is when the truth is known: figures of merit for one curve.

Shape legend: U units, E events.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from attribution.masking.units import Unit
from synchformer.stats import roc
from synchformer.stats.intervals import Array

NEAR = 0.15  # s between a peak and an event that count as the same place


def points_at(units: Sequence[Unit], values: Array, events: Sequence[float]) -> bool:
    """The pointing game (Zhang et al. 2018): the highest unit's middle lies within 0.15 s of an event (seconds)."""
    middle = units[int(np.nan_to_num(values, nan=-np.inf).argmax())].middle
    return any(abs(middle - event) <= NEAR for event in events)


def pointing_chance(units: Sequence[Unit], events: Sequence[float]) -> float:
    """Share of units that would win the pointing game."""
    return float(np.mean([any(abs(unit.middle - event) <= NEAR for event in events) for unit in units]))


def roc_area(units: Sequence[Unit], values: Array, events: Sequence[float]) -> float:
    """Area under the ROC curve of the values against units within 0.15 s of an event; NaN when all or none are."""
    truth = np.array([any(abs(unit.middle - event) <= NEAR for event in events) for unit in units])
    if not np.isfinite(values).any():
        return float("nan")
    return roc.area(np.nan_to_num(values, nan=float(np.nanmin(values))), truth)


def ranking_masks(values: Array, insert: bool) -> np.ndarray:
    """Masks, bool (U + 1, U), that insert units from the highest value on, or delete them (Petsiuk et al. 2018)."""
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    masks = np.zeros((len(values) + 1, len(values)), dtype=bool)
    for count in range(1, len(values) + 1):
        masks[count] = masks[count - 1]
        masks[count, order[count - 1]] = True
    return masks if insert else ~masks


def curve_area(probabilities: Array) -> float:
    """Mean height of an insertion or deletion curve (trapezoids), in [0, 1]."""
    return float(np.trapezoid(probabilities, dx=1 / (len(probabilities) - 1)))


def rank_correlation(one: Array, other: Array) -> float:
    """Spearman's correlation; NaN when one is flat."""
    one, other = np.nan_to_num(one), np.nan_to_num(other)
    if min(one.std(), other.std()) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)
