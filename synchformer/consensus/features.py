"""What tells whether the offset that most answers support is right: numbers that do not depend on how many were asked.

Shape legend: F features, C classes, M shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synchformer.consensus.support import EPSILON, Floats, Support, likelihood_of, support_of
from synchformer.inference.sliding_windows import Window

NAMES = ("excess", "margin", "likelihood", "entropy", "near", "agreement", "starts", "room")
CANDIDATES_PER_CLASS = 2  # possible offsets in a class: answers lie within half of that of the true one


@dataclass(frozen=True)
class Evidence:
    """The offset that the answers support most, in seconds to half a class, and what speaks for it.

    `supported` of `answerable` answers lie within a class of it, of `places` that were asked in all; permuted answers
    would in `expected`. `starts` starts were measured, of which `agreeing` support it by themselves. `features` (F,)
    are those of `NAMES`: the share above that of permuted answers, the same beyond the best offset elsewhere, how far
    its log likelihood lies above that of the best offset elsewhere (in standard deviations of permuted answers, for one
    place), the mean
    entropy of single answers (1: even), their mean probability within a class of their best, the share of starts that
    agree, the number of starts, and the seconds of shifts at which it is answerable.
    """

    offset: float
    supported: int
    answerable: int
    expected: float
    places: int
    starts: int
    agreeing: int
    features: Floats


def candidates(grid: Sequence[float]) -> Floats:
    """The offsets that are compared: every class, and those halfway between two."""
    count = CANDIDATES_PER_CLASS * (len(grid) - 1) + 1
    return np.linspace(grid[0], grid[-1], count)


def evidence_of(windows: Sequence[Window], grid: Sequence[float]) -> Evidence | None:
    """What the answers of a clip's windows agree on; None where no offset is answerable often enough."""
    offsets, step = candidates(grid), grid[1] - grid[0]
    support = support_of(windows, grid, offsets)
    best = support.best
    if best is None:
        return None
    offset = _refined(windows, grid, float(offsets[best]))
    best = int(np.abs(offsets - offset).argmin())
    own = [each for window in windows if (each := own_best(window, grid, offsets)) is not None]
    agreeing = sum(abs(each - offset) <= step + EPSILON for each in own)
    shares = np.concatenate([window.probabilities for window in windows])
    excess = support.share - support.expected_share
    values = {
        "excess": excess[best],
        "margin": excess[best] - _elsewhere(support, excess, best, step),
        "likelihood": _likelihood_margin(windows, grid, offset),
        "entropy": float(-(shares * np.log(np.maximum(shares, 1e-12))).sum(1).mean() / np.log(shares.shape[1])),
        "near": float(np.mean([_near(answer) for answer in shares])),
        "agreement": agreeing / len(own) if own else 0.0,
        "starts": float(len(windows)),
        "room": _seconds(windows) * support.answerable[best] / len(shares),
    }
    return Evidence(
        offset=offset,
        supported=int(support.supported[best]),
        answerable=int(support.answerable[best]),
        expected=float(support.mean[best]),
        places=len(shares),
        starts=len(windows),
        agreeing=agreeing,
        features=np.array([values[name] for name in NAMES]),
    )


def own_best(window: Window, grid: Sequence[float], offsets: Floats) -> float | None:
    """The offset that one start's answers support most; None where too few are answerable."""
    support = support_of([window], grid, offsets)
    return None if support.best is None else float(offsets[support.best])


def _refined(windows: Sequence[Window], grid: Sequence[float], offset: float) -> float:
    """The mean offset that the supporting answers give once their shifts are taken off, rounded to half a class."""
    step = grid[1] - grid[0]
    answers = np.concatenate([np.array(grid)[window.probabilities.argmax(1)] for window in windows])
    shifts = np.concatenate([window.shifts for window in windows])
    apart = answers - shifts - offset
    inside = (np.abs(offset + shifts) <= grid[-1] + EPSILON) & (np.abs(apart) <= step + EPSILON)
    mean = offset + float(apart[inside].mean()) if inside.any() else offset
    unit = step / CANDIDATES_PER_CLASS
    return round(round(mean / unit) * unit, 6) + 0.0


def _elsewhere(support: Support, excess: Floats, best: int, step: float) -> float:
    """The largest excess of an offset more than two classes away, which shares no class with the best one."""
    far = np.abs(support.offsets - support.offsets[best]) > 2 * step + EPSILON
    considered = far & np.isfinite(support.z)
    return float(excess[considered].max()) if considered.any() else 0.0


def _likelihood_margin(windows: Sequence[Window], grid: Sequence[float], offset: float) -> float:
    """By how many standard deviations offsets within a class are likelier than all others, for one place."""
    likelihood, step = likelihood_of(windows, grid, candidates(grid)), grid[1] - grid[0]
    apart = np.abs(likelihood.offsets - offset)
    z = likelihood.z
    near, far = z[apart <= step + EPSILON], z[(apart > 2 * step + EPSILON) & np.isfinite(z)]
    if not len(far) or not np.isfinite(near).any():
        return 0.0
    return float(near.max() - far.max()) / float(np.sqrt(sum(len(window.shifts) for window in windows)))


def _near(answer: Floats) -> float:
    """The probability of the best class and its neighbors."""
    place = int(answer.argmax())
    return float(answer[max(0, place - 1) : place + 2].sum())


def _seconds(windows: Sequence[Window]) -> float:
    """The seconds over which the sound of all starts was moved."""
    return float(sum(np.ptp(window.shifts) for window in windows if len(window.shifts)))
