"""What constants make of clips whose true offsets are known, and the level at which intervals cover enough of them.

Shape legend: N answers, M answers about class 0 or another, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synchformer.consensus.batch import calibrated
from synchformer.offsets.calibration import LEVEL, Calibration
from synchformer.offsets.continuous import combine
from synchformer.offsets.posterior import Posterior
from training.calibration.trials import Trial

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Every answer of some trials: true total offsets (N,) within the classes, and distributions (N, C)."""

    totals: Floats
    shares: Floats


def answers_of(trials: list[Trial], reach: float) -> Answers:
    """The answers whose true total offset lies within `reach` seconds."""
    windows = [(trial.truth, window) for trial in trials for window in trial.windows]
    totals = np.concatenate([truth + window.shifts for truth, window in windows])
    shares = np.concatenate([window.probabilities for _, window in windows])
    inside = np.abs(totals) <= reach
    return Answers(totals[inside], shares[inside] / shares[inside].sum(1, keepdims=True))


@dataclass(frozen=True)
class Outcome:
    """A clip that was left out: its estimate and interval, in seconds, under constants from other clips.

    `said` (M,) are calibrated probabilities of class 0, `raw` the model's, and `happened` (M,) whether that was it.
    """

    seed: int
    truth: float
    median: float
    interval: tuple[float, float]
    said: Floats
    raw: Floats
    happened: NDArray[np.bool_]

    @property
    def error(self) -> float:
        """Distance of the estimate from the truth in seconds."""
        return abs(self.median - self.truth)

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth."""
        return self.interval[0] <= self.truth <= self.interval[1]

    @property
    def width(self) -> float:
        """Width of the interval in seconds."""
        return self.interval[1] - self.interval[0]


@dataclass(frozen=True)
class Held:
    """Clips that were left out, a list for each kind, and the constants that were fitted on the others."""

    constants: Calibration
    kinds: list[list[Trial]]


def outcome_of(trial: Trial, calibration: Calibration) -> Outcome:
    """What a calibration makes of a clip."""
    constants = calibration.of(trial.bandwidth, trial.fps)
    grid = np.array(constants.response.grid)
    answers = answers_of([trial], grid[-1])
    zero = int(np.abs(grid).argmin())
    posterior, interval = combine(trial.windows, constants)
    return Outcome(
        trial.seed,
        trial.truth,
        posterior.median,
        interval,
        calibrated(answers.shares, calibration.temperature)[:, zero],
        answers.shares[:, zero],
        np.abs(answers.totals[:, None] - grid).argmin(1) == zero,
    )


def conformal(posteriors: Sequence[Posterior], truths: Floats) -> float:
    """The conformal level: with n clips, the ceil((n + 1) * LEVEL)-th smallest of |2 F(truth) - 1|."""
    scores = sorted(abs(2 * each.below(truth) - 1) for each, truth in zip(posteriors, truths, strict=True))
    rank = min(len(scores), int(np.ceil((len(scores) + 1) * LEVEL)))
    return round(float(scores[rank - 1]), 5)
