"""Stage I, Segment AVCLIP: segments of the same moment attract, all others repel (section 3.2, equation 4)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from synchformer.avclip import SegmentAVCLIP, window_precision
from synchformer.config import SynchformerConfig
from synchformer.preprocess import mel_spectrogram, normalise_frames
from training.augment import augment_frames, augment_waveform
from training.clips import ClipPool
from training.task import Batch
from training.unimodal import EventHeads, audio_batch, event_loss, video_batch

SECONDS = 8.96  # of every clip (section 3.2): 14 segments of 0.64 s without overlap
KEEP_EVENTS = 8  # segments per stream and micro-batch on which the unimodal start's loss is kept
VALIDATION_BATCHES = 12


def segment_count(config: SynchformerConfig) -> int:
    """Segments of a clip in stage I: as many as fit into 8.96 s without overlap, 14 of the published length."""
    return int(round(SECONDS * config.video_fps) // config.segment_frames)


class Stage1(nn.Module):
    """Segment AVCLIP over the encoders of the unimodal start, whose heads go on as a second loss.

    The paper has no second loss. Generated clips need it: equation 4 looks at the mean over a segment, which would
    let the encoders forget when inside a segment an event happens, and most generated segments hold none.
    """

    def __init__(self, config: SynchformerConfig, heads: EventHeads | None) -> None:
        super().__init__()
        self.config = config
        self.avclip = SegmentAVCLIP(config)
        self.heads = heads
        if heads is not None:
            self.avclip.video_encoder = heads.video_encoder
            self.avclip.audio_encoder = heads.audio_encoder

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Equation 4, averaged over both directions, plus the event loss where there are heads."""
        contrastive = self.avclip.contrastive_loss(batch["frames"], mel_spectrogram(batch["waves"], self.config))
        figures = {"contrastive": contrastive.detach(), "temperature": self.avclip.temperature.detach().clone()}
        if self.heads is None:
            return {"loss": contrastive, **figures}
        seen = event_loss(self.heads.see(batch["seen_frames"]), batch["seen"])
        heard = event_loss(self.heads.hear(batch["heard_waves"]), batch["heard"])
        return {"loss": contrastive + seen + heard, "events": (seen + heard).detach(), **figures}


class AVCLIPTask:
    """Contrastive loss over the segments of `batch` clips, plus the event loss when `heads` are given."""

    name = "avclip"
    course = (
        "it falls slowly from the first hundred steps on and never reaches 0, for segments without an event look "
        "alike; the precision of shifted windows (1 of 7 by chance) picks the best state, as published"
    )
    headline = "window_precision"
    partial = False

    def __init__(
        self, config: SynchformerConfig, pool: ClipPool, held_out: ClipPool, batch: int, heads: EventHeads | None = None
    ) -> None:
        self.config, self.pool, self.held_out, self.size = config, pool, held_out, batch
        self.stage = Stage1(config, heads)
        self.chance = math.log(batch * segment_count(config))

    @property
    def module(self) -> Stage1:
        """Segment AVCLIP and the event heads."""
        return self.stage

    def batch(self, rng: np.random.Generator) -> Batch:
        """Segments of random clips, changed at random, and segments with event targets where there are heads."""
        frames, waves = clip_batch(self.pool, rng, self.size)
        shape = frames.shape[:2]
        batch = {
            "frames": augment_frames(frames.flatten(0, 1), rng).unflatten(0, shape),
            "waves": augment_waveform(waves.flatten(0, 1), rng).unflatten(0, shape),
        }
        if self.stage.heads is None:
            return batch
        seen_frames, seen = video_batch(self.pool, rng, KEEP_EVENTS, self.config)
        heard_waves, heard = audio_batch(self.pool, rng, KEEP_EVENTS, self.config)
        return {**batch, "seen_frames": seen_frames, "seen": seen, "heard_waves": heard_waves, "heard": heard}

    def validate(self) -> dict[str, float]:
        """Contrastive loss and precision of shifted windows on held-out clips, with the levels of chance."""
        avclip, losses, precisions = self.stage.avclip, [], []
        device = next(avclip.parameters()).device
        for index in range(VALIDATION_BATCHES):
            frames, waves = clip_batch(self.held_out, np.random.Generator(np.random.PCG64([2, index])), self.size)
            mel = mel_spectrogram(waves.to(device), self.config)
            losses.append(float(avclip.contrastive_loss(frames.to(device), mel)))
            video, audio = (part.unflatten(0, frames.shape[:2]) for part in avclip.embed(frames.to(device), mel))
            precisions.append(float(window_precision(video, audio, self.window).mean()))
        return {
            "contrastive": float(np.mean(losses)),
            "chance": self.chance,
            "window_precision": float(np.mean(precisions)),
            "window_precision_chance": 1 / (segment_count(self.config) - self.window + 1),
        }

    @property
    def window(self) -> int:
        """Segments of a shifted window: 8 of 14, and as large a part of any other number."""
        return max(1, round(segment_count(self.config) * 8 / 14))

    def pictures(self) -> dict[str, Tensor]:
        """Similarities of every picture segment (row) with every sound segment (column) of held-out clips."""
        frames, waves = clip_batch(self.held_out, np.random.Generator(np.random.PCG64([2, 0])), self.size)
        device = next(self.stage.parameters()).device
        similarity = self.stage.avclip(frames.to(device), mel_spectrogram(waves.to(device), self.config))
        similarity = similarity * self.stage.avclip.temperature  # cosines
        picture = ((similarity.float().cpu() + 1) / 2).repeat_interleave(8, 0).repeat_interleave(8, 1)
        return {"similarity": picture.expand(3, -1, -1)}


def clip_batch(pool: ClipPool, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Normalised frames (B, S, F, 3, H, W) and waveforms (B, S, n) of non-overlapping segments of random clips."""
    length, segments = pool.config.segment_frames, segment_count(pool.config)
    spare = pool.frames.shape[1] - segments * length
    places = [(int(rng.integers(len(pool))), int(rng.integers(spare + 1))) for _ in range(count)]
    starts = [[first + index * length for index in range(segments)] for _, first in places]
    frames = np.stack(
        [np.stack([pool.video_segment(clip, s) for s in row]) for (clip, _), row in zip(places, starts, strict=True)]
    )
    waves = np.stack(
        [np.stack([pool.audio_segment(clip, s) for s in row]) for (clip, _), row in zip(places, starts, strict=True)]
    )
    return normalise_frames(torch.from_numpy(frames)), torch.from_numpy(waves)
