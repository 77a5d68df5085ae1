"""Encode whole clips at every place that a layout of features wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.errors import sentence_of
from synchformer.inference.engine import encode_pictures, encode_sounds, pass_size, require_finite
from synchformer.modeling.synchformer import SegmentEncoders
from training.augmentation.published import AUGMENTATIONS, crop, picture_changes, seeded
from training.config.optimization import PRECISION
from training.readers.base import Features, WholeClips
from training.runtime.distributed import CPU


@dataclass(frozen=True)
class Layout:
    """Where the features of clips of `frames` frames each lie."""

    config: SynchformerConfig
    frames: NDArray[np.int64]
    views: int = 1

    def phase(self, clip: int) -> int:
        """First frame of a clip's first video position; spread evenly over the clips that are long enough."""
        return clip % self._phases(clip)

    def _phases(self, clip: int) -> int:
        return int(np.clip(self.frames[clip] - self.config.span_frames + 1, 1, self.config.segment_stride))

    def positions(self, clip: int) -> int:
        """Video positions of a clip in each view."""
        spare = int(self.frames[clip]) - self.config.segment_frames - (self._phases(clip) - 1)
        return max(0, spare // self.config.segment_stride + 1)

    def sounds(self, clip: int) -> int:
        """Audio positions of a clip: every frame."""
        return max(0, int(self.frames[clip]) - self.config.segment_frames + 1)

    def firsts(self, rows: Callable[[int], int]) -> NDArray[np.int64]:
        """The first row of every clip that has `rows` rows, and the number of all."""
        return np.concatenate([[0], np.cumsum([rows(clip) for clip in range(len(self.frames))])]).astype(np.int64)


@dataclass(frozen=True)
class Encoder:
    """Encodes a clip at the places of a layout: of every view of its picture, and its sound at every frame.

    The encoders move to `device` with the first clip, in whatever process that is.
    """

    clips: WholeClips
    layout: Layout
    video_encoder: nn.Module
    audio_encoder: nn.Module
    seed: int = 0
    precision: str = "fp32"
    device: torch.device = CPU

    def __call__(self, index: int) -> Features | str:
        """Features of clip `index`: picture (V, P, t_v, D) and sound (Q, t_a, D); or why there are none."""
        try:
            return self._encoded(index)
        except (ValueError, OSError, MemoryError) as error:
            return sentence_of(error)

    def _encoded(self, index: int) -> Features | str:
        frames, sound = self.clips.read_clip(index)
        if len(frames) < self.layout.config.span_frames:
            return f"damaged: only {len(frames) / self.layout.config.video_fps:.2f} s of it can be decoded"
        frames, sound = frames.to(self.device), sound.to(self.device)  # windows of it overlap: it travels once, whole
        views = [self._video(self._view(frames, index, view)) for view in range(self.layout.views)]
        return np.stack(views), self._audio(as_wave(sound))

    def _view(self, frames: Tensor, index: int, view: int) -> Tensor:
        """Segments uint8 (P, F, 3, H, W) of one view of frames (T, 3, h, w)."""
        config, settings = self.layout.config, AUGMENTATIONS["sync" if view else "none"]
        with seeded(np.random.Generator(np.random.PCG64([self.seed, index, view]))):
            later = crop(frames, config.image_size, settings)[self.layout.phase(index) :]
            windows = later.unfold(0, config.segment_frames, config.segment_stride)
            segments = windows.permute(0, 4, 1, 2, 3)[: self.layout.positions(index)]
            return torch.stack(list(map(picture_changes(settings), segments))) if view else segments

    def _video(self, segments: Tensor) -> NDArray[np.float16]:
        return self._kept(encode_pictures, segments)

    def _audio(self, wave: Tensor) -> NDArray[np.float16]:
        config = self.layout.config
        return self._kept(encode_sounds, wave.unfold(0, config.segment_samples, config.samples_per_frame))  # (Q, n)

    def _kept(self, encode: Callable[..., Tensor], segments: Tensor) -> NDArray[np.float16]:
        """Features of segments as they are kept: float16 (N, t, D)."""
        encoders = FrozenEncoders(self.layout.config, self.video_encoder, self.audio_encoder).to(self.device)
        precision = PRECISION.get(self.precision, "fp32")
        features = encode(encoders, segments, precision, pass_size("training segments", self.device))
        return require_finite(features.half(), encoders).cpu().numpy()


class FrozenEncoders(SegmentEncoders):
    """Two encoders of a model that is trained elsewhere, or not at all."""

    def __init__(self, config: SynchformerConfig, video_encoder: nn.Module, audio_encoder: nn.Module) -> None:
        super().__init__()
        self.config, self.video_encoder, self.audio_encoder = config, video_encoder, audio_encoder
        self.eval()


def as_wave(sound: Tensor) -> Tensor:
    """Samples as float32 in [-1, 1]; rendered ones are kept as int16."""
    return sound.float() / 32767 if sound.dtype == torch.int16 else sound
