"""Features of generated clips, computed once: stage II then trains without touching a frame or a sample.

Offsets are whole frames, so audio features at every frame start cover every offset; video features are kept at one
phase per clip (segments start at phase, phase + 8, ...), and the audio moves against them.

Shape legend: N clips, P video positions, Q audio positions, t tokens per segment, D width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.preprocess import mel_spectrogram, normalise_frames
from training.clips import Recipe, Renderer, build, map_array

ENCODE_TOGETHER = 40  # segments per forward pass


def encoder_digest(*modules: nn.Module) -> str:
    """Fingerprint of weights: features of other weights are never mixed."""
    digest = hashlib.sha256()
    for module in modules:
        for name, value in module.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


class FeatureCache:
    """Memory-mapped features: `video` float16 (N, P, t_v, D), `audio` float16 (N, Q, t_a, D), and the clips' scenes.

    Building goes on where an interrupted one stopped; a cache of other weights or clips is refused.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        config: SynchformerConfig,
        video_encoder: nn.Module,
        audio_encoder: nn.Module,
        workers: int = 2,
    ) -> None:
        self.recipe, self.config = recipe, config
        self.scenes = [recipe.scene(index) for index in range(recipe.count)]
        self.total_frames = round(recipe.duration * config.video_fps)
        spare = self.total_frames - config.segment_frames
        self.positions = (spare - (config.segment_stride - 1)) // config.segment_stride + 1
        folder.mkdir(parents=True, exist_ok=True)
        half = np.dtype(np.float16)
        self.video = map_array(
            folder / "video.f16", half, (recipe.count, self.positions, config.video_steps, config.dim)
        )
        self.audio = map_array(folder / "audio.f16", half, (recipe.count, spare + 1, config.audio_steps, config.dim))
        identity = {"weights": encoder_digest(video_encoder, audio_encoder), **recipe.identity}
        encoder = Encoder(Renderer(recipe, config), video_encoder.eval(), audio_encoder.eval(), self.positions)
        build(folder, identity, recipe.count, encoder, self._keep, workers)

    def __len__(self) -> int:
        return self.recipe.count

    def phase(self, clip: int) -> int:
        """First frame of the clip's first video position."""
        return phase(clip, self.config)

    def crop(self, clip: int, position: int, shift: int) -> tuple[NDArray[np.float16], NDArray[np.float16], float]:
        """Features of a crop whose first segment is video position `position` and whose sound is `shift` frames later.

        Returns:
            video (S, t_v, D), audio (S, t_a, D), and the time in seconds at which the first video segment starts.
        """
        count, stride = self.config.segments, self.config.segment_stride
        frame = self.phase(clip) + position * stride
        video = self.video[clip, position : position + count]
        audio = self.audio[clip, frame + shift : frame + shift + count * stride : stride]
        return video, audio, frame / self.config.video_fps

    def _keep(self, index: int, features: tuple[NDArray[np.float16], NDArray[np.float16]]) -> None:
        self.video[index], self.audio[index] = features


@dataclass(frozen=True)
class Encoder:
    """Renders a clip and encodes it at `positions` places of its phase (picture) and at every frame (sound)."""

    renderer: Renderer
    video_encoder: nn.Module
    audio_encoder: nn.Module
    positions: int

    @torch.inference_mode()
    def __call__(self, index: int) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Features of clip `index`: picture (P, t_v, D) and sound (Q, t_a, D)."""
        frames, audio = self.renderer(index)
        return self._video(frames, index), self._audio(audio)

    def _video(self, frames: NDArray[np.uint8], index: int) -> NDArray[np.float16]:
        config = self.renderer.config
        later = torch.from_numpy(frames)[phase(index, config) :]
        windows = later.unfold(0, config.segment_frames, config.segment_stride)
        segments = windows.permute(0, 4, 1, 2, 3)[: self.positions]  # (P, F, 3, H, W)
        return _in_parts(segments, lambda part: self.video_encoder(normalise_frames(part)))

    def _audio(self, audio: NDArray[np.int16]) -> NDArray[np.float16]:
        config = self.renderer.config
        wave = torch.from_numpy(audio).float() / 32767
        segments = wave.unfold(0, config.segment_samples, config.samples_per_frame)  # (Q, n)
        return _in_parts(segments, lambda part: self.audio_encoder(mel_spectrogram(part, config)))


def phase(clip: int, config: SynchformerConfig) -> int:
    """First frame of the clip's first video position; spread evenly over the clips."""
    return clip % config.segment_stride


def _in_parts(segments: Tensor, encode: Callable[[Tensor], Tensor]) -> NDArray[np.float16]:
    parts = [encode(part).half() for part in segments.split(ENCODE_TOGETHER)]
    return torch.cat(parts).numpy()
