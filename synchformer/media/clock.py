"""One rising time line for a file: where its packets lie, whatever they say of themselves (`Clock`).

In most containers the packets' times are that line. Two kinds differ. In MPEG transport and program streams, times
begin anew where recordings were joined, leap where a receiver lost the signal, and their counter of 33 bits wraps after
26.5 hours: such a file is a row of pieces, each with its own shift. In AVI, packets tell the order of decoding alone: a
picture's time is that of the packet that released it from the decoder, less the decoder's delay.

Everything that reads or copies a file asks here for its packets or frames, so that all use one line.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from synchformer.media.container import tick

START = 0  # the first byte of a file
BACK = 0.5  # s by which times may fall within one piece
LONGEST_DELAY = 5  # s between a packet's decoding and its presentation
FAR = 10.0
SEEK_BACK = (0.0, 2.0, FAR, math.inf)  # s further back when a seek landed behind the wanted frame


@dataclass(frozen=True)
class Piece:
    """A part of a file whose times run on: from the byte `position` on, packets lie `shift` s after what they say.

    What they say goes from `first` to `last` seconds.
    """

    position: int
    shift: Fraction
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)

    def holds(self, moment: Fraction) -> bool:
        """Whether a packet that says this moment can belong here."""
        return self.first - BACK <= moment <= self.last + BACK


@dataclass(frozen=True)
class SeekPoint:
    """A packet that decoding may begin at: its `time` on the clock in seconds, and the byte where it begins."""

    time: float
    position: int


@dataclass(frozen=True)
class Clock:
    """A file's time line.

    `zero` is the container's time, in seconds, of the clock's zero: the earliest presented frame or sample. `pieces`
    are in order of their bytes. `points` are known of files that were walked through; others seek by time.
    `in_decoding_order` says that packets of pictures tell when they are decoded, not when they are shown.
    """

    zero: Fraction = Fraction(0)
    pieces: tuple[Piece, ...] = (Piece(START, Fraction(0)),)
    points: tuple[SeekPoint, ...] = ()
    in_decoding_order: bool = False

    def piece_at(self, position: int) -> int:
        """The index of the piece that holds this byte."""
        return max(0, bisect_right(self.pieces, position, key=lambda piece: piece.position) - 1)

    def seek(self, container: InputContainer, seconds: float = -math.inf) -> bool:
        """Go to the last seek point at or before `seconds` on the clock; True when that is the file's start.

        What is found there may still lie behind: containers round, and their indexes lie.
        """
        if self.points:
            index = bisect_right(self.points, seconds, key=lambda point: point.time) - 1
            container.seek(self.points[index].position if index >= 0 else START, unsupported_byte_offset=True)
            return index < 0
        target = self.zero + Fraction(seconds) if math.isfinite(seconds) else Fraction(-1)
        from_start = target <= self.zero
        container.seek(min(0, container.start_time or 0) if from_start else int(target * av.time_base))
        return from_start

    def packets(self, container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
        """Packets of these streams from where the container stands, their times on one line with `zero`.

        A packet that follows its neighbor without a time of its own keeps none. The demuxer's last, empty packets
        come too: they flush decoders.
        """
        if len(self.pieces) == 1:
            yield from container.demux(*streams)
            return
        places: dict[int, int] = {}
        reached: dict[int, Fraction] = {}
        for packet in container.demux(*streams):
            index, moment = packet.stream_index, stamp_of(packet)
            if packet.pos is not None:
                places[index] = self.piece_at(packet.pos)
            if index in places and moment is not None:
                if index in reached:
                    places[index] = self._nearest(places[index], moment, reached[index])
                reached[index] = moment + self.pieces[places[index]].shift
            if index in places:
                move(packet, self.pieces[places[index]].shift)
            yield packet

    def _nearest(self, place: int, moment: Fraction, reached: Fraction) -> int:
        """The piece, at most one from `place`, in which a packet's word comes next to what its stream has reached.

        Where two recordings meet, demuxers hand out packets with the bytes of their neighbors.
        """
        nearby = [index for index in (place, place - 1, place + 1) if 0 <= index < len(self.pieces)]
        fitting = [index for index in nearby if self.pieces[index].holds(moment)] or [place]
        return min(fitting, key=lambda index: abs(moment + self.pieces[index].shift - reached))


def stamp_of(packet: Packet[Any]) -> Fraction | None:
    """The moment at which a packet is decoded, by its own word; its presentation's where demuxers mixed up the two."""
    ticks = packet.pts if packet.dts is None or _is_mixed_up(packet) else packet.dts
    return None if ticks is None or packet.time_base is None else ticks * packet.time_base


def _is_mixed_up(packet: Packet[Any]) -> bool:
    """Whether a packet's two times belong to two pieces."""
    if packet.pts is None or packet.dts is None or packet.time_base is None:
        return False
    return abs(packet.pts - packet.dts) * packet.time_base > LONGEST_DELAY


def move(packet: Packet[Any], seconds: Fraction) -> None:
    """Put a packet `seconds` later, rounded to a tick of its time base; a mixed-up decoding time is left out."""
    if _is_mixed_up(packet):
        packet.dts = None
    ticks = round(seconds / (packet.time_base or Fraction(1, av.time_base)))
    if packet.pts is not None:
        packet.pts += ticks
    if packet.dts is not None:
        packet.dts += ticks


def place_of(frame: av.VideoFrame | av.AudioFrame, clock: Clock) -> Fraction:
    """Seconds on the clock at which a frame begins, exactly."""
    return (frame.pts or 0) * tick(frame) - clock.zero


class Decoding:
    """A stream that is being decoded; `broken` counts the packets that the decoder refused after its first frame."""

    def __init__(self, container: InputContainer, stream: av.VideoStream | av.AudioStream, clock: Clock) -> None:
        self.container, self.stream, self.clock = container, stream, clock
        self.broken = 0
        self._step = 1  # ticks from one packet to the next

    def frames_from(self, begin: float) -> Iterator[Any]:
        """Frames from the last seek point at or before `begin` seconds on; broken packets are passed over."""
        for back in SEEK_BACK:
            from_start = self.clock.seek(self.container, begin - back)
            frames = self._frames()
            head = next(frames, None)
            if head is None and not from_start:
                continue
            if head is None:
                return
            is_early = from_start or place_of(head, self.clock) <= begin
            if not is_early and back == FAR and self._lands_before(begin, back):  # the stream pauses here
                self.clock.seek(self.container, begin - back)
                frames = self._frames()
                head, is_early = next(frames, None), True
            if is_early and head is not None:
                yield head
                yield from frames
                return

    def _lands_before(self, begin: float, back: float) -> bool:
        """Whether a seek to `back` seconds before `begin` finds packets of any picture or sound before `begin`."""
        self.clock.seek(self.container, begin - back)
        streams = (*self.container.streams.video, *self.container.streams.audio)
        for packet in self.clock.packets(self.container, *streams):
            if packet.dts is not None and packet.time_base is not None:
                return packet.dts * packet.time_base - self.clock.zero <= begin
        return False

    def _frames(self) -> Iterator[Any]:
        """Decoded frames with a time; one that has none of its own follows its neighbor."""
        following: int | None = None
        for frame in self._decoded():
            if isinstance(frame, av.VideoFrame) and self.clock.in_decoding_order:
                frame.pts = self._shown_at(frame, following)
            elif frame.pts is None:
                frame.pts = following
            if frame.pts is not None:
                following = frame.pts + (self._step if self.clock.in_decoding_order else _length(frame))
                yield frame

    def _decoded(self) -> Iterator[Any]:
        begun, self.broken, before = False, 0, None
        try:
            for packet in self.clock.packets(self.container, self.stream):
                if packet.dts is not None and before is not None and packet.dts > before:
                    self._step = packet.dts - before
                before = packet.dts if packet.dts is not None else before
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    self.broken += begun
                    continue
                begun = begun or bool(frames)
                yield from frames
        except (av.error.InvalidDataError, av.error.EOFError):  # nothing behind it can be demuxed
            self.broken += 1

    def _shown_at(self, frame: av.VideoFrame, following: int | None) -> int | None:
        """When a picture is shown whose packet does not say it: its release, less the decoder's delay in pictures."""
        if frame.dts is None:  # released at the end of the stream
            return following
        shown = frame.dts - getattr(self.stream.codec_context, "reorder_depth", 0) * self._step
        return shown if following is None else max(shown, following - self._step + 1)


def _length(frame: av.VideoFrame | av.AudioFrame) -> int:
    """A frame's length in ticks."""
    if isinstance(frame, av.AudioFrame):
        return round(frame.samples / frame.sample_rate / tick(frame))
    return frame.duration or 1
