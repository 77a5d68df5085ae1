"""Moments of other clips in the place of a crop's own, where nothing happens that both streams hold.

A pool of some thousand clips is small: without this, stage II learns its clips by heart. What decides the offset, the
moments around the events that both crops hold, always stays. Picture and sound are filled from different clips, so that
what comes in cannot be matched. The module also meets what attribution by replacement (section 4.1) will show it.

Shape legend: B crops, S segments, t tokens per segment, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from synchformer.config import SynchformerConfig
from synthetic import Scene
from training.runtime.batches import Batch
from training.sampling.crops import CropPlace
from training.sampling.event_targets import TIME_BINS, audio_centers, video_centers
from training.sampling.revoicing import anchors

REACH = 0.35  # s around a shared event that is never replaced: half a segment sees it


def replace_moments(
    batch: Batch,
    crops: Sequence[CropPlace],
    scenes: Sequence[Scene],
    config: SynchformerConfig,
    rng: np.random.Generator,
    max_share: float,
) -> Batch:
    """Fill random moments of "video" (B, S, t_v, D) and "audio" (B, S, t_a, D) from the next crops of the batch.

    Args:
        batch: features of `crops`, and "when" (B, 2 * TIME_BINS) where events are asked for; it is filled alike.
        crops: where they were cut.
        scenes: the truth about the clips.
        config: sizes.
        rng: random numbers.
        max_share: the share of moments that may be replaced; every crop draws its own share below it.
    """
    decisive = [anchors(crop, scenes, config) for crop in crops]
    filled, when = dict(batch), []
    streams = (("video", 1, video_centers(config)), ("audio", 2, audio_centers(config)))
    span = config.span_frames / config.video_fps
    steps = np.arange(config.segments)[:, None] * config.segment_stride / config.video_fps
    for index, (name, ahead, centers) in enumerate(streams):
        keep = torch.from_numpy(np.stack([_kept(places[index], span, rng, max_share) for places in decisive]))
        moments = torch.from_numpy(((steps + centers) / span * TIME_BINS + 1e-6).astype(np.int64))
        filled[name] = torch.where(keep[:, moments][..., None], batch[name], batch[name].roll(ahead, 0))
        if "when" in batch:
            mine = batch["when"].unflatten(1, (2, TIME_BINS))[:, index]
            when.append(torch.where(keep, mine, mine.roll(ahead, 0)))
    return filled | ({"when": torch.cat(when, 1)} if when else {})


def _kept(events: list[float], span: float, rng: np.random.Generator, max_share: float) -> NDArray[np.bool_]:
    """Which of `TIME_BINS` moments of a crop of `span` seconds stay: (TIME_BINS,)."""
    middles = (np.arange(TIME_BINS) + 0.5) * span / TIME_BINS
    kept: NDArray[np.bool_] = rng.random(TIME_BINS) >= rng.uniform(0, max_share)
    for event in events:
        kept |= np.abs(middles - event) <= REACH
    return kept
