"""Frames and samples of an interval of a file, on one clock: `read_media`, and `open_media` to look before reading.

Shape legend: T frames, H x W pixels, n samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from av.container import InputContainer
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.media.container import MediaError, open_container
from synchformer.media.extent import survey
from synchformer.media.pictures import read_frames
from synchformer.media.probe import Gap, Media, MediaInfo, describe
from synchformer.media.sound import Sound, read_samples
from synchformer.media.tracks import Kind, pick_audio, pick_video

SHORTEST_GAP = 0.1  # s without sound or picture that are worth a word


class OpenMedia:
    """A file that is open: `info` is what it holds, `read` and `read_for_model` decode intervals of it.

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
    `fps` filter does), and the first one before it has come; gaps in the sound are silence; sound is the mean of its
    channels, or the first one where they cancel each other. What is 25 fps, 16 kHz and of the right size already comes
    through unchanged. Seeking makes the cost depend on the interval, not on its place, and memory is bounded by the
    interval.

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
    picture, _ = pick_video(container, info.path)
    video, early, broken = read_frames(container, picture, info.clock, first, last, video_fps, short_side)
    track, _ = pick_audio(container, info.path)
    sound = read_samples(container, track, info.clock, begin, end, sample_rate)
    shown = [(begin + early / video_fps, begin + len(video) / video_fps)] if len(video) else []
    _check_decoded(info, begin, end, shown, sound)
    return Media(
        info,
        begin,
        video,
        sound.wave,
        video_fps,
        sample_rate,
        notes=(*info.notes, *_notes(info.path.name, broken, sound)),
        gaps=(*_gaps("picture", begin, end, shown), *_gaps("sound", begin, end, sound.played)),
    )


def read_picture(path: str | Path, stop: float, *, short_side: int | None = None, video_fps: int = 25) -> Tensor:
    """Frames of a file from its first picture to `stop` seconds later, sound or none: uint8 (T, 3, H, W).

    Raises:
        MediaError: not media, or no video.
    """
    path = Path(path)
    with open_container(path) as container:
        stream, _ = pick_video(container, path)
        clock = survey(container, path, [stream]).clock
        return read_frames(container, stream, clock, 0, round(stop * video_fps), video_fps, short_side)[0]


def read_sound(path: str | Path, seconds: float, *, sample_rate: int = 16_000) -> Tensor:
    """The first `seconds` of a file's sound, picture or none: float32 (n,), shorter when the file ends before.

    Raises:
        MediaError: not media, or no sound.
    """
    path = Path(path)
    with open_container(path) as container:
        stream, _ = pick_audio(container, path)
        sound = read_samples(container, stream, survey(container, path, [stream]).clock, 0.0, seconds, sample_rate)
    heard = sound.played[-1][1] if sound.played else 0.0
    return sound.wave[: round(heard * sample_rate)]


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


def _check_decoded(info: MediaInfo, begin: float, end: float, shown: list[tuple[float, float]], sound: Sound) -> None:
    """Packets that lie within the interval and give nothing are an error: the file is damaged there."""
    for name, span, decoded in (("picture", info.video, shown), ("sound", info.audio, sound.played)):
        inside = min(end, span.stop) - max(begin, span.start) > SHORTEST_GAP
        broken = sound.broken if name == "sound" else not shown
        if inside and not decoded and broken:
            raise MediaError(
                f"{info.path.name} is damaged: no {name} can be decoded from {begin:.2f} s to {end:.2f} s; "
                "choose another start, or export it anew"
            )


def _gaps(stream: Kind, begin: float, end: float, decoded: list[tuple[float, float]]) -> Iterator[Gap]:
    """The times between `begin` and `end` seconds that `decoded` leaves open."""
    edges = [(begin, begin), *decoded, (end, end)]
    for (_, start), (stop, _) in pairwise(edges):
        if stop - start >= SHORTEST_GAP:
            yield Gap(stream, max(begin, start), min(end, stop))


def _notes(name: str, broken_pictures: int, sound: Sound) -> Iterator[str]:
    """Sentences about what was not as it should be in an interval."""
    for what, broken in (("picture", broken_pictures), ("sound", sound.broken)):
        if broken:
            packets = "1 packet" if broken == 1 else f"{broken} packets"
            yield f"{name} is damaged: {packets} of its {what} could not be decoded and had to be left out."
    if sound.unreal:
        samples = "1 sample" if sound.unreal == 1 else f"{sound.unreal} samples"
        yield f"{name} is damaged: {samples} of its sound had no usable value (not a number) and were taken as silence."
    if sound.canceled:
        yield f"{name}: the channels of its sound cancel each other (one is inverted); the first channel was measured."
