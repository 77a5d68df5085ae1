"""The moments that an attribution puts first, for tables: the highest effects, neighbors counted once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribution.result import Attribution, Curve
from attribution.settings import Modality

MOST = 4  # moments of a stream
APART = 0.25  # s between two moments of a list: neighbors belong to one


@dataclass(frozen=True)
class Moment:
    """A unit that mattered: when, and by how much.

    `time` is its middle in seconds of the crop, `clock` the same on the clock of the file's picture. `effect` is how
    much more often the decision is right when the moment is kept, with its 95 % interval.
    """

    modality: Modality
    time: float
    clock: float
    score: float
    effect: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval of the effect excludes zero."""
        return self.low > 0


def strongest(attribution: Attribution, most: int = MOST) -> tuple[Moment, ...]:
    """The moments with the highest effect, stream by stream, the strongest first."""
    return tuple(moment for curve in attribution.curves for moment in _of(attribution, curve, most))


def _of(attribution: Attribution, curve: Curve, most: int) -> list[Moment]:
    effect, score = curve.estimates.effect, curve.estimates.score
    values = np.nan_to_num(effect.value, nan=-np.inf)
    chosen: list[int] = []
    for index in np.argsort(-values, kind="stable"):
        apart = all(abs(curve.middles[index] - curve.middles[other]) >= APART for other in chosen)
        if len(chosen) < most and apart and values[index] > 0:
            chosen.append(int(index))
    return [
        Moment(
            curve.modality,
            curve.middles[index],
            attribution.clock(curve.middles[index]),
            *(float(part[index]) for part in (score.value, effect.value, effect.low, effect.high)),
        )
        for index in chosen
    ]
