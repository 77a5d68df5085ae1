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
from training.crops import Crop
from training.task import Batch

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

    def starts(self, clip: int, span: int) -> NDArray[np.int64]:
        """Frames at which a picture of `span` frames may begin: every stride-th from the clip's phase on."""
        config = self.config
        count = self.positions - (span - config.segment_frames) // config.segment_stride
        return self.phase(clip) + np.arange(count) * config.segment_stride

    def last_sound(self, _: int, span: int) -> int:
        """Last frame at which sound of `span` frames may begin."""
        return self.total_frames - span

    def shared(self, clip: int, picture: tuple[float, float], sound: tuple[float, float]) -> int:
        """Events seen inside `picture` and heard inside `sound` (seconds)."""
        return len(self.scenes[clip].shared_events(picture, sound))

    def read(self, crops: list[Crop], config: SynchformerConfig) -> Batch:
        """Features of crops of `config.segments` segments: video (B, S, t_v, D) and audio (B, S, t_a, D), float32."""
        pairs = [self._crop(crop, config.segments) for crop in crops]
        video, audio = (torch.from_numpy(np.stack(part)).float() for part in zip(*pairs, strict=True))
        return {"video": video, "audio": audio}

    def _crop(self, crop: Crop, count: int) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        stride = self.config.segment_stride
        position = (crop.start - self.phase(crop.clip)) // stride
        video = self.video[crop.clip, position : position + count]
        return video, self.audio[crop.sound_clip, crop.sound : crop.sound + count * stride : stride]

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
