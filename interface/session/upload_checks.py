"""What a video lacks, said before anyone trusts a number: files that cannot be used, and crops that prove nothing.

A file that cannot be used is an error, one sentence. A crop in which nothing can be heard or nothing moves is measured
all the same, and `notes_on_clip` says why its answer means nothing.
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from interface.session import limits
from synchformer.config import SynchformerConfig
from synchformer.media.crop import Crop, possible_starts
from synchformer.media.probe import MediaError, MediaInfo, probe
from synchformer.offsets.timeline import clock

LONG_FILE = 60.0  # s from which on the visitor reads that the start is theirs to choose
QUIETEST = 2.0**-15  # peak below the smallest step of 16-bit sound: digital silence
BLOCK = 8  # pixels: an encoder's own noise averages out over a block of this side
STILL_LEVELS = 3.0  # of 255, by which a block of a still picture may change through its encoding


def check_file(path: str | Path, config: SynchformerConfig, *, max_bytes: int = limits.MAX_UPLOAD_BYTES) -> MediaInfo:
    """Look at an uploaded file without decoding it; its name and suffix are not believed.

    Args:
        path: the file.
        config: sizes of the model; a crop must fit.
        max_bytes: bytes allowed.

    Raises:
        MediaError: too large, no video with sound, too short for one crop, or frames too large; one sentence.
    """
    path = Path(path)
    size = path.stat().st_size if path.is_file() else 0
    if size > max_bytes:
        raise MediaError(
            f"{path.name} has {_bytes(size)}, and at most {_bytes(max_bytes)} are taken; cut out the part in question"
        )
    info = probe(path)
    if info.width * info.height > limits.MAX_FRAME_PIXELS:
        raise MediaError(
            f"the frames of {path.name} are {info.width} x {info.height} pixels, more than can be handled here; "
            "scale the video down"
        )
    possible_starts(info, config)
    return info


def notes_on_file(info: MediaInfo, config: SynchformerConfig) -> tuple[str, ...]:
    """Sentences about a usable file that its owner should know."""
    if info.seconds < LONG_FILE:
        return ()
    return (
        f"This video lasts {clock(info.seconds)}, of which {config.crop_seconds:.3g} s are looked at: choose where "
        "they start.",
    )


def notes_on_clip(clip: Crop) -> tuple[str, ...]:
    """Sentences about a crop that its owner should know: what its reader noted, and what it lacks."""
    return (*clip.notes, *lacks(clip))


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


def _bytes(count: int) -> str:
    for unit, size in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
