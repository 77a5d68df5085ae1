"""Streams of one file written into another, packet by packet: nothing is encoded, all times are moved exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import DataStream, Stream
from av.subtitles.stream import SubtitleStream

from synchformer.copies import subtitles
from synchformer.copies.containers import Container, add_copy, family_of, stream_codec, takes
from synchformer.copies.contents import kept_tags
from synchformer.media.tracks import COVERS

if TYPE_CHECKING:
    from av.container.core import Chapter  # PyAV's stub has this name, its module has not

PREROLL_SECONDS = Fraction(1, 10)  # sound kept before time zero where an edit list can hide it: at least one packet
CHAPTER_TICK = Fraction(1, av.time_base)
UNKNOWN_BYTES = "application/octet-stream"
EQUAL_TIMES = ("matroska", "webm", "asf", "flv")  # muxers that take two packets of one stream with the same time
COVER_NAMES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
# Tags that every player knows in MP4; others need QuickTime's list of keys, which has no room for a cover.
COMMON_TAGS = frozenset(
    {"title", "artist", "album", "album_artist", "composer", "comment", "genre", "date", "copyright", "description"}
    | {"grouping", "lyrics", "track", "disc", "show", "episode_id", "network", "synopsis", "creation_time", "encoder"}
    | {"media_type", "hd_video", "gapless_playback", "keywords", "location", "location-eng", "timecode"}
)


@dataclass
class Written:
    """What was written of a stream: its place in the copy, its packets and their times in seconds."""

    index: int
    kind: str
    codec: str
    packets: int = 0
    first: Fraction | None = None
    last: Fraction = Fraction(0)
    end: Fraction = Fraction(0)
    converted: bool = False


@dataclass
class StreamCopier:
    """Writes streams of `source` into `target`; the moment `origin` of the source becomes time zero.

    First `add` or `adopt` every stream, then `begin`, then `write` packets. `written` tells of what was written, by the
    stream's place in the source.
    """

    source: InputContainer
    target: OutputContainer
    container: Container
    origin: Fraction
    copies: dict[int, Stream] = field(default_factory=dict)
    written: dict[int, Written] = field(default_factory=dict)
    covers: dict[int, Packet[Any]] = field(default_factory=dict)
    _texts: dict[int, str] = field(default_factory=dict)
    _last: dict[int, int] = field(default_factory=dict)

    def add(self, stream: Stream) -> bool:
        """Copy this stream's packets, or its words where the container has other subtitles; False where it cannot."""
        codec, wanted = stream_codec(stream), self.container.text_subtitles
        if isinstance(stream, DataStream) and self.container.codecs is None:
            return False  # muxers write any data stream without a word, demuxers do not read them
        if takes(self.container, stream):
            self.adopt(stream, add_copy(self.target, stream, self.container))
        elif isinstance(stream, SubtitleStream) and wanted and subtitles.convertible(codec, wanted):
            self.adopt(stream, subtitles.add_text(self.target, wanted))
            self._texts[stream.index] = wanted
            self.written[stream.index].converted = True
        else:
            return False
        return True

    def adopt(self, stream: Stream, copy: Stream) -> None:
        """Take `copy`, a stream of the target, for the packets of `stream`."""
        self.copies[stream.index] = copy
        self.written[stream.index] = Written(copy.index, copy.type, stream_codec(stream))

    def add_cover(self, stream: Stream, packet: Packet[Any]) -> None:
        """Keep a cover picture: as an attachment in Matroska, else as a stream of one packet."""
        codec = stream_codec(stream)
        if self.container.attachments and codec in COVER_NAMES:
            name, kind = COVER_NAMES[codec]
            self.target.add_attachment(stream.metadata.get("filename", name), kind, bytes(packet))
        elif self.container.hides_start and takes(self.container, stream):
            self.copies[stream.index] = add_copy(self.target, stream, self.container)
            self.covers[stream.index] = packet

    def begin(self, *, everything: bool) -> None:
        """Write the header; with `everything`, chapters, fonts, tags and what each stream is for come before it."""
        if everything:
            self._describe()
        self.target.start_encoding()
        for index, packet in self.covers.items():
            packet.stream, packet.pts, packet.dts = self.copies[index], 0, 0
            self.target.mux(packet)

    def _describe(self) -> None:
        self.target.metadata.update(kept_tags(self.source.metadata))
        for index, copy in self.copies.items():
            original = self.source.streams[index]
            copy.metadata.update(kept_tags(original.metadata))
            setattr(copy, "disposition", original.disposition.value)  # noqa: B010  PyAV 16 takes numbers only
        self.target.set_chapters([_moved_chapter(chapter, self.origin) for chapter in self.source.chapters()])
        if self.container.attachments:
            for attached in self.source.streams.attachments:
                mimetype = attached.mimetype or UNKNOWN_BYTES
                self.target.add_attachment(attached.name or "attachment", mimetype, attached.data)

    def write(self, packet: Packet[Any], earlier: Fraction = Fraction(0)) -> None:
        """Write a packet `earlier` seconds before its own time; its decoding times always rise.

        A sound that would begin before time zero is left out, but for the packet that an edit list can hide.
        """
        stream = packet.stream
        index = stream.index
        moved = self.origin + earlier
        if isinstance(stream, AudioStream) and self._is_too_early(packet, moved):
            return
        new = packet
        if index in self._texts:
            words = subtitles.converted(packet, stream_codec(stream), self._texts[index])
            if words is None:
                return
            new = words
        start, length = seconds_of(packet) - moved, duration_of(packet)
        self._place(new, index, moved)
        record = self.written[index]
        record.packets += 1
        record.first = start if record.first is None else min(record.first, start)
        record.last, record.end = max(record.last, start), max(record.end, start + length)
        new.stream = self.copies[index]
        self.target.mux(new)

    def _place(self, packet: Packet[Any], index: int, moved: Fraction) -> None:
        """Times of a packet in ticks of the copy; decoding times rise, as muxers demand."""
        tick, base = self.copies[index].time_base or CHAPTER_TICK, packet.time_base or CHAPTER_TICK
        pts, dts, duration = packet.pts, packet.dts, packet.duration or 0
        dts = round(((pts if dts is None else dts) or 0) * base / tick - moved / tick)
        place = dts if pts is None else round(pts * base / tick - moved / tick)
        if index in self._last:
            dts = max(dts, self._last[index] + (self.container.muxer not in EQUAL_TIMES))
        self._last[index] = dts
        packet.time_base = tick
        packet.pts, packet.dts, packet.duration = max(place, dts), dts, round(duration * base / tick)

    def _is_too_early(self, packet: Packet[Any], moved: Fraction) -> bool:
        """Whether a sound's packet lies before time zero, or was hidden in the source already."""
        begins, length = seconds_of(packet), duration_of(packet)
        heard = _heard(packet.stream)
        if begins + length < heard - PREROLL_SECONDS:
            return True
        if self.container.hides_start:
            hidden = begins + length <= heard  # by the source's edit list; it must not be heard in the copy
            ends = begins + length - moved
            return ends <= -PREROLL_SECONDS or (hidden and ends > 0)
        # Matroska keeps the run-up of Opus as a delay of the codec: such packets begin before zero in both files.
        same = family_of(self.source.format.name) == self.container.family == "matroska"
        floor = min(Fraction(0), heard - self.origin) if same else Fraction(0)
        return begins - moved < floor - Fraction(1, 1000)


def options_for(container: Container, tags: Mapping[str, str], has_cover: bool) -> dict[str, str]:
    """Options of the muxer with which these tags are kept."""
    options = dict(container.options)
    vendor = any(key.lower() not in COMMON_TAGS for key in kept_tags(tags))
    if "movflags" in options and vendor and not has_cover:
        options["movflags"] += "+use_metadata_tags"
    return options


def is_cover(stream: Stream) -> bool:
    """Whether a stream is a picture that stands for the file."""
    return stream.type == "video" and bool(stream.disposition & COVERS)


def with_dts(packets: Iterable[Packet[Any]]) -> Iterator[Packet[Any]]:
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


def seconds_of(packet: Packet[Any]) -> Fraction:
    """When a packet is presented, in seconds of its container."""
    ticks = packet.dts if packet.pts is None else packet.pts
    return (ticks or 0) * (packet.time_base or CHAPTER_TICK)


def duration_of(packet: Packet[Any]) -> Fraction:
    """How long a packet is presented, in seconds; 0 where it does not say."""
    return (packet.duration or 0) * (packet.time_base or CHAPTER_TICK)


def _heard(stream: Stream) -> Fraction:
    """When a sound begins, in seconds of the container: an edit list may hide packets before it."""
    return (stream.start_time or 0) * (stream.time_base or CHAPTER_TICK)


def _moved_chapter(chapter: Chapter, origin: Fraction) -> Chapter:
    earlier = round(origin / (chapter["time_base"] or CHAPTER_TICK))
    return {**chapter, "start": max(0, chapter["start"] - earlier), "end": max(0, chapter["end"] - earlier)}
