"""Units of attribution: stretches of time, and which tokens, frames and samples each of them owns.

All times are seconds from the start of the crop, on the clock of the stream itself: the sound of a crop with an
applied offset is taken from elsewhere in the file. `Crop.video_start` and `Crop.audio_start` lead to the file's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attribution.settings import Modality
from synchformer.config import SynchformerConfig

SLACK = 1e-6  # s: a center that falls on an edge belongs to the later unit, whatever floats make of it


@dataclass(frozen=True)
class Unit:
    """A stretch of one stream: from `begin` to `end` seconds of the crop.

    `tokens` are the places it owns in the sequence of the synchronization module. Segments overlap, so that one moment
    owns several of them.
    """

    modality: Modality
    begin: float
    end: float
    tokens: tuple[int, ...]

    @property
    def middle(self) -> float:
        """Seconds from the start of the crop to the unit's middle."""
        return (self.begin + self.end) / 2


def token_times(config: SynchformerConfig, modality: Modality) -> tuple[float, ...]:
    """Center of every token of a stream in seconds of the crop, segment by segment: S * t values."""
    starts = [first / config.video_fps for first in config.segment_starts]
    inside = config.video_centers if modality == "video" else config.audio_centers
    return tuple(start + time for start in starts for time in inside)


def token_places(config: SynchformerConfig, modality: Modality) -> range:
    """Where a stream's tokens stand in the sequence [class, video, separator, audio]."""
    video = config.segments * config.video_steps
    if modality == "video":
        return range(1, 1 + video)
    return range(2 + video, 2 + video + config.segments * config.audio_steps)


def make_units(config: SynchformerConfig, modalities: Sequence[Modality], seconds: float) -> tuple[Unit, ...]:
    """Cut the crop into units; one that owns no token (outside the segments) is left out.

    Args:
        config: sizes of the model.
        modalities: streams to cut, in this order.
        seconds: length of a unit.
    """
    units: list[Unit] = []
    for modality in modalities:
        owned: dict[int, list[int]] = {}
        places = token_places(config, modality)
        for place, time in zip(places, token_times(config, modality), strict=True):
            owned.setdefault(int((time + SLACK) / seconds), []).append(place)
        units += [
            Unit(modality, round(index * seconds, 6), round((index + 1) * seconds, 6), tuple(owned[index]))
            for index in sorted(owned)
        ]
    return tuple(units)


def token_owners(units: Sequence[Unit], length: int) -> Tensor:
    """For every place of the sequence the unit that owns it, or `len(units)` for nobody: int64 (length,)."""
    owners = torch.full((length,), len(units), dtype=torch.int64)
    for index, unit in enumerate(units):
        owners[list(unit.tokens)] = index
    return owners


def moment_owners(units: Sequence[Unit], modality: Modality, count: int, rate: float) -> Tensor:
    """For each of `count` frames or samples the unit in which its middle lies, or `len(units)`: int64 (count,)."""
    times = (torch.arange(count, dtype=torch.float64) + 0.5) / rate + SLACK
    owners = torch.full((count,), len(units), dtype=torch.int64)
    for index, unit in enumerate(units):
        if unit.modality == modality:
            owners[(times >= unit.begin) & (times < unit.end)] = index
    return owners


def spread(keep: Tensor, owners: Tensor) -> Tensor:
    """Masks over units (N, U) to masks over what they own (N, n); what nobody owns is kept."""
    return torch.cat([keep, keep.new_ones(len(keep), 1)], dim=1)[:, owners]
