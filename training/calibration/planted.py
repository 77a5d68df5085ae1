"""Clips with planted offsets: what the consensus makes of each, whether it is right, and what permuted answers give.

Shape legend: F features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synchformer.consensus.answers import STEP
from synchformer.consensus.features import Evidence, evidence_of
from synchformer.consensus.support import EPSILON, Floats
from synchformer.inference.sliding_windows import Window
from training.calibration.shifted_trials import Item, ShiftedTrial

PLANTED = 8  # offsets planted in every clip, beside 0
SEED = 0


@dataclass(frozen=True)
class PlantedClip:
    """One clip with one offset in seconds: the consensus, and whether it lies within a class of the truth.

    `single` is the share of its starts whose answer to the sound as it is lies within a class. `permuted` says whether
    the consensus of the same answers, permuted among the shifts of each start, does. `part` is "one start" where only
    the first start was measured, else "all starts".
    """

    item: Item
    truth: float
    evidence: Evidence
    right: bool
    single: float
    permuted: bool
    part: str

    @property
    def features(self) -> Floats:
        """Those of the consensus (F,)."""
        return self.evidence.features


def planted_clips(trials: Sequence[ShiftedTrial], grid: Sequence[float], *, in_sync: bool = False) -> list[PlantedClip]:
    """Every trial with offsets drawn evenly from the model's range, or in sync; with all its starts and with one.

    Offsets are drawn by the clip's name. Cases in which no offset is answerable often enough are left out.
    """
    clips = []
    for trial in trials:
        rng = np.random.default_rng([SEED, int.from_bytes(hashlib.sha256(trial.item.name.encode()).digest()[:4])])
        count = round(grid[-1] / STEP + EPSILON - 0.5)
        truths = [0.0] if in_sync else [float(place) * STEP for place in rng.integers(-count, count + 1, PLANTED)]
        for truth in truths:
            windows = trial.planted(truth, grid[-1])
            parts = {"all starts": windows}
            if len(windows) > 1:
                parts["one start"] = windows[:1]
            for part, some in parts.items():
                clip = planted_clip(trial.item, truth, some, grid, rng)
                if clip is not None:
                    clips.append(replace(clip, part=part))
    return clips


def planted_clip(
    item: Item, truth: float, windows: Sequence[Window], grid: Sequence[float], rng: np.random.Generator
) -> PlantedClip | None:
    """What the windows of a clip with a known offset give; None where nothing can be asked."""
    evidence = evidence_of(windows, grid)
    other = evidence_of([_permuted(window, rng) for window in windows], grid)
    if evidence is None or other is None:
        return None
    reach = grid[1] - grid[0] + EPSILON
    singles = [abs(_unmoved(window, grid) - truth) <= reach for window in windows]
    return PlantedClip(
        item, truth, evidence, abs(evidence.offset - truth) <= reach, float(np.mean(singles)),
        abs(other.offset - truth) <= reach, "all starts",
    )  # fmt: skip


def _unmoved(window: Window, grid: Sequence[float]) -> float:
    """The answer to the smallest shift, brought back to the file's own offset."""
    place = int(np.abs(window.shifts).argmin())
    return float(grid[int(window.probabilities[place].argmax())] - window.shifts[place])


def _permuted(window: Window, rng: np.random.Generator) -> Window:
    return replace(window, probabilities=window.probabilities[rng.permutation(len(window.shifts))])
