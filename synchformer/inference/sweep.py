"""The same picture under many offsets: decoded and encoded once, and so is every segment of sound.

A segment's features depend on its own samples alone. Two crops whose sound is moved by whole frames share every segment
that begins at the same sample: the 101 crops of -2 to +2 s in steps of 0.04 s have 205 segments in all, not 1,414.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from synchformer.config import Precision
from synchformer.inference.engine import device_of, encode_sounds, naming, timed
from synchformer.inference.prediction import Encoding, Prediction, Timing, decide, decide_all, encode
from synchformer.media.crop import Crop, cut_crop
from synchformer.media.decode import open_media
from synchformer.media.probe import Media
from synchformer.modeling.synchformer import TwoStreams


@dataclass
class Sounds:
    """One picture's features, and those of the segments of its sound that were encoded so far.

    `segments` holds features (t_a, D) by the sample, on the file's clock, at which a segment begins.
    """

    picture: Encoding
    segments: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, clip: Crop, encoding: Encoding) -> Sounds:
        """Begin with a clip whose picture and sound were encoded together."""
        return cls(encoding, dict(zip(_begins(clip), encoding.audio_features[0], strict=True)))

    @property
    def size(self) -> int:
        """Bytes that the features occupy; the picture's are counted with `picture`."""
        return sum(part.numel() * part.element_size() for part in self.segments.values())

    def encode(self, model: TwoStreams, clips: Sequence[Crop], *, precision: Precision = "auto") -> list[Encoding]:
        """Encode clips of this picture under other offsets: only the segments of sound that are new.

        Each clip is charged an equal part of the seconds.

        Raises:
            MediaError: as `synchformer.inference.prediction.encode`.
        """
        waves = {begin: wave for clip in clips for begin, wave in _waves(clip) if begin not in self.segments}
        seconds = 0.0
        if waves:
            sounds = torch.stack(list(waves.values()))
            with naming(clips[0].path):
                features, seconds = timed(device_of(model), lambda: encode_sounds(model, sounds, precision))
            self.segments |= zip(waves, features, strict=True)
        timing = Timing(audio=seconds / len(clips))
        heard = [torch.stack([self.segments[begin] for begin in _begins(clip)])[None] for clip in clips]
        video = self.picture.video_features
        return [Encoding(video, audio, clip.offset, timing) for clip, audio in zip(clips, heard, strict=True)]

    def ask(self, model: TwoStreams, clips: Sequence[Crop], *, precision: Precision = "auto") -> list[Prediction]:
        """The distributions over offsets for clips of this picture; see `encode`."""
        return decide_all(model, self.encode(model, clips, precision=precision), precision=precision)


def _begins(clip: Crop) -> list[int]:
    """The sample, on the file's clock, at which each segment of the sound begins."""
    first = round(clip.audio_start * clip.config.sample_rate)
    return [first + frame * clip.config.samples_per_frame for frame in clip.config.segment_starts]


def _waves(clip: Crop) -> Iterator[tuple[int, Tensor]]:
    """Where each segment begins, and its samples (n,)."""
    first = round(clip.audio_start * clip.config.sample_rate)
    for begin in _begins(clip):
        yield begin, clip.audio[begin - first : begin - first + clip.config.segment_samples]


def read_around(model: TwoStreams, path: str | Path, start: float, reach: float | None = None) -> Media:
    """Decode what a crop at `start` needs when its sound moves by up to `reach` seconds either way, as far as it goes.

    Args:
        model: whose sizes the frames and samples get.
        path: a video file with sound.
        start: first second of the picture.
        reach: seconds; None for the model's largest offset.

    Raises:
        MediaError: as `read_media`.
    """
    config = model.config
    reach = config.max_offset if reach is None else reach
    with open_media(path) as file:
        return file.read_for_model(config, max(0.0, start - reach), start + config.crop_seconds + reach)


def sweep(
    model: TwoStreams, media: Media, start: float, offsets: Sequence[float], *, precision: Precision = "auto"
) -> Iterator[Prediction]:
    """Predict one crop under each of `offsets` (seconds, above zero: the sound is made early), in their order.

    Raises:
        MediaError: when the sound of an offset lies outside `media`.
        ValueError: as `predict`.
    """
    sounds = None
    for offset in offsets:
        clip = cut_crop(media, start, offset, config=model.config)
        if sounds is None:
            encoding = encode(model, clip, precision=precision)
            sounds = Sounds.of(clip, encoding)
            yield decide(model, encoding, precision=precision)
        else:
            yield from sounds.ask(model, [clip], precision=precision)
