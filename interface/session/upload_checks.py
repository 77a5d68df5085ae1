"""What a video lacks, said before anyone trusts a number: files that cannot be used, and crops that prove nothing.

A file that cannot be used is an error, one sentence. A crop in which nothing can be heard or nothing moves is measured
all the same, and `notes_on_clip` says why its answer means nothing.
"""

from __future__ import annotations

from pathlib import Path

from interface.session import limits
from synchformer.config import SynchformerConfig
from synchformer.inference.crop_checks import lacks
from synchformer.media.crop import Crop, possible_starts
from synchformer.media.probe import MediaError, MediaInfo, probe
from synchformer.offsets.timeline import clock

LONG_FILE = 60.0  # s from which on the visitor reads that the start is theirs to choose


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


def _bytes(count: int) -> str:
    for unit, size in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
