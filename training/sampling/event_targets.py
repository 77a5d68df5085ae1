"""What the truth table says about each token of a segment: the targets of the unimodal start.

Shape legend: N segments, t tokens, K kinds of event.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synchformer.config import HOP_SECONDS, RESNET_STRIDE, S3D_STRIDE, SynchformerConfig
from synthetic import KINDS, Event

VIDEO_WIDTH = 0.08  # s: a token's target falls from 1 to 0 over this distance between its center and the event
AUDIO_WIDTH = 0.10
TIME_BINS = 48  # bins of 0.1 s over the 4.8 s that the segments cover


def video_width(config: SynchformerConfig) -> float:
    """The distance (seconds) for the config's video tokens: 0.08, or the distance between S3D's."""
    return VIDEO_WIDTH if config.extractors == "transformers" else S3D_STRIDE / config.video_fps


def audio_width(config: SynchformerConfig) -> float:
    """The distance (seconds) for the config's audio tokens: 0.10, or the distance between ResNet-18's."""
    return AUDIO_WIDTH if config.extractors == "transformers" else RESNET_STRIDE * HOP_SECONDS


def video_centers(config: SynchformerConfig) -> NDArray[np.floating]:
    """Time of each video token's middle, from its segment's start in seconds: (t_v,)."""
    return np.array(config.video_centers)


def audio_centers(config: SynchformerConfig) -> NDArray[np.floating]:
    """Time of each audio token's middle, from its segment's start in seconds: (t_a,)."""
    return np.array(config.audio_centers)


def token_targets(
    events: list[Event], start: float, centers: NDArray[np.floating], width: float
) -> NDArray[np.float32]:
    """Presence of events at each token: (t, K + 1), a column per kind and one for any kind.

    A value rises linearly to 1 from `width` seconds before an event falls on the token's center, and back to 0 after.
    """
    targets = np.zeros((len(centers), len(KINDS) + 1), dtype=np.float32)
    for event in events:
        near = np.clip(1 - np.abs(start + centers - event.time) / width, 0, 1)
        for column in (KINDS.index(event.kind), len(KINDS)):
            targets[:, column] = np.maximum(targets[:, column], near)
    return targets


def time_bins(events: list[Event], start: float, length: float, bins: int) -> NDArray[np.float32]:
    """Whether an event falls into each of `bins` equal parts of [start, start + length): (bins,)."""
    occupied = np.zeros(bins, dtype=np.float32)
    for event in events:
        position = (event.time - start) / length
        if 0 <= position < 1:
            occupied[int(position * bins)] = 1
    return occupied
