"""Stage I, Segment AVCLIP: segments of the same moment attract, all others repel (section 3.2, equation 4)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.modeling.segment_avclip import SegmentAVCLIP, segment_count, window_precision
from training.readers.base import read_readable
from training.readers.pixel_reader import PixelReader, model_frames
from training.runtime.batches import Batch, prefetched
from training.sampling.crops import TRIES, CropError, CropPlace
from training.stages.input_preview import input_picture
from training.stages.uncompiled_spectrograms import spectrograms
from training.stages.unimodal import EventHeads, audio_batch, event_loss, video_batch

KEEP_EVENTS = 4  # segments per stream and clip on which the unimodal start's loss is kept
EVENTS = {"frames": "seen_frames", "rows": "seen_rows", "look": "seen_look", "waves": "heard_waves"}
"""What these segments are called in a batch, beside those of clips."""
VALIDATION_CLIPS = 24


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
        mel = spectrograms(batch["waves"], self.config)
        contrastive = self.avclip.contrastive_loss(model_frames(batch["frames"]), mel)
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
        self,
        config: SynchformerConfig,
        clips: PixelReader,
        held_out: PixelReader,
        batch: int,
        heads: EventHeads | None = None,
        *,
        valid_clips: int = VALIDATION_CLIPS,
        loaders: int = 0,
    ) -> None:
        """Stage I on `clips`; `heads` need clips with a truth table.

        Raises:
            ValueError: when there are heads and the clips have none.
        """
        if heads is not None and clips.scenes is None:
            raise ValueError("only generated clips tell when events happen; train stage I without event heads")
        self.config, self.clips, self.held_out, self.size = config, clips, held_out, batch
        self.valid_clips, self.loaders = valid_clips, loaders
        self.stage = Stage1(config, heads)
        self.chance = math.log(batch * segment_count(config))

    @property
    def module(self) -> Stage1:
        """Segment AVCLIP and the event heads."""
        return self.stage

    def batch(self, rng: np.random.Generator) -> Batch:
        """Segments of random clips, changed at random, and segments with event targets where there are heads."""
        batch = clip_batch(self.clips, rng, self.size, changed=True)
        if self.stage.heads is None:
            return batch
        events = {
            **video_batch(self.clips, rng, KEEP_EVENTS * self.size, self.config, changed=True),
            **audio_batch(self.clips, rng, KEEP_EVENTS * self.size, self.config, changed=True),
        }
        return {**batch, **{EVENTS.get(name, name): value for name, value in events.items()}}

    def ready(self, batch: Batch) -> Batch:
        """Pictures are changed where the model is."""
        return self.clips.ready(self.clips.ready(batch), "seen_")

    def validate(self) -> dict[str, float]:
        """Contrastive loss and precision of shifted windows on held-out clips, with the levels of chance."""
        avclip, losses, precisions = self.stage.avclip, [], []
        for batch in prefetched(self._held_out_batch, range(-(-self.valid_clips // self.size)), self.loaders):
            frames, mel = self._input(batch)
            losses.append(float(avclip.contrastive_loss(frames, mel)))
            video, audio = (part.unflatten(0, frames.shape[:2]) for part in avclip.embed(frames, mel))
            precisions.append(float(window_precision(video, audio, self.window).mean()))
        return {
            "contrastive": float(np.mean(losses)),
            "chance": self.chance,
            "window_precision": float(np.mean(precisions)),
            "window_precision_chance": 1 / (segment_count(self.config) - self.window + 1),
        }

    def _held_out_batch(self, index: int) -> Batch:
        return clip_batch(self.held_out, np.random.Generator(np.random.PCG64([2, index])), self.size)

    def _input(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Normalized frames (B, S, F, 3, H, W) and spectrograms (B, S, M, C), where the parameters are."""
        device = next(self.stage.parameters()).device
        return model_frames(batch["frames"].to(device)), spectrograms(batch["waves"].to(device), self.config)

    @property
    def window(self) -> int:
        """Segments of a shifted window: 8 of 14, and as large a part of any other number."""
        return max(1, round(segment_count(self.config) * 8 / 14))

    def pictures(self) -> dict[str, Tensor]:
        """Similarities of every picture segment (row) with every sound segment (column) of held-out clips, and what a
        training clip looks and sounds like.
        """
        similarity = self.stage.avclip(*self._input(self._held_out_batch(0)))
        similarity = similarity * self.stage.avclip.temperature  # cosines
        picture = ((similarity.float().cpu() + 1) / 2).repeat_interleave(8, 0).repeat_interleave(8, 1)
        preview = self.clips.ready(clip_batch(self.clips, np.random.Generator(np.random.PCG64(4)), 1, changed=True))
        return {
            "similarity": picture.expand(3, -1, -1),
            "fed": input_picture(preview["frames"][0], preview["waves"][0], self.config),
        }


def clip_batch(clips: PixelReader, rng: np.random.Generator, count: int, changed: bool = False) -> Batch:
    """Rows of non-overlapping segments: "frames" (B, S, F, 3, H, W) and "waves" (B, S, n).

    A row is 8.96 s of one random clip; where a clip is shorter, segments of further clips fill it.

    Args:
        clips: clips of at least one segment.
        rng: random numbers.
        count: rows.
        changed: whether they are changed at random, for training.

    Raises:
        CropError: when clip after clip cannot be read.
    """
    segments, stride = segment_count(clips.config), clips.config.segment_frames
    random = rng if changed else None
    rows = [_pieces(clips, rng, segments) for _ in range(count)]
    if all(len(row) == 1 for row in rows):
        return read_readable(
            [crop for row in rows for crop, _ in row],
            lambda _: _another(clips, rng, segments),
            lambda wanted: clips.segments(wanted, segments, stride, random),
        )
    return _stacked([_stacked([_read_piece(clips, *piece, rng, random) for piece in row], 1) for row in rows], 0)


def _pieces(clips: PixelReader, rng: np.random.Generator, segments: int) -> list[tuple[CropPlace, int]]:
    """Crops of random clips with so many segments together, each with its number of them."""
    pieces = list[tuple[CropPlace, int]]()
    while segments:
        pieces.append(_side_by_side(clips, rng, segments))
        segments -= pieces[-1][1]
    return pieces


def _read_piece(
    clips: PixelReader, crop: CropPlace, count: int, rng: np.random.Generator, random: np.random.Generator | None
) -> Batch:
    return read_readable(
        [crop],
        lambda _: _another(clips, rng, count),
        lambda wanted: clips.segments(wanted, count, clips.config.segment_frames, random),
    )


def _stacked(parts: list[Batch], dim: int) -> Batch:
    return {name: torch.cat([part[name] for part in parts], dim) for name in parts[0]}


def _another(clips: PixelReader, rng: np.random.Generator, segments: int) -> CropPlace:
    """A crop of so many segments, in place of one that cannot be read.

    Raises:
        CropError: when no clip that was drawn is long enough.
    """
    for _ in range(TRIES):
        crop, count = _side_by_side(clips, rng, segments)
        if count == segments:
            return crop
    raise CropError(f"no clip of {segments} segments was drawn in {TRIES} tries; use longer clips")


def _side_by_side(clips: PixelReader, rng: np.random.Generator, segments: int) -> tuple[CropPlace, int]:
    """Picture and sound of a random clip from the same random frame on: of `segments`, or as many as it holds."""
    clip, each = clips.pick(rng), clips.config.segment_frames
    count = min(segments, clips.frames_of(clip) // each)
    start = int(rng.integers(clips.frames_of(clip) - count * each + 1))
    return CropPlace(clip, start, clip, start, 0), count
