"""Constants that turn a model's distributions into continuous offsets and probabilities, measured for one model.

They are measured by `python -m training.calibration.fit` on generated clips and kept in `assets/calibration.json` under
the fingerprint of the model's weights, so that they are never used for other weights.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets.response import Response, assumed_profile

LEVEL = 0.9  # the share of clips that an interval claims to cover
CALIBRATION_FILE = "calibration.json"  # among the embedded files


@dataclass(frozen=True)
class Combination:
    """How the answers of one kind of measurement add up (see `synchformer.offsets.posterior`).

    `weight` tempers the sum of evidence, `uniform` is the share of the uniform density, and `q` the probability of the
    central interval that covers `LEVEL` of clips.
    """

    weight: float
    uniform: float
    q: float


@dataclass(frozen=True)
class Calibration:
    """One model's constants: `clip` for a fine estimate, `window` for one window of a scan.

    `temperature` divides the logits so that probabilities mean shares (Guo et al., "On calibration of modern neural
    networks", 2017). `measured` says on what; it is empty when the constants are assumptions.
    """

    response: Response
    clip: Combination
    window: Combination
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


def calibration_of(model: Synchformer) -> Calibration:
    """The constants measured for these weights, or cautious assumptions (`measured` is then empty)."""
    kept = _known().get(fingerprint(model))
    return from_dict(kept) if kept else assumed(model.config.grid)


def assumed(grid: tuple[float, ...]) -> Calibration:
    """Constants for a model without measured ones: a clip's answers count as two, one clip in ten misleads."""
    step = grid[1] - grid[0]
    response = Response(grid, assumed_profile(step), chance=0.1)
    one = Combination(weight=2 / 13, uniform=0.1, q=0.95)
    return Calibration(response, Combination(weight=2 / 70, uniform=0.1, q=0.95), one, temperature=1.5)


def as_dict(calibration: Calibration) -> dict[str, Any]:
    """Plain values for JSON; `from_dict` reads them."""
    return asdict(calibration)


def from_dict(values: dict[str, Any]) -> Calibration:
    """A calibration out of its plain values."""
    response = values["response"]
    return Calibration(
        response=Response(tuple(response["grid"]), tuple(response["profile"]), response["chance"]),
        clip=Combination(**values["clip"]),
        window=Combination(**values["window"]),
        temperature=values["temperature"],
        measured=values["measured"],
    )


@lru_cache(maxsize=1)
def _known() -> dict[str, dict[str, Any]]:
    place = asset(CALIBRATION_FILE)
    constants: dict[str, dict[str, Any]] = json.loads(place.read_text()) if place.is_file() else {}
    return constants
