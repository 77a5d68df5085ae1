"""Clips of several data sets as one: each is drawn from as often as its share says, whatever its number of clips.

Shape legend: B crops, T frames, H x W pixels, n audio samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synchformer.config import SynchformerConfig
from synthetic import Scene
from training.readers.base import CropReader, Features, UnreadableError
from training.readers.pixel_reader import PixelReader
from training.runtime.batches import Batch
from training.sampling.balance import balanced_weights
from training.sampling.clips import Clips
from training.sampling.crops import CropPlace

Reader = TypeVar("Reader", bound=CropReader)


class Mixture(Clips, Generic[Reader]):
    """The clips of several readers, one after the other."""

    def __init__(
        self, readers: Sequence[Reader], shares: Sequence[float], columns: Sequence[str] = (), power: float = 1.0
    ) -> None:
        """Put readers together.

        Args:
            readers: of the data sets.
            shares: of the crops that come from each, with the sum 1.
            columns: of the data sets' tables over which the clips of each are balanced (`balanced_weights`).
            power: how much a value's number of clips counts in that.
        """
        self.readers = tuple(readers)
        self.firsts = np.concatenate([[0], np.cumsum([len(reader) for reader in readers])]).astype(np.int64)
        each = [balanced_weights([reader.values(k, columns) for k in range(len(reader))], power) for reader in readers]
        self.weights = np.concatenate([share * weights for share, weights in zip(shares, each, strict=True)])
        truths = [reader.scenes for reader in readers]
        scenes: list[Scene] = [scene for truth in truths if truth is not None for scene in truth]
        self.scenes = None if any(truth is None for truth in truths) else scenes

    def __len__(self) -> int:
        return int(self.firsts[-1])

    def place(self, clip: int) -> tuple[int, int]:
        """Which reader a clip is of, and its number there."""
        part = int(np.searchsorted(self.firsts, clip, side="right")) - 1
        return part, clip - int(self.firsts[part])

    def _own(self, clip: int) -> tuple[Reader, int]:
        part, number = self.place(clip)
        return self.readers[part], number

    def frames_of(self, clip: int) -> int:
        """Frames of a clip, as its reader says."""
        reader, number = self._own(clip)
        return reader.frames_of(number)

    def scene(self, clip: int) -> Scene | None:
        """The truth about a clip's events, as its reader says."""
        reader, number = self._own(clip)
        return reader.scene(number)

    def values(self, clip: int, columns: Sequence[str]) -> tuple[str, ...]:
        """What the data set says of a clip, as its reader says."""
        reader, number = self._own(clip)
        return reader.values(number, columns)

    def starts(self, clip: int, span: int) -> NDArray[np.int64]:
        """Frames at which a picture may begin, as its reader says."""
        reader, number = self._own(clip)
        return reader.starts(number, span)

    def last_sound(self, clip: int, span: int) -> int:
        """Last frame at which sound may begin, as its reader says."""
        reader, number = self._own(clip)
        return reader.last_sound(number, span)

    def _local(self, crop: CropPlace) -> CropPlace:
        """A crop with the numbers that its clips have in their readers."""
        return replace(crop, clip=self.place(crop.clip)[1], sound_clip=self.place(crop.sound_clip)[1])


class MixedPixels(Mixture[PixelReader], PixelReader):
    """Clips of several data sets, read as pixels and sound; all are changed alike."""

    def __init__(
        self, readers: Sequence[PixelReader], shares: Sequence[float], columns: Sequence[str] = (), power: float = 1.0
    ) -> None:
        super().__init__(readers, shares, columns, power)
        self.config, self.change = readers[0].config, readers[0].change

    def picture(self, clip: int, start: int, length: int) -> Tensor:
        """`length` frames (T, 3, H, W) from frame `start` on; see `PixelReader.picture`."""
        reader, number = self._own(clip)
        return reader.picture(number, start, length)

    def sound(self, clip: int, sample_index: int, length: int) -> Tensor:
        """The sound (n,) of `length` frames, from an audio sample on; see `PixelReader.sound`."""
        reader, number = self._own(clip)
        return reader.sound(number, sample_index, length)

    def cut(self, crop: CropPlace, length: int, later: int = 0) -> tuple[Tensor, Tensor]:
        """Picture and sound, read together where one reader has both; see `PixelReader.cut`."""
        part = self.place(crop.clip)[0]
        if part != self.place(crop.sound_clip)[0]:
            return super().cut(crop, length, later)
        return self.readers[part].cut(self._local(crop), length, later)


class MixedFeatures(Mixture[CropReader], CropReader):
    """Clips of several data sets, read as features that were computed once."""

    is_encoded = True

    def read(self, crops: list[CropPlace], config: SynchformerConfig, rng: np.random.Generator | None = None) -> Batch:
        """Features of crops, each from the reader of its clip; see `CropReader.read`."""
        rows = [self._read(place, crop, config, rng) for place, crop in enumerate(crops)]
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    def _read(self, place: int, crop: CropPlace, config: SynchformerConfig, rng: np.random.Generator | None) -> Batch:
        seen, heard = self.place(crop.clip)[0], self.place(crop.sound_clip)[0]
        local = self._local(crop)
        try:
            if seen == heard:
                return self.readers[seen].read([local], config, rng)
            picture = replace(local, sound_clip=local.clip, sound=0)
            first = int(self.readers[heard].starts(local.sound_clip, config.span_frames)[0])
            sound = replace(local, clip=local.sound_clip, start=first)
            video = self.readers[seen].read([picture], config, rng)["video"]
            return {"video": video, "audio": self.readers[heard].read([sound], config, rng)["audio"]}
        except UnreadableError as error:
            raise UnreadableError(place, str(error)) from error

    def preview(self, crop: CropPlace, config: SynchformerConfig, rng: np.random.Generator) -> Batch:
        """What a crop's features were made of; see `CropReader.preview`."""
        seen, heard = self.place(crop.clip)[0], self.place(crop.sound_clip)[0]
        local = self._local(crop)
        whole = local if seen == heard else replace(local, sound_clip=local.clip, sound=0)
        return self.readers[seen].preview(whole, config, rng)

    def features_of(self, count: int) -> Features | None:
        """Features of the first `count` clips of each reader, where they are encoded."""
        each = [features for reader in self.readers if (features := reader.features_of(count)) is not None]
        if not each:
            return None
        return np.concatenate([video for video, _ in each]), np.concatenate([audio for _, audio in each])
