"""What an attribution is asked to do: every choice in one frozen object."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from synchformer.config import Precision

Modality = Literal["audio", "video"]
Level = Literal["token", "input"]
ReferenceRule = Literal["prediction", "applied"]

MODALITIES: tuple[Modality, ...] = get_args(Modality)
CHECK_EVERY = 500  # masks between two looks at the stop rule, and the largest batch
KEYS = {"unit_seconds": "chunk"}  # what files and links call a setting, where that is not its name: old ones stay valid


@dataclass(frozen=True)
class Settings:
    """How moments are masked, how often, and when that is enough.

    Attributes:
        samples: masks per curve, at most.
        modalities: the streams to explain, one curve each.
        together: mask both streams with one mask (samples are then shared by both curves) instead of one at a time,
            which is the paper's way.
        level: `token` replaces features at the input of the synchronization module (section 4.1); `input` replaces
            frames and samples before the encoders, so that nothing leaks inside a segment, at a higher price.
        unit_seconds: length of a unit; 0.1 in the paper.
        keep: probability that a unit is kept; 0.5 in the paper.
        paired: draw every mask together with its complement, which lowers the variance. Only where `keep` is 0.5, for
            the complement of a mask follows the same law only there; see `pairs`.
        tolerance: stop as soon as every 95 % interval of the scores and of the effects on accuracy is narrower (full
            width); None draws all samples. A width hardly depends on the values seen, so that looking at it
            repeatedly does not spoil the intervals (Chow & Robbins 1965, on sequential intervals of fixed width).
        reference: the offset that counts as correct: `applied` for the shift that was put on the sound (right when
            the file was in sync), `prediction` for what the model says about the whole clip, or seconds. A
            synchronizability model is always compared with its own decision.
        smooth: half-width, in seconds, of the triangle over which curves are averaged when they are shown; 0 shows
            every unit alone, as the paper does. Masks and counts do not depend on it.
        seed: of the masks and of the distractors; each modality has streams of its own.
        batch: masks per pass; None chooses by memory. The result does not depend on it.
        precision: of the synchronization module; `auto` takes bf16 where the device is fast at it.

    Raises:
        ValueError: when a value is out of range; quotes the name.
    """

    samples: int = 2000
    modalities: tuple[Modality, ...] = MODALITIES
    together: bool = False
    level: Level = "token"
    unit_seconds: float = 0.1
    keep: float = 0.5
    paired: bool = True
    tolerance: float | None = None
    reference: ReferenceRule | float = "prediction"
    smooth: float = 0.2
    seed: int = 0
    batch: int | None = None
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        checks = {
            f"samples must be at least 2, not {self.samples}": self.samples >= 2,
            f"modalities must name audio, video or both once, not {', '.join(self.modalities) or 'nothing'}": (
                bool(self.modalities)
                and set(self.modalities) <= set(MODALITIES)
                and len(set(self.modalities)) == len(self.modalities)
            ),
            f"level must be token or input, not {self.level!r}": self.level in get_args(Level),
            f"unit_seconds must be 0.02 to 1, not {self.unit_seconds}": 0.02 <= self.unit_seconds <= 1,
            f"keep must lie between 0 and 1, not {self.keep}": 0 < self.keep < 1,
            f"tolerance must lie between 0 and 1, not {self.tolerance}": self.tolerance is None
            or 0 < self.tolerance < 1,
            f"reference must be prediction, applied or seconds, not {self.reference!r}": (
                self.reference in get_args(ReferenceRule)
                or (not isinstance(self.reference, str) and math.isfinite(self.reference))
            ),
            f"smooth must be 0 to 1 s, not {self.smooth}": 0 <= self.smooth <= 1,
            f"seed must not be negative, not {self.seed}": self.seed >= 0,
            f"batch must be at least 2, not {self.batch}": self.batch is None or self.batch >= 2,
            f"precision must be one of {', '.join(get_args(Precision))}, not {self.precision!r}": (
                self.precision in get_args(Precision)
            ),
        }
        broken = [message for message, holds in checks.items() if not holds]
        if broken:
            raise ValueError("; ".join(broken))

    def as_dict(self) -> dict[str, Any]:
        """All settings under the names that files have for them."""
        return {KEYS.get(name, name): value for name, value in asdict(self).items()}

    @property
    def pairs(self) -> bool:
        """Whether masks come with their complements: asked for, and `keep` is 0.5."""
        return self.paired and self.keep == 0.5

    @property
    def masks(self) -> int:
        """Masks drawn per curve at most: `samples`, made even when they come in pairs."""
        return self.samples + self.samples % 2 if self.pairs else self.samples

    @property
    def runs(self) -> tuple[tuple[Modality, ...], ...]:
        """The streams masked by one sequence of masks: each alone, or both together."""
        return (self.modalities,) if self.together else tuple((modality,) for modality in self.modalities)
