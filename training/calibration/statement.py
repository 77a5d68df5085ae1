"""Fit when an offset may be stated: a logistic regression over clips with planted offsets, and its threshold.

Sources count alike, however many clips they have. What is said of how well it does is said of sources that were left
out: they are dealt into folds, and each is judged by constants that were fitted on the others.

Shape legend: N clips, F features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from synchformer.offsets.consensus.constants import RISK, Statement
from synchformer.offsets.consensus.features import NAMES
from synchformer.offsets.consensus.support import Floats
from training.calibration.planted import PlantedClip

FOLDS = 5
PENALTY = 1.0  # inverse strength of the L2 penalty
MIN_STATED = 10.0  # clips, as sources count, above a threshold before its risk is believed
MIN_THRESHOLD = 0.5


def fit_statement(clips: Sequence[PlantedClip], measured: str, risk: float = RISK) -> Statement:
    """The constants for these clips; the threshold is that of `threshold_of` on sources that were left out.

    Raises:
        ValueError: when all clips are right, or none is.
    """
    regression = _regression(clips, measured, risk)
    held = cross_fitted(clips)
    right = np.array([clip.right for clip in clips])
    threshold = threshold_of(held, right, weights_of(clips), risk)
    return Statement(**{**vars(regression), "threshold": threshold})


def cross_fitted(clips: Sequence[PlantedClip], folds: int = FOLDS) -> Floats:
    """The probability of every clip under constants from other sources: (N,)."""
    sources = sorted({clip.item.source for clip in clips})
    fold = {source: index % folds for index, source in enumerate(sources)}
    places = np.array([fold[clip.item.source] for clip in clips])
    said = np.zeros(len(clips))
    for index in range(min(folds, len(sources))):
        others = [clip for clip, place in zip(clips, places, strict=True) if place != index]
        statement = _regression(others, "", RISK)
        for place in np.flatnonzero(places == index).tolist():
            said[place] = statement.probability(clips[place].features)
    return said


def weights_of(clips: Sequence[PlantedClip]) -> Floats:
    """Weights under which every source counts as much as the mean one: (N,), their sum is N."""
    counts = Counter(clip.item.source for clip in clips)
    return np.array([len(clips) / len(counts) / counts[clip.item.source] for clip in clips])


def threshold_of(said: Floats, right: np.ndarray, weights: Floats, risk: float = RISK) -> float:
    """The lowest probability from which on at most `risk` of the clips are wrong, at it and at every higher one.

    Where too few clips are as sure as that, the probability itself is believed: 1 - risk.
    """
    order = np.argsort(-said)
    total, good = np.cumsum(weights[order]), np.cumsum((weights * right)[order])
    passes = (good / total >= 1 - risk) | (total < MIN_STATED)
    reached = len(passes) if passes.all() else int(passes.argmin())
    if not reached or total[reached - 1] < MIN_STATED:
        return 1 - risk
    return float(max(MIN_THRESHOLD, said[order][reached - 1]))


def _regression(clips: Sequence[PlantedClip], measured: str, risk: float) -> Statement:
    values = np.array([clip.features for clip in clips])
    right = np.array([clip.right for clip in clips])
    if right.all() or not right.any():
        raise ValueError(
            f"{len(right)} clips are all {'right' if right.all() else 'wrong'}, so there is nothing to learn; "
            "give more clips"
        )
    weights = weights_of(clips)
    center = np.average(values, axis=0, weights=weights)
    scale = np.sqrt(np.average((values - center) ** 2, axis=0, weights=weights))
    scale = np.where(scale > 1e-9, scale, 1.0)
    model = LogisticRegression(C=PENALTY).fit((values - center) / scale, right, sample_weight=weights)
    return Statement(
        names=NAMES,
        center=_digits(center),
        scale=_digits(scale),
        weights=_digits(model.coef_[0]),
        bias=round(float(model.intercept_[0]), 5),
        threshold=1 - risk,
        risk=risk,
        measured=measured,
    )


def _digits(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)
