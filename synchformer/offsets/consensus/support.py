"""How many answers under known shifts of the sound support each possible offset of a clip.

A clip whose sound is d seconds early, shown to the model with its sound moved by s, has the total offset d + s. An
answer supports d when it lies within a class of d + s. Where d + s lies outside the model's classes the model cannot
answer it, so d is supported by a share of the shifts at which it is *answerable*.

Shares alone still favor some offsets: those near 0 where the model answers 0 whatever it hears, and those at the edge,
of which few shifts are answerable. So each count is compared with what the same answers give when they are permuted
among the shifts, in the mean and in the spread, both exact (Hoeffding, "A combinatorial central limit theorem", 1951):

    z(d) = (supported(d) - mean(d)) / sqrt(variance(d) + 0.1).

A model that always answers the same has z = 0 everywhere. Several starts of a clip add their counts, means and
variances, for answers are permuted within a start.

Shape legend: K offsets, M shifts, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synchformer.inference.sliding_windows import Window

Floats = NDArray[np.float64]

MIN_ANSWERABLE = 6  # shifts at which an offset must be answerable to be considered at all
SMOOTHING = 0.1  # of a variance: keeps a single hit among constant answers from counting as certainty
EPSILON = 1e-6  # s: below it, two times are one


@dataclass(frozen=True)
class Support:
    """Every possible offset in seconds with its counts: (K,) each.

    `supported` answers of `answerable` support it; with permuted answers `mean` would, with this `variance`.
    """

    offsets: Floats
    supported: Floats
    answerable: Floats
    mean: Floats
    variance: Floats

    @property
    def share(self) -> Floats:
        """The share of the answerable shifts whose answer supports the offset; 0 where none is answerable."""
        return np.asarray(self.supported / np.maximum(self.answerable, 1))

    @property
    def expected_share(self) -> Floats:
        """The share that permuted answers would give."""
        return np.asarray(self.mean / np.maximum(self.answerable, 1))

    @property
    def z(self) -> Floats:
        """How far the count lies above that of permuted answers; minus infinity where too few are answerable."""
        raw = (self.supported - self.mean) / np.sqrt(self.variance + SMOOTHING)
        return np.where(self.answerable >= MIN_ANSWERABLE, raw, -np.inf)

    @property
    def best(self) -> int | None:
        """The place of the offset with the largest z, the middle one of equals; None where none is considered."""
        z = self.z
        if not np.isfinite(z).any():
            return None
        equals = np.flatnonzero(z >= z.max() - EPSILON)
        return int(equals[len(equals) // 2])

    def beside(self, place: int, reach: float) -> Floats:
        """z of the offsets further than `reach` seconds from the one at `place`; those considered only."""
        far = np.abs(self.offsets - self.offsets[place]) > reach + EPSILON
        z = self.z[far]
        return np.asarray(z[np.isfinite(z)])


def support_of(windows: Sequence[Window], grid: Sequence[float], offsets: Floats) -> Support:
    """The counts over all windows of a clip.

    Args:
        windows: answers under shifts, a window for every start.
        grid: the classes' offsets in seconds (C,), evenly spaced.
        offsets: the possible offsets (K,).
    """
    classes = np.array(grid)
    sums = np.zeros((4, len(offsets)))  # supported, answerable, mean, variance
    for window in windows:
        if len(window.shifts):
            sums += _counts(window, classes, offsets)
    return Support(offsets, *sums)


def _counts(window: Window, grid: Floats, offsets: Floats) -> Floats:
    """Supported, answerable, mean and variance for every offset: (4, K)."""
    answers = grid[window.probabilities.argmax(1)]  # (M,)
    totals = offsets[:, None] + window.shifts  # (K, M)
    inside = (np.abs(totals) <= grid[-1] + EPSILON) & (totals >= grid[0] - EPSILON)
    step = grid[1] - grid[0]
    hits = np.abs(totals[:, :, None] - answers) <= step + EPSILON  # (K, M, M): shift by answer
    scores = (hits & inside[:, :, None]).astype(float)
    supported = np.einsum("kmm->k", scores)
    means = scores.mean((1, 2))  # (K,)
    centered = scores - scores.mean(1, keepdims=True) - scores.mean(2, keepdims=True) + means[:, None, None]
    count = len(answers)
    variance = (centered**2).sum((1, 2)) / max(1, count - 1)
    return np.stack([supported, inside.sum(1), means * count, variance])
