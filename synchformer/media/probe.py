"""What a file holds, before anything of it is decoded: `probe`, and the values that a reading gives.

All times are on one clock, the player's: zero is the earliest presented frame or sample of the file. A stream that
starts later starts later here too, so a file whose container delays the sound by 0.4 s comes out 0.4 s off.

Shape legend: T frames, H x W pixels, n samples.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from av.container import InputContainer
from torch import Tensor

from synchformer.media.clock import Clock
from synchformer.media.container import MediaError, open_container
from synchformer.media.extent import ENCRYPTED, survey
from synchformer.media.structure import is_scrambled
from synchformer.media.tracks import Kind, Track, pick_audio, pick_video

__all__ = ["Gap", "Media", "MediaError", "MediaInfo", "Span", "describe", "probe"]

STILL_FORMATS = ("image2", "_pipe", "gif", "apng", "webp")  # parts of the names of formats that hold pictures
REMEMBERED = 64  # files whose packets need not be looked at again while they stay as they are


@dataclass(frozen=True)
class Span:
    """Where a stream lies on the clock: from `start` to `stop` in seconds, and its codec's name."""

    start: float
    stop: float
    codec: str

    @property
    def seconds(self) -> float:
        """Length of the stream."""
        return self.stop - self.start


@dataclass(frozen=True)
class MediaInfo:
    """What a file holds, as its header and its packets say.

    `video` and `audio` are those of the tracks that are measured; `notes` are sentences about the file as a whole, such
    as which track that is, or that the file was cut off.
    """

    path: Path
    format: str
    video: Span
    audio: Span
    fps: float
    width: int
    height: int
    sample_rate: int
    channels: int
    clock: Clock = field(default_factory=Clock)
    video_track: Track | None = None
    audio_track: Track | None = None
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """From the clock's zero to the end of the longer stream."""
        return max(self.video.stop, self.audio.stop)


@dataclass(frozen=True)
class Gap:
    """A time from `start` to `stop`, in seconds on the clock, in which a stream has nothing to show or to play."""

    stream: Kind
    start: float
    stop: float


@dataclass(frozen=True)
class Media:
    """Decoded picture and sound of an interval.

    `video` is uint8 (T, 3, H, W) and `audio` float32 (n,); both begin at `start` seconds on the clock, which is a whole
    number of frames. Where a stream has nothing, the last picture or silence stands, and `gaps` says so. `notes` are
    sentences for the user, such as that packets are broken.
    """

    info: MediaInfo
    start: float
    video: Tensor
    audio: Tensor
    video_fps: int
    sample_rate: int
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()


def probe(path: str | Path) -> MediaInfo:
    """Look into a file without decoding it.

    Raises:
        MediaError: no such file, a folder, an empty file, not media, a still picture, no video, no sound, or encrypted.
    """
    with open_container(path) as container:
        return describe(container, Path(path))


_remembered: OrderedDict[tuple[str, int, int], MediaInfo] = OrderedDict()


def describe(container: InputContainer, path: Path) -> MediaInfo:
    """The `MediaInfo` of an open file; the container stands anywhere afterwards, with no decoder used.

    Raises:
        MediaError: a still picture, no video, no sound, a codec that cannot be decoded, or an encrypted file.
    """
    state = path.stat()
    key = (str(path), state.st_size, state.st_mtime_ns)
    if key not in _remembered:
        _remembered[key] = _look_into(container, path)
        while len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    return _remembered[key]


def _look_into(container: InputContainer, path: Path) -> MediaInfo:
    if any(name in container.format.name for name in STILL_FORMATS):
        raise MediaError(f"{path.name} is a still picture ({container.format.name}); give a video with sound")
    if container.format.name == "mpegts" and is_scrambled(path, {stream.id for stream in container.streams}):
        raise MediaError(ENCRYPTED.format(path.name))
    (video, video_track), (audio, audio_track) = pick_video(container, path), pick_audio(container, path)
    found = survey(container, path, (video, audio))
    spans = {
        stream.index: Span(*found.spans[stream.index], codec=stream.codec_context.name) for stream in (video, audio)
    }
    notes = [track.sentence for track in (video_track, audio_track) if track.count > 1]
    if found.cut_off:
        ends = f"its picture ends at {spans[video.index].stop:.2f} s, its sound at {spans[audio.index].stop:.2f} s"
        notes.append(f"{path.name} is cut off or damaged: {ends}, and the file itself says that more should follow.")
    return MediaInfo(
        path=path,
        format=container.format.name,
        video=spans[video.index],
        audio=spans[audio.index],
        fps=float(video.average_rate or video.guessed_rate or 0),
        width=video.width,
        height=video.height,
        sample_rate=audio.rate,
        channels=audio.channels,
        clock=found.clock,
        video_track=video_track,
        audio_track=audio_track,
        notes=tuple(notes),
    )
