"""Several sounds for one picture: the half of a crop that costs most to encode is encoded once.

Where extractors are trained, nine tenths of a step are frames. The same frames with other parts of the sound are other
crops, with other offsets, whose gradients are added where they meet.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from synchformer.config import SynchformerConfig
from training.crops import Crop, Timeline, class_shift, fitting, shared_events
from training.pixels import PixelClips, read_readable
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
    found, odds = list[Crop](), list[float]()
    for target in range(config.offset_classes):
        shift = class_shift(target, config)
        places = fitting(clips, config, crop.clip, shift)
        if crop.start in places:
            found.append(Crop(crop.clip, crop.start, crop.clip, crop.start + shift, target))
            odds.append(1 / len(places))
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

    def read(wanted: list[Crop]) -> Batch:
        return clips.read(wanted, config, rng)

    firsts = [draw() for _ in range(count // sounds)]
    batch = read_readable(firsts, lambda _: draw(), read)
    waves, crops = [batch["waves"]], [firsts]
    for _ in range(sounds - 1):
        others = [again(first) for first in firsts]
        waves.append(read_readable(others, firsts.__getitem__, read)["waves"])
        crops.append(others)
    ordered = [crop for group in zip(*crops, strict=True) for crop in group]
    targets = torch.tensor([crop.target for crop in ordered])
    return ordered, {**batch, "waves": torch.stack(waves, dim=1).flatten(0, 1), "target": targets}
