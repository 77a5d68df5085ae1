"""Clips of a data set on disk, decoded when a crop of them is read.

Shape legend: T frames, H x W pixels, n audio samples.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.errors import sentence_of
from synchformer.media.crop import SPARE
from synchformer.media.probe import Media, MediaError
from training.augmentation.policy import Change
from training.datasets.inventory import ClipPart
from training.datasets.source import Sample, Source
from training.readers.base import WholeClips
from training.readers.damaged_clips import DamagedClips
from training.readers.pixel_reader import PixelReader
from training.sampling.crops import CropPlace

DAMAGED = "damaged.jsonl"


class VideoFiles(PixelReader, WholeClips):
    """Parts of a data set's clips. Only the interval that a crop needs is decoded.

    What turns out to be damaged is named once and listed in `damaged` (`training.readers.damaged_clips`); where that
    is a large share, reading ends with a `TooManyDamagedError`.
    """

    scenes = None

    def __init__(
        self,
        source: Source,
        parts: Sequence[ClipPart],
        config: SynchformerConfig,
        change: Change = Change(),  # noqa: B008, frozen
        damaged: Path | None = None,
    ) -> None:
        self.source, self.parts, self.config, self.change = source, parts, config, change
        self.damaged = DamagedClips((part.sample.id for part in parts), damaged)

    def __len__(self) -> int:
        return len(self.parts)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What tells these clips from others, as plain values."""
        lines = [f"{part.sample.id} {part.first} {part.frames}\n" for part in self.parts]
        return {"clips": hashlib.sha256("".join(lines).encode()).hexdigest()[:16]}

    def frames_of(self, clip: int) -> int:
        """Frames of a part."""
        return self.parts[clip].frames

    def values(self, clip: int, columns: Sequence[str]) -> tuple[str, ...]:
        """What the data set's table says of a clip; see `Clips.values`."""
        return tuple(self.parts[clip].sample.value(column) for column in columns)

    def picture(self, clip: int, start: int, length: int) -> Tensor:
        """`length` frames scaled to the short side (T, 3, H, W), from frame `start` of a part on."""
        part = self.parts[clip]
        frame = part.first + start
        return self._frames(self._read(part.sample, frame, frame + length), part.sample, frame, length)

    def sound(self, clip: int, sample_index: int, length: int) -> Tensor:
        """The sound (n,) of `length` frames, from an audio sample of a part on."""
        part, each = self.parts[clip], self.config.samples_per_frame
        first = part.first * each + sample_index
        return self._wave(self._read(part.sample, *self._around(first, length)), part.sample, first, length * each)

    def cut(self, crop: CropPlace, length: int, later: int = 0) -> tuple[Tensor, Tensor]:
        """Picture and sound, decoded together where they lie in one file; see `PixelReader.cut`."""
        seen, heard, each = self.parts[crop.clip], self.parts[crop.sound_clip], self.config.samples_per_frame
        if seen.sample != heard.sample:
            return super().cut(crop, length, later)
        frame, first = seen.first + crop.start, (heard.first + crop.sound) * each + later
        begin, end = self._around(first, length)
        media = self._read(seen.sample, min(frame, begin), max(frame + length, end))
        return self._frames(media, seen.sample, frame, length), self._wave(media, seen.sample, first, length * each)

    def read_clip(self, clip: int) -> tuple[Tensor, Tensor]:
        """A whole part: frames (T, 3, H, W) and samples float32 (n,), shorter where the file is damaged.

        Raises:
            MediaError: when nothing of it can be decoded.
        """
        part, each = self.parts[clip], self.config.samples_per_frame
        media = self._read(part.sample, part.first, part.first + part.frames)
        count = min(len(media.video), len(media.audio) // each, part.frames)
        return media.video[:count], self._finite(media.audio[: count * each], part.sample)

    def _around(self, sample_index: int, length: int) -> tuple[int, int]:
        """The frames between which the sound of `length` frames lies that begins at an audio sample."""
        each = self.config.samples_per_frame
        return sample_index // each, math.ceil(sample_index / each) + length

    def _read(self, sample: Sample, first: int, last: int) -> Media:
        fps = self.config.video_fps
        try:
            return self.source.read(sample, self.config, max(0, first) / fps, last / fps)
        except (ValueError, OSError, MemoryError) as error:
            raise self._lost(sample, sentence_of(error)) from error

    def _frames(self, media: Media, sample: Sample, frame: int, length: int) -> Tensor:
        """`length` frames from `frame` of the clip's clock on; a few missing at the end are the last one again."""
        first = frame - round(media.start * media.video_fps)
        part = media.video[first : first + length]
        missing = length - len(part)
        if missing > SPARE * media.video_fps or not len(part):
            end = media.start + len(media.video) / media.video_fps
            raise self._lost(sample, f"{sample.id} is damaged: its picture ends at {end:.2f} s, earlier than it says")
        return torch.cat([part, part[-1:].expand(missing, -1, -1, -1)]) if missing else part

    def _wave(self, media: Media, sample: Sample, sample_index: int, count: int) -> Tensor:
        """`count` samples from `sample_index` of the clip's clock on; what is missing at the end is silence."""
        first = sample_index - round(media.start * media.sample_rate)
        part = media.audio[first : first + count]
        return F.pad(self._finite(part, sample), (0, count - len(part)))

    def _finite(self, wave: Tensor, sample: Sample) -> Tensor:
        if not torch.isfinite(wave).all():
            raise self._lost(sample, f"{sample.id} is damaged: its sound holds NaN or infinity")
        return wave

    def _lost(self, sample: Sample, reason: str) -> MediaError:
        """The error to raise, after it was reported and written down.

        Raises:
            TooManyDamagedError: when this clip is one too many.
        """
        self.damaged.add(sample.id, reason)
        return MediaError(reason)
