"""Move a file's sound in time by its timestamps alone: packets are copied, nothing is encoded again.

`write_shifted` makes a copy to be played, of one picture and one sound; with `every_stream` it keeps all that the file
holds: every sound moves, and subtitles, chapters, tags, fonts, cover pictures and the way up stay as they are.

Sign: an offset above zero makes the sound run ahead (it is heard that many seconds too early); below zero it lags.
The picture keeps its times. Sound that would fall before time zero is left out, and one packet more is kept behind an
edit list, because AAC and Opus need their predecessor to decode a packet cleanly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from synchformer.media.container import ONLY_THIS_FILE, tick, url_of
from synchformer.media.probe import probe
from synchformer.media.tracks import pick_audio, pick_video
from synchformer.storage.atomic import atomic_write

if TYPE_CHECKING:
    from av.container.core import Chapter  # PyAV's stub has this name, its module has not

# What each container may hold; mkv takes everything.
MP4_VIDEO = frozenset(("h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"))
MP4_CODECS = MP4_VIDEO | {"aac", "mp3", "mp2", "opus", "flac", "ac3", "eac3", "alac"}
WEBM_CODECS = frozenset(("vp8", "vp9", "av1", "opus", "vorbis"))
FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".webm": "webm", ".mkv": "matroska"}

# What Chromium and Firefox decode without help from the system.
BROWSER_CODECS = frozenset(("h264", "vp8", "vp9", "av1", "aac", "mp3", "opus", "vorbis", "flac"))

PREROLL_SECONDS = 0.1  # sound kept before time zero where an edit list can hide it: at least one packet
AV_TIME_BASE = 1_000_000  # a container's own times are in microseconds
CHAPTER_TICK = Fraction(1, AV_TIME_BASE)
TICK = Fraction(1, 90_000)  # seconds: a common clock for pictures

# Tags that a muxer writes itself: copied, they would tell the old file's.
UNKNOWN_BYTES = "application/octet-stream"
OWN_TAGS = frozenset(("major_brand", "minor_version", "compatible_brands", "encoder", "duration"))


@dataclass(frozen=True)
class _Window:
    """The part of the input to copy, in seconds on the container's clock; `origin` becomes time zero."""

    origin: float
    start: float
    stop: float


@dataclass(frozen=True)
class Streams:
    """What is copied: the picture, the sounds (the first is the one that is measured), and what else there is."""

    picture: VideoStream
    sounds: tuple[AudioStream, ...]
    others: tuple[Stream, ...] = ()
    everything: bool = False

    @property
    def coded(self) -> tuple[Stream, ...]:
        """Picture, sounds and others, in the order that players see them."""
        return tuple(sorted((self.picture, *self.sounds, *self.others), key=lambda stream: stream.index))


def write_shifted(
    path: str | Path,
    offset: float,
    out: str | Path,
    start: float | None = None,
    seconds: float | None = None,
    *,
    every_stream: bool = False,
) -> Path:
    """Copy `path` to `out` so that its sound is heard `offset` seconds earlier (later when negative).

    Streams are copied packet by packet. The file appears under its final name only when it is complete.

    Args:
        path: the video file to read.
        offset: seconds; above zero the sound runs ahead, below zero it lags.
        out: where to write; the suffix names the container (see `suited_suffix`).
        start: seconds; when given, this moment of the picture becomes time zero.
        seconds: length of the part to copy; to the end when None.
        every_stream: copy all streams instead of the first picture and the first sound, and move all sounds alike;
            `left_out` tells what cannot be kept. Only for whole files.

    Returns:
        `out` as a path.

    Raises:
        ValueError: when `offset`, `start` or `seconds` is no finite number, `out` is `path` itself, or the container
            named by `out` cannot hold these codecs.
        MediaError: when `path` is not a media file, or lacks a picture or a sound.
    """
    path, out = Path(path), Path(out)
    check_arguments(path, offset, out, start, seconds)
    if every_stream and not (start is None and seconds is None):
        raise ValueError("every_stream copies whole files; leave out start and seconds")
    with ExitStack() as stack:
        source, streams, zero = stack.enter_context(open_streams(path, every_stream))
        _check_container(out, streams)
        part = stack.enter_context(atomic_write(out))
        options = {"movflags": "+faststart"} if FORMATS[out.suffix.lower()] in ("mp4", "mov") else {}
        with av.open(str(part), "w", format=FORMATS[out.suffix.lower()], options=options) as target:
            _copy(source, target, streams, offset, _window(zero, start, seconds))
    return out


def suited_suffix(path: str | Path) -> str:
    """The suffix of the container that holds these codecs best: `.mp4`, else `.webm`, else `.mkv`.

    Raises:
        MediaError: when `path` is not a media file, or lacks a picture or a sound.
    """
    with open_streams(Path(path)) as (_, streams, _):
        codecs = set(map(_codec, streams.coded))
    if codecs <= MP4_CODECS:
        return ".mp4"
    return ".webm" if codecs <= WEBM_CODECS else ".mkv"


def browser_note(path: str | Path) -> str | None:
    """One sentence when browsers cannot play this file, None when they can.

    Raises:
        MediaError: when `path` is not a media file, or lacks a picture or a sound.
    """
    with open_streams(Path(path)) as (_, streams, _):
        unknown = sorted(set(map(_codec, streams.coded)) - BROWSER_CODECS)
    if not unknown:
        return None
    return f"Browsers may not play this file ({', '.join(unknown)}); the measurement does not depend on it."


def left_out(path: str | Path) -> tuple[str, ...]:
    """What `write_shifted` cannot keep when it copies every stream, as parts of a sentence: `a data stream (tmcd)`.

    Raises:
        MediaError: when `path` is not a media file, or lacks a picture or a sound.
    """
    with open_streams(Path(path), every_stream=True) as (source, streams, _):
        kept = {stream.index for stream in streams.coded} | {stream.index for stream in source.streams.attachments}
        lost = [stream for stream in source.streams if stream.index not in kept and not _is_chapter_track(stream)]
        return tuple(f"a {stream.type} stream ({stream.name or 'of unknown codec'})" for stream in lost)


def _is_chapter_track(stream: Stream) -> bool:
    """QuickTime keeps chapters in a track of their own, which the muxer writes anew."""
    return stream.type == "data" and stream.name == "bin_data" and bool(stream.container.chapters())


def check_arguments(path: Path, offset: float, out: Path, start: float | None, seconds: float | None) -> None:
    """Refuse numbers that are not finite, an unknown suffix, and the input as output (see `write_shifted`)."""
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
def open_streams(path: Path, every_stream: bool = False) -> Iterator[tuple[InputContainer, Streams, float]]:
    """The file, its streams, and the container's time of the clock's zero.

    AVI keeps no presentation times: the demuxer works them out from the frame order.
    """
    zero = float(probe(path).clock.zero)
    with av.open(url_of(path), options={"fflags": "+genpts"} | ONLY_THIS_FILE, metadata_errors="replace") as source:
        (picture, _), (sound, _) = pick_video(source, path), pick_audio(source, path)
        yield source, _all_streams(source, picture) if every_stream else Streams(picture, (sound,)), zero


def _all_streams(source: InputContainer, picture: VideoStream) -> Streams:
    """Every stream that can be copied packet by packet."""
    others = [*source.streams.video, *source.streams.subtitles]
    return Streams(
        picture,
        tuple(stream for stream in source.streams.audio if stream.codec_context is not None),
        tuple(stream for stream in others if stream is not picture and stream.codec_context is not None),
        everything=True,
    )


def _codec(stream: Stream) -> str:
    context = stream.codec_context
    return "unknown" if context is None else context.codec.canonical_name


def _check_container(out: Path, streams: Streams) -> None:
    allowed = {"mp4": MP4_CODECS, "webm": WEBM_CODECS}.get(FORMATS[out.suffix.lower()])
    moving = (streams.picture, *streams.sounds)
    unfit = [] if allowed is None else [name for name in map(_codec, moving) if name not in allowed]
    if unfit:
        raise ValueError(f"{out.suffix} cannot hold {' and '.join(unfit)}; use .mkv, or the suffix of suited_suffix()")


def _window(zero: float, start: float | None, seconds: float | None) -> _Window:
    if start is None and seconds is None:
        return _Window(origin=zero, start=-math.inf, stop=math.inf)
    origin = zero + (start or 0.0)
    return _Window(origin=origin, start=origin, stop=math.inf if seconds is None else origin + seconds)


def _copy(source: InputContainer, target: OutputContainer, streams: Streams, offset: float, window: _Window) -> None:
    """Write the streams, the sounds `offset` seconds earlier and everything `window.origin` seconds earlier."""
    copies = {stream.index: add_copy(target, stream) for stream in streams.coded}
    if streams.everything:
        copy_tags(source, target, copies, window.origin)
    preroll = PREROLL_SECONDS if target.format.name in ("mp4", "mov") else 0.0
    for packet in _packets(source, streams, offset, window):
        stream = packet.stream
        if isinstance(stream, AudioStream):
            if _end(packet) < _heard(stream) - PREROLL_SECONDS:
                continue
            move_packet(packet, window.origin + offset, clock_of(stream))
            if _end(packet) <= -preroll:
                continue
        else:
            move_packet(packet, window.origin, clock_of(stream))
        packet.stream = copies[stream.index]
        target.mux(packet)


def add_copy(target: OutputContainer, stream: Stream) -> Stream:
    """A copy of the stream's description.

    Raises:
        ValueError: when the container cannot hold its codec.
    """
    try:
        return target.add_stream_from_template(stream, opaque=True)
    except ValueError as error:
        raise ValueError(
            f"{target.format.name} cannot hold {_codec(stream)} ({stream.type}); use the input's own suffix, or .mkv"
        ) from error


def copy_tags(source: InputContainer, target: OutputContainer, copies: Mapping[int, Stream], origin: float) -> None:
    """Chapters, attached fonts, what a player shows about file and streams, and what each stream is for."""
    target.metadata.update(_kept_tags(source.metadata))
    for index, copy in copies.items():
        copy.metadata.update(_kept_tags(source.streams[index].metadata))
        copy.disposition = source.streams[index].disposition
    target.set_chapters([_moved_chapter(chapter, origin) for chapter in source.chapters()])
    if target.format.name.startswith(("matroska", "mkv")):
        for attached in source.streams.attachments:
            target.add_attachment(attached.name or "attachment", attached.mimetype or UNKNOWN_BYTES, attached.data)


def _kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.lower() not in OWN_TAGS}


def _moved_chapter(chapter: Chapter, origin: float) -> Chapter:
    earlier = round(Fraction(origin) / (chapter["time_base"] or CHAPTER_TICK))
    return {**chapter, "start": max(0, chapter["start"] - earlier), "end": max(0, chapter["end"] - earlier)}


def _packets(source: InputContainer, streams: Streams, offset: float, window: _Window) -> Iterator[Packet[Any]]:
    """Packets inside the window, the picture from the last key frame at or before its start."""
    if math.isfinite(window.start):
        source.seek(int((window.start + min(0.0, offset) - 2 * PREROLL_SECONDS) * AV_TIME_BASE), backward=True)
    held: list[Packet[Any]] = []  # the picture since the last key frame before the start
    done = {stream.index: False for stream in streams.coded}
    for packet in with_dts(source.demux(*streams.coded)):
        is_sound = isinstance(packet.stream, AudioStream)
        # Decoding order, not pts: a frame shown after the end may be needed by frames shown before it.
        done[packet.stream.index] |= float((packet.dts or 0) * packet.time_base) - offset * is_sound >= window.stop
        if all(done.values()):
            break
        if done[packet.stream.index]:
            continue
        if packet.stream is not streams.picture:
            yield packet
        elif _seconds(packet) < window.start:
            held = [packet] if packet.is_keyframe else [*held, packet]
        else:
            yield from [*held, packet]
            held = []


def with_dts(packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Packets with decoding times. Matroska has none: the demuxer finds them, but not before a few pictures went by."""
    waiting: dict[int, list[Packet[Any]]] = {}
    for packet in packets:
        if packet.dts is None and packet.pts is None:  # the demuxer's empty packet at the end of a stream
            continue
        held = waiting.setdefault(packet.stream_index, [])
        if packet.dts is None:
            held.append(packet)
            continue
        for back, early in enumerate(reversed(held), start=1):
            early.dts = packet.dts - back * (packet.duration or 1)
        yield from [*held, packet]
        held.clear()
    for held in waiting.values():
        yield from held


def move_packet(packet: Packet[Any], seconds: float, clock: Fraction) -> None:
    """Put a packet `seconds` earlier, counted in ticks of `clock`, as a container's own may be whole packets."""
    shift, scale = round(Fraction(seconds) / clock), packet.time_base / clock
    pts, dts, duration = packet.pts, packet.dts, packet.duration or 0
    packet.time_base = clock
    packet.dts = None if dts is None else round(dts * scale) - shift
    packet.pts = None if pts is None else round(pts * scale) - shift
    packet.duration = round(duration * scale)


def clock_of(stream: Stream) -> Fraction:
    """Seconds per tick in the copy: one sample of a sound, and at least as fine as the input's for all others."""
    if isinstance(stream, AudioStream):
        return Fraction(1, stream.rate)
    return min(stream.time_base or TICK, TICK)


def _heard(stream: AudioStream) -> float:
    """When a sound begins, in seconds of the container: an edit list may hide packets before it."""
    return float((stream.start_time or 0) * tick(stream))


def _seconds(packet: Packet[Any]) -> float:
    ticks = packet.dts if packet.pts is None else packet.pts
    return float((ticks or 0) * packet.time_base)


def _end(packet: Packet[Any]) -> float:
    return _seconds(packet) + float((packet.duration or 0) * packet.time_base)
