"""Stage I, Segment AVCLIP: segments of the same moment attract, all others repel (section 3.2, equation 4)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from synchformer.avclip import SegmentAVCLIP
from synchformer.config import SynchformerConfig
from synchformer.preprocess import mel_spectrogram, normalise_frames
from training.augment import augment_frames, augment_waveform
from training.clips import ClipPool
from training.unimodal import EventHeads, audio_batch, event_loss, video_batch

SEGMENTS = 14  # without overlap: 8.96 s (section 3.2)
KEEP_EVENTS = 8  # segments per stream and step on which the unimodal start's loss is kept


class Stage1(nn.Module):
    """Segment AVCLIP over the encoders of the unimodal start, whose heads go on as a second loss.

    The paper has no second loss. Generated clips need it: equation 4 looks at the mean over a segment, which would
    let the encoders forget when inside a segment an event happens, and most generated segments hold none.
    """

    def __init__(self, config: SynchformerConfig, heads: EventHeads | None) -> None:
        super().__init__()
        self.avclip = SegmentAVCLIP(config)
        self.heads = heads
        if heads is not None:
            self.avclip.video_encoder = heads.video_encoder
            self.avclip.audio_encoder = heads.audio_encoder


class AVCLIPTask:
    """Contrastive loss over `batch` clips of 14 segments, plus the event loss when `heads` are given."""

    name = "avclip"

    def __init__(
        self, config: SynchformerConfig, pool: ClipPool, held_out: ClipPool, batch: int, heads: EventHeads | None = None
    ) -> None:
        self.config, self.pool, self.held_out, self.batch = config, pool, held_out, batch
        self.stage = Stage1(config, heads)
        self.chance = math.log(batch * SEGMENTS)

    @property
    def module(self) -> nn.Module:
        """Segment AVCLIP and the event heads."""
        return self.stage

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Equation 4, averaged over both directions, plus the event loss."""
        frames, waveforms = clip_batch(self.pool, rng, self.batch)
        frames = augment_frames(frames.flatten(0, 1), rng).unflatten(0, frames.shape[:2])
        waveforms = augment_waveform(waveforms.flatten(0, 1), rng).unflatten(0, waveforms.shape[:2])
        contrastive = self.stage.avclip.contrastive_loss(frames, mel_spectrogram(waveforms, self.config))
        events = self._event_loss(rng)
        return contrastive + events, {"contrastive": contrastive.item(), "events": events.item()}

    def _event_loss(self, rng: np.random.Generator) -> Tensor:
        heads = self.stage.heads
        if heads is None:
            return torch.zeros(())
        frames, seen = video_batch(self.pool, rng, KEEP_EVENTS)
        waveforms, heard = audio_batch(self.pool, rng, KEEP_EVENTS)
        video = heads.video_head(heads.video_encoder(frames))
        audio = heads.audio_head(heads.audio_encoder(mel_spectrogram(waveforms, self.config)))
        return event_loss(video, seen) + event_loss(audio, heard)

    def validate(self) -> dict[str, float]:
        """Contrastive loss on held-out clips, with the level of chance."""
        losses = []
        for index in range(12):
            frames, waveforms = clip_batch(self.held_out, np.random.Generator(np.random.PCG64([2, index])), self.batch)
            losses.append(float(self.stage.avclip.contrastive_loss(frames, mel_spectrogram(waveforms, self.config))))
        return {"contrastive": float(np.mean(losses)), "chance": self.chance}


def clip_batch(pool: ClipPool, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Normalised frames (B, 14, F, 3, H, W) and waveforms (B, 14, n) of non-overlapping segments of random clips."""
    length = pool.config.segment_frames
    spare = pool.frames.shape[1] - SEGMENTS * length
    places = [(int(rng.integers(len(pool))), int(rng.integers(spare + 1))) for _ in range(count)]
    starts = [[first + index * length for index in range(SEGMENTS)] for _, first in places]
    frames = np.stack(
        [np.stack([pool.video_segment(clip, s) for s in row]) for (clip, _), row in zip(places, starts, strict=True)]
    )
    waves = np.stack(
        [np.stack([pool.audio_segment(clip, s) for s in row]) for (clip, _), row in zip(places, starts, strict=True)]
    )
    return normalise_frames(torch.from_numpy(frames)), torch.from_numpy(waves)
