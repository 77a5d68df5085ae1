"""A copy packet by packet, for containers without edit lists and for changes of container; nothing is encoded.

All packets come from the file's clock (`synchformer.media.clock`), so that wraps, jumps and joined recordings are one
rising line in the copy. Its zero, the earliest presented moment, becomes the copy's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from synchformer.copies.containers import Container, advice, require_fit
from synchformer.copies.stream_copier import (
    PREROLL_SECONDS,
    StreamCopier,
    Written,
    duration_of,
    is_cover,
    options_for,
    seconds_of,
    with_dts,
)
from synchformer.media.clock import Clock
from synchformer.media.container import MediaError, open_container, tick, url_of
from synchformer.media.probe import probe
from synchformer.media.tracks import pick_audio, pick_video


@dataclass(frozen=True)
class Source:
    """An open file, its clock, and the streams that packets are copied of; `picture` is the one that is shown."""

    path: Path
    container: InputContainer
    clock: Clock
    picture: VideoStream
    streams: tuple[Stream, ...]
    seconds: float

    @property
    def moving(self) -> tuple[Stream, ...]:
        """Pictures and sounds: a container that cannot hold these is of no use."""
        return tuple(stream for stream in self.streams if stream.type in ("video", "audio"))


@contextmanager
def open_source(path: Path, *, everything: bool) -> Iterator[Source]:
    """Open a file to copy the picture and the sound that a player plays, or every stream that FFmpeg knows.

    Raises:
        MediaError: as `synchformer.media.probe`.
    """
    info = probe(path)  # which walks through some files: the container below stands at its start
    with open_container(path) as container:
        picture, sound = pick_video(container, path)[0], pick_audio(container, path)[0]
        streams: tuple[Stream, ...] = (picture, sound)
        if everything:
            streams = tuple(stream for stream in container.streams if _can_be_copied(stream))
        ordered = tuple(sorted(streams, key=lambda stream: stream.index))
        yield Source(path, container, info.clock, picture, ordered, info.seconds)


def _can_be_copied(stream: Stream) -> bool:
    if stream.type == "data":
        return True
    return stream.codec_context is not None and stream.type != "attachment" and not is_cover(stream)


def copy_whole(source: Source, offset: float, part: Path, container: Container, suffix: str) -> dict[int, Written]:
    """Write every stream that the container can hold, all sounds `offset` seconds earlier.

    Args:
        source: from `open_source` with `everything`.
        offset: seconds.
        part: the file to write.
        container: what to write.
        suffix: how the container is called in an error.

    Returns:
        What was written of each stream, by its place in the source.

    Raises:
        MediaError: a container that cannot hold a picture or a sound, or cuts that it cannot express.
    """
    require_fit(source.path, part.with_suffix(suffix), source.moving)
    covers = list(covers_of(source))
    options = options_for(container, source.container.metadata, bool(covers))
    with writing(source, suffix), av.open(url_of(part), "w", format=container.muxer, options=options) as target:
        copier = StreamCopier(source.container, target, container, source.clock.zero)
        kept = [stream for stream in source.streams if copier.add(stream)]
        for stream, packet in covers:
            copier.add_cover(stream, packet)
        copier.begin(everything=True)
        earlier = Fraction(offset)
        for packet in shown(source, kept, container, suffix):
            copier.write(packet, earlier if isinstance(packet.stream, AudioStream) else Fraction(0))
    return copier.written


def copy_part(
    source: Source, offset: float, part: Path, container: Container, suffix: str, start: float, seconds: float
) -> None:
    """Write the picture and the sound from `start` on for `seconds`, the sound `offset` seconds earlier.

    `start` is on the file's clock and becomes time zero; −∞ and ∞ mean the file's own ends.

    Raises:
        MediaError: as `copy_whole`.
    """
    require_fit(source.path, part.with_suffix(suffix), source.moving)
    begin = Fraction(start) if math.isfinite(start) else Fraction(0)
    options = dict(container.options)
    with writing(source, suffix), av.open(url_of(part), "w", format=container.muxer, options=options) as target:
        copier = StreamCopier(source.container, target, container, source.clock.zero + begin)
        kept = [stream for stream in source.streams if copier.add(stream)]
        copier.begin(everything=False)
        earlier = Fraction(offset)
        for packet in _inside(source, kept, offset, container, suffix, start, seconds):
            copier.write(packet, earlier if isinstance(packet.stream, AudioStream) else Fraction(0))


@contextmanager
def writing(source: Source, suffix: str) -> Iterator[None]:
    """Errors of a muxer as a sentence that names a container that works."""
    try:
        yield
    except (av.error.FFmpegError, OverflowError) as error:
        if isinstance(error, OSError) and not isinstance(error, av.error.ArgumentError | av.error.InvalidDataError):
            raise OSError(f"the copy of {source.path.name} cannot be written ({error.strerror})") from error
        what = f"{source.path.name} cannot be copied into {suffix}"
        raise MediaError(f"{what}; {advice(source.path, source.moving, suffix)}") from error


def packets(source: Source, streams: list[Stream]) -> Iterator[Packet[Any]]:
    """Packets of these streams on the file's clock, with decoding times; what is broken behind is passed over."""
    with suppress(av.error.InvalidDataError, av.error.EOFError):
        yield from with_dts(source.clock.packets(source.container, *streams))


def shown(
    source: Source, streams: list[Stream], container: Container, suffix: str, decoded: Collection[int] = ()
) -> Iterator[Packet[Any]]:
    """Packets without those that an edit list hides, where the copy has none; all of the streams `decoded`.

    Raises:
        MediaError: when shown pictures need hidden ones, which the container cannot hide.
    """
    hidden: dict[int, bool] = {}
    begun: set[int] = set()
    times = _shown_times(source)
    ahead = max((decoded - presented for decoded, presented in times.items()), default=0)  # of decoding, in ticks
    for packet in packets(source, streams):
        index = packet.stream_index
        if index == source.picture.index and times and packet.dts is not None:
            packet.pts, packet.dts = times.get(packet.dts, packet.dts), packet.dts - ahead
        if packet.is_discard and index not in decoded and not (container.hides_start and index not in begun):
            hidden[index] = True
            continue
        if hidden.pop(index, False) and isinstance(packet.stream, VideoStream) and not packet.is_keyframe:
            why = "its edit list cuts between key frames"
            raise MediaError(
                f"{source.path.name} cannot be copied into {suffix}: {why}; name the copy *{source.path.suffix}"
            )
        if not packet.is_discard:
            begun.add(index)
        yield packet


def _shown_times(source: Source) -> dict[int, int]:
    """When each picture of an AVI is shown, by its packet's place in decoding order; nothing where packets say it.

    AVI counts packets as they are decoded. Pictures are decoded once here: they come out in the order in which they are
    shown, each with the place of its own packet.
    """
    if not source.clock.in_decoding_order:
        return {}
    order: list[int] = []
    with open_container(source.path) as other:
        stream = other.streams[source.picture.index]
        assert isinstance(stream, VideoStream)
        stream.thread_type = "AUTO"
        for packet in other.demux(stream):
            packet.pts = packet.dts
            with suppress(av.error.InvalidDataError):
                order.extend(frame.pts for frame in packet.decode() if frame.pts is not None)
    return dict(zip(order, sorted(order), strict=True))


def covers_of(source: Source) -> Iterator[tuple[Stream, Packet[Any]]]:
    """Pictures that stand for the file, each with its one packet."""
    with open_container(source.path) as other:
        for stream in other.streams:
            if is_cover(stream) and stream.codec_context is not None:
                packet = next((packet for packet in other.demux(stream) if packet.size), None)
                if packet is not None:
                    yield source.container.streams[stream.index], packet
                other.seek(0)


def _inside(
    source: Source, streams: list[Stream], offset: float, container: Container, suffix: str, start: float, stop: float
) -> Iterator[Packet[Any]]:
    """Packets of a part, the picture from the last key frame at or before its start."""
    zero, end = source.clock.zero, start + stop if math.isfinite(start) else stop
    if math.isfinite(start):
        source.clock.seek(source.container, start + min(0.0, offset) - 2 * float(PREROLL_SECONDS))
    held: list[Packet[Any]] = []  # the picture since the last key frame before the start
    done = dict.fromkeys((stream.index for stream in streams), False)
    for packet in shown(source, streams, container, suffix):
        moved = offset if isinstance(packet.stream, AudioStream) else 0.0
        # Decoding order, not pts: a frame shown after the end may be needed by frames shown before it.
        place = float((packet.dts or 0) * tick_of(packet) - zero) - moved
        done[packet.stream_index] |= place >= end
        if all(done.values()):
            break
        if done[packet.stream_index]:
            continue
        if packet.stream_index != source.picture.index:
            if place + float(duration_of(packet)) >= start - float(PREROLL_SECONDS):
                yield packet
        elif float(seconds_of(packet) - zero) < start:
            held = [packet] if packet.is_keyframe else [*held, packet]
        else:
            yield from [*held, packet]
            held = []


def tick_of(packet: Packet[Any]) -> Fraction:
    """Seconds per tick of a packet."""
    return packet.time_base or tick(packet.stream)
