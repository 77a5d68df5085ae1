"""Clips that are read as pixels and samples: crops cut into segments, changed at random in training.

Shape legend: B crops, S segments, F frames per segment, T frames, H x W pixels, n samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.media.crop import center_crop
from synchformer.media.preprocess import normalize_frames
from synchformer.media.probe import MediaError
from synthetic import Scene
from training.augmentation.light import apply_look
from training.augmentation.policy import Change
from training.runtime.batches import Batch
from training.sampling.crops import TRIES, CropError, CropPlace


class UnreadableError(MediaError):
    """A crop that cannot be read: `place` is its number among those that were asked for."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def model_frames(frames: Tensor) -> Tensor:
    """Frames as the encoder wants them: uint8 ones are normalized, normalized ones stay as they are."""
    return normalize_frames(frames) if frames.dtype == torch.uint8 else frames


def read_readable(
    crops: list[CropPlace], another: Callable[[int], CropPlace], read: Callable[[list[CropPlace]], Batch]
) -> Batch:
    """What `read` gives for crops; `another` gives one for the place of each that cannot be read.

    Raises:
        CropError: when that happens time and again.
    """
    reason = ""
    for _ in range(TRIES):
        try:
            return read(crops)
        except UnreadableError as error:
            crops[error.place], reason = another(error.place), str(error)
    raise CropError(f"{TRIES} crops in a row cannot be read, the last because: {reason}")


class PixelClips(ABC):
    """Clips of which crops are read as pixels and samples.

    Attributes:
        config: sizes of the frames.
        change: what happens to crops that are read with random numbers, in training.
        scenes: the truth about generated clips; None for others.
        store: the frames of all clips one after the other, uint8 (rows, 3, H, W), where a device holds them; batches
            with random numbers then name rows of it.
    """

    config: SynchformerConfig
    change: Change
    scenes: Sequence[Scene] | None = None
    store: Tensor | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Number of clips."""

    @abstractmethod
    def frames_of(self, clip: int) -> int:
        """Frames of a clip for which there is picture and sound."""

    @abstractmethod
    def cut(self, crop: CropPlace, length: int, later: int = 0) -> tuple[Tensor, Tensor]:
        """`length` frames uint8 (T, 3, H, W) from `crop.start` on, and the sound (n,) from `later` samples after
        `crop.sound` on.

        Raises:
            MediaError: when they cannot be read.
        """  # fmt: skip

    def starts(self, clip: int, span: int) -> NDArray[np.int64]:
        """Frames at which a picture of `span` frames may begin: all that leave room for it."""
        return np.arange(self.frames_of(clip) - span + 1)

    def last_sound(self, clip: int, span: int) -> int:
        """Last frame at which sound of `span` frames may begin."""
        return self.frames_of(clip) - span

    def shared(self, clip: int, picture: tuple[float, float], sound: tuple[float, float]) -> int | None:
        """Events seen inside `picture` and heard inside `sound` (seconds); None where the truth is not known."""
        return None if self.scenes is None else len(self.scenes[clip].shared_events(picture, sound))

    def read(self, crops: list[CropPlace], config: SynchformerConfig, rng: np.random.Generator | None = None) -> Batch:
        """Segments of crops: "frames" (B, S, F, 3, H, W) and "waves" float32 (B, S, n), changed where there is `rng`.

        Pictures are then finished by `ready`.

        Raises:
            UnreadableError: when a crop cannot be read.
        """
        return self.segments(crops, config.segments, config.segment_stride, rng, config.segment_frames)

    def segments(
        self, crops: list[CropPlace], count: int, stride: int, rng: np.random.Generator | None = None, length: int = 0
    ) -> Batch:
        """`count` segments of each crop, one every `stride` frames, `length` frames long if given; see `read`."""
        found, length = list[Batch](), length or self.config.segment_frames
        for place, crop in enumerate(crops):
            try:
                found.append(self._segments(crop, count, stride, length, rng))
            except MediaError as error:
                raise UnreadableError(place, str(error)) from error
        return {name: torch.stack([each[name] for each in found]) for name in found[0]}

    def ready(self, batch: Batch, prefix: str = "") -> Batch:
        """A batch of these clips, now on the model's device, whose "frames" lie there and look as they are to.

        Args:
            batch: in place of "frames", "rows" (..., F) of `store` may be given, and "look" (..., 5) says how they
                change.
            prefix: of the three names.
        """
        done, name = dict(batch), f"{prefix}frames"
        rows, look = done.pop(f"{prefix}rows", None), done.pop(f"{prefix}look", None)
        if rows is not None:
            assert self.store is not None
            done[name] = self.store[rows.to(self.store.device)]
        if look is not None:
            done[name] = apply_look(done[name], look.to(done[name].device))
        return done

    def _segments(
        self, crop: CropPlace, count: int, stride: int, length: int, rng: np.random.Generator | None
    ) -> Batch:
        config = self.config
        span, each = (count - 1) * stride + length, config.samples_per_frame
        behind = (self.frames_of(crop.sound_clip) - crop.sound - span) * each
        later = self.change.later(rng, (crop.sound * each, behind), config.sample_rate) if rng is not None else 0
        picture, sound = self.cut(crop, span, later)
        frames = picture.unfold(0, length, stride).permute(0, 4, 1, 2, 3)
        waves = sound.unfold(0, length * each, stride * each)
        if rng is None:
            return {"frames": center_crop(frames, config.image_size), "waves": waves}
        return self.change(frames, waves, config, rng)
