"""Several sounds for one picture: the half of a crop that costs most to encode is encoded once.

Where extractors are trained, nine tenths of a step are frames. The same frames with other parts of the sound are other
crops, with other offsets, whose gradients are added where they meet.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from synchformer.config import SynchformerConfig
from training.readers.base import CropReader, read_readable
from training.runtime.batches import Batch
from training.sampling.crops import CropPlace


def read_sounds(
    clips: CropReader,
    draw: Callable[[], CropPlace],
    again: Callable[[CropPlace], CropPlace],
    count: int,
    sounds: int,
    config: SynchformerConfig,
    rng: np.random.Generator,
) -> tuple[list[CropPlace], Batch]:
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

    def read(wanted: list[CropPlace]) -> Batch:
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
