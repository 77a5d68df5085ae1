"""Frames and samples of an interval of a file, on one clock: `read_media`, and `open_media` to look before reading.

Shape legend: T frames, H x W pixels, c channels, n samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.media.audio_transforms import resample
from synchformer.media.probe import (
    Media,
    MediaError,
    MediaInfo,
    Span,
    describe,
    open_container,
    pick_audio,
    pick_video,
    tick,
)

RUN_UP = 0.5  # s decoded before the interval, so that audio codecs and the resampler have settled
SEEK_BACK = (0.0, 2.0, 10.0, math.inf)  # s further back when a seek landed behind the wanted frame
JITTER = 0.02  # s: timestamps may stray by this much (Matroska rounds to 1 ms) before it is a gap
SPARE = 0.1  # s that a stream may miss at its end without a word
LARGEST_RATIO = 2000  # polyphase filters beyond this would not fit into memory


class OpenMedia:
    """A file that is open: `info` is what it says about itself, `read` and `read_for_model` decode intervals of it.

    The first reading goes on with the file as it was opened. Each further one opens it again, for a decoder that was
    used before gives other samples behind a seek (AAC's noise, Opus's run-up), and the same interval must always come
    out the same.
    """

    def __init__(self, path: Path, container: InputContainer) -> None:
        """Take an open container.

        Raises:
            MediaError: as `probe`.
        """
        self.path = path
        self.info = describe(container, path)
        self._unread: InputContainer | None = container

    def read(
        self,
        start: float | None = None,
        stop: float | None = None,
        *,
        short_side: int | None = None,
        video_fps: int = 25,
        sample_rate: int = 16_000,
    ) -> Media:
        """Decode an interval; see `read_media`.

        Raises:
            MediaError: as `read_media`.
        """
        unread, self._unread = self._unread, None
        with unread or open_container(self.path) as container:  # closed at once: decoders hold many frames
            return _read(container, self.info, start, stop, short_side, video_fps, sample_rate)

    def read_for_model(self, config: SynchformerConfig, start: float | None = None, stop: float | None = None) -> Media:
        """Decode an interval at the rates and with the short side that a model takes; see `read_media`.

        Raises:
            MediaError: as `read_media`.
        """
        return self.read(
            start,
            stop,
            short_side=config.short_side,
            video_fps=config.video_fps,
            sample_rate=config.sample_rate,
        )


@contextmanager
def open_media(path: str | Path) -> Iterator[OpenMedia]:
    """Open a file once, to look at it and then to decode an interval that depends on what it says.

    Raises:
        MediaError: as `probe`, and when decoding inside the block fails.
    """
    with open_container(path) as container:
        yield OpenMedia(Path(path), container)


def read_media(
    path: str | Path,
    start: float | None = None,
    stop: float | None = None,
    *,
    short_side: int | None = None,
    video_fps: int = 25,
    sample_rate: int = 16_000,
) -> Media:
    """Decode a file, or the interval from `start` to `stop` seconds of it.

    Every output frame is the last input frame whose time, rounded to the nearest output frame, has come (as FFmpeg's
    `fps` filter does); gaps in the sound are silence; sound is the mean of its channels. What is 25 fps, 16 kHz and of
    the right size already comes through unchanged. Seeking makes the cost depend on the interval, not on its place, and
    memory is bounded by the interval.

    Args:
        path: any file that FFmpeg reads.
        start: first second wanted, rounded to a frame; None for the clock's zero.
        stop: last second wanted; None for the end.
        short_side: pixels that the frames' short side is scaled to (bicubic, which averages when it shrinks).
        video_fps: frames per second of the result.
        sample_rate: samples per second of the result.

    Raises:
        MediaError: as `probe`; or the interval is not a part of the file; or nothing of it can be decoded.
    """
    with open_media(path) as file:
        return file.read(start, stop, short_side=short_side, video_fps=video_fps, sample_rate=sample_rate)


def _read(
    container: InputContainer,
    info: MediaInfo,
    start: float | None,
    stop: float | None,
    short_side: int | None,
    video_fps: int,
    sample_rate: int,
) -> Media:
    """Picture first, then sound, each from its own seek on; no stream of the container was decoded before."""
    first, last = _interval(info, start, stop, video_fps)
    begin, end = first / video_fps, last / video_fps
    video = _read_video(container, info, first, last, video_fps, short_side)
    audio, heard = _read_audio(container, info, begin, end, sample_rate)
    notes = _early_ends(info, begin, end, begin + len(video) / video_fps, heard)
    return Media(info, begin, video, audio, video_fps, sample_rate, notes)


def read_picture(path: str | Path, stop: float, *, short_side: int | None = None, video_fps: int = 25) -> Tensor:
    """Frames of a file from its first picture to `stop` seconds later, sound or none: uint8 (T, 3, H, W).

    Raises:
        MediaError: not media, or no video.
    """
    path = Path(path)
    with open_container(path) as container:
        info = _alone(container, pick_video(container, path), path)
        return _read_video(container, info, 0, round(stop * video_fps), video_fps, short_side)


def read_sound(path: str | Path, seconds: float, *, sample_rate: int = 16_000) -> Tensor:
    """The first `seconds` of a file's sound, picture or none: float32 (n,), shorter when the file ends before.

    Raises:
        MediaError: not media, or no sound.
    """
    path = Path(path)
    with open_container(path) as container:
        info = _alone(container, pick_audio(container, path), path)
        wave, heard = _read_audio(container, info, 0.0, seconds, sample_rate)
    return wave[: round(heard * sample_rate)]


def _alone(container: InputContainer, stream: av.VideoStream | av.AudioStream, path: Path) -> MediaInfo:
    """What a file says about one of its streams, whose first moment is the clock's zero."""
    nothing = Span(0.0, 0.0, stream.codec_context.name, declared=False)
    zero = max(0.0, float((stream.start_time or 0) * tick(stream)))
    rate, channels = (stream.rate, stream.channels) if isinstance(stream, av.AudioStream) else (0, 0)
    return MediaInfo(path, container.format.name, zero, nothing, nothing, 0.0, 0, 0, rate, channels)


def _interval(info: MediaInfo, start: float | None, stop: float | None, fps: int) -> tuple[int, int]:
    """First frame, and the frame after the last."""
    end = info.seconds
    begin, finish = 0.0 if start is None else start, end if stop is None else stop
    if not (math.isfinite(begin) and math.isfinite(finish)):
        raise MediaError(f"start and stop must be numbers of seconds, not {start} and {stop}")
    if begin < -0.5 / fps or finish <= begin or begin >= end:
        raise MediaError(
            f"{info.path.name} lasts {end:.2f} s, so the interval from {begin:.2f} s to {finish:.2f} s is not in it; "
            f"choose a start from 0 to {end:.2f} s and a later stop"
        )
    return max(0, round(begin * fps)), math.ceil(round(min(finish, end) * fps, 6))


def _early_ends(info: MediaInfo, begin: float, end: float, seen: float, heard: float) -> tuple[str, ...]:
    """Sentences about streams that stop before the file says they do; an empty stream is an error."""
    notes = []
    ends = {"picture": (seen, info.video), "sound": (heard, info.audio)}
    for name, (last, span) in ends.items():
        if last <= begin < min(end, span.stop) - SPARE:
            raise MediaError(f"{info.path.name} is cut off or damaged: no {name} can be decoded from {begin:.2f} s on")
        if span.declared and last < min(end, span.stop) - SPARE:
            notes.append(
                f"{info.path.name} is cut off or damaged: its {name} ends at {last:.2f} s, not at {span.stop:.2f} s."
            )
    if not notes and max(seen, heard) < min(end, info.seconds) - SPARE:
        notes.append(
            f"{info.path.name} is cut off or damaged: it ends at {max(seen, heard):.2f} s, not at {info.seconds:.2f} s."
        )
    return tuple(notes)


# Picture


def _read_video(
    container: InputContainer, info: MediaInfo, first: int, last: int, fps: int, short_side: int | None
) -> Tensor:
    """Frames `first` to `last` of the output clock, fewer when the stream ends early: uint8 (T, 3, H, W)."""
    frames: list[NDArray[np.uint8]] = []
    for (frame, _), (_, following) in pairwise(_frames_from(container, info, first, fps)):
        count = min(following, last) - first - len(frames)  # none when the next frame takes the same place
        if count > 0 and frame is not None:
            frames.extend([_pixels(frame, short_side)] * count)
        if following >= last:
            break
    if not frames:
        return torch.empty(0, 3, 1, 1, dtype=torch.uint8)
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()


def _frames_from(
    container: InputContainer, info: MediaInfo, first: int, fps: int
) -> Iterator[tuple[av.VideoFrame | None, int]]:
    """Frames and their places on the output clock, from the one shown at `first` on; (None, end) closes the stream."""
    shown: tuple[av.VideoFrame, int] | None = None
    for frame in _decode_from(container, pick_video(container, info.path), info.zero, first / fps):
        slot = _slot(frame, 0, info.zero, fps)
        if shown is not None and (slot > first or shown[1] > first):
            yield shown
        shown = (frame, slot)
    if shown is not None:
        frame, slot = shown
        yield frame, slot
        yield None, max(slot + 1, _slot(frame, frame.duration or 0, info.zero, fps))


def _slot(frame: av.VideoFrame, later: int, zero: float, fps: int) -> int:
    """The output frame nearest to a frame's time, or to `later` ticks after it; halves up."""
    return math.floor((_time(frame, zero) + later * tick(frame)) * fps + Fraction(1, 2))


def _time(frame: av.VideoFrame | av.AudioFrame, zero: float) -> Fraction:
    """Seconds on the clock at which a frame begins, exactly."""
    return (frame.pts or 0) * tick(frame) - Fraction(zero).limit_denominator(av.time_base)


def _pixels(frame: av.VideoFrame, short_side: int | None) -> NDArray[np.uint8]:
    """RGB (H, W, 3), turned as the file's display matrix says."""
    width, height, way = frame.width, frame.height, None
    if short_side and min(width, height) != short_side:
        scale = short_side / min(width, height)
        width, height, way = round(width * scale), round(height * scale), Interpolation.BICUBIC
    picture = frame.reformat(width, height, "rgb24", interpolation=way).to_ndarray().astype(np.uint8, copy=False)
    return np.rot90(picture, round(frame.rotation / 90)) if frame.rotation else picture


# Sound


def _read_audio(
    container: InputContainer, info: MediaInfo, begin: float, end: float, sample_rate: int
) -> tuple[Tensor, float]:
    """Mono samples from `begin` to `end` seconds, silence where the stream has none, and where that stream ends."""
    rate = info.sample_rate
    margin = 0.04 if rate != sample_rate else 0.0  # s for the resampling filter: one frame, whole in common rates
    start, count = round((begin - margin) * rate), round((end - begin + 2 * margin) * rate)
    track, heard = np.zeros(count, dtype=np.float32), begin
    for position, samples in _sound_from(container, info, begin - margin):
        low, high = max(position, start), min(position + len(samples), start + count)
        if high > low:
            track[low - start : high - start] = samples[low - position : high - position]
            heard = max(heard, high / rate)
        if position >= start + count:
            break
    wave = _to_rate(torch.from_numpy(track), rate, sample_rate)
    skipped = round(margin * sample_rate)
    return wave[skipped : skipped + round((end - begin) * sample_rate)].contiguous(), heard


def _sound_from(container: InputContainer, info: MediaInfo, begin: float) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Places (in samples on the clock) and mono samples, from somewhat before `begin` seconds on."""
    to_float = av.AudioResampler(format="fltp")
    expected: int | None = None
    for decoded in _decode_from(container, pick_audio(container, info.path), info.zero, begin - RUN_UP):
        for frame in to_float.resample(decoded):
            samples = frame.to_ndarray().mean(axis=0, dtype=np.float32)
            position = round(_time(frame, info.zero) * info.sample_rate)
            if expected is not None and abs(position - expected) <= JITTER * info.sample_rate:
                position = expected
            expected = position + len(samples)
            yield position, samples


def _to_rate(track: Tensor, rate: int, wanted: int) -> Tensor:
    """Resample with a windowed sinc, which keeps every sample in its place."""
    if rate == wanted:
        return track
    if rate // math.gcd(rate, wanted) <= LARGEST_RATIO:
        return resample(track, rate, wanted)
    frame = av.AudioFrame.from_ndarray(track[None].numpy(), format="fltp", layout="mono")
    frame.sample_rate = rate
    swr = av.AudioResampler(format="fltp", layout="mono", rate=wanted)
    parts = [part.to_ndarray()[0] for source in (frame, None) for part in swr.resample(source)]
    return torch.from_numpy(np.concatenate(parts))


# Both


def _decode_from(container: InputContainer, stream: Any, zero: float, begin: float) -> Iterator[Any]:
    """Decoded frames from the last seek point at or before `begin` seconds; damaged packets are passed over."""
    for back in SEEK_BACK:
        target = zero + begin - back
        from_start = target <= zero
        container.seek(0 if from_start else int(target * av.time_base))  # at `zero`, MPEG-TS lands behind it
        frames = _decode(container, stream)
        head = next(frames, None)
        if head is None and not from_start:
            continue
        if head is None:
            return
        if from_start or _time(head, zero) <= begin:
            yield head
            yield from frames
            return


def _decode(container: InputContainer, stream: Any) -> Iterator[Any]:
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        yield from (frame for frame in frames if frame.pts is not None)
