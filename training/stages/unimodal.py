"""Unimodal start: each encoder learns to say which event happens at which token.

The counterpart of the paper's AudioSet and Something-Something initialization (section B, table 2), which needs data
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
from synchformer.modeling.encoders import audio_encoder, video_encoder
from synchformer.stats.roc import average_precision
from synthetic import KINDS, Event
from training.augmentation.policy import light
from training.readers.pixel_reader import PixelReader, model_frames
from training.runtime.batches import Batch
from training.sampling.event_targets import audio_centers, audio_width, token_targets, video_centers, video_width
from training.stages.input_preview import input_picture
from training.stages.uncompiled_spectrograms import spectrograms

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
        """Normalized frames (N, F, 3, H, W) to logits (N, t_v, K + 1)."""
        result: Tensor = self.video_head(self.video_encoder(frames))
        return result

    def hear(self, waves: Tensor) -> Tensor:
        """Waveforms (N, n) to logits (N, t_a, K + 1)."""
        result: Tensor = self.audio_head(self.audio_encoder(spectrograms(waves, self.config)))
        return result


class UnimodalTask:
    """Binary cross-entropy of event presence per token and kind; `batch` segments of each stream a micro-batch."""

    name = "unimodal"
    chance = float("nan")  # depends on how rare events are; the average precision is the figure to watch
    course = "watch the average precision instead, which is logged beside what guessing reaches; the sound comes first"
    headline = "video_kind"
    partial = True

    def __init__(self, config: SynchformerConfig, clips: PixelReader, held_out: PixelReader, batch: int) -> None:
        self.config, self.clips, self.held_out, self.size = config, clips, held_out, batch
        self.heads = EventHeads(config)

    @property
    def module(self) -> EventHeads:
        """Encoders and heads."""
        return self.heads

    def batch(self, rng: np.random.Generator) -> Batch:
        """Segments of which three quarters hold an event; sound in some micro-batches only."""
        batch = video_batch(self.clips, rng, self.size, self.config, changed=True)
        if rng.random() >= HEARING:
            return batch
        return {**batch, **audio_batch(self.clips, rng, self.size, self.config, changed=True)}

    def ready(self, batch: Batch) -> Batch:
        """Pictures are changed where the model is."""
        return self.clips.ready(batch)

    def pictures(self) -> dict[str, Tensor]:
        """What training segments look like, and others sound like."""
        rng = np.random.Generator(np.random.PCG64(4))
        frames = self.ready(video_batch(self.clips, rng, SHOWN, self.config, changed=True))["frames"]
        waves = audio_batch(self.clips, rng, SHOWN, self.config, changed=True)["waves"]
        return {"fed": input_picture(frames, waves, self.config)}

    def validate(self) -> dict[str, float]:
        """Average precision of event tokens on held-out clips, with the level of chance."""
        rng = np.random.Generator(np.random.PCG64(1))
        seen, heard = (make(self.held_out, rng, 128, self.config) for make in (video_batch, audio_batch))
        device = next(self.heads.parameters()).device
        video = self.heads.see(model_frames(seen["frames"].to(device))).float().cpu()
        audio = self.heads.hear(heard["waves"].to(device)).float().cpu()
        return {**_precision("video", video, seen["seen"]), **_precision("audio", audio, heard["heard"])}


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


def video_batch(
    clips: PixelReader, rng: np.random.Generator, count: int, config: SynchformerConfig, changed: bool = False
) -> Batch:
    """Pictures of random segments (`PixelReader.video_segments`) and "seen" (N, t_v, K + 1): what tokens are to say."""
    places, targets = _drawn(clips, rng, count, "seen", video_centers(config), video_width(config))
    batch = {**clips.video_segments(places, changed), "seen": targets}
    return light(batch, rng) if changed else batch


def audio_batch(
    clips: PixelReader, rng: np.random.Generator, count: int, config: SynchformerConfig, changed: bool = False
) -> Batch:
    """Sound of random segments, "waves" (N, n), and "heard" (N, t_a, K + 1): what tokens are to say."""
    places, targets = _drawn(clips, rng, count, "heard", audio_centers(config), audio_width(config))
    batch = {"waves": clips.audio_segments(places), "heard": targets}
    return light(batch, rng) if changed else batch


def _drawn(
    clips: PixelReader,
    rng: np.random.Generator,
    count: int,
    stream: Stream,
    centers: NDArray[np.floating],
    width: float,
) -> tuple[list[tuple[int, int]], Tensor]:
    """Places of segments, three quarters of them with an event, and what their tokens are to say."""
    fps = clips.config.video_fps
    places = [_place(clips, rng, stream, index % 4 != 0) for index in range(count)]
    targets = [token_targets(_events(clips, clip, stream), start / fps, centers, width) for clip, start in places]
    return places, torch.from_numpy(np.stack(targets))


def _events(clips: PixelReader, clip: int, stream: Stream) -> list[Event]:
    if clips.scenes is None:
        raise ValueError("only generated clips tell when events happen; give --data synthetic:SEED")
    return [event for event in clips.scenes[clip].events if getattr(event, stream)]


def _place(clips: PixelReader, rng: np.random.Generator, stream: Stream, eventful: bool) -> tuple[int, int]:
    """A clip and a first frame; when `eventful`, the segment holds an event of the stream if the clip has any."""
    clip = clips.pick(rng)
    length, total = clips.config.segment_frames, clips.frames_of(clip)
    events = _events(clips, clip, stream)
    if not (eventful and events):
        return clip, int(rng.integers(total - length + 1))
    event = events[int(rng.integers(len(events)))]
    start = int(event.time * clips.config.video_fps) - int(rng.integers(length))
    return clip, int(np.clip(start, 0, total - length))
