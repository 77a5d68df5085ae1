"""A crop of a video as the model sees it: 5 s of picture, and 5 s of sound that may be taken from another place.

Offset > 0: the sound that belongs `offset` seconds later in the file is heard now, so it runs ahead (too early).
Offset < 0: the sound lags.

Shape legend: T frames, H x W pixels, n samples, S segments, F frames per segment, M mel bands, C spectrogram columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from synchformer.config import BASE, SynchformerConfig
from synchformer.media.decode import open_media
from synchformer.media.preprocess import mel_spectrogram, normalize_frames, normalize_frames_as_published
from synchformer.media.probe import Gap, Media, MediaError, MediaInfo
from synchformer.media.tracks import Kind

SPARE = 0.1  # s that a stream may end too early: the last frame is held, the sound is silent
PUBLISHED_SLACK = 640  # samples: the published code moves a start that is at most a frame before 0 to 0


@dataclass(frozen=True)
class Crop:
    """Model input and where it comes from.

    `video` is uint8 (T, 3, H, W), a centerd square; `audio` is float32 (n,). `start` and `offset` are the seconds asked
    for; `video_start` and `audio_start` are the times on the file's clock at which picture and sound really begin.
    """

    path: Path
    config: SynchformerConfig
    video: Tensor
    audio: Tensor
    start: float
    offset: float
    video_start: float
    audio_start: float
    as_published: bool = False
    notes: tuple[str, ...] = ()

    @property
    def video_times(self) -> tuple[float, float]:
        """The interval of the file, in seconds, that the picture covers."""
        return self.video_start, self.video_start + self.config.crop_seconds

    @property
    def audio_times(self) -> tuple[float, float]:
        """The interval of the file, in seconds, that the sound covers."""
        return self.audio_start, self.audio_start + self.config.crop_seconds

    def frames(self) -> Tensor:
        """Normalized frames of the segments: float32 (S, F, 3, H, W) in [-1, 1]."""
        length = self.config.segment_frames
        video = torch.stack([self.video[first : first + length] for first in self.config.segment_starts])
        return normalize_frames_as_published(video) if self.as_published else normalize_frames(video)

    def mel(self) -> Tensor:
        """Normalized log-mel spectrograms of the segments: float32 (S, M, C)."""
        per_frame, length = self.config.samples_per_frame, self.config.segment_samples
        starts = [first * per_frame for first in self.config.segment_starts]
        return mel_spectrogram(torch.stack([self.audio[first : first + length] for first in starts]), self.config)


Clip = Crop
"""The name that `Crop` had before."""


def load_clip(
    path: str | Path,
    start: float = 0.0,
    offset: float = 0.0,
    *,
    config: SynchformerConfig = BASE,
    as_published: bool = False,
) -> Crop:
    """Read the crop that begins at `start`, with the sound taken `offset` seconds later in the file.

    Args:
        path: a video file with sound.
        start: seconds on the file's clock, rounded to the nearest frame.
        offset: seconds; positive makes the sound early, negative makes it late; rounded to the nearest sample.
        config: sizes of the model's input.
        as_published: cut as the published code does, which truncates instead of rounding and so may let picture and
            sound begin up to a frame apart; for exact comparisons.

    Raises:
        MediaError: as `read_media`; or start and offset lie outside what the file holds (says the possible range); or
            the file has no picture or no sound at all there (says where it begins or goes on).
    """
    with open_media(path) as file:
        check_place(file.info, start, offset, config)
        media = file.read_for_model(config, *crop_interval(start, offset, config))
    crop = cut_crop(media, start, offset, config=config, as_published=as_published)
    check_present(media, crop)
    return crop


def crop_interval(start: float, offset: float, config: SynchformerConfig) -> tuple[float, float]:
    """First and last second of a file that a crop at `start` with this offset needs, picture and sound together."""
    begin = max(0.0, min(start, start + offset) - 1 / config.video_fps)
    return begin, max(start, start + offset) + config.crop_seconds + SPARE


def cut_crop(
    media: Media, start: float, offset: float = 0.0, *, config: SynchformerConfig, as_published: bool = False
) -> Crop:
    """Cut a crop out of decoded media; see `load_clip`. Nothing is read again, so an offset slider can call this.

    Raises:
        MediaError: start and offset lie outside what was decoded.
    """
    check_place(media.info, start, offset, config)
    frame, sample = _published_places(start, offset, config) if as_published else _places(start, offset, config)
    first, begin = frame - round(media.start * config.video_fps), sample - round(media.start * config.sample_rate)
    video = _part(media.video, first, config.crop_frames, "picture", media, start, offset, config)
    audio = _part(media.audio, begin, config.crop_samples, "sound", media, start, offset, config)
    crop = Crop(
        path=media.info.path,
        config=config,
        video=center_crop(video, config.image_size),
        audio=audio,
        start=start,
        offset=offset,
        video_start=frame / config.video_fps,
        audio_start=sample / config.sample_rate,
        as_published=as_published,
    )
    absent = (*_absences(media, "picture", crop.video_times), *_absences(media, "sound", crop.audio_times))
    return replace(crop, notes=(*media.notes, *(_in_words(media, gap) for gap in absent)))


def center_crop(video: Tensor, size: int) -> Tensor:
    """The middle square of frames (T, 3, H, W); halves are rounded to even, as published.

    Raises:
        MediaError: when the frames are smaller than the square.
    """
    height, width = video.shape[-2:]
    if min(height, width) < size:
        raise MediaError(
            f"the frames are {width} x {height} pixels, the model needs {size}; read them with short_side set"
        )
    top, left = round((height - size) / 2), round((width - size) / 2)
    return video[..., top : top + size, left : left + size]


def possible_starts(info: MediaInfo, config: SynchformerConfig, offset: float = 0.0) -> tuple[float, float]:
    """Earliest and latest start, in seconds, at which a crop with this offset fits.

    Raises:
        MediaError: when none does; says how long both streams are and how much is needed.
    """
    earliest = max(0.0, -offset)
    latest = min(info.video.stop, info.audio.stop - offset) + SPARE - config.crop_seconds
    if latest < earliest:
        moved = f" with the sound moved by {offset:+.2f} s" if offset else ""
        raise MediaError(
            f"{info.path.name} is too short: its picture lasts {info.video.seconds:.2f} s and its sound "
            f"{info.audio.seconds:.2f} s, but {config.crop_seconds + abs(offset):.2f} s are needed{moved}"
        )
    return earliest, max(earliest, latest - SPARE)


def possible_offsets(info: MediaInfo, config: SynchformerConfig, start: float) -> tuple[float, float]:
    """Lowest and highest offset, in seconds, for a crop that begins at `start`."""
    return -start, max(-start, info.audio.stop - config.crop_seconds - start)


def check_place(info: MediaInfo, start: float, offset: float, config: SynchformerConfig) -> None:
    """Refuse a start and an offset for which a file has no picture or sound.

    Raises:
        MediaError: says the possible range.
    """
    if not (math.isfinite(start) and math.isfinite(offset)):
        raise MediaError(f"start and offset must be numbers of seconds, not {start} and {offset}")
    earliest, latest = possible_starts(info, config, offset)
    half_frame = 0.5 / config.video_fps
    if earliest - half_frame <= start <= latest + SPARE:
        return
    whole_earliest, whole_latest = possible_starts(info, config)
    low, high = possible_offsets(info, config, start)
    if whole_earliest - half_frame <= start <= whole_latest + SPARE:
        raise MediaError(
            f"an offset of {offset:+.2f} s at start {start:.2f} s needs sound from {start + offset:.2f} s to "
            f"{start + offset + config.crop_seconds:.2f} s, but {info.path.name} has sound up to "
            f"{info.audio.stop:.2f} s; choose an offset from {low:+.2f} to {high:+.2f} s, or another start"
        )
    raise MediaError(
        f"start {start:.2f} s is outside {info.path.name}: with offset {offset:+.2f} s it must lie between "
        f"{earliest:.2f} and {latest:.2f} s"
    )


def _absences(media: Media, stream: Kind, times: tuple[float, float]) -> list[Gap]:
    """The parts of an interval in which a stream has nothing."""
    clipped = [
        replace(gap, start=max(gap.start, times[0]), stop=min(gap.stop, times[1]))
        for gap in media.gaps
        if gap.stream == stream
    ]
    return [gap for gap in clipped if gap.stop - gap.start >= SPARE]


def _in_words(media: Media, gap: Gap) -> str:
    return f"{media.info.path.name} has no {gap.stream} from {gap.start:.2f} s to {gap.stop:.2f} s."


def check_present(media: Media, crop: Crop) -> None:
    """Refuse a crop that has nothing at all of picture or sound.

    Raises:
        MediaError: says where the stream begins or goes on.
    """
    _check_present(media, "picture", crop.video_times)
    _check_present(media, "sound", crop.audio_times)


def _check_present(media: Media, stream: Kind, times: tuple[float, float]) -> None:
    """Refuse a crop that has nothing at all of a stream."""
    if sum(gap.stop - gap.start for gap in _absences(media, stream, times)) < times[1] - times[0] - SPARE:
        return
    span = media.info.video if stream == "picture" else media.info.audio
    name, begin, end = media.info.path.name, *times
    if end <= span.start + SPARE:
        where = f"begins at {span.start:.2f} s; choose a start from {span.start:.2f} s on"
    elif begin >= span.stop - SPARE:
        where = f"ends at {span.stop:.2f} s; choose an earlier start"
    else:
        where = "pauses there; choose another start"
    raise MediaError(f"{name} has no {stream} from {begin:.2f} s to {end:.2f} s: it {where}")


def _places(start: float, offset: float, config: SynchformerConfig) -> tuple[int, int]:
    """First frame and first sample on the clock, rounded so that both begin at the same moment."""
    frame = round(start * config.video_fps)
    return frame, max(0, round((frame / config.video_fps + offset) * config.sample_rate))


def _published_places(start: float, offset: float, config: SynchformerConfig) -> tuple[int, int]:
    """The published code truncates: the sound may begin up to a frame after the picture."""
    sample = int((start + round(offset, 2)) * config.sample_rate)
    return int(start * config.video_fps), 0 if -PUBLISHED_SLACK <= sample < 0 else sample


def _part(
    stream: Tensor,
    first: int,
    count: int,
    name: str,
    media: Media,
    start: float,
    offset: float,
    config: SynchformerConfig,
) -> Tensor:
    """`count` items from `first` on; a few missing at the end are made up by the last frame, or by silence."""
    rate = config.video_fps if name == "picture" else config.sample_rate
    missing = first + count - len(stream)
    if first < 0 or missing > SPARE * rate:
        end = media.start + len(stream) / rate
        raise MediaError(
            f"start {start:.2f} s with offset {offset:+.2f} s needs {config.crop_seconds:.2f} s of {name}, but that of "
            f"{media.info.path.name} was read from {media.start:.2f} to {end:.2f} s only; choose another start"
        )
    part = stream[first : first + count]
    if missing <= 0:
        return part
    return torch.cat([part, part[-1:].expand(missing, -1, -1, -1)]) if name == "picture" else F.pad(part, (0, missing))
