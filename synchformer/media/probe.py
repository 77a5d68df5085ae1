"""What a file says about itself before anything is decoded, and how files are opened: `probe`, `open_container`.

All times are on one clock, the player's: zero is the earliest presented frame or sample of the file. A stream that
starts later starts later here too, so a file whose container delays the sound by 0.4 s comes out 0.4 s off.

Shape legend: T frames, H x W pixels, n samples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
from av.container import InputContainer
from av.stream import Disposition
from torch import Tensor

STILL_FORMATS = ("image2", "_pipe", "gif", "apng", "webp")  # parts of the names of formats that hold pictures

# What a file's content may be, whatever its name says. Playlists and manifests (HLS, DASH, concat, SDP, IMF) and
# scripts are left out: they make FFmpeg open other files and addresses, which the sender of a file must not choose.
FORMATS_READ = (
    *("mov", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "mxf", "nut", "rm", "dv", "wtv", "gxf"),
    *("mpegvideo", "h264", "hevc", "m4v", "ivf", "yuv4mpegpipe"),  # picture alone
    *("mp3", "wav", "w64", "flac", "aac", "ac3", "amr", "aiff", "caf", "au"),  # sound alone
    *("image2", "gif", "apng", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "svg_pipe", "psd_pipe"),
)
ONLY_THIS_FILE = {
    "format_whitelist": ",".join(FORMATS_READ),
    "protocol_whitelist": "file",
    "pattern_type": "none",  # a picture whose name holds %d is one file, no sequence
}


class MediaError(ValueError):
    """A file that cannot be used as asked; one sentence that says what was asked, what was found and what to do."""


@dataclass(frozen=True)
class Span:
    """Where a stream lies on the clock: from `start` to `stop` in seconds, and its codec's name.

    `declared` is False where the container tells its own length alone; `stop` is then that of the whole file.
    """

    start: float
    stop: float
    codec: str
    declared: bool = True

    @property
    def seconds(self) -> float:
        """Length of the stream."""
        return self.stop - self.start


@dataclass(frozen=True)
class MediaInfo:
    """What a file says about itself, before anything is decoded.

    `zero` is the container's own time, in seconds, of the clock's zero.
    """

    path: Path
    format: str
    zero: float
    video: Span
    audio: Span
    fps: float
    width: int
    height: int
    sample_rate: int
    channels: int

    @property
    def seconds(self) -> float:
        """From the clock's zero to the end of the longer stream."""
        return max(self.video.stop, self.audio.stop)


@dataclass(frozen=True)
class Media:
    """Decoded picture and sound of an interval.

    `video` is uint8 (T, 3, H, W) and `audio` float32 (n,); both begin at `start` seconds on the clock, which is a whole
    number of frames. `notes` are sentences for the user, such as that the file ends early.
    """

    info: MediaInfo
    start: float
    video: Tensor
    audio: Tensor
    video_fps: int
    sample_rate: int
    notes: tuple[str, ...] = ()


def probe(path: str | Path) -> MediaInfo:
    """Look into a file without decoding it.

    Raises:
        MediaError: no such file, a folder, an empty file, not media, a still picture, no video or no sound.
    """
    with open_container(path) as container:
        return describe(container, Path(path))


@contextmanager
def open_container(path: str | Path) -> Iterator[InputContainer]:
    """Open a file for reading; FFmpeg's errors become sentences.

    Raises:
        MediaError: as `probe`, and when decoding inside the block fails.
    """
    path = Path(path)
    _check_file(path)
    try:
        with _open(path) as container:
            yield container
    except av.error.InvalidDataError as error:
        raise MediaError(f"{path.name} is not a media file, or it is damaged from the start; export it anew") from error
    except (av.error.DecoderNotFoundError, av.error.PatchWelcomeError) as error:
        raise MediaError(f"{path.name} uses a codec that FFmpeg cannot decode; convert it to H.264 and AAC") from error
    except av.error.FFmpegError as error:
        raise MediaError(f"{path.name} cannot be read ({error.strerror}); convert it to MP4 and try again") from error


def _open(path: Path) -> InputContainer:
    try:
        return av.open(str(path), metadata_errors="replace", options=dict(ONLY_THIS_FILE))
    except av.error.ArgumentError as error:  # FFmpeg's word for a format that is not on the list
        raise MediaError(
            f"{path.name} is no video file, whatever its name says: it is a playlist, a text or of an unknown kind; "
            "give the video itself, such as MP4, MOV, MKV or WebM"
        ) from error


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise MediaError(f"{path} is a folder; give a video file")
    if not path.exists():
        raise MediaError(f"there is no file {path}; check its name")
    if path.stat().st_size == 0:
        raise MediaError(f"{path.name} is empty (0 bytes); copy or export it again")


def describe(container: InputContainer, path: Path) -> MediaInfo:
    """The `MediaInfo` of an open file.

    Raises:
        MediaError: a still picture, no video, no sound, or a codec that cannot be decoded.
    """
    if any(name in container.format.name for name in STILL_FORMATS):
        raise MediaError(f"{path.name} is a still picture ({container.format.name}); give a video with sound")
    video, audio = pick_video(container, path), pick_audio(container, path)
    zero = max(0.0, (container.start_time or 0) / av.time_base)  # samples before 0 are an encoder's run-up
    return MediaInfo(
        path=path,
        format=container.format.name,
        zero=zero,
        video=_span(video, container, zero),
        audio=_span(audio, container, zero),
        fps=float(video.average_rate or video.guessed_rate or 0),
        width=video.width,
        height=video.height,
        sample_rate=audio.rate,
        channels=audio.channels,
    )


def pick_video(container: InputContainer, path: Path) -> av.VideoStream:
    """The first video stream that is no cover picture.

    Raises:
        MediaError: when there is none.
    """
    covers = Disposition.attached_pic | Disposition.still_image
    streams = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not streams:
        contents = "a cover picture and sound" if container.streams.video else "sound alone"
        contents = contents if container.streams.audio else "neither video nor sound"
        raise MediaError(f"{path.name} has no video stream (it holds {contents}); give a video with sound")
    return _decodable(streams[0], path)


def pick_audio(container: InputContainer, path: Path) -> av.AudioStream:
    """The first audio stream.

    Raises:
        MediaError: when there is none.
    """
    if not container.streams.audio:
        raise MediaError(f"{path.name} has no sound; synchronization needs picture and sound")
    return _decodable(container.streams.audio[0], path)


S = TypeVar("S", av.VideoStream, av.AudioStream)


def _decodable(stream: S, path: Path) -> S:
    if stream.codec_context is None:
        raise MediaError(
            f"{path.name} has a {stream.type} stream that FFmpeg cannot decode; convert it to H.264 and AAC"
        )
    return stream


def tick(stream: av.VideoStream | av.AudioStream | av.VideoFrame | av.AudioFrame) -> Fraction:
    """Seconds per unit of a stream's or a frame's timestamps; a stream without one counts in microseconds."""
    return stream.time_base or Fraction(1, av.time_base)


def _span(stream: av.VideoStream | av.AudioStream, container: InputContainer, zero: float) -> Span:
    base = tick(stream)
    first = float((stream.start_time or 0) * base)
    start = max(0.0, first - zero)
    if stream.duration:
        return Span(start, max(start, first + float(stream.duration * base) - zero), stream.codec_context.name)
    whole = (container.duration or 0) / av.time_base
    tagged = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))  # Matroska, by most writers
    if tagged is None:
        return Span(start, max(start, whole), stream.codec_context.name, declared=False)
    hours, minutes, seconds = map(float, tagged.groups())
    return Span(start, max(start, 3600 * hours + 60 * minutes + seconds - zero), stream.codec_context.name)
