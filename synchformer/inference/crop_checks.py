"""Crops that prove no offset, whatever a model answers: nothing can be heard in them, or nothing moves.

Shape legend: T frames, H x W pixels, n samples.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from synchformer.media.crop import Crop

QUIETEST = 2.0**-15  # peak below the smallest step of 16-bit sound: digital silence
BLOCK = 8  # pixels: an encoder's own noise averages out over a block of this side
STILL_LEVELS = 3.0  # of 255, by which a block of a still picture may change through its encoding


def lacks(clip: Crop, *, still: bool | None = None) -> tuple[str, ...]:
    """Sentences about what a crop lacks; one that lacks anything proves no offset, whatever the model answers.

    Args:
        clip: the crop.
        still: what `is_still` says of its picture, where that is known from another offset.
    """
    length = f"{clip.config.crop_seconds:.3g} s"
    missing = []
    if is_silent(clip.audio):
        missing.append(
            f"Nothing can be heard in these {length}: the sound is digital silence. Choose another start, or check "
            "whether the track was muted."
        )
    if is_still(clip.video) if still is None else still:
        missing.append(
            f"The picture never changes in these {length}, so no sound can be matched to it. Choose another start."
        )
    return tuple(missing)


def is_silent(audio: Tensor) -> bool:
    """Whether samples (n,) stay below the smallest step of 16-bit sound."""
    return not audio.numel() or bool(audio.abs().max() < QUIETEST)


def is_still(video: Tensor) -> bool:
    """Whether frames, uint8 (T, 3, H, W), show one picture all the time, but for the noise of its encoding."""
    blocks = F.avg_pool2d(video.float(), min(BLOCK, *video.shape[-2:]))  # (T, 3, H / 8, W / 8)
    return bool((blocks.amax(0) - blocks.amin(0)).max() <= STILL_LEVELS)
