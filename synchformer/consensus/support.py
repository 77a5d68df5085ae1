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

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from synchformer.inference.sliding_windows import Window
from synchformer.offsets.posterior import STEP as POSTERIOR_STEP
from synchformer.offsets.posterior import offset_grid
from synchformer.offsets.response import Response, assumed_profile

Floats = NDArray[np.float64]

MIN_ANSWERABLE = 6  # shifts at which an offset must be answerable to be considered at all
SMOOTHING = 0.1  # of a variance: keeps a single hit among constant answers from counting as certainty
ASSUMED_CHANCE = 0.1  # of the assumed response: the share of answers that say nothing
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
    step = classes[1] - classes[0]

    def scores(totals: Floats, shares: Floats) -> Floats:
        answers = classes[shares.argmax(1)]
        hits: Floats = (np.abs(totals[:, :, None] - answers) <= step + EPSILON).astype(float)
        return hits

    return _summed(windows, classes, offsets, scores)


def likelihood_of(windows: Sequence[Window], grid: Sequence[float], offsets: Floats) -> Support:
    """The same of log likelihoods, of whole distributions: `supported` is their sum instead of a count.

    The response is the assumed one, a staircase with soft edges, so that no other measured constants take part.
    """
    classes = np.array(grid)
    response = Response(tuple(grid), assumed_profile(classes[1] - classes[0]), ASSUMED_CHANCE)
    known = offset_grid(response.reach)  # (X,)
    logs = np.log(response.of(known))  # (X, C)

    def scores(totals: Floats, shares: Floats) -> Floats:
        heights = logs @ shares.T  # (X, M)
        heights -= logsumexp(heights, axis=0) - np.log(len(known))
        places = np.clip(np.round((totals - known[0]) / POSTERIOR_STEP), 0, len(known) - 1).astype(int)
        return np.asarray(heights[places])  # (K, M, M)

    return _summed(windows, classes, offsets, scores)


Scores = Callable[[Floats, Floats], Floats]  # totals (K, M) and answers (M, C) to shift by answer (K, M, M)


def _summed(windows: Sequence[Window], grid: Floats, offsets: Floats, scores: Scores) -> Support:
    sums = np.zeros((4, len(offsets)))  # supported, answerable, mean, variance
    for window in windows:
        if len(window.shifts):
            totals = offsets[:, None] + window.shifts  # (K, M)
            inside = (totals <= grid[-1] + EPSILON) & (totals >= grid[0] - EPSILON)
            sums += _moments(scores(totals, window.probabilities) * inside[:, :, None], inside)
    return Support(offsets, *sums)


def _moments(scores: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Sum over the shifts, answerable ones, mean and variance of the sum under permuted answers: (4, K)."""
    count = scores.shape[1]
    means = scores.mean((1, 2))  # (K,)
    centered = scores - scores.mean(1, keepdims=True) - scores.mean(2, keepdims=True) + means[:, None, None]
    variance = (centered**2).sum((1, 2)) / max(1, count - 1)
    return np.stack([np.einsum("kmm->k", scores), inside.sum(1), means * count, variance])
