"""Stage II: the synchronization module learns the offset class from frozen features (section 3.2, equation 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.sync import SynchronizationModule
from training.events import time_bins
from training.features import FeatureCache
from training.metrics import accuracy
from training.start import start_from

TIME_BINS = 48  # bins of 0.1 s over the 4.8 s that the segments cover
RARE = -3.3  # log odds of an event in a bin, to start with
PROVABLE = 0.85  # share of crops that must hold an event seen and heard; the others teach doubt


@dataclass(frozen=True)
class Crop:
    """A clip, the video position of its first segment, and the class of its offset."""

    clip: int
    position: int
    target: int


class Stage2(nn.Module):
    """The synchronization module and, in training only, a head that asks the class token when events happen.

    The paper has no such head. It shortens the plateau at chance: knowing when things happen in each stream is the
    step before comparing them.
    """

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.synchronizer = SynchronizationModule(config)
        self.time_head = nn.Linear(config.sync_dim, 2 * TIME_BINS)
        nn.init.constant_(self.time_head.bias, RARE)


class SyncTask:
    """Cross-entropy over offset classes on `batch` random crops per step, plus the training-only time head."""

    name = "sync"

    def __init__(self, config: SynchformerConfig, cache: FeatureCache, held_out: FeatureCache, batch: int) -> None:
        self.config, self.cache, self.held_out, self.batch = config, cache, held_out, batch
        self.stage = Stage2(config)
        start_from(self.stage.synchronizer, config, cache.video, cache.audio)
        self.chance = config.chance_loss

    @property
    def module(self) -> nn.Module:
        """Synchronization module and time head."""
        return self.stage

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy of the offset plus the time head's binary cross-entropy."""
        crops = [draw_crop(self.cache, rng, rng.random() < PROVABLE) for _ in range(self.batch)]
        video, audio, times = gather(self.cache, crops)
        targets = torch.tensor([crop.target for crop in crops])
        tokens = self.stage.synchronizer.encode(video, audio)
        logits = self.stage.synchronizer.head(tokens).float()
        offset = F.cross_entropy(logits, targets)
        when = F.binary_cross_entropy_with_logits(self.stage.time_head(tokens).float(), times)
        figures = {"offset": offset.item(), "when": when.item(), **accuracy(logits, targets)}
        return offset + 5.0 * when, figures

    def validate(self) -> dict[str, float]:
        """Accuracy on held-out crops that hold an event seen and heard."""
        rng = np.random.Generator(np.random.PCG64(3))
        crops = [draw_crop(self.held_out, rng, True) for _ in range(512)]
        logits = []
        for first in range(0, len(crops), 64):
            video, audio, _ = gather(self.held_out, crops[first : first + 64])
            logits.append(self.stage.synchronizer(video, audio).float())
        targets = torch.tensor([crop.target for crop in crops])
        return {"loss": float(F.cross_entropy(torch.cat(logits), targets)), **accuracy(torch.cat(logits), targets)}


def draw_crop(cache: FeatureCache, rng: np.random.Generator, provable: bool) -> Crop:
    """A uniform offset class and a random place; when `provable`, one where both crops hold the same event."""
    config = cache.config
    per_class = round(config.offset_step * config.video_fps)
    while True:
        clip, target = int(rng.integers(len(cache))), int(rng.integers(config.offset_classes))
        shift = (target - config.offset_class(0.0)) * per_class
        last_video = cache.positions - config.segments
        last_audio = cache.audio.shape[1] - 1 - (config.segments - 1) * config.segment_stride
        frames = cache.phase(clip) + np.arange(last_video + 1) * config.segment_stride + shift
        fitting = np.flatnonzero((frames >= 0) & (frames <= last_audio))
        if not len(fitting):
            continue
        position = int(rng.choice(fitting))
        if not provable or _is_provable(cache, clip, position, shift):
            return Crop(clip, position, target)


def _is_provable(cache: FeatureCache, clip: int, position: int, shift: int) -> bool:
    config = cache.config
    start = (cache.phase(clip) + position * config.segment_stride) / config.video_fps
    heard = start + shift / config.video_fps
    span = config.span_frames / config.video_fps
    return bool(cache.scenes[clip].shared_events((start, start + span), (heard, heard + span)))


def gather(cache: FeatureCache, crops: list[Crop]) -> tuple[Tensor, Tensor, Tensor]:
    """Features and event times of crops: video (B, S, t_v, D), audio (B, S, t_a, D), times (B, 2 * TIME_BINS)."""
    config = cache.config
    per_class = round(config.offset_step * config.video_fps)
    middle, span = config.offset_class(0.0), config.span_frames / config.video_fps
    videos, audios, times = [], [], []
    for crop in crops:
        shift = (crop.target - middle) * per_class
        video, audio, start = cache.crop(crop.clip, crop.position, shift)
        events = cache.scenes[crop.clip].events
        seen = time_bins([e for e in events if e.seen], start, span, TIME_BINS)
        heard = time_bins([e for e in events if e.heard], start + shift / config.video_fps, span, TIME_BINS)
        videos.append(video)
        audios.append(audio)
        times.append(np.concatenate([seen, heard]))
    return (
        torch.from_numpy(np.stack(videos)).float(),
        torch.from_numpy(np.stack(audios)).float(),
        torch.from_numpy(np.stack(times)),
    )
