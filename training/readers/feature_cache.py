"""Features of clips, computed once: stage II then trains without touching a frame or a sound.

Offsets are whole frames, so audio features at every frame start cover every offset; video features are kept at one
phase per clip (segments start at phase, phase + 8, ...), and the audio moves against them. Further views of the picture
are random crops of it, whose segments are mirrored at random, as published.

Shape legend: V views, P video positions, Q audio positions of a clip, t tokens per segment, D width.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.config import SynchformerConfig
from synchformer.media.crop import center_crop
from synchformer.media.probe import MediaError
from synchformer.storage.json_text import to_json
from training.readers.base import CropReader, Features, UnreadableError, WholeClips
from training.readers.feature_encoder import Encoder, Layout, as_wave
from training.runtime.batches import Batch
from training.runtime.disk_arrays import build, map_array
from training.runtime.distributed import CPU
from training.sampling.crops import CropPlace

LOST = "lost.jsonl"
HALF = np.dtype(np.float16)


class FeatureCache(CropReader):
    """Memory-mapped features: `video` float16 (rows, t_v, D), V * P rows a clip, and `audio` (rows, t_a, D), Q a clip.

    Building goes on where an interrupted one stopped; a cache of other weights or clips is refused. Clips that cannot
    be read are listed in `lost`, with the reason, and never drawn.
    """

    is_encoded = True

    def __init__(
        self,
        folder: Path,
        clips: WholeClips,
        config: SynchformerConfig,
        video_encoder: nn.Module,
        audio_encoder: nn.Module,
        workers: int = 2,
        *,
        views: int = 1,
        seed: int = 0,
        jitter: int = 0,
        min_frames: int = 0,
        device: torch.device = CPU,
        precision: str = "fp32",
    ) -> None:
        """Encode what is missing.

        Args:
            folder: where the features are kept.
            clips: what to encode.
            config: sizes.
            video_encoder: of frames.
            audio_encoder: of spectrograms.
            workers: processes that read and encode clips, on the GPU as well: clips are too large to be sent around.
            views: of the picture; the first is the center crop.
            seed: of the other views.
            jitter: frames by which the sound of a crop may be earlier or later than its label says, in training.
            min_frames: frames of the shortest clip that is drawn.
            device: where the encoders run.
            precision: of the encoders: fp32, or bf16 or fp16 for autocast.

        Raises:
            ValueError: when the folder holds features of other clips or weights, or the disk has no room.
        """
        self.clips, self.config, self.views, self.jitter = clips, config, views, jitter
        self.layout = Layout(config, np.array([clips.frames_of(clip) for clip in range(len(clips))], np.int64), views)
        self._seen = self.layout.firsts(lambda clip: views * self.layout.positions(clip))
        self._heard = self.layout.firsts(self.layout.sounds)
        folder.mkdir(parents=True, exist_ok=True)
        shapes: dict[str, tuple[int, ...]] = {
            "video": (int(self._seen[-1]), config.video_steps, config.dim),
            "audio": (int(self._heard[-1]), config.audio_steps, config.dim),
        }
        require_room(folder, shapes)
        self.video, self.audio = (map_array(folder / f"{name}.f16", HALF, shape) for name, shape in shapes.items())
        self._lost_file = folder / LOST
        identity = {"weights": fingerprint(video_encoder, audio_encoder), **clips.identity}
        if views > 1:
            identity |= {"views": views, "seed": seed}
        if precision != "fp32":
            identity |= {"precision": precision}
        encoder = Encoder(clips, self.layout, video_encoder.eval(), audio_encoder.eval(), seed, precision, device)
        build(folder, identity, len(clips), encoder, self._keep, workers)
        self._choose(min_frames)

    def _choose(self, min_frames: int) -> None:
        """Number the clips that are long enough."""
        kept = {int(entry["clip"]): entry for entry in map(json.loads, self._lost_lines())}
        self.lost = {clip: str(entry["reason"]) for clip, entry in sorted(kept.items())}
        self._frames = self.layout.frames.copy()
        for clip, entry in kept.items():
            if clip < len(self._frames):
                self._frames[clip] = entry["frames"]
        self._chosen = np.flatnonzero(self._frames >= max(1, min_frames))
        scenes = self.clips.scenes
        self.scenes = None if scenes is None else [scenes[int(clip)] for clip in self._chosen]

    @property
    def unreadable(self) -> list[str]:
        """The lost clips of which nothing could be used, as `clip NUMBER: reason`."""
        return [f"clip {clip}: {reason}" for clip, reason in self.lost.items() if not self._frames[clip]]

    def _lost_lines(self) -> list[str]:
        return self._lost_file.read_text(encoding="utf-8").splitlines() if self._lost_file.exists() else []

    def __len__(self) -> int:
        return len(self._chosen)

    def frames_of(self, clip: int) -> int:
        """Frames of a clip that could be read and encoded."""
        return int(self._frames[self._chosen[clip]])

    def values(self, clip: int, columns: Sequence[str]) -> tuple[str, ...]:
        """What the data set says of a clip; see `Clips.values`."""
        return self.clips.values(int(self._chosen[clip]), columns)

    def phase(self, clip: int) -> int:
        """First frame of the clip's first video position."""
        return self.layout.phase(int(self._chosen[clip]))

    def starts(self, clip: int, span: int) -> NDArray[np.int64]:
        """Frames at which a picture of `span` frames may begin: every stride-th from the clip's phase on."""
        config, which, first = self.config, int(self._chosen[clip]), self.phase(clip)
        there = (self.frames_of(clip) - first - config.segment_frames) // config.segment_stride + 1
        count = min(there, self.layout.positions(which)) - (span - config.segment_frames) // config.segment_stride
        return first + np.arange(max(0, count)) * config.segment_stride

    def read(self, crops: list[CropPlace], config: SynchformerConfig, rng: np.random.Generator | None = None) -> Batch:
        """Features of crops of `config.segments` segments: video (B, S, t_v, D) and audio (B, S, t_a, D), float32.

        With `rng`, the view is drawn, and the sound jitters.
        """
        pairs = [self._crop(crop, config, rng) for crop in crops]
        video, audio = (torch.from_numpy(np.stack(part)).float() for part in zip(*pairs, strict=True))
        return {"video": video, "audio": audio}

    def _crop(self, crop: CropPlace, config: SynchformerConfig, rng: np.random.Generator | None) -> Features:
        count, stride = config.segments, config.segment_stride
        clip, other = int(self._chosen[crop.clip]), int(self._chosen[crop.sound_clip])
        view, later = 0, 0
        if rng is not None:
            view = int(rng.integers(self.views)) if self.views > 1 else 0
            later = int(rng.integers(-self.jitter, self.jitter + 1)) if self.jitter else 0
        first = int(self._seen[clip]) + view * self.layout.positions(clip)
        first += (crop.start - self.phase(crop.clip)) // stride
        sound = int(np.clip(crop.sound + later, 0, self.last_sound(crop.sound_clip, config.span_frames)))
        sound += int(self._heard[other])
        return self.video[first : first + count], self.audio[sound : sound + count * stride : stride]

    def features_of(self, count: int) -> Features:
        """Features of the first `count` clips: video (rows, t_v, D) and audio (rows, t_a, D)."""
        chosen = self._chosen[:count]
        video = [self.video[self._seen[clip] : self._seen[clip + 1]] for clip in chosen]
        return np.concatenate(video), np.concatenate(
            [self.audio[self._heard[clip] : self._heard[clip + 1]] for clip in chosen]
        )

    def preview(self, crop: CropPlace, config: SynchformerConfig, _: np.random.Generator) -> Batch:
        """What a crop's features were made of, read out of its clips; see `CropReader.preview`."""
        try:
            picture, sound = (self.clips.read_clip(int(self._chosen[clip])) for clip in (crop.clip, crop.sound_clip))
        except MediaError as error:
            raise UnreadableError(0, str(error)) from error
        frames = picture[0][crop.start : crop.start + config.span_frames]
        windows = center_crop(frames, config.image_size).unfold(0, config.segment_frames, config.segment_stride)
        wave = as_wave(sound[1])[crop.sound * config.samples_per_frame :][
            : config.span_frames * config.samples_per_frame
        ]
        waves = wave.unfold(0, config.segment_samples, config.segment_stride * config.samples_per_frame)
        return {"frames": windows.permute(0, 4, 1, 2, 3)[None], "waves": waves[None]}

    def _keep(self, index: int, features: Features | str) -> None:
        """Store the features of a clip, or why there are none."""
        promised = int(self.layout.frames[index])
        if isinstance(features, str):
            self._lose(index, 0, features)
            return
        video, audio = features
        first, each = int(self._seen[index]), self.layout.positions(index)
        for view, rows in enumerate(video):
            self.video[first + view * each : first + view * each + len(rows)] = rows
        self.audio[self._heard[index] : self._heard[index] + len(audio)] = audio
        decoded = len(audio) + self.config.segment_frames - 1 if len(audio) else 0
        if decoded < promised:
            seconds = decoded / self.config.video_fps
            self._lose(
                index, decoded, f"damaged: ends after {seconds:.2f} s, not {promised / self.config.video_fps:.2f}"
            )

    def _lose(self, index: int, frames: int, reason: str) -> None:
        with self._lost_file.open("a", encoding="utf-8") as file:
            file.write(to_json({"clip": index, "frames": frames, "reason": reason}) + "\n")


def require_room(folder: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """See that the disk has room for what is still to be written.

    Raises:
        ValueError: when it has not.
    """
    needed = sum(HALF.itemsize * int(np.prod(shape, dtype=np.int64)) for shape in shapes.values())
    files = [folder / f"{name}.f16" for name in shapes]
    there = sum(path.stat().st_blocks * 512 for path in files if path.exists())
    free = shutil.disk_usage(folder).free
    if needed - there > free:
        raise ValueError(
            f"the features take {needed / 1e9:.1f} GB and the disk of {folder} has {free / 1e9:.1f} GB free; train on "
            "fewer clips (--count), keep fewer --views, or encode every crop anew (--no-cache)"
        )
