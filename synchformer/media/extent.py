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

from synchformer.media.clock import BACK, Clock, Piece, SeekPoint, stamp_of
from synchformer.media.container import MediaError, tick
from synchformer.media.structure import is_cut_off

LEAPING = ("mpegts", "mpeg")  # formats whose times may begin anew within a file
DECODING_ORDER = ("avi",)  # formats whose packets do not say when a picture is shown
FORWARD = Fraction(10)  # s by which times may leap ahead of all streams within one piece
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
        if span is None or packet.is_discard:
            return
        self.first = span[0] if self.first is None else min(self.first, span[0])
        self.last = span[1] if self.last is None else max(self.last, span[1])

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
        for packet in container.demux(*streams):
            if packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info"):
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
    """A piece under way: its first byte, and the moments of its packets by their own word."""

    position: int
    streams: dict[int, _Extent] = field(default_factory=dict)
    first: Fraction | None = None
    last: Fraction | None = None

    def take(self, index: int, span: tuple[Fraction, Fraction]) -> None:
        own = self.streams.setdefault(index, _Extent())
        own.first = span[0] if own.first is None else min(own.first, span[0])
        own.last = span[1] if own.last is None else max(own.last, span[1])
        self.first = span[0] if self.first is None else min(self.first, span[0])
        self.last = span[1] if self.last is None else max(self.last, span[1])


@dataclass
class _Place:
    """Where a stream is on the walk: in which part, and its last decoding time there."""

    part: int
    stamp: Fraction | None = None


class _Walk:
    """A file's packets one after another; a stream that leaps begins a part, and the others follow it there."""

    def __init__(self, streams: Sequence[av.VideoStream | av.AudioStream]) -> None:
        self.parts = [_Part(0)]
        self.places = {stream.index: _Place(0) for stream in streams}
        self.guides = [stream.index for stream in streams if stream.type == "video"] or list(self.places)
        self.points: list[tuple[int, Fraction, int]] = []  # part, moment by its own word, byte
        self.seen = 0  # the byte of the last packet that has one

    def take(self, packet: Packet[Any]) -> None:
        """Go on by a packet."""
        place, span, position = self.places[packet.stream_index], _span(packet), packet.pos
        if span is None or packet.time_base is None:
            self._lengthen(packet)
            return
        stamp = stamp_of(packet) or span[0]
        self.seen = position or self.seen
        self._enter(place, stamp, self.seen if position is None else position)
        place.stamp = stamp
        part = self.parts[place.part]
        if packet.stream_index in self.guides and position is not None and packet.is_keyframe:
            self._point(place.part, span[0], position)
        part.take(packet.stream_index, span)

    def _lengthen(self, packet: Packet[Any]) -> None:
        """A packet without a time follows its neighbor."""
        part = self.parts[self.places[packet.stream_index].part]
        own = part.streams.get(packet.stream_index)
        if own is not None and own.last is not None and packet.time_base is not None:
            part.take(packet.stream_index, (own.last, own.last + (packet.duration or 0) * packet.time_base))

    def _enter(self, place: _Place, stamp: Fraction, position: int) -> None:
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

    def _leaps(self, place: _Place, stamp: Fraction) -> bool:
        assert place.stamp is not None
        ahead = self.parts[place.part].last
        reached = place.stamp if ahead is None else max(ahead, place.stamp)
        return stamp < place.stamp - BACK or stamp > reached + FORWARD

    def _point(self, part: int, moment: Fraction, position: int) -> None:
        if self.points and self.points[-1][0] == part and moment - self.points[-1][1] < POINT_EVERY:
            return
        self.points.append((part, moment, position))

    def shifts(self) -> list[Fraction]:
        """Seconds by which each part lies after its packets' word: each begins where the one before ended."""
        shifts, end = [], None
        for part in self.parts:
            first, last = part.first or Fraction(0), part.last or Fraction(0)
            shifts.append(Fraction(0) if end is None else end - first)
            end = last + shifts[-1]
        return shifts

    def clock(self) -> Clock:
        """The time line of what was walked through."""
        shifts = self.shifts()
        zero = self.parts[0].first or Fraction(0)
        points = [SeekPoint(float(moment + shifts[part] - zero), position) for part, moment, position in self.points]
        points.sort(key=lambda point: (point.time, point.position))
        pieces = tuple(
            Piece(part.position, shift, part.first or Fraction(0), part.last or Fraction(0))
            for part, shift in zip(self.parts, shifts, strict=True)
        )
        return Clock(zero, pieces, tuple(points) or (SeekPoint(0.0, 0),))

    def extents(self) -> dict[int, _Extent]:
        """First and last moment of every stream, on the line that runs on."""
        extents = {index: _Extent() for index in self.places}
        for part, shift in zip(self.parts, self.shifts(), strict=True):
            for index, own in part.streams.items():
                if own.first is None or own.last is None:
                    continue
                extent = extents[index]
                extent.first = own.first + shift if extent.first is None else min(extent.first, own.first + shift)
                extent.last = own.last + shift if extent.last is None else max(extent.last, own.last + shift)
        return extents
