"""The offset over a film: constant, drifting, or jumping at edits, by how well each explains what its windows say.

Every window has a density over the offset. It is mixed with a share of the uniform density, so that a window that is
sure and wrong counts for little, and windows that overlap count less each. Then

- *constant*: one offset for all; its evidence is the mean over the grid of the product of densities;
- *drift*: a line a + b t; its evidence is the mean over a grid of lines, of slopes of every order of magnitude alike;
- *jumps*: an offset that may change at any window to any other with a small probability (a hidden Markov model, whose
  forward recursion sums over all places and sizes of jumps), given that it changes at least once.

The evidences are compared at equal prior odds; the means over grids are what makes a more flexible explanation pay for
its freedom (MacKay, "Bayesian interpolation", 1992). How much a line pays depends on the slopes that are thought
possible before anything is measured: if they were all equally likely up to the steepest, a slow drift would have to be
far beyond doubt before it were preferred to none (Lindley, "A statistical paradox", 1957). Drifts come in every order
of magnitude, from clocks that differ by 0.01 % to a film shown 4 % too fast, so that the prior density of a slope b is
proportional to 1 / (|b| + `CLOCKS`) (Jeffreys).

A line that changes the offset by at most `MATTERS` from the first window to the last is as good as a constant, and its
share of the probability is counted there: what is called constant may be shifted as a whole without harm, and what
cannot be told from a drift that matters is not called constant.

Shape legend: W windows, K offsets of the grid, B slopes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from synchformer.offsets.posterior import Posterior

Kind = Literal["constant", "drift", "jumps"]
Floats = NDArray[np.float64]

JUMPS_EVERY = 600.0  # s between jumps, before anything is known
STEEPEST = 0.05  # s per s: 25 frames per second taken for 24 are 0.04
MATTERS = 0.045  # s over the whole film: a smaller change is below what viewers detect (ITU-R BT.1359)
END_STEP = 0.25  # of a step of the grid: by how much a step of the slope moves the ends
CLOCKS = 1e-4  # s per s: by as much as clocks of ordinary devices differ; below it no slope is likelier than another
MAX_SLOPES = 1601


@dataclass(frozen=True)
class Line:
    """A line through the offsets: `offset` seconds at the time `center`, and `slope` in seconds per second.

    Intervals hold the probability that was asked for.
    """

    offset: float
    offset_interval: tuple[float, float]
    slope: float
    slope_interval: tuple[float, float]
    center: float

    def at(self, time: float) -> float:
        """The offset in seconds at a time."""
        return self.offset + self.slope * (time - self.center)


@dataclass(frozen=True)
class Explanations:
    """Probabilities of the three explanations, and what each says.

    `states` (W,) is the likeliest offset of every window when it may jump.
    """

    probability: dict[Kind, float]
    constant: Posterior
    line: Line
    states: Floats


def explain(offsets: Floats, times: Floats, log_densities: Floats, level: float) -> Explanations:
    """Compare the three explanations.

    Args:
        offsets: the grid (K,), seconds, evenly spaced.
        times: the windows' centers (W,), seconds, rising.
        log_densities: the windows' log densities relative to the uniform one (W, K), tempered and mixed.
        level: the probability that intervals hold.
    """
    total = log_densities.sum(0)
    same = logsumexp(total) - np.log(len(offsets))
    line, small, large = _line(offsets, times, log_densities, level)
    jumps, states = _jumps(times, log_densities, same)
    unmoved = float(np.logaddexp(same, small))
    evidence: dict[Kind, float] = {"constant": unmoved, "drift": large, "jumps": jumps}
    whole = logsumexp(list(evidence.values()))
    mass = np.exp(total - logsumexp(total))
    return Explanations(
        {kind: float(np.exp(value - whole)) for kind, value in evidence.items()},
        Posterior(offsets, mass),
        line,
        offsets[states],
    )


def slope_grid(offsets: Floats, times: Floats) -> Floats:
    """Slopes (B,) in seconds per second, fine enough that a step moves the ends by a part of the grid's step."""
    half = max(float(np.ptp(times)) / 2, 1e-9)
    step = END_STEP * float(offsets[1] - offsets[0])
    steepest = min(STEEPEST, float(offsets[-1]) / half)
    count = min(int(np.ceil(steepest * half / step)), MAX_SLOPES // 2)
    return np.linspace(-steepest, steepest, 2 * max(count, 1) + 1)


def slope_prior(slopes: Floats) -> Floats:
    """Probabilities (B,) of evenly spaced slopes before anything is measured: the density's integral about each."""
    half = float(slopes[1] - slopes[0]) / 2
    edges = np.append(slopes - half, slopes[-1] + half)
    below = np.sign(edges) * np.log1p(np.abs(edges) / CLOCKS)
    prior: Floats = np.diff(below) / (below[-1] - below[0])
    return prior


def _line(offsets: Floats, times: Floats, log_densities: Floats, level: float) -> tuple[Line, float, float]:
    """The line, and the evidence of lines whose change over all windows does not matter, and of those whose does."""
    slopes, center, length = slope_grid(offsets, times), float(times.mean()), float(np.ptp(times))
    step = float(offsets[1] - offsets[0])
    sums = np.zeros((len(slopes), len(offsets)))  # over the offset at the center
    before = np.concatenate([np.zeros((1, len(offsets))), log_densities.cumsum(0)])  # sums of the first windows
    for slope, total in zip(slopes, sums, strict=True):
        moves = np.round(slope * (times - center) / step).astype(int)  # rises or falls with time
        ends = [*(np.flatnonzero(np.diff(moves)) + 1).tolist(), len(moves)]
        for first, last in pairwise([0, *ends]):  # windows that lie equally far up the line
            _add_moved(total, before[last] - before[first], int(moves[first]))
    sums += np.log(slope_prior(slopes))[:, None] - np.log(len(offsets))
    mass = np.exp(sums - logsumexp(sums))
    line = Line(
        *_summary(offsets, mass.sum(0), level),
        *_summary(slopes, mass.sum(1), level),
        center,
    )
    matters = np.abs(slopes) * length > MATTERS
    small, large = (float(logsumexp(sums[part])) if part.any() else -np.inf for part in (~matters, matters))
    return line, small, large


def _add_moved(total: Floats, row: Floats, move: int) -> None:
    """Add row[k + move] to total[k]; beyond the grid a window says nothing."""
    count = len(total)
    if move >= 0:
        total[: count - move] += row[move:]
    else:
        total[-move:] += row[: count + move]


def _summary(grid: Floats, mass: Floats, level: float) -> tuple[float, tuple[float, float]]:
    posterior = Posterior(grid, mass / mass.sum())
    return posterior.median, posterior.interval(level)


def _jumps(times: Floats, log_densities: Floats, same: float) -> tuple[float, NDArray[np.int64]]:
    """The evidence given at least one jump, and the likeliest state of every window."""
    count, states = log_densities.shape
    if count < 2:
        return -np.inf, log_densities.argmax(1)
    chances = 1 - np.exp(-np.diff(times) / JUMPS_EVERY)  # of a jump between two windows
    forward = log_densities[0] - np.log(states)
    best, back = forward.copy(), np.zeros((count, states), np.int32)
    for index, chance in enumerate(chances, start=1):
        fresh = np.log(chance / states)
        forward = np.logaddexp(np.log1p(-chance) + forward, fresh + logsumexp(forward)) + log_densities[index]
        stay, leap = np.log1p(-chance) + best, fresh + best.max()
        back[index] = np.where(stay >= leap, np.arange(states), best.argmax())
        best = np.maximum(stay, leap) + log_densities[index]
    never = float(np.log1p(-chances).sum())
    whole = float(logsumexp(forward))
    unmoved = never + same
    evidence = -np.inf if whole <= unmoved else whole + np.log1p(-np.exp(unmoved - whole)) - np.log(-np.expm1(never))
    path = np.empty(count, np.int64)
    path[-1] = best.argmax()
    for index in range(count - 1, 0, -1):
        path[index - 1] = back[index, path[index]]
    return float(evidence), path
