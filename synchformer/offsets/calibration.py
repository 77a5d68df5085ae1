"""Constants that turn a model's distributions into continuous offsets and probabilities, measured for one model.

They are measured by `python -m training.calibration.fit` on generated clips and kept in `assets/calibration.json` under
the fingerprint of the model's weights, so that they are never used for other weights.

What a file is like counts too. A model that was trained on sound up to 8 kHz and on 25 frames per second errs more
where the sound's upper part is missing, whatever the file's nominal rate, or where pictures are fewer; so the constants
are measured for several kinds of file and interpolated between them. And the model's frame clock takes pictures of
files with other frame rates a few milliseconds too early or too late, which `picture_lead` says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets.response import Response, assumed_profile

EVERY = 1.92  # s between the windows of a film
LEVEL = 0.9  # the share of clips that an interval claims to cover
CALIBRATION_FILE = "calibration.json"  # among the embedded files
CALIBRATED_FPS = 25.0  # of the clips that constants are measured on
COUNTED = 100  # s over which a file's pictures are laid on the model's clock
SLOWEST, FASTEST = 5.0, 1000.0  # frames per second that a file may believably have


@dataclass(frozen=True)
class Combination:
    """How the answers of one kind of measurement add up (see `synchformer.offsets.posterior`).

    `weight` tempers the sum of evidence and `uniform` is the share of the uniform density. `q` holds, for every length
    of `seconds`, which rise, the probability of the central interval that covers `LEVEL` of clips of that length.
    """

    weight: float
    uniform: float
    seconds: tuple[float, ...]
    q: tuple[float, ...]

    def q_of(self, seconds: float) -> float:
        """The probability for this length; between those measured, lengths count by their logarithm."""
        return float(np.interp(np.log(max(seconds, 1e-3)), np.log(self.seconds), self.q))


@dataclass(frozen=True)
class Constants:
    """What holds for one kind of file: `clip` for a fine estimate, `window` for one window of a scan, `film` for many.

    The weight of `film` is that of every window's own density where windows are `EVERY` seconds apart. `hertz` is how
    far up the sound reaches, `fps` the frames per second, and `lead` the seconds by which pictures are taken too early
    on average.
    """

    hertz: float
    fps: float
    response: Response
    clip: Combination
    window: Combination
    film: Combination
    lead: float = 0.0


@dataclass(frozen=True)
class Calibration:
    """One model's constants, for several kinds of file.

    `temperature` divides the logits so that probabilities mean shares (Guo et al., "On calibration of modern neural
    networks", 2017). `measured` says on what; it is empty when the constants are assumptions.
    """

    kinds: tuple[Constants, ...]
    temperature: float
    measured: str = ""

    @property
    def note(self) -> str:
        """What a reader must know about the constants."""
        if self.measured:
            return f"intervals calibrated on {self.measured}"
        return (
            "no calibration exists for this model: the interval rests on assumptions and may be too narrow or too wide"
        )

    @property
    def ordinary(self) -> Constants:
        """The constants for sound of all frequencies, at 25 frames per second."""
        return max(self.kinds, key=lambda kind: (kind.fps, kind.hertz))

    def of(self, hertz: float, fps: float = CALIBRATED_FPS) -> Constants:
        """The constants for a file whose sound reaches up to `hertz` and whose picture has `fps` frames per second.

        Interpolated between the kinds that were measured; beyond them, the nearest.
        """
        believed = fps if SLOWEST <= fps <= FASTEST else CALIBRATED_FPS
        rates = sorted({kind.fps for kind in self.kinds})
        rows = [_interpolated([kind for kind in self.kinds if kind.fps == rate], "hertz", hertz) for rate in rates]
        lead = picture_lead(believed) if self.measured else 0.0
        return replace(_interpolated(rows, "fps", believed), lead=lead)


def _interpolated(kinds: Sequence[Constants], axis: Literal["hertz", "fps"], place: float) -> Constants:
    """Constants at a place on an axis, between those that lie next to it."""
    known = sorted(kinds, key=lambda kind: float(getattr(kind, axis)))
    for low, high in pairwise(known):
        start, stop = float(getattr(low, axis)), float(getattr(high, axis))
        if place < stop:
            return _mixed(low, high, max(0.0, (place - start) / (stop - start)))
    return known[-1]


@lru_cache(maxsize=64)
def picture_lead(fps: float) -> float:
    """Seconds by which the pictures that the model gets are ahead of those of a file with 25 frames per second.

    Every picture of the model's clock is the last one of the file whose time, rounded to the clock (halves up), has
    come: on average half a frame of the clock after, and half a frame of the file before, the moment that it stands
    for, unless the two rates keep step. Slow pictures are therefore seen late, and fast ones early. 0 for a rate that
    cannot be believed.
    """
    if not SLOWEST <= fps <= FASTEST:
        return 0.0
    rate = Fraction(fps).limit_denominator(1001)
    frames = np.arange(int(COUNTED * rate) + 1)
    clock = 2 * int(CALIBRATED_FPS) * rate.denominator
    slots = (clock * frames + rate.numerator) // (2 * rate.numerator)  # floor(time * 25 + 1 / 2)
    places = np.arange(int((COUNTED - 1) * CALIBRATED_FPS))
    shown = np.searchsorted(slots, places, side="right") - 1  # the last one that has come
    return float(np.mean(shown / float(rate) - places / CALIBRATED_FPS))


def _mixed(low: Constants, high: Constants, share: float) -> Constants:
    """Constants between two kinds; `share` is that of the second."""

    def between(a: float, b: float) -> float:
        return (1 - share) * a + share * b

    def combination(a: Combination, b: Combination) -> Combination:
        q = tuple(between(value, b.q_of(seconds)) for seconds, value in zip(a.seconds, a.q, strict=True))
        return Combination(between(a.weight, b.weight), between(a.uniform, b.uniform), a.seconds, q)

    profile = tuple(between(*each) for each in zip(low.response.profile, high.response.profile, strict=True))
    response = Response(low.response.grid, profile, between(low.response.chance, high.response.chance))
    return Constants(
        hertz=between(low.hertz, high.hertz),
        fps=between(low.fps, high.fps),
        response=response,
        clip=combination(low.clip, high.clip),
        window=combination(low.window, high.window),
        film=combination(low.film, high.film),
    )


def calibration_of(model: Synchformer) -> Calibration:
    """The constants measured for these weights, or cautious assumptions (`measured` is then empty)."""
    kept = _known().get(fingerprint(model))
    return from_dict(kept) if kept else assumed(model.config.grid)


def assumed(grid: tuple[float, ...]) -> Calibration:
    """Constants for a model without measured ones: a clip's answers count as two, one clip in ten misleads."""
    step = grid[1] - grid[0]
    response = Response(grid, assumed_profile(step), chance=0.1)
    one = Combination(weight=2 / 13, uniform=0.1, seconds=(5.0,), q=(0.95,))
    clip = Combination(weight=2 / 70, uniform=0.1, seconds=(10.0,), q=(0.95,))
    film = Combination(weight=0.4, uniform=0.0, seconds=(10.0,), q=(0.95,))
    return Calibration((Constants(8000.0, CALIBRATED_FPS, response, clip, one, film),), temperature=1.5)


def as_dict(calibration: Calibration) -> dict[str, Any]:
    """Plain values for JSON; `from_dict` reads them."""
    return asdict(calibration)


def from_dict(values: dict[str, Any]) -> Calibration:
    """A calibration out of its plain values."""
    return Calibration(
        kinds=tuple(_constants(kind) for kind in values["kinds"]),
        temperature=values["temperature"],
        measured=values["measured"],
    )


def _constants(values: dict[str, Any]) -> Constants:
    response = values["response"]
    return Constants(
        hertz=values["hertz"],
        fps=values["fps"],
        response=Response(tuple(response["grid"]), tuple(response["profile"]), response["chance"]),
        clip=_combination(values["clip"]),
        window=_combination(values["window"]),
        film=_combination(values["film"]),
    )


def _combination(values: dict[str, Any]) -> Combination:
    return Combination(values["weight"], values["uniform"], tuple(values["seconds"]), tuple(values["q"]))


@lru_cache(maxsize=1)
def _known() -> dict[str, dict[str, Any]]:
    place = asset(CALIBRATION_FILE)
    constants: dict[str, dict[str, Any]] = json.loads(place.read_text()) if place.is_file() else {}
    return constants
