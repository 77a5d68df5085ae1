"""What decoding a little of a clip shows and its header does not: whether it decodes, and what is heard of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from synchformer.config import SynchformerConfig
from synchformer.errors import sentence_of
from synchformer.media.probe import Media, MediaInfo
from training.datasets.source import Sample, Source

LENGTH = 2.0  # s that are decoded at the beginning, in the middle and at the end
QUIETEST = 2.0**-15  # peak below the smallest step of 16-bit sound: digital silence


@dataclass(frozen=True)
class Probe:
    """What a look into one clip gave: its streams, or a sentence about why not.

    Attributes:
        info: the clip's streams; None where it cannot be read.
        error: why not.
        notes: sentences about what was decoded and is not as it should be.
        is_silent: whether nothing was heard in any part that was decoded.
    """

    info: MediaInfo | None
    error: str = ""
    notes: tuple[str, ...] = ()
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
    notes = dict.fromkeys(note for part in parts for note in _notes(part))
    return Probe(info, notes=tuple(notes), is_silent=all(_is_silent(part) for part in parts))


def places(info: MediaInfo) -> list[tuple[float, float]]:
    """Begin and end, in seconds, of the parts that are decoded; of what both streams reach into."""
    end = min(info.video.stop, info.audio.stop)
    if end <= 3 * LENGTH:
        return [(0.0, end)]
    return [(start, start + LENGTH) for start in (0.0, (end - LENGTH) / 2, end - LENGTH)]


def _notes(part: Media) -> tuple[str, ...]:
    if torch.isfinite(part.audio.square()).all():  # a model asks for the power of the sound
        return part.notes
    return (*part.notes, f"{part.info.path.name}: its sound holds samples that are no numbers, or beyond all loudness.")


def _is_silent(part: Media) -> bool:
    return not part.audio.numel() or bool(part.audio.abs().max() < QUIETEST)
