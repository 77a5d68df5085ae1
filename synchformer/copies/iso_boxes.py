"""Boxes of ISO media files (MP4, MOV, 3GP): read without loss, changed one by one, written again.

Own code, because no maintained package on PyPI writes a changed box back while it leaves every other byte alone: those
that edit (mutagen) know tags only, those that parse (pymp4, construct's and others') write what they understood. Names
and layouts are those of ISO/IEC 14496-12 and of Apple's QuickTime File Format.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

# Boxes that hold boxes and nothing else; all others are kept as bytes.
CONTAINERS = frozenset((b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"dinf"))
LARGEST_MOVIE = 2**29  # bytes of a `moov`; real ones of a day's film have 2**26
TAGS = (b"udta", b"meta")
SELF_CONTAINED = 1  # flag of a data reference: the samples lie in this file


class UnexpectedBoxError(ValueError):
    """A file whose boxes are not laid out as this module knows them; it is then copied in another way."""


@dataclass
class Box:
    """A box: its four-letter kind, and either children or a body; `body` then holds what follows the children."""

    kind: bytes
    body: bytes = b""
    children: list[Box] | None = None
    wide: bool = False  # its size is written with 64 bits

    def __bytes__(self) -> bytes:
        inside = b"".join(map(bytes, self.children or ())) + self.body
        if self.wide or len(inside) + 8 > 0xFFFFFFFF:
            return struct.pack(">I4sQ", 1, self.kind, len(inside) + 16) + inside
        return struct.pack(">I4s", len(inside) + 8, self.kind) + inside

    def all(self, *path: bytes) -> Iterator[Box]:
        """Boxes at a path of kinds below this one, in the order of the file."""
        if not path:
            yield self
            return
        for child in self.children or ():
            if child.kind == path[0]:
                yield from child.all(*path[1:])

    def first(self, *path: bytes) -> Box | None:
        """The first box at a path of kinds below this one, None without one."""
        return next(self.all(*path), None)

    def one(self, *path: bytes) -> Box:
        """The first box at a path of kinds below this one.

        Raises:
            UnexpectedBoxError: when there is none.
        """
        box = self.first(*path)
        if box is None:
            raise UnexpectedBoxError(f"no box {b'/'.join(path).decode('latin-1')}")
        return box


@dataclass(frozen=True)
class Place:
    """A box of the highest level: where it lies in the file, in bytes."""

    kind: bytes
    start: int
    header: int
    size: int
    open_ended: bool = False  # its size is written as "to the end of the file"

    @property
    def end(self) -> int:
        """First byte behind the box."""
        return self.start + self.size


@dataclass(frozen=True)
class Movie:
    """The layout of a file, and its `moov` as a tree; `brand` is `qt  ` where the file names none, as old ones do."""

    places: tuple[Place, ...]
    moov: Box
    size: int  # bytes of the file
    brand: bytes = b"qt  "
    tracks: tuple[Box, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tracks", tuple(self.moov.all(b"trak")))

    @property
    def place(self) -> Place:
        """Where the `moov` lies."""
        return next(place for place in self.places if place.kind == b"moov")


def read_movie(path: Path) -> Movie:
    """The layout of a file and its `moov`.

    Raises:
        UnexpectedBoxError: no such file, or one whose `moov` cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        places = tuple(_places(file, size))
        movies = [place for place in places if place.kind == b"moov"]
        if len(movies) != 1 or movies[0].size > LARGEST_MOVIE or movies[0].end > size:
            raise UnexpectedBoxError("no single movie box of a usual length")
        file.seek(movies[0].start)
        moov = parse_boxes(file.read(movies[0].size))[0]
        return Movie(places, moov, size, _brand(file, places))


def require_plain(movie: Movie) -> None:
    """Refuse what the edit lists of a `moov` do not rule.

    Raises:
        UnexpectedBoxError: a file that is fragmented or compressed, or whose samples lie in other files.
    """
    kinds = {place.kind for place in movie.places}
    if {b"moof", b"styp"} & kinds or movie.moov.first(b"mvex") or movie.moov.first(b"cmov"):
        raise UnexpectedBoxError("fragments, or a compressed movie box")
    if not all(map(_is_self_contained, movie.tracks)):
        raise UnexpectedBoxError("samples in other files")


def _places(file: BinaryIO, size: int) -> Iterator[Place]:
    """Boxes of the highest level; what follows them and is no box, such as a camera's own index, is not among them."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        head = file.read(16)
        length, kind = struct.unpack(">I4s", head[:8])
        header = 8
        if length == 1 and len(head) == 16:
            length, header = struct.unpack(">Q", head[8:])[0], 16
        open_ended = length == 0
        length = size - start if open_ended else length
        if length < header or not _is_kind(kind):
            return
        yield Place(kind, start, header, length, open_ended)
        start += length


def _is_kind(kind: bytes) -> bool:
    return all(32 <= letter < 127 or letter == 0xA9 for letter in kind)


def _brand(file: BinaryIO, places: tuple[Place, ...]) -> bytes:
    for place in places:
        if place.kind == b"ftyp" and place.size >= place.header + 4:
            file.seek(place.start + place.header)
            return file.read(4)
    return b"qt  "


def parse_boxes(data: bytes) -> list[Box]:
    """Boxes that fill `data` one after the other.

    Raises:
        UnexpectedBoxError: when they do not fill it.
    """
    boxes, rest = _parse(memoryview(data))
    if rest:
        raise UnexpectedBoxError("bytes that are no box")
    return boxes


def _parse(data: memoryview) -> tuple[list[Box], bytes]:
    """Boxes, and what follows them (QuickTime ends some lists with four zero bytes)."""
    boxes, start = [], 0
    while start + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[start : start + 8])
        header = 8
        if length == 1 and start + 16 <= len(data):
            length, header = struct.unpack(">Q", data[start + 8 : start + 16])[0], 16
        if length < header or start + length > len(data):
            raise UnexpectedBoxError(f"a box {kind.decode('latin-1')} that is longer than what holds it")
        inside = data[start + header : start + length]
        if kind in CONTAINERS:
            children, rest = _parse(inside)
            boxes.append(Box(kind, rest, children, wide=header == 16))
        else:
            boxes.append(Box(kind, bytes(inside), wide=header == 16))
        start += length
    return boxes, bytes(data[start:])


def _is_self_contained(track: Box) -> bool:
    """Whether the samples of a track lie in this file."""
    references = track.one(b"mdia", b"minf", b"dinf", b"dref").body
    try:
        entries = parse_boxes(references[8:])
    except UnexpectedBoxError:
        return False
    return bool(entries) and all(len(entry.body) >= 4 and entry.body[3] & SELF_CONTAINED for entry in entries)


def with_descriptions(copy: Movie, original: Movie, pairs: Mapping[int, int]) -> Movie:
    """A copy's movie with the original's descriptions of pictures, and its tags, where the packets are the same.

    Muxers write what they know of a sample entry. The original's has records of Dolby Vision or spherical video too.

    Args:
        copy: the movie of a copy, whose tracks lie in the order of its streams.
        original: the movie of the original.
        pairs: numbers of the original's picture tracks (`tkhd`), each with the place of its copy.
    """
    numbered = {track_number(track): track for track in original.tracks}
    tracks = list(copy.tracks)
    for number, place in pairs.items():
        if number in numbered and place < len(tracks):
            tracks[place] = _described(tracks[place], numbered[number])
    rest = iter(tracks)
    kept = [box for box in copy.moov.children or () if box.kind not in TAGS]
    tags = [box for box in original.moov.children or () if box.kind in TAGS]
    children = [next(rest) if box.kind == b"trak" else box for box in kept]
    return replace(copy, moov=replace(copy.moov, children=[*children, *tags]))


def _described(track: Box, original: Box) -> Box:
    """A track with the sample entry of another, where both name one codec and lie in one file."""
    path = (b"mdia", b"minf", b"stbl", b"stsd")
    ours, theirs = (one.first(*path) for one in (track, original))
    if ours is None or theirs is None or ours.body[4:8] != theirs.body[4:8] or ours.body[4:8] != b"\0\0\0\1":
        return track
    same = ours.body[12:24] == theirs.body[12:24]  # the codec, six reserved bytes and the number of the data reference
    return _replaced(track, path, theirs) if same else track


def _replaced(box: Box, path: tuple[bytes, ...], new: Box) -> Box:
    if not path:
        return new
    children = [_replaced(child, path[1:], new) if child.kind == path[0] else child for child in box.children or ()]
    return replace(box, children=children)


def track_number(track: Box) -> int:
    """The track's number in its header."""
    body = track.one(b"tkhd").body
    return int(struct.unpack_from(">I", body, 20 if body[0] else 12)[0])


def handler(track: Box) -> bytes:
    """What a track holds: `vide`, `soun`, `text`, `sbtl`, `tmcd`, `meta` ..."""
    return track.one(b"mdia", b"hdlr").body[8:12]


@dataclass(frozen=True)
class TimedHeader:
    """A header whose times have 32 or 64 bits: `mvhd`, `tkhd` or `mdhd`; `between` lies before the duration.

    `between` is the time scale (`mvhd`, `mdhd`) or the track's number and four reserved bytes (`tkhd`).
    """

    kind: bytes
    version: int
    flags: bytes
    created: int
    modified: int
    between: bytes
    duration: int
    rest: bytes

    @classmethod
    def of(cls, box: Box) -> TimedHeader:
        """Read a header.

        Raises:
            UnexpectedBoxError: for one that is too short, or of an unknown version.
        """
        middle = 8 if box.kind == b"tkhd" else 4
        version = box.body[0] if box.body else 255
        if version > 1 or len(box.body) < 4 + (24 if version else 12) + middle:
            raise UnexpectedBoxError(f"a box {box.kind.decode('latin-1')} of an unknown version")
        layout = f">4s{'QQ' if version else 'II'}{middle}s{'Q' if version else 'I'}"
        flags, created, modified, between, duration = struct.unpack_from(layout, box.body)
        rest = box.body[struct.calcsize(layout) :]
        return cls(box.kind, version, flags[1:], created, modified, between, duration, rest)

    @property
    def scale(self) -> int:
        """Ticks per second, of `mvhd` and `mdhd`.

        Raises:
            UnexpectedBoxError: when there are none.
        """
        ticks: int = struct.unpack(">I", self.between[:4])[0]
        if not ticks:
            raise UnexpectedBoxError("a clock without ticks")
        return ticks

    @property
    def is_unknown(self) -> bool:
        """Whether the duration says that it is not known."""
        return self.duration == (0xFFFFFFFFFFFFFFFF if self.version else 0xFFFFFFFF)

    def box(self) -> Box:
        """The header as a box, with 64 bits where its duration needs them."""
        version = 1 if self.duration > 0xFFFFFFFF else self.version
        layout = f">B3s{'QQ' if version else 'II'}{len(self.between)}s{'Q' if version else 'I'}"
        times = struct.pack(layout, version, self.flags, self.created, self.modified, self.between, self.duration)
        return Box(self.kind, times + self.rest)
