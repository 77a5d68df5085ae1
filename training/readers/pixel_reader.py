"""Crops read as pixels and sound: cut into segments, and changed at random in training.

Shape legend: B crops, N segments, S segments of a crop, F frames per segment, T frames, H x W pixels, n audio samples.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.media.crop import center_crop
from synchformer.media.preprocess import normalize_frames
from synchformer.media.probe import MediaError
from training.augmentation import recorded
from training.augmentation.light import apply_look
from training.augmentation.policy import Change
from training.readers.base import CropReader, UnreadableError
from training.runtime.batches import Batch
from training.sampling.crops import CropPlace


def model_frames(frames: Tensor) -> Tensor:
    """Frames as the encoder wants them: uint8 ones are normalized, normalized ones stay as they are."""
    return normalize_frames(frames) if frames.dtype == torch.uint8 else frames


class PixelReader(CropReader):
    """Clips of which crops are read as pixels and sound.

    Attributes:
        config: sizes of the frames.
        change: what happens to crops that are read with random numbers, in training.
    """

    config: SynchformerConfig
    change: Change

    @abstractmethod
    def picture(self, clip: int, start: int, length: int) -> Tensor:
        """`length` frames uint8 (T, 3, H, W) from frame `start` on.

        Raises:
            MediaError: when they cannot be read.
        """

    @abstractmethod
    def sound(self, clip: int, sample_index: int, length: int) -> Tensor:
        """The sound float32 (n,) of `length` frames, from an audio sample on.

        Raises:
            MediaError: when it cannot be read.
        """

    def cut(self, crop: CropPlace, length: int, later: int = 0) -> tuple[Tensor, Tensor]:
        """`length` frames (T, 3, H, W) of a crop, and as much of its sound (n,), from `later` audio samples after its
        beginning on.

        Raises:
            MediaError: when they cannot be read.
        """  # fmt: skip
        sample_index = crop.sound * self.config.samples_per_frame + later
        return self.picture(crop.clip, crop.start, length), self.sound(crop.sound_clip, sample_index, length)

    def read(self, crops: list[CropPlace], config: SynchformerConfig, rng: np.random.Generator | None = None) -> Batch:
        """Crops as "frames" (B, S, F, 3, H, W) and "waves" float32 (B, S, n); see `CropReader.read`."""
        return self.segments(crops, config.segments, config.segment_stride, rng, config.segment_frames)

    def segments(
        self, crops: list[CropPlace], count: int, stride: int, rng: np.random.Generator | None = None, length: int = 0
    ) -> Batch:
        """`count` segments of each crop, one every `stride` frames, `length` frames long if given; see `read`."""
        batches, length = list[Batch](), length or self.config.segment_frames
        for place, crop in enumerate(crops):
            try:
                batches.append(self._segments(crop, count, stride, length, rng))
            except MediaError as error:
                raise UnreadableError(place, str(error)) from error
        return {name: torch.stack([batch[name] for batch in batches]) for name in batches[0]}

    def video_segments(self, places: Sequence[tuple[int, int]], changed: bool) -> Batch:
        """Pictures of single segments at `places` (clip, first frame): "frames" uint8 (N, F, 3, H, W).

        Args:
            places: where they begin.
            changed: whether they are changed at random afterwards, and finished by `ready`.
        """
        frames = torch.stack([self.picture(clip, start, self.config.segment_frames) for clip, start in places])
        return {"frames": center_crop(frames, self.config.image_size)}

    def audio_segments(self, places: Sequence[tuple[int, int]]) -> Tensor:
        """Sound (N, n) float32 of single segments at `places` (clip, first frame)."""
        each, length = self.config.samples_per_frame, self.config.segment_frames
        return torch.stack([self.sound(clip, start * each, length) for clip, start in places])

    def ready(self, batch: Batch, prefix: str = "") -> Batch:
        """A batch whose pictures are changed as "look" (..., 5) says, where there is one; see `CropReader.ready`."""
        done, name = dict(batch), f"{prefix}frames"
        look = done.pop(f"{prefix}look", None)
        if look is not None:
            done[name] = apply_look(done[name], look.to(done[name].device))
        return done

    def preview(self, crop: CropPlace, config: SynchformerConfig, rng: np.random.Generator) -> Batch:
        """A crop, changed as in training; see `CropReader.preview`."""
        return self.ready(self.read([crop], config, rng))

    def _segments(
        self, crop: CropPlace, count: int, stride: int, length: int, rng: np.random.Generator | None
    ) -> Batch:
        config = self.config
        span, each = (count - 1) * stride + length, config.samples_per_frame
        if rng is not None and self.change.kind == "recorded":
            picture, sound = self._recorded(crop, span, rng)
            frames = picture.unfold(0, length, stride).permute(0, 4, 1, 2, 3)
            return {"frames": frames, "waves": sound.unfold(0, length * each, stride * each)}
        behind = (self.frames_of(crop.sound_clip) - crop.sound - span) * each
        later = self.change.later(rng, (crop.sound * each, behind), config.sample_rate) if rng is not None else 0
        picture, sound = self.cut(crop, span, later)
        frames = picture.unfold(0, length, stride).permute(0, 4, 1, 2, 3)
        waves = sound.unfold(0, length * each, stride * each)
        if rng is None:
            return {"frames": center_crop(frames, config.image_size), "waves": waves}
        return self.change(frames, waves, config, rng)

    def _recorded(self, crop: CropPlace, span: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """`span` frames of a crop as squares, and their sound, with the changes of recorded clips."""
        names, each = self.change.names, self.config.samples_per_frame
        tempo = recorded.draw_tempo(rng, names, self._fastest(crop, span))
        places = recorded.frame_places(span, tempo, names, rng)
        shift = crop.sound - crop.start if crop.clip == crop.sound_clip else 0
        heard = (crop.start + shift * tempo if crop.clip == crop.sound_clip else crop.sound) * each
        frame, later = divmod(round(heard), each)
        room = self.frames_of(crop.clip) - crop.start, self.frames_of(crop.sound_clip) - frame
        length = min(math.ceil(span * tempo) + 1, *room)
        picture, sound = self.cut(replace(crop, sound=frame), length, later)
        picture = picture[torch.from_numpy(places.clip(0, len(picture) - 1))]
        wave = recorded.change_tempo(sound, tempo, span * each)
        behind = self._background(span, rng) if "background" in names else None
        changed = recorded.change_sound(wave, behind, self.config.sample_rate, names, rng)
        return recorded.change_picture(picture, self.config.image_size, names, rng), changed

    def _fastest(self, crop: CropPlace, span: int) -> float:
        """The highest tempo at which both streams of a crop still lie in their clips."""
        if crop.clip != crop.sound_clip:
            seen, heard = self.frames_of(crop.clip) - crop.start, self.frames_of(crop.sound_clip) - crop.sound
            return min(seen, heard) / span
        shift = crop.sound - crop.start
        behind = (self.frames_of(crop.clip) - crop.start) / (span + max(0, shift))
        return min(behind, crop.start / -shift) if shift < 0 else behind

    def _background(self, span: int, rng: np.random.Generator) -> Tensor | None:
        """Sound of another clip, or of another part of the same one; None where it is too short."""
        clip = self.pick(rng)
        last = self.last_sound(clip, span)
        each = self.config.samples_per_frame
        return None if last < 0 else self.sound(clip, int(rng.integers(last + 1)) * each, span)
