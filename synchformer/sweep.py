"""The same picture under many offsets: decoded and encoded once, only the sound is encoded again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from synchformer.clip import cut_clip
from synchformer.decode import read_media
from synchformer.media import Media
from synchformer.model import TwoStreams
from synchformer.prediction import Precision, Prediction, decide, encode


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
    return read_media(
        path,
        start=max(0.0, start - reach),
        stop=start + config.crop_seconds + reach,
        short_side=config.short_side,
        video_fps=config.video_fps,
        sample_rate=config.sample_rate,
    )


def sweep(
    model: TwoStreams, media: Media, start: float, offsets: Sequence[float], *, precision: Precision = "auto"
) -> Iterator[Prediction]:
    """Predict one crop under each of `offsets` (seconds, above zero: the sound is made early), in their order.

    Raises:
        MediaError: when the sound of an offset lies outside `media`.
        ValueError: as `predict`.
    """
    kept = None
    for offset in offsets:
        kept = encode(model, cut_clip(media, start, offset, config=model.config), precision=precision, like=kept)
        yield decide(model, kept, precision=precision)
