"""What decoding a little of a clip shows and its header does not: whether it decodes, and what is heard of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from synchformer.config import SynchformerConfig
from synchformer.errors import sentence_of
from synchformer.inference.crop_checks import is_silent
from synchformer.media.probe import Media, MediaInfo
from training.datasets.source import Sample, Source

LENGTH = 2.0  # s that are decoded at the beginning, in the middle and at the end


@dataclass(frozen=True)
class Probe:
    """What a look into one clip gave: its streams, or a sentence about why not.

    Attributes:
        info: the clip's streams; None where it cannot be read.
        error: why not.
        faults: kinds of what was decoded and is not as it should be, in words; no names and numbers in them.
        is_silent: whether nothing was heard in any part that was decoded.
    """

    info: MediaInfo | None
    error: str = ""
    faults: tuple[str, ...] = ()
    is_silent: bool = False


def probe_sample(source: Source, sample: Sample) -> Probe:
    """Look into one clip without decoding it."""
    try:
        return Probe(source.info(sample))
    except (ValueError, OSError, MemoryError) as error:
        return Probe(None, sentence_of(error))


def decode_sample(source: Source, config: SynchformerConfig, sample: Sample) -> Probe:
    """Look into one clip and decode `LENGTH` seconds of it in three places, or all of a short one."""
    try:
        with source.open(sample) as clip:
            info = clip.info
            parts = [clip.read_for_model(config, start, stop) for start, stop in places(info)]
    except (ValueError, OSError, MemoryError) as error:
        return Probe(None, sentence_of(error))
    faults = dict.fromkeys(fault for part in parts for fault in _faults(part))
    return Probe(info, faults=tuple(faults), is_silent=all(is_silent(part.audio) for part in parts))


def places(info: MediaInfo) -> list[tuple[float, float]]:
    """Begin and end, in seconds, of the parts that are decoded; of what both streams reach into."""
    end = min(info.video.stop, info.audio.stop)
    if end <= 3 * LENGTH:
        return [(0.0, end)]
    return [(start, start + LENGTH) for start in (0.0, (end - LENGTH) / 2, end - LENGTH)]


def _faults(part: Media) -> Iterator[str]:
    """What the notes of a part say but for which tracks were measured, the same for all clips that have it."""
    info = part.info
    tracks = {track.sentence for track in (info.video_track, info.audio_track) if track is not None}
    for note in part.notes:
        if note not in tracks:
            yield re.sub(r"\d+(\.\d+)?", "N", note.removeprefix(info.path.name).strip(" :."))
