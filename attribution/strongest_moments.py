"""The moments that an attribution puts first: one rule for the page, the report and the command."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribution.masking.units import Unit
from attribution.result import Attribution, Curve
from attribution.settings import Modality

MAX_MOMENTS = 3  # of a stream
MIN_DISTANCE = 0.25  # s between two moments of a stream: what lies closer belongs to one
NONE_CERTAIN = "no moment is certain (no 95 % interval lies above 0)"


@dataclass(frozen=True)
class StrongMoment:
    """A unit that surely helped the decision: when, and by how much.

    `clock` is the unit's middle in seconds on the clock of the file's picture. `effect` is how much more often the
    decision is right when the unit is kept; its 95 % interval, `low` to `high`, lies above 0.
    """

    modality: Modality
    unit: Unit
    clock: float
    score: float
    effect: float
    low: float
    high: float

    @property
    def time(self) -> float:
        """The unit's middle in seconds of the crop."""
        return self.unit.middle

    @property
    def effect_in_words(self) -> str:
        """The effect with its interval."""
        return f"{self.effect:+.2f} ({self.low:+.2f} to {self.high:+.2f})".replace("-", "−")


def strongest_moments(attribution: Attribution) -> dict[Modality, tuple[StrongMoment, ...]]:
    """For each stream that was explained, the moments with the highest effects of those that are certain.

    A moment is certain when the 95 % interval of its effect excludes 0. Of moments closer than `MIN_DISTANCE` the
    strongest counts; there are at most `MAX_MOMENTS`, the strongest first, and none where none is certain.
    """
    return {curve.modality: tuple(_of_curve(attribution, curve)) for curve in attribution.curves}


def _of_curve(attribution: Attribution, curve: Curve) -> list[StrongMoment]:
    effect, score = curve.estimates.effect, curve.estimates.score
    moments: list[StrongMoment] = []
    certain = np.flatnonzero(np.asarray(effect.low) > 0)
    for index in certain[np.argsort(-np.asarray(effect.value)[certain], kind="stable")]:
        unit = curve.units[index]
        if len(moments) < MAX_MOMENTS and all(abs(unit.middle - other.time) >= MIN_DISTANCE for other in moments):
            values = (float(part[index]) for part in (score.value, effect.value, effect.low, effect.high))
            moments.append(StrongMoment(curve.modality, unit, attribution.clock(unit.middle), *values))
    return moments
