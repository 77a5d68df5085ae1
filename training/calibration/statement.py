"""Fit when an offset may be stated: a logistic regression over clips with planted offsets, and its threshold.

Recorded and generated clips weigh alike, and so do the sources within each, however many clips they have. The threshold
rests on recorded clips where there are some, under constants from other sources: sources are dealt into folds, and each
is measured by constants that were fitted on the others.

Shape legend: N clips, F features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from synchformer.consensus.constants import RISK, Statement
from synchformer.consensus.features import NAMES
from synchformer.consensus.support import Floats
from training.calibration.planted import PlantedClip
from training.calibration.shifted_trials import GENERATED

Bools = NDArray[np.bool_]

FOLDS = 5
PENALTY = 0.3  # inverse strength of the L2 penalty
MIN_STATED = 4.0  # clips, as sources count, above a threshold before its risk is believed


def fit_statement(clips: Sequence[PlantedClip], measured: str, risk: float = RISK) -> Statement:
    """The constants for these clips.

    Raises:
        ValueError: when all clips are right, or none is.
    """
    regression = _regression(clips, measured, risk)
    held = cross_fitted(clips)
    recorded = np.array([clip.item.kind != GENERATED for clip in clips])
    deciding = recorded if recorded.any() else ~recorded
    chosen = [clip for clip, decides in zip(clips, deciding, strict=True) if decides]
    right = np.array([clip.right for clip in chosen])
    threshold = threshold_of(held[deciding], right, weights_of(chosen), risk)
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
    """Weights under which recorded and generated clips, and the sources of each, count alike: (N,).

    Their sum is the number of clips, each counted once however many offsets were planted in it.
    """
    kinds = [clip.item.kind == GENERATED for clip in clips]
    sources = Counter(clip.item.source for clip in clips)
    of_kind = Counter(kind for kind, _ in {(kind, clip.item.source) for kind, clip in zip(kinds, clips, strict=True)})
    names = len({clip.item.name for clip in clips})
    return np.array(
        [
            names / len(of_kind) / of_kind[kind] / sources[clip.item.source]
            for kind, clip in zip(kinds, clips, strict=True)
        ]
    )


def threshold_of(said: Floats, right: Bools, weights: Floats, risk: float = RISK) -> float:
    """The lowest probability, of at least 1 - risk, from which on at most `risk` of the clips are wrong.

    Where that holds nowhere, the probability above which fewer than `MIN_STATED` clips remain: then next to nothing is
    stated of clips like these.
    """
    order = np.argsort(-said, kind="stable")
    total, good = np.cumsum(weights[order]), np.cumsum((weights * right)[order])
    enough = total >= MIN_STATED
    passes = enough & (good / total >= 1 - risk)
    if passes.any():
        lowest = said[order][np.flatnonzero(passes)[-1]]
    elif enough.any():
        lowest = said[order][int(enough.argmax())]
    else:
        lowest = 1 - risk
    return round(float(max(1 - risk, lowest)), 5)


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
