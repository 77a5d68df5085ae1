"""Sound of another clip, one of whose events is heard when one of the picture's should be: kinds then tell nothing.

A clip's events sound as they look, so that stage II learns which sound belongs to which look, and cannot compare looks
and sounds that it has never met. On such crops only the moment tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product

import numpy as np

from synchformer.config import SynchformerConfig
from synthetic import Scene
from training.sampling.clips import Clips
from training.sampling.crops import TRIES, CropError, CropPlace, draw_offset, intervals

EXACT = 0.03  # s between where a sound is and where it should be, at most: more than half a frame

Positions = tuple[list[float], list[float]]
"""Seconds of the crop at which something is seen, and at which something is heard."""


def draw_revoiced(
    clips: Clips, scenes: Sequence[Scene], config: SynchformerConfig, rng: np.random.Generator
) -> CropPlace:
    """A uniform offset class, with the sound of another clip: one of its events is heard in the place of a shared one.

    No other class has as many pairs of something seen and something heard that speak for it.

    Args:
        clips: what to draw from.
        scenes: the truth about them.
        config: sizes; the grid of offsets.
        rng: random numbers.

    Raises:
        CropError: when no such crop is found, such as among fewer than two clips.
    """
    for _ in range(TRIES):
        own = draw_offset(clips, config, rng, True)
        other = clips.pick(rng)
        heard = [event for event in scenes[other].events if event.heard]
        if other == own.clip or not heard:
            continue
        _, moments = anchors(own, scenes, config)
        moment, comes = moments[int(rng.integers(len(moments)))], heard[int(rng.integers(len(heard)))]
        sound = round((comes.time - moment) * config.video_fps)
        if not 0 <= sound <= clips.last_sound(other, config.span_frames):
            continue
        crop = CropPlace(own.clip, own.start, other, sound, own.target)
        if _speaks_for(crop, scenes, config) == crop.target:
            return crop
    raise CropError(
        f"no sound of another clip that fits the picture was found in {TRIES} draws from {len(clips)} clips; train on "
        "more clips, or without --revoice"
    )


def anchors(crop: CropPlace, scenes: Sequence[Scene], config: SynchformerConfig) -> Positions:
    """Where in the crop what decides its offset is seen and heard; nowhere when picture and sound share nothing."""
    if crop.clip == crop.sound_clip:
        shared = scenes[crop.clip].shared_events(*intervals(crop, config))
        begins = (crop.start / config.video_fps, crop.sound / config.video_fps)
        seen, heard = ([event.time - begin for event in shared] for begin in begins)
        return seen, heard
    offset = config.grid[crop.target]
    pairs = [(s, h) for s, h in product(*_positions(crop, scenes, config)) if abs(s - h - offset) <= EXACT]
    return [s for s, _ in pairs], [h for _, h in pairs]


def _positions(crop: CropPlace, scenes: Sequence[Scene], config: SynchformerConfig) -> Positions:
    picture, sound = intervals(crop, config)
    seen = [e.time - picture[0] for e in scenes[crop.clip].events if e.seen and picture[0] <= e.time < picture[1]]
    heard = [e.time - sound[0] for e in scenes[crop.sound_clip].events if e.heard and sound[0] <= e.time < sound[1]]
    return seen, heard


def _speaks_for(crop: CropPlace, scenes: Sequence[Scene], config: SynchformerConfig) -> int | None:
    """The class for which most pairs speak, or None when that is not one alone."""
    reach = config.max_offset + config.offset_step / 2
    lags = (s - h for s, h in product(*_positions(crop, scenes, config)))
    votes = Counter(config.offset_class(lag) for lag in lags if abs(lag) <= reach).most_common(2)
    if not votes or (len(votes) > 1 and votes[0][1] == votes[1][1]):
        return None
    return votes[0][0]
