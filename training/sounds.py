"""Several sounds for one picture: the half of a crop that costs most to encode is encoded once.

Where extractors are trained, nine tenths of a step are frames. The same frames with other parts of the sound are other
crops, with other offsets, whose gradients are added where they meet.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from synchformer.config import SynchformerConfig
from training.crops import Crop, Timeline, class_shift, shared_events
from training.pixels import PixelClips, UnreadableError, read_readable
from training.task import Batch


def draw_sound(
    clips: Timeline, config: SynchformerConfig, rng: np.random.Generator, crop: Crop, provable: bool
) -> Crop:
    """Another offset for the picture of a crop that `draw_offset` drew, as likely as it would have been drawn with it.

    So offsets stay uniform, although some of them fit at few places of a clip. The picture stands still.

    Args:
        clips: what the crop was drawn from.
        config: sizes; the grid of offsets.
        rng: random numbers.
        crop: whose picture it is for.
        provable: whether both must hold the same event, where that is known and there is such an offset.
    """
    starts, last = clips.starts(crop.clip, config.span_frames), clips.last_sound(crop.clip, config.span_frames)
    found, odds = list[Crop](), list[float]()
    for target in range(config.offset_classes):
        shift = class_shift(target, config)
        other = Crop(crop.clip, crop.start, crop.clip, crop.start + shift, target)
        if 0 <= other.sound <= last:
            found.append(other)
            odds.append(1 / np.count_nonzero((starts + shift >= 0) & (starts + shift <= last)))
    if provable:
        proven = [shared_events(clips, config, other) != 0 for other in found]
        odds = [chance * held for chance, held in zip(odds, proven, strict=True)] if any(proven) else odds
    return found[int(rng.choice(len(found), p=np.array(odds) / sum(odds)))]


def read_sounds(
    clips: PixelClips,
    draw: Callable[[], Crop],
    again: Callable[[Crop], Crop],
    count: int,
    sounds: int,
    config: SynchformerConfig,
    rng: np.random.Generator,
) -> tuple[list[Crop], Batch]:
    """`count` crops with `sounds` of them to a picture, and what is read of them.

    Args:
        clips: what is read.
        draw: draws a crop.
        again: draws another sound for its picture.
        count: crops, a multiple of `sounds`.
        sounds: crops that have the same picture, one after the other.
        config: sizes of the crops.
        rng: random numbers for what is changed.

    Returns:
        The crops, and "frames" (count / sounds, S, F, 3, H, W), "waves" (count, S, n) and "target" (count,). A sound
        that cannot be read is replaced by the one that its picture was drawn with.

    Raises:
        CropError: when pictures cannot be read, time and again.
    """
    firsts = [draw() for _ in range(count // sounds)]
    batch = read_readable(firsts, draw, lambda wanted: clips.read(wanted, config, rng))
    waves, crops = [batch["waves"]], [firsts]
    for _ in range(sounds - 1):
        others = [again(first) for first in firsts]
        waves.append(_read_waves(clips, others, firsts, config, rng))
        crops.append(others)
    ordered = [crop for group in zip(*crops, strict=True) for crop in group]
    targets = torch.tensor([crop.target for crop in ordered])
    return ordered, {**batch, "waves": torch.stack(waves, dim=1).flatten(0, 1), "target": targets}


def _read_waves(
    clips: PixelClips, crops: list[Crop], firsts: list[Crop], config: SynchformerConfig, rng: np.random.Generator
) -> torch.Tensor:
    while True:
        try:
            return clips.read(crops, config, rng)["waves"]
        except UnreadableError as error:
            if crops[error.place] == firsts[error.place]:
                raise
            crops[error.place] = firsts[error.place]
