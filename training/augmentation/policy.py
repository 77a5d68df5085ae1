"""What training changes about a crop: nothing, the light change, the published ones, or those of recorded clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.media.crop import center_crop
from training.augmentation.light import augment_waveform, draw_look
from training.augmentation.published import AUGMENTATIONS, Augmentation, augment, draw_jitter
from training.augmentation.recorded import ChangeName
from training.runtime.batches import Batch

Augment = Literal["published", "recorded", "light", "none"]


@dataclass(frozen=True)
class Change:
    """What training does to the segments of a crop.

    Attributes:
        kind: "published", "recorded" or "light" (the modules beside this one), or "none".
        settings: how often each published change is made.
        names: those of the changes of recorded clips that are made.
    """

    kind: Augment = "none"
    settings: Augmentation = AUGMENTATIONS["none"]
    names: tuple[ChangeName, ...] = ()

    @classmethod
    def named(cls, kind: Augment, settings: str, names: tuple[ChangeName, ...] = ()) -> Change:
        """A change, with the published settings of that name, or the changes of recorded clips, where it is that."""
        published = AUGMENTATIONS[settings if kind == "published" else "none"]
        return cls(kind, published, names if kind == "recorded" else ())

    @property
    def sees_all(self) -> bool:
        """Whether the square is cut anywhere, so that frames must be whole."""
        return self.settings.random_crop or "zoom" in self.names

    def later(self, rng: np.random.Generator, room: tuple[int, int], sample_rate: int) -> int:
        """Samples by which the sound of a crop begins later than its label says; see `draw_jitter`."""
        return draw_jitter(self.settings, rng, room, sample_rate) if self.settings.jitter else 0

    def __call__(self, frames: Tensor, waves: Tensor, config: SynchformerConfig, rng: np.random.Generator) -> Batch:
        """Segments uint8 (S, F, 3, H, W) and (S, n) as the model's squares; see `light` for the light change."""
        if self.kind == "published":
            changed = augment(frames, waves, config.image_size, self.settings, rng, config.sample_rate)
            return dict(zip(("frames", "waves"), changed, strict=True))
        batch = {"frames": center_crop(frames, config.image_size), "waves": waves}
        return batch if self.kind == "none" else light(batch, rng)


def light(batch: Batch, rng: np.random.Generator) -> Batch:
    """The light change of segments: "waves" (S, n) changed where there are some, "look" (S, 5) for the pictures."""
    changed = {"waves": augment_waveform(batch["waves"], rng)} if "waves" in batch else {}
    pictures = batch.get("frames", batch.get("rows"))
    return {**batch, **changed, **({} if pictures is None else {"look": draw_look(rng, len(pictures))})}
