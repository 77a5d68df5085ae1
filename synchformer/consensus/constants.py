"""When an offset may be stated: a calibrated probability and a threshold, measured for one model.

They are measured by `python -m training.calibration.consensus` on clips with planted offsets and kept in
`assets/consensus.json` under the fingerprint of the model's weights, so that they are never used for other weights.

Shape legend: F features.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.consensus.features import NAMES
from synchformer.consensus.support import Floats
from synchformer.modeling.synchformer import TwoStreams

CONSENSUS_FILE = "consensus.json"  # among the embedded files
RISK = 0.2  # the share of stated offsets that may be wrong
ASSUMED_SHARE = 0.6  # of the answerable shifts that must support an offset, for a model without measured constants
ASSUMED_DOUBT = 0.05  # a probability of being matched below which nothing shared was recognized, likewise


@dataclass(frozen=True)
class Statement:
    """How features become the probability that the supported offset is right to within a class: logistic regression.

    `names` are those of the features, `center` and `scale` standardize them (F,), `weights` (F,) and `bias` combine
    them. From `threshold` on an offset is stated, so that at most `risk` of the stated ones are wrong. `measured` says
    on what; it is empty when nothing was measured.
    """

    names: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    threshold: float
    risk: float
    measured: str

    def probability(self, features: Floats) -> float:
        """The calibrated probability for features in the order of `features.NAMES`."""
        chosen = np.array([features[NAMES.index(name)] for name in self.names])
        height = self.bias + float(((chosen - self.center) / self.scale) @ np.array(self.weights))
        return float(1 / (1 + np.exp(-np.clip(height, -30, 30))))


def statement_of(model: TwoStreams) -> Statement | None:
    """The constants measured for these weights; None where there are none."""
    kept = known_constants().get(fingerprint(model), {}).get("statement")
    return statement_from(kept) if kept else None


def doubt_of(model: TwoStreams) -> float:
    """The probability of being matched below which a synchronizability model recognizes nothing shared."""
    return float(known_constants().get(fingerprint(model), {}).get("doubt", ASSUMED_DOUBT))


def statement_as_dict(statement: Statement) -> dict[str, Any]:
    """Plain values for JSON; `statement_from` reads them."""
    return asdict(statement)


def statement_from(values: dict[str, Any]) -> Statement:
    """A statement out of its plain values."""
    tuples: dict[str, Any] = {name: tuple(values[name]) for name in ("names", "center", "scale", "weights")}
    return Statement(**(values | tuples))


@lru_cache(maxsize=1)
def known_constants() -> dict[str, dict[str, Any]]:
    """All that is kept, by fingerprint."""
    place = asset(CONSENSUS_FILE)
    constants: dict[str, dict[str, Any]] = json.loads(place.read_text()) if place.is_file() else {}
    return constants
