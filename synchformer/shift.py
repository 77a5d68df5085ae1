"""Move a file's sound in time by its timestamps alone: packets are copied, nothing is encoded again.

Sign: an offset above zero makes the sound run ahead (it is heard that many seconds too early); below zero it lags.
The picture keeps its times. Sound that would fall before time zero is left out, and one packet more is kept behind an
edit list, because AAC and Opus need their predecessor to decode a packet cleanly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from synchformer.files import written_whole
from synchformer.media import ONLY_THIS_FILE, pick_audio, pick_video, probe, tick

# What each container may hold; mkv takes everything.
MP4_VIDEO = frozenset(("h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"))
MP4_CODECS = MP4_VIDEO | {"aac", "mp3", "mp2", "opus", "flac", "ac3", "eac3", "alac"}
WEBM_CODECS = frozenset(("vp8", "vp9", "av1", "opus", "vorbis"))
FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".webm": "webm", ".mkv": "matroska"}

# What Chromium and Firefox decode without help from the system.
BROWSER_CODECS = frozenset(("h264", "vp8", "vp9", "av1", "aac", "mp3", "opus", "vorbis", "flac"))

PREROLL_SECONDS = 0.1  # sound kept before time zero where an edit list can hide it: at least one packet
AV_TIME_BASE = 1_000_000  # a container's own times are in microseconds
TICK = Fraction(1, 90_000)  # seconds: a common clock for pictures


@dataclass(frozen=True)
class _Window:
    """The part of the input to copy, in seconds on the container's clock; `origin` becomes time zero."""

    origin: float
    start: float
    stop: float


Streams = tuple[VideoStream, AudioStream]


def write_shifted(
    path: str | Path, offset: float, out: str | Path, start: float | None = None, seconds: float | None = None
) -> Path:
    """Copy `path` to `out` so that its sound is heard `offset` seconds earlier (later when negative).

    The first video and the first audio stream are copied packet by packet. The file appears under its final name only
    when it is complete.

    Args:
        path: the video file to read.
        offset: seconds; above zero the sound runs ahead, below zero it lags.
        out: where to write; the suffix names the container (see `suited_suffix`).
        start: seconds; when given, this moment of the picture becomes time zero.
        seconds: length of the part to copy; to the end when None.

    Returns:
        `out` as a path.

    Raises:
        ValueError: when `offset`, `start` or `seconds` is no finite number, `out` is `path` itself, or the container
            named by `out` cannot hold these codecs.
        MediaError: when `path` is not a media file, or lacks a picture or a sound.
    """
    path, out = Path(path), Path(out)
    _check_arguments(path, offset, out, start, seconds)
    with ExitStack() as stack:
        source, streams, zero = stack.enter_context(_open(path))
        _check_container(out, streams)
        part = stack.enter_context(written_whole(out))
        options = {"movflags": "+faststart"} if FORMATS[out.suffix.lower()] in ("mp4", "mov") else {}
        with av.open(str(part), "w", format=FORMATS[out.suffix.lower()], options=options) as target:
            _copy(source, target, streams, offset, _window(zero, start, seconds))
    return out


def suited_suffix(path: str | Path) -> str:
    """The suffix of the container that holds these codecs best: `.mp4`, else `.webm`, else `.mkv`.

    Raises:
        MediaError: when `path` is not a media file, or lacks a picture or a sound.
    """
    with _open(Path(path)) as (_, streams, _):
        codecs = set(map(_codec, streams))
    if codecs <= MP4_CODECS:
        return ".mp4"
    return ".webm" if codecs <= WEBM_CODECS else ".mkv"


def browser_note(path: str | Path) -> str | None:
    """One sentence when browsers cannot play this file, None when they can.

    Raises:
        MediaError: when `path` is not a media file, or lacks a picture or a sound.
    """
    with _open(Path(path)) as (_, streams, _):
        unknown = sorted(set(map(_codec, streams)) - BROWSER_CODECS)
    if not unknown:
        return None
    return f"Browsers may not play this file ({', '.join(unknown)}); the measurement does not depend on it."


def _check_arguments(path: Path, offset: float, out: Path, start: float | None, seconds: float | None) -> None:
    for name, value in (("offset", offset), ("start", start), ("seconds", seconds)):
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number of seconds, not {value}")
    if seconds is not None and seconds <= 0:
        raise ValueError(f"seconds must be above zero, not {seconds:g}")
    if out.exists() and path.exists() and out.samefile(path):
        raise ValueError(f"{out} is the input itself; give another name for the shifted file")
    if out.suffix.lower() not in FORMATS:
        raise ValueError(f"cannot write {out.name}: its suffix must be one of {', '.join(FORMATS)}")


@contextmanager
def _open(path: Path) -> Iterator[tuple[InputContainer, Streams, float]]:
    """The file, its picture and sound, and the container's time of the clock's zero.

    AVI keeps no presentation times: the demuxer works them out from the frame order.
    """
    zero = probe(path).zero
    with av.open(str(path), options={"fflags": "+genpts"} | ONLY_THIS_FILE, metadata_errors="replace") as source:
        yield source, (pick_video(source, path), pick_audio(source, path)), zero


def _codec(stream: Stream) -> str:
    context = stream.codec_context
    return "unknown" if context is None else context.codec.canonical_name


def _check_container(out: Path, streams: Streams) -> None:
    allowed = {"mp4": MP4_CODECS, "webm": WEBM_CODECS}.get(FORMATS[out.suffix.lower()])
    unfit = [] if allowed is None else [name for name in map(_codec, streams) if name not in allowed]
    if unfit:
        raise ValueError(f"{out.suffix} cannot hold {' and '.join(unfit)}; use .mkv, or the suffix of suited_suffix()")


def _window(zero: float, start: float | None, seconds: float | None) -> _Window:
    if start is None and seconds is None:
        return _Window(origin=zero, start=-math.inf, stop=math.inf)
    origin = zero + (start or 0.0)
    return _Window(origin=origin, start=origin, stop=math.inf if seconds is None else origin + seconds)


def _copy(source: InputContainer, target: OutputContainer, streams: Streams, offset: float, window: _Window) -> None:
    """Write both streams, the sound `offset` seconds earlier and everything `window.origin` seconds earlier."""
    video, audio = streams
    copies = {stream.index: target.add_stream_from_template(stream, opaque=True) for stream in streams}
    preroll = PREROLL_SECONDS if target.format.name in ("mp4", "mov") else 0.0
    heard = float((audio.start_time or 0) * tick(audio))  # an edit list in the input may hide what comes before
    for packet in _packets(source, streams, offset, window):
        if packet.stream is audio and _end(packet) < heard - PREROLL_SECONDS:
            continue
        moved = window.origin + (offset if packet.stream is audio else 0.0)
        _move(packet, moved, _clock(audio if packet.stream is audio else video))
        if packet.stream is audio and _end(packet) <= -preroll:
            continue
        packet.stream = copies[packet.stream.index]
        target.mux(packet)


def _packets(source: InputContainer, streams: Streams, offset: float, window: _Window) -> Iterator[Packet]:
    """Packets inside the window, the picture from the last key frame at or before its start."""
    video, audio = streams
    if math.isfinite(window.start):
        source.seek(int((window.start + min(0.0, offset) - 2 * PREROLL_SECONDS) * AV_TIME_BASE), backward=True)
    held: list[Packet] = []  # the picture since the last key frame before the start
    done = {video.index: False, audio.index: False}
    for packet in source.demux(video, audio):
        if packet.dts is None:  # the demuxer's empty packet at the end of a stream
            continue
        late = offset if packet.stream is audio else 0.0
        # Decoding order, not pts: a frame shown after the end may be needed by frames shown before it.
        done[packet.stream.index] |= float(packet.dts * packet.time_base) - late >= window.stop
        if all(done.values()):
            break
        if done[packet.stream.index]:
            continue
        if packet.stream is audio:
            yield packet
        elif _seconds(packet) < window.start:
            held = [packet] if packet.is_keyframe else [*held, packet]
        else:
            yield from [*held, packet]
            held = []


def _move(packet: Packet, seconds: float, clock: Fraction) -> None:
    """Put a packet `seconds` earlier, counted in ticks of `clock`, as a container's own may be whole packets."""
    shift, scale = round(Fraction(seconds) / clock), packet.time_base / clock
    pts, dts, duration = packet.pts, packet.dts, packet.duration or 0
    packet.time_base = clock
    packet.dts = None if dts is None else round(dts * scale) - shift
    packet.pts = None if pts is None else round(pts * scale) - shift
    packet.duration = round(duration * scale)


def _clock(stream: AudioStream | VideoStream) -> Fraction:
    """Seconds per tick in the copy: one sample of the sound, and at least as fine as the input's for the picture."""
    if isinstance(stream, AudioStream):
        return Fraction(1, stream.rate)
    return min(stream.time_base or TICK, TICK)


def _seconds(packet: Packet) -> float:
    ticks = packet.dts if packet.pts is None else packet.pts
    return float((ticks or 0) * packet.time_base)


def _end(packet: Packet) -> float:
    return _seconds(packet) + float((packet.duration or 0) * packet.time_base)
