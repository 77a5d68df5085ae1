"""A copy of an ISO media file (MP4, MOV, 3GP) byte by byte, in which only the edit lists of its sounds differ.

Nothing of the file is interpreted that need not be: pictures, sounds that FFmpeg cannot decode, codec tags, records of
Dolby Vision, spherical video, tags, covers, chapters and time codes are the same bytes. `moov` stays where it was, so
that a file that begins to play while it loads still does.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from synchformer.copies.edit_list import edits_of, listed_edits, moved_earlier, moved_later, with_edits
from synchformer.copies.iso_boxes import (
    Box,
    Movie,
    Place,
    TimedHeader,
    UnexpectedBoxError,
    handler,
    read_movie,
    require_plain,
)
from synchformer.media.probe import MediaError

BLOCK = 1 << 22  # bytes copied at once
FASTEST = 0x7FFFFFFF  # ticks per second: readers take the scale for a signed number
COMPARED = 2000  # chunks of a track whose first bytes are compared behind the writing
HEAD = 16  # bytes of each
SPARE = (b"free", b"skip", b"wide")


def write_with_moved_edits(path: Path, movie: Movie, offset: float, out: Path) -> None:
    """Copy `path` to `out`; its sounds are presented `offset` seconds earlier (later when negative).

    Args:
        path: the file to read.
        movie: what `read_movie` says of it.
        offset: seconds; exact to one sample of each sound.
        out: an existing or new file, which is overwritten.

    Raises:
        UnexpectedBoxError: the file is laid out in a way that this module does not know; `out` is then of no use.
        MediaError: a sound shorter than `offset`, or the copy differs where it must not.
    """
    require_plain(movie)
    layout = _layout(movie, moved_movie(movie, offset, path.name))
    with path.open("rb") as source, out.open("wb") as target:
        for piece in layout:
            if isinstance(piece, bytes):
                target.write(piece)
            else:
                _copy(source, target, *piece)
    _verify(path, movie, out)


def moved_movie(movie: Movie, offset: float, name: str) -> Box:
    """The `moov` of a copy whose sounds are presented `offset` seconds earlier; its chunks lie where they lay.

    Raises:
        UnexpectedBoxError: boxes that this module does not know.
        MediaError: a sound shorter than `offset`.
    """
    header = TimedHeader.of(movie.moov.one(b"mvhd"))
    sounds = [track for track in movie.tracks if handler(track) == b"soun"]
    if not sounds:
        raise UnexpectedBoxError("no sound track")
    scales = [TimedHeader.of(track.one(b"mdia", b"mdhd")).scale for track in sounds]
    factor = _finer(movie, header.scale, scales, offset)
    scale = header.scale * factor
    ticks = round(Fraction(offset) * scale)
    tracks = [_scaled(track, factor) for track in movie.tracks]
    longest, durations = header.duration * factor, []
    was_longest = header.duration == max(TimedHeader.of(track.one(b"tkhd")).duration for track in movie.tracks)
    for index, track in enumerate(tracks):
        if handler(track) == b"soun":
            tracks[index] = _moved(track, ticks, scale, name)
        durations.append(TimedHeader.of(tracks[index].one(b"tkhd")))
    known = max((each.duration for each in durations if not each.is_unknown), default=0)
    total = header.duration if header.is_unknown else known if was_longest else max(longest, known)
    new_header = replace(
        header,
        duration=total,
        between=struct.pack(">I", scale),
        rest=_scaled_selection(header.rest, factor),
    )
    rest = iter(tracks)
    children = [next(rest) if box.kind == b"trak" else box for box in movie.moov.children or ()]
    return replace(movie.moov, children=[new_header.box() if box.kind == b"mvhd" else box for box in children])


def _finer(movie: Movie, scale: int, sounds: Sequence[int], offset: float) -> int:
    """By what the movie's ticks are divided, so that the move is exact to one sample of every sound.

    A movie that counts milliseconds (or 600 ticks a second, as phones do) can move a sound by whole ticks only. Its
    clock is made finer, not the sound cut or filled: 1 where no finer one is needed, or none can be written.
    """
    miss = abs(Fraction(round(Fraction(offset) * scale), scale) - Fraction(offset))
    if miss * max(sounds) * 2 <= 1 or any(any(box.body) for track in movie.tracks for box in track.all(b"load")):
        return 1  # `load` has times in the movie's ticks
    wanted = [math.lcm(scale, *sounds), math.lcm(scale, max(sounds))]
    return next((each // scale for each in wanted if each <= FASTEST), 1)


def _scaled(track: Box, factor: int) -> Box:
    """A track whose times count in finer ticks of the movie."""
    if factor == 1:
        return track
    header = TimedHeader.of(track.one(b"tkhd"))
    if not header.is_unknown:
        header = replace(header, duration=header.duration * factor)
    new = replace(track, children=[header.box() if box.kind == b"tkhd" else box for box in track.children or ()])
    edits = [replace(edit, duration=edit.duration * factor) for edit in listed_edits(track)]
    return with_edits(new, edits) if edits else new


def _scaled_selection(rest: bytes, factor: int) -> bytes:
    """The tail of `mvhd`: QuickTime's times of preview, poster, selection and cursor, then the next track's number."""
    if factor == 1 or not any(rest[-28:-4]):
        return rest
    times = [value * factor for value in struct.unpack(">6I", rest[-28:-4])]
    if max(times) > 0xFFFFFFFF:
        raise UnexpectedBoxError("a selection beyond what can be written")
    return rest[:-28] + struct.pack(">6I", *times) + rest[-4:]


def _moved(track: Box, ticks: int, scale: int, name: str) -> Box:
    """A sound track presented `ticks` of the movie earlier."""
    edits = edits_of(track, scale)
    if ticks < 0:
        edits = moved_later(edits, -ticks)
    elif ticks:
        media = TimedHeader.of(track.one(b"mdia", b"mdhd"))
        edits = moved_earlier(edits, ticks, scale, media.scale)
    if not edits:
        raise MediaError(
            f"the sound of {name} is shorter than {ticks / scale:.2f} s, so nothing would be left of it when it is "
            "moved earlier by as much; give a smaller offset"
        )
    header = replace(TimedHeader.of(track.one(b"tkhd")), duration=sum(edit.duration for edit in edits))
    new = replace(track, children=[header.box() if box.kind == b"tkhd" else box for box in track.children or ()])
    return with_edits(new, edits)


# Where the boxes lie

Piece = bytes | tuple[int, int]  # bytes to write, or a part of the input: from, to


def _layout(movie: Movie, moov: Box) -> list[Piece]:
    """The copy as pieces, with its `moov` where it was if that is possible, else at the end.

    When the samples lie behind a `moov` that grows, they move, and with them the places that the tracks know. A free
    box behind it is used up instead where it is large enough.
    """
    place, raw = movie.place, bytes(moov)
    grows, behind = len(raw) - place.size, _following(movie)
    if not grows or not _points_behind(movie):
        return [(0, place.start), raw, (place.end, movie.size)]
    spare = behind.size if behind is not None and behind.kind in SPARE and not behind.open_ended else 0
    if spare - grows == 0 or spare - grows >= 8:
        return [(0, place.start), raw, _free(spare - grows), (place.end + spare, movie.size)]
    shifted = None if _has_other_places(movie) else _shifted(moov, place.end, grows)
    if shifted is not None:
        return [(0, place.start), bytes(shifted), (place.end, movie.size)]
    last = movie.places[-1]
    if last.open_ended or last.end != movie.size:
        raise UnexpectedBoxError("no room for a larger movie box")
    body = (place.start + place.header, place.end)
    retired = struct.pack(">I4s", place.size, b"free") if place.header == 8 else struct.pack(
        ">I4sQ", 1, b"free", place.size
    )  # fmt: skip
    return [(0, place.start), retired, body, (place.end, movie.size), raw]


def _following(movie: Movie) -> Place | None:
    return next((place for place in movie.places if place.start == movie.place.end), None)


def _free(size: int) -> bytes:
    return struct.pack(">I4s", size, b"free") + bytes(size - 8) if size else b""


def _points_behind(movie: Movie) -> bool:
    """Whether anything refers to bytes behind the `moov` by their place."""
    end = movie.place.end
    return _has_other_places(movie) or any(
        bool((places >= end).any()) for track in movie.tracks for places, _ in _chunks(track)
    )


def _has_other_places(movie: Movie) -> bool:
    """Whether boxes other than the tracks' chunk lists hold places in the file."""
    kinds = {place.kind for place in movie.places}
    tables = [box for track in movie.tracks for box in track.all(b"mdia", b"minf", b"stbl")]
    return bool(
        {b"meta", b"sidx", b"mfra", b"ssix"} & kinds
        or any(table.first(b"saio") for table in tables)
        or any(b"iloc" in box.body for box in (*(movie.moov.children or ()), *_inner(movie)) if box.kind != b"trak")
    )


def _inner(movie: Movie) -> Iterator[Box]:
    """Boxes of tracks that may hold items."""
    for track in movie.tracks:
        yield from (box for box in track.children or () if box.kind in (b"meta", b"udta"))


def _chunks(track: Box) -> Iterator[tuple[NDArray[np.uint64], Box]]:
    """Where a track's chunks lie in the file, in bytes, and the box that says so."""
    for kind, width in ((b"stco", ">u4"), (b"co64", ">u8")):
        for box in track.all(b"mdia", b"minf", b"stbl", kind):
            count = struct.unpack(">I", box.body[4:8])[0]
            yield np.frombuffer(box.body, width, count, 8).astype(np.uint64), box


def _shifted(moov: Box, end: int, grows: int) -> Box | None:
    """The tracks' chunks behind `end` lie `grows` bytes later; None when 32 bits do not suffice."""
    if moov.kind in (b"stco", b"co64"):
        count, wide = struct.unpack(">I", moov.body[4:8])[0], moov.kind == b"co64"
        places = np.frombuffer(moov.body, ">u8" if wide else ">u4", count, 8).astype(np.int64)
        places = np.where(places >= end, places + grows, places)
        if not wide and count and places.max() > 0xFFFFFFFF:
            return None
        new = moov.body[:8] + places.astype(">u8" if wide else ">u4").tobytes()
        return replace(moov, body=new + moov.body[len(new) :])
    if moov.children is None:
        return moov
    children = []
    for child in moov.children:
        shifted = _shifted(child, end, grows)
        if shifted is None:
            return None
        children.append(shifted)
    return replace(moov, children=children)


def _copy(source: BinaryIO, target: BinaryIO, start: int, stop: int) -> None:
    source.seek(start)
    left = stop - start
    while left > 0:
        block = source.read(min(BLOCK, left))
        if not block:
            raise OSError("the file became shorter while it was copied")
        target.write(block)
        left -= len(block)


# Whether the copy is what it should be


def _verify(path: Path, movie: Movie, out: Path) -> None:
    """Read the copy back: other tracks' boxes are the same bytes, and all chunks begin with the same bytes.

    Raises:
        MediaError: when they are not.
    """
    copy = read_movie(out)
    with path.open("rb") as before, out.open("rb") as after:
        same = (
            _stripped(movie.moov) == _stripped(copy.moov)
            and len(copy.tracks) == len(movie.tracks)
            and all(
                _same_chunks(before, after, old, new, movie) for old, new in zip(movie.tracks, copy.tracks, strict=True)
            )
        )
    if not same:
        raise MediaError(f"the copy of {path.name} is damaged and was removed; check the disk and try again")


def _stripped(box: Box) -> bytes:
    """A box without what may differ: headers with durations, edits, and places of chunks."""
    if box.children is None:
        return b"" if box.kind in (b"mvhd", b"tkhd", b"stco", b"co64") else bytes(box)
    return box.kind + b"".join(_stripped(child) for child in box.children if child.kind != b"edts") + box.body


def _same_chunks(before: BinaryIO, after: BinaryIO, old: Box, new: Box, movie: Movie) -> bool:
    """Whether a track's chunks begin with the same bytes in both files."""
    for (places, _), (moved, _) in zip(_chunks(old), _chunks(new), strict=True):
        if len(places) != len(moved):
            return False
        for index in np.unique(np.linspace(0, len(places) - 1, min(len(places), COMPARED)).astype(int)):
            start = int(places[index])
            end = next((place.end for place in movie.places if place.start <= start < place.end), start)
            length = max(0, min(HEAD, end - start))
            if _at(before, start, length) != _at(after, int(moved[index]), length):
                return False
    return True


def _at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)
