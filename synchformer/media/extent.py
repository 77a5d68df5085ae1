"""When each stream of a file begins and ends, from its packets: headers may say nothing, or something else (`survey`).

Where a container's times run on, the first packets and the last are enough. Transport and program streams are walked
through once, which finds the places where their times begin anew. Nothing is decoded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from synchformer.media.clock import BACK, LONGEST_DELAY, Clock, Piece, SeekPoint
from synchformer.media.container import MediaError, tick
from synchformer.media.structure import is_cut_off

LEAPING = ("mpegts", "mpeg")  # formats whose times may begin anew within a file
DECODING_ORDER = ("avi",)  # formats whose packets do not say when a picture is shown
TICKS = 90_000  # a second, in transport and program streams
FORWARD = 10.0  # s by which times may leap ahead of all streams within one piece
LOOKED_AT = 64  # packets that are asked whether they are encrypted
POINT_EVERY = 0.5  # s between seek points of a file without pictures
TAILS = (1.0, 10.0, 60.0, 600.0, math.inf)  # s before the end at which the last packets are looked for
ENCRYPTED = "{} is encrypted, so nothing in it can be measured; give a copy that is not"
CLOSE = Fraction(1)  # s by which a header's word may differ from the packets' and still be the finer one


@dataclass(frozen=True)
class Survey:
    """What the packets say: the clock, and when each stream is presented, in seconds on it, by the stream's index.

    `cut_off` says that the file is shorter than its own structure.
    """

    clock: Clock
    spans: Mapping[int, tuple[float, float]]
    cut_off: bool


def survey(container: InputContainer, path: Path, streams: Sequence[av.VideoStream | av.AudioStream]) -> Survey:
    """Look at the packets of these streams; the container stands anywhere afterwards.

    Raises:
        MediaError: a stream has no packets, or is encrypted.
    """
    if container.format.name in LEAPING:
        walk = _Walk(streams)
        for packet in _demux(container, streams, path):
            walk.take(packet)
        clock, extents = walk.clock(), walk.extents()
    else:
        extents = {stream.index: _Extent() for stream in streams}
        _look_at_the_head(container, streams, extents, path)
        _look_at_the_tail(container, streams, extents, path)
        for stream in streams:
            extents[stream.index].refine(stream)
        starts = [extent.first for extent in extents.values() if extent.first is not None]
        others = [] if container.start_time is None else [Fraction(container.start_time, av.time_base)]
        zero = max(Fraction(0), min(starts + others, default=Fraction(0)))  # before 0 is an encoder's run-up
        clock = Clock(zero, in_decoding_order=container.format.name in DECODING_ORDER)
    spans = {}
    for stream in streams:
        first, last = extents[stream.index].first, extents[stream.index].last
        if first is None or last is None:
            raise MediaError(f"{path.name} is empty where its {_NAMES[stream.type]} should be; export it anew")
        spans[stream.index] = (max(0.0, float(first - clock.zero)), max(0.0, float(last - clock.zero)))
    return Survey(clock, spans, is_cut_off(container, path))


_NAMES = {"video": "picture", "audio": "sound"}


@dataclass
class _Extent:
    """First and last presented moment of a stream, in the container's seconds."""

    first: Fraction | None = None
    last: Fraction | None = None

    def take(self, packet: Packet[Any]) -> None:
        """Let a packet that is presented widen the extent."""
        span = _span(packet)
        if span is not None and not packet.is_discard:
            self.widen(*span)

    def widen(self, first: Fraction, last: Fraction) -> None:
        """Reach from `first` to `last` at least."""
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def refine(self, stream: av.VideoStream | av.AudioStream) -> None:
        """Believe the header where it differs from the packets by less than a packet: edit lists cut within them."""
        if self.first is None or self.last is None or stream.start_time is None:
            return
        start = stream.start_time * tick(stream)
        if abs(start - self.first) <= CLOSE:
            self.first = start
        stop = start + (stream.duration or 0) * tick(stream)
        if stream.duration and abs(stop - self.last) <= CLOSE / 10:
            self.last = min(self.last, stop)


def _span(packet: Packet[Any]) -> tuple[Fraction, Fraction] | None:
    """A packet's first and last moment, by its own word."""
    ticks = packet.dts if packet.pts is None else packet.pts
    if ticks is None or packet.time_base is None:
        return None
    return ticks * packet.time_base, (ticks + (packet.duration or 0)) * packet.time_base


def _demux(container: InputContainer, streams: Sequence[Stream], path: Path) -> Iterable[Packet[Any]]:
    """Packets with content; what cannot be demuxed any more is the end."""
    try:
        for number, packet in enumerate(container.demux(*streams)):
            if number < LOOKED_AT and any(
                packet.has_sidedata(kind) for kind in ("encryption_info", "encryption_init_info")
            ):
                raise MediaError(ENCRYPTED.format(path.name))
            if packet.size:
                yield packet
    except (av.error.InvalidDataError, av.error.EOFError, av.error.OSError):
        return


def _look_at_the_head(
    container: InputContainer,
    streams: Sequence[av.VideoStream | av.AudioStream],
    extents: Mapping[int, _Extent],
    path: Path,
) -> None:
    """Packets from the start until every stream has begun."""
    waiting = {stream.index for stream in streams}
    for packet in _demux(container, streams, path):
        extents[packet.stream_index].take(packet)
        if extents[packet.stream_index].first is not None:
            waiting.discard(packet.stream_index)
        if not waiting:
            return


def _look_at_the_tail(
    container: InputContainer,
    streams: Sequence[av.VideoStream | av.AudioStream],
    extents: Mapping[int, _Extent],
    path: Path,
) -> None:
    """The last packets of every stream, from ever further before the end."""
    start, whole = container.start_time or 0, container.duration or 0
    for back in TAILS:
        target = start + whole - back * av.time_base if math.isfinite(back) else -math.inf
        from_start = target <= max(0, start)
        try:
            container.seek(min(0, start) if from_start else int(target))
        except av.error.FFmpegError:
            continue
        ends = {stream.index: _Extent() for stream in streams}
        for packet in _demux(container, streams, path):
            ends[packet.stream_index].take(packet)
        for index, end in ends.items():
            extent = extents[index]
            if end.last is not None:
                extent.last = end.last if extent.last is None else max(extent.last, end.last)
        if from_start or all(end.last is not None for end in ends.values()):
            return


@dataclass
class _Part:
    """A piece under way: its first byte, and the moments in seconds, by its packets' own word, of every stream."""

    position: int
    streams: dict[int, tuple[float, float]] = field(default_factory=dict)
    first: float = math.inf
    last: float = -math.inf

    def take(self, index: int, start: float, stop: float) -> None:
        """Go on by a packet."""
        first, last = self.streams.get(index, (math.inf, -math.inf))
        self.streams[index] = (min(first, start), max(last, stop))
        self.first, self.last = min(self.first, start), max(self.last, stop)


@dataclass
class _Place:
    """Where a stream is on the walk: in which part, and its last decoding time there; `tick` is in seconds."""

    tick: float
    part: int = 0
    stamp: float | None = None


class _Walk:
    """A file's packets one after another; a stream that leaps begins a part, and the others follow it there.

    Seconds are floats, for there may be millions of packets: 26 hours leave them finer than a tick by 10 digits, and
    what comes out is rounded to `TICKS` a second.
    """

    def __init__(self, streams: Sequence[av.VideoStream | av.AudioStream]) -> None:
        self.parts = [_Part(0)]
        self.places = {stream.index: _Place(float(tick(stream))) for stream in streams}
        self.guides = {stream.index for stream in streams if stream.type == "video"} or set(self.places)
        self.points: list[tuple[int, float, int]] = []  # part, moment by its own word, byte
        self.seen = 0  # the byte of the last packet that has one

    def take(self, packet: Packet[Any]) -> None:
        """Go on by a packet."""
        index, position, pts, dts = packet.stream_index, packet.pos, packet.pts, packet.dts
        place, length = self.places[index], (packet.duration or 0)
        if pts is None and dts is None:  # it follows its neighbor
            reached = self.parts[place.part].streams.get(index)
            if reached is not None:
                self.parts[place.part].take(index, reached[1], reached[1] + length * place.tick)
            return
        start = (pts if pts is not None else dts or 0) * place.tick
        stamp = start if dts is None or abs(start - dts * place.tick) > LONGEST_DELAY else dts * place.tick
        self.seen = position or self.seen
        self._enter(place, stamp, self.seen if position is None else position)
        place.stamp = stamp
        if index in self.guides and position is not None and packet.is_keyframe:
            self._point(place.part, start, position)
        self.parts[place.part].take(index, start, start + length * place.tick)

    def _enter(self, place: _Place, stamp: float, position: int) -> None:
        current = len(self.parts) - 1
        newest = self.parts[current]
        if place.stamp is not None and self._leaps(place, stamp):
            if place.part == current:
                self.parts.append(_Part(position))
                place.part = current + 1
            else:
                place.part = current
                newest.position = min(newest.position, position)
        elif position >= newest.position:
            place.part = current

    def _leaps(self, place: _Place, stamp: float) -> bool:
        assert place.stamp is not None
        return stamp < place.stamp - BACK or stamp > max(self.parts[place.part].last, place.stamp) + FORWARD

    def _point(self, part: int, moment: float, position: int) -> None:
        if self.points and self.points[-1][0] == part and moment - self.points[-1][1] < POINT_EVERY:
            return
        self.points.append((part, moment, position))

    def shifts(self) -> list[Fraction]:
        """Seconds by which each part lies after its packets' word: each begins where the one before ended."""
        shifts: list[Fraction] = []
        end = None
        for part in self.parts:
            shifts.append(Fraction(0) if end is None else end - _exact(part.first))
            end = _exact(part.last) + shifts[-1]
        return shifts

    def clock(self) -> Clock:
        """The time line of what was walked through."""
        shifts, zero = self.shifts(), _exact(self.parts[0].first)
        points = [SeekPoint(moment + float(shifts[part] - zero), position) for part, moment, position in self.points]
        points.sort(key=lambda point: (point.time, point.position))
        pieces = tuple(
            Piece(part.position, shift, _exact(part.first), _exact(part.last))
            for part, shift in zip(self.parts, shifts, strict=True)
        )
        return Clock(zero, pieces, tuple(points) or (SeekPoint(0.0, 0),))

    def extents(self) -> dict[int, _Extent]:
        """First and last moment of every stream, on the line that runs on."""
        extents = {index: _Extent() for index in self.places}
        for part, shift in zip(self.parts, self.shifts(), strict=True):
            for index, (start, stop) in part.streams.items():
                extents[index].widen(_exact(start) + shift, _exact(stop) + shift)
        return extents


def _exact(seconds: float) -> Fraction:
    """A moment in whole ticks; 0 for that of a part without any."""
    return Fraction(round(seconds * TICKS), TICKS) if math.isfinite(seconds) else Fraction(0)
