"""The mean response of a model: which class it answers when the true offset is known and lies between classes.

The response is taken to depend on the distance from the class alone: R(c | x) = h(x - g_c) / sum_c' h(x - g_c'), mixed
with a share of chance. h is measured; classes at the edge get what their missing neighbors would have got.

Shape legend: X offsets, C classes, J distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Floats = NDArray[np.float64]

DISTANCE_STEP = 0.02  # s
LONGEST = 0.6  # s: beyond this distance h is flat
FLOOR = 1e-3  # of h: no answer is impossible


@dataclass(frozen=True)
class Response:
    """`profile` (J,) is h at distances from -LONGEST to LONGEST; `grid` (C,) the classes' offsets in seconds."""

    grid: tuple[float, ...]
    profile: tuple[float, ...]
    chance: float

    @cached_property
    def reach(self) -> float:
        """The largest total offset, in seconds, about which an answer says something: half a class beyond the last."""
        return self.grid[-1] + (self.grid[1] - self.grid[0]) / 2

    def of(self, totals: Floats) -> Floats:
        """R(c | x) for total offsets (X,): (X, C), rows sum to 1."""
        distances = totals[:, None] - np.array(self.grid)
        heights: Floats = np.interp(distances, distance_grid(), self.profile) + FLOOR
        return np.asarray((1 - self.chance) * heights / heights.sum(1, keepdims=True) + self.chance / len(self.grid))

    def log_likelihood(self, totals: Floats, answer: Floats) -> Floats:
        """How likely an answer (C,) is for each total offset (X,): 0 where the model cannot know.

        Relative to its mean over all that the model can know, so that a flat answer says nothing anywhere.
        """
        known, logs = self._table
        heights = logs @ answer
        inside = np.abs(totals) <= self.reach + DISTANCE_STEP / 100
        mean = logsumexp(heights) - np.log(len(heights))
        return np.where(inside, np.interp(totals, known, heights) - mean, 0.0)

    @cached_property
    def _table(self) -> tuple[Floats, Floats]:
        """Total offsets over the model's range (X,), and log R(c | x) there (X, C)."""
        count = round(self.reach / (DISTANCE_STEP / 2))
        known: Floats = np.asarray(np.arange(-count, count + 1) * (DISTANCE_STEP / 2))
        return known, np.log(self.of(known))


def distance_grid() -> Floats:
    """The distances of a profile, in seconds: (J,)."""
    count = round(LONGEST / DISTANCE_STEP)
    return np.asarray(np.arange(-count, count + 1) * DISTANCE_STEP)


def measure_profile(totals: Floats, answers: Floats, grid: tuple[float, ...]) -> tuple[float, ...]:
    """The mean probability that a class gets at each distance from it.

    Args:
        totals: true total offsets (N,), seconds, all between the first and the last class.
        answers: what the model said (N, C).
        grid: the classes' offsets (C,).
    """
    places = np.round((totals[:, None] - np.array(grid) + LONGEST) / DISTANCE_STEP).astype(int)
    length = len(distance_grid())
    inside = (places >= 0) & (places < length)
    sums = np.bincount(places[inside], answers[inside], length)
    counts = np.bincount(places[inside], minlength=length)
    raw = sums / np.maximum(counts, 1)
    smooth = np.convolve(np.pad(raw, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    return tuple(round(float(value), 5) for value in smooth)


def assumed_profile(step: float) -> tuple[float, ...]:
    """What stands in for a measured profile: a class answers within half a step, with soft edges."""
    distances = np.abs(distance_grid())
    return tuple(float(value) for value in 1 / (1 + np.exp((distances - step / 2) / (step / 8))))
