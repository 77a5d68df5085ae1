"""What an attribution found: one curve per stream, with intervals, and files to keep it in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from attribution.estimation.estimators import Estimates, Measure, Sums
from attribution.estimation.smoothing import smoothed
from attribution.masking.units import Unit
from attribution.scoring.decision import Target
from attribution.settings import Modality, Settings
from synchformer.storage.atomic import atomic_write, write_json
from synchformer.storage.csv_rows import write_csv
from synchformer.storage.file_names import printable
from synchformer.storage.json_text import undefined_as_none

MEASURES = ("score", "effect", "margin")
APART = 0.35  # s: the decision holds within 0.2 s, and a peak points at an event within 0.15 s
State = Literal["running", "complete", "precise"]


@dataclass(frozen=True)
class Curve:
    """A stream's attribution: its units in order of time, and what the masks say about each.

    `state` tells whether sampling goes on ("running"), ended with the last mask ("complete") or as soon as every
    interval was narrow enough ("precise"). `left` is the expected number of masks to come. `estimates` are those of
    single units; `smooth` is the half-width in seconds over which `measure` averages them.
    """

    modality: Modality
    units: tuple[Unit, ...]
    estimates: Estimates
    state: State
    left: int
    smooth: float = 0.0

    @property
    def middles(self) -> tuple[float, ...]:
        """Seconds from the start of the crop to each unit's middle."""
        return tuple(unit.middle for unit in self.units)

    @property
    def peak(self) -> Unit:
        """The unit with the highest effect on accuracy; scores rank the units of a curve alike."""
        values = np.nan_to_num(self.estimates.effect.value, nan=-np.inf)
        return self.units[int(values.argmax())]

    def measure(self, name: str) -> Measure:
        """`score`, `effect` or `margin`, averaged over neighboring units (`attribution.estimation.smoothing`).

        Raises:
            ValueError: for another name.
        """
        if name not in MEASURES:
            raise ValueError(f"measure must be one of {', '.join(MEASURES)}, not {name!r}")
        measure: Measure = getattr(self.estimates, name)
        return smoothed(measure, self.middles, self.smooth)


@dataclass(frozen=True)
class Attribution:
    """Which moments made the model decide as it did.

    Times of units are seconds from the start of the crop, as it is played: the sound of unit [b, e) stands at
    `audio_start` + b in the file, the picture at `video_start` + b. `logits` are those of the whole clip. `sums` are
    the counts behind the curves, one for each of `settings.runs`: with them an attribution can go on.
    """

    path: Path
    model: str
    start: float
    offset: float
    video_start: float
    audio_start: float
    crop_seconds: float
    settings: Settings
    target: Target
    logits: tuple[float, ...]
    distractors: tuple[str, ...]
    curves: tuple[Curve, ...]
    seconds: float
    sums: tuple[Sums, ...] = field(default=(), repr=False, compare=False)

    @property
    def masks(self) -> int:
        """Masks scored so far, over all curves."""
        runs = {run: self.curve(run[0]) for run in self.settings.runs}
        return sum(curve.estimates.masks for curve in runs.values())

    @property
    def left(self) -> int:
        """Expected number of masks to come."""
        return sum(self.curve(run[0]).left for run in self.settings.runs)

    @property
    def rate(self) -> float:
        """Masks per second."""
        return self.masks / self.seconds if self.seconds else 0.0

    @property
    def finished(self) -> bool:
        """Whether no curve is still being sampled."""
        return all(curve.state != "running" for curve in self.curves)

    def curve(self, modality: Modality) -> Curve:
        """The curve of a stream.

        Raises:
            KeyError: when that stream was not explained.
        """
        curves = {curve.modality: curve for curve in self.curves}
        return curves[modality]

    def clock(self, moment: float) -> float:
        """Seconds of the crop to the clock of the file's picture, on which moved sound stands where it is heard."""
        return self.video_start + moment

    @property
    def apart(self) -> bool:
        """Whether the peaks of both streams lie too far apart to be one event, if the sound is off as decided."""
        reference, peaks = self.target.reference, {curve.modality: curve.peak.middle for curve in self.curves}
        if reference is None or len(peaks) < 2:
            return False
        return abs(peaks["audio"] + reference - peaks["video"]) > APART + 1e-6

    @property
    def sentence(self) -> str:
        """What was found, in words, on the file's clock; says when the decision was not the model's."""
        peaks = " and ".join(f"what is {_sense(c.modality)} at {self.clock(c.peak.middle):.2f} s" for c in self.curves)
        if not self.target.holds_for_whole_clip:
            return f"the model does not give {self.target.sentence} for the whole clip; it is helped most by {peaks}"
        return f"{self.target.sentence} rests most on {peaks}" + ", which are two different events" * self.apart

    @property
    def headline(self) -> str:
        """The finding in one short line, on the file's clock."""
        peaks = ", ".join(f"{_sense(curve.modality)} at {self.clock(curve.peak.middle):.2f} s" for curve in self.curves)
        decision = self.target.decision
        if not self.target.holds_for_whole_clip:
            decision = f"not {decision}, by the whole clip"
        return f"{decision[0].upper()}{decision[1:]}: {peaks}"

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        values = {
            name: getattr(self, name)
            for name in ("model", "start", "offset", "video_start", "audio_start", "crop_seconds", "seconds")
        }
        target_holds = self.target.holds_for_whole_clip
        return values | {
            "path": printable(self.path),
            "sentence": self.sentence,
            "level": self.settings.level,
            "settings": self.settings.as_dict(),
            "target": asdict(self.target) | {"sentence": self.target.sentence, "found": target_holds},
            "logits": list(self.logits),
            "distractors": list(self.distractors),
            "curves": [
                {
                    "modality": curve.modality,
                    "state": curve.state,
                    "masks": curve.estimates.masks,
                    "correct": curve.estimates.correct,
                    "units": undefined_as_none(rows(self, [curve])),
                }
                for curve in self.curves
            ],
        }

    def save(self, folder: str | Path) -> Path:
        """Write `attribution.json`, `attribution.csv` and `attribution.npz` into a folder, each whole or not at all.

        Raises:
            OSError: when the folder cannot be made or written to.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "attribution.json", self.as_json())
        table = rows(self, self.curves)
        write_csv(folder / "attribution.csv", table)
        with atomic_write(folder / "attribution.npz") as part:
            columns: dict[str, Any] = {name: np.array([row[name] for row in table]) for name in table[0]}
            np.savez_compressed(part, **columns)
        return folder


def rows(attribution: Attribution, curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """One row per unit: stream, times in the crop and in the file, counts, each measure with its interval, and the
    same averaged over neighbors (`_smooth`)."""
    table = []
    for curve in curves:
        looks = {name: getattr(curve.estimates, name) for name in MEASURES}
        looks |= {f"{name}_smooth": curve.measure(name) for name in MEASURES}
        begins = attribution.video_start if curve.modality == "video" else attribution.audio_start
        for index, unit in enumerate(curve.units):
            row: dict[str, Any] = {
                "modality": curve.modality,
                "begin": unit.begin,
                "end": unit.end,
                "file_begin": round(begins + unit.begin, 6),
                "kept": int(curve.estimates.kept[index]),
                "masks": curve.estimates.masks,
            }
            for name, measure in looks.items():
                ends = {"": measure.value, "_low": measure.low, "_high": measure.high}
                row |= {name + end: float(values[index]) for end, values in ends.items()}
            table.append(row)
    return table


def _sense(modality: Modality) -> str:
    return "seen" if modality == "video" else "heard"
