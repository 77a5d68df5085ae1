"""Unimodal start: each encoder learns to say which event happens at which token.

The counterpart of the paper's AudioSet and Something-Something initialisation (section B, table 2), which needs data
that cannot be generated. Both encoders train side by side and never see each other's stream.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.encoders import audio_encoder, video_encoder
from synchformer.preprocess import mel_spectrogram, normalise_frames
from synthetic import KINDS, Event
from training.augment import augment_frames, augment_waveform
from training.clips import ClipPool
from training.events import audio_centers, audio_width, token_targets, video_centers, video_width
from training.fed import fed_picture
from training.task import Batch

SHOWN = 14  # segments of a picture
POSITIVE_WEIGHT = 4.0  # events are rare: a missed one costs this much more than a false one
HEARING = 0.3  # share of steps that train the audio encoder too: it learns several times faster
Stream = Literal["seen", "heard"]


class EventHeads(nn.Module):
    """Two encoders, each with a linear layer that reads off every token which events happen."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        self.video_encoder = video_encoder(config)
        self.audio_encoder = audio_encoder(config)
        self.video_head = nn.Linear(config.dim, len(KINDS) + 1)
        self.audio_head = nn.Linear(config.dim, len(KINDS) + 1)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Sum of both streams' losses; the sound's only where the batch has "heard", NaN elsewhere."""
        video = event_loss(self.see(batch["frames"]), batch["seen"])
        if "heard" not in batch:
            return {"loss": video, "video": video.detach(), "audio": torch.full_like(video.detach(), torch.nan)}
        audio = event_loss(self.hear(batch["waves"]), batch["heard"])
        return {"loss": video + audio, "video": video.detach(), "audio": audio.detach()}

    def see(self, frames: Tensor) -> Tensor:
        """Normalised frames (N, F, 3, H, W) to logits (N, t_v, K + 1)."""
        return self.video_head(self.video_encoder(frames))

    def hear(self, waves: Tensor) -> Tensor:
        """Waveforms (N, n) to logits (N, t_a, K + 1)."""
        return self.audio_head(self.audio_encoder(mel_spectrogram(waves, self.config)))


class UnimodalTask:
    """Binary cross-entropy of event presence per token and kind; `batch` segments of each stream a micro-batch."""

    name = "unimodal"
    chance = float("nan")  # depends on how rare events are; the average precision is the figure to watch
    course = "watch the average precision instead, which is logged beside what guessing reaches; the sound comes first"
    headline = "video_kind"
    partial = True

    def __init__(self, config: SynchformerConfig, pool: ClipPool, held_out: ClipPool, batch: int) -> None:
        self.config, self.pool, self.held_out, self.size = config, pool, held_out, batch
        self.heads = EventHeads(config)

    @property
    def module(self) -> EventHeads:
        """Encoders and heads."""
        return self.heads

    def batch(self, rng: np.random.Generator) -> Batch:
        """Segments of which three quarters hold an event; sound in some micro-batches only."""
        frames, seen = video_batch(self.pool, rng, self.size, self.config)
        batch = {"frames": augment_frames(frames, rng), "seen": seen}
        if rng.random() >= HEARING:
            return batch
        waves, heard = audio_batch(self.pool, rng, self.size, self.config)
        return {**batch, "waves": augment_waveform(waves, rng), "heard": heard}

    def pictures(self) -> dict[str, Tensor]:
        """What training segments look like, and others sound like."""
        rng = np.random.Generator(np.random.PCG64(4))
        frames = augment_frames(video_batch(self.pool, rng, SHOWN, self.config)[0], rng)
        waves = augment_waveform(audio_batch(self.pool, rng, SHOWN, self.config)[0], rng)
        return {"fed": fed_picture(frames, waves, self.config)}

    def validate(self) -> dict[str, float]:
        """Average precision of event tokens on held-out clips, with the level of chance."""
        rng = np.random.Generator(np.random.PCG64(1))
        frames, seen = video_batch(self.held_out, rng, 128, self.config)
        waveforms, heard = audio_batch(self.held_out, rng, 128, self.config)
        device = next(self.heads.parameters()).device
        video = self.heads.see(frames.to(device)).float().cpu()
        audio = self.heads.hear(waveforms.to(device)).float().cpu()
        return {**_precision("video", video, seen), **_precision("audio", audio, heard)}


def _precision(stream: str, logits: Tensor, targets: Tensor) -> dict[str, float]:
    """Average precision by kind and whatever the kind, with what guessing reaches."""
    truth, kinds = targets > 0.5, len(KINDS)
    return {
        f"{stream}_kind": average_precision(logits[..., :kinds].flatten(), truth[..., :kinds].flatten()),
        f"{stream}_kind_chance": float(truth[..., :kinds].float().mean()),
        f"{stream}_any": average_precision(logits[..., kinds].flatten(), truth[..., kinds].flatten()),
        f"{stream}_any_chance": float(truth[..., kinds].float().mean()),
    }


def event_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Weighted binary cross-entropy of logits (N, t, K + 1) against soft targets of the same shape."""
    weight = torch.full((logits.shape[-1],), POSITIVE_WEIGHT, device=logits.device)
    return F.binary_cross_entropy_with_logits(logits.float(), targets.to(logits.device), pos_weight=weight)


def average_precision(scores: Tensor, positive: Tensor) -> float:
    """Area under the precision-recall curve of `scores` (n,) for the labels `positive` (n,)."""
    ranked = positive[scores.argsort(descending=True)].double()
    precision = ranked.cumsum(0) / torch.arange(1, len(ranked) + 1)
    return float((precision * ranked).sum() / ranked.sum().clamp(min=1))


def video_batch(
    pool: ClipPool, rng: np.random.Generator, count: int, config: SynchformerConfig
) -> tuple[Tensor, Tensor]:
    """Normalised frames (N, F, 3, H, W) and targets (N, t_v, K + 1) of random segments."""
    centers, width = video_centers(config), video_width(config)
    places = [_place(pool, rng, "seen", index % 4 != 0) for index in range(count)]
    frames = np.stack([pool.video_segment(clip, start) for clip, start in places])
    targets = [
        token_targets(_events(pool, clip, "seen"), start / config.video_fps, centers, width) for clip, start in places
    ]
    return normalise_frames(torch.from_numpy(frames)), torch.from_numpy(np.stack(targets))


def audio_batch(
    pool: ClipPool, rng: np.random.Generator, count: int, config: SynchformerConfig
) -> tuple[Tensor, Tensor]:
    """Waveforms (N, n) and targets (N, t_a, K + 1) of random segments."""
    centers, width = audio_centers(config), audio_width(config)
    places = [_place(pool, rng, "heard", index % 4 != 0) for index in range(count)]
    waves: NDArray[np.float32] = np.stack([pool.audio_segment(clip, start) for clip, start in places])
    targets = [
        token_targets(_events(pool, clip, "heard"), start / config.video_fps, centers, width) for clip, start in places
    ]
    return torch.from_numpy(waves), torch.from_numpy(np.stack(targets))


def _events(pool: ClipPool, clip: int, stream: Stream) -> list[Event]:
    return [event for event in pool.scenes[clip].events if getattr(event, stream)]


def _place(pool: ClipPool, rng: np.random.Generator, stream: Stream, eventful: bool) -> tuple[int, int]:
    """A clip and a first frame; when `eventful`, the segment holds an event of the stream if the clip has any."""
    clip = int(rng.integers(len(pool)))
    length, total = pool.config.segment_frames, pool.frames.shape[1]
    events = _events(pool, clip, stream)
    if not (eventful and events):
        return clip, int(rng.integers(total - length + 1))
    event = events[int(rng.integers(len(events)))]
    start = int(event.time * pool.config.video_fps) - int(rng.integers(length))
    return clip, int(np.clip(start, 0, total - length))
