"""Edit lists of ISO media files: which part of a track is presented when, and how a track is moved by them.

A track's presentation is a row of edits. Each shows a part of the media for a time, or nothing ("empty"). Durations
count in ticks of the movie, places in the media in ticks of the media (ISO/IEC 14496-12, 8.6.6).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from fractions import Fraction

from synchformer.copies.iso_boxes import Box, TimedHeader, UnexpectedBoxError

EMPTY = -1  # the media time of an edit that shows nothing
NORMAL = 0x00010000  # the rate of an edit at normal speed


@dataclass(frozen=True)
class Edit:
    """Show the media from `media_time` (media's ticks) on for `duration` (movie's ticks)."""

    duration: int
    media_time: int
    rate: int = NORMAL

    @property
    def is_empty(self) -> bool:
        """Whether nothing is shown."""
        return self.media_time == EMPTY


def edits_of(track: Box, movie_scale: int) -> list[Edit]:
    """The edits of a track; one that shows all of the media where the file lists none.

    Args:
        track: a `trak` box.
        movie_scale: ticks per second of the movie.

    Raises:
        UnexpectedBoxError: edits that change the speed, have no length, or a list that cannot be read.
    """
    edits = listed_edits(track)
    if not edits:
        media = TimedHeader.of(track.one(b"mdia", b"mdhd"))
        whole = -(-media_ticks(track) * movie_scale // media.scale)  # rounded up: nothing is cut off
        edits = [Edit(whole, 0)]
    if any(edit.duration <= 0 or (not edit.is_empty and edit.rate != NORMAL) for edit in edits):
        raise UnexpectedBoxError("edits without a length, or at another speed")
    return edits


def listed_edits(track: Box) -> list[Edit]:
    """The edits that the file lists for a track, as they are.

    Raises:
        UnexpectedBoxError: a list that cannot be read.
    """
    box = track.first(b"edts", b"elst")
    return [] if box is None else _parse(box.body)


def _parse(body: bytes) -> list[Edit]:
    layout = ">QqI" if body[:1] == b"\1" else ">IiI"
    if len(body) < 8 or body[0] > 1:
        raise UnexpectedBoxError("an edit list of an unknown version")
    count, size = struct.unpack(">I", body[4:8])[0], struct.calcsize(layout)
    if len(body) < 8 + count * size:
        raise UnexpectedBoxError("an edit list that is cut off")
    return [Edit(*struct.unpack_from(layout, body, 8 + index * size)) for index in range(count)]


def media_ticks(track: Box) -> int:
    """Length of a track's media by its samples, in ticks of the media.

    Raises:
        UnexpectedBoxError: when it has none.
    """
    body = track.one(b"mdia", b"minf", b"stbl", b"stts").body
    count = struct.unpack(">I", body[4:8])[0]
    pairs = struct.iter_unpack(">II", body[8 : 8 + 8 * count])
    total: int = sum(samples * ticks for samples, ticks in pairs)
    if total <= 0:
        raise UnexpectedBoxError("a track without samples")
    return total


def with_edits(track: Box, edits: list[Edit]) -> Box:
    """A copy of a track with other edits, which stand where the old ones stood, else behind the track's header."""
    boxes = list(track.children or ())
    place = next((index for index, box in enumerate(boxes) if box.kind == b"edts"), None)
    old = boxes[place] if place is not None else Box(b"edts", children=[])
    listed = [_box(edits, old.first(b"elst")), *(box for box in old.children or () if box.kind != b"elst")]
    new = replace(old, children=listed)
    if place is None:
        boxes.insert(1 + next(index for index, box in enumerate(boxes) if box.kind == b"tkhd"), new)
    else:
        boxes[place] = new
    return replace(track, children=boxes)


def _box(edits: list[Edit], old: Box | None) -> Box:
    """An `elst`, with 64 bits where it had them or needs them."""
    wide = (old is not None and old.body[:1] == b"\1") or any(
        edit.duration > 0xFFFFFFFF or edit.media_time > 0x7FFFFFFF for edit in edits
    )
    flags = old.body[1:4] if old is not None else bytes(3)
    layout = ">QqI" if wide else ">IiI"
    rows = b"".join(struct.pack(layout, edit.duration, edit.media_time, edit.rate) for edit in edits)
    return Box(b"elst", struct.pack(">B3sI", int(wide), flags, len(edits)) + rows)


def moved_later(edits: list[Edit], ticks: int) -> list[Edit]:
    """The same presentation `ticks` of the movie later: nothing is shown before it."""
    if edits[0].is_empty:
        return [replace(edits[0], duration=edits[0].duration + ticks), *edits[1:]]
    return [Edit(ticks, EMPTY), *edits]


def moved_earlier(edits: list[Edit], ticks: int, movie_scale: int, media_scale: int) -> list[Edit]:
    """The same presentation without its first `ticks` of the movie; none when nothing remains."""
    for index, edit in enumerate(edits):
        if ticks < edit.duration:
            cut = 0 if edit.is_empty else round(Fraction(ticks * media_scale, movie_scale))
            left = replace(edit, duration=edit.duration - ticks, media_time=edit.media_time + cut)
            kept = [left, *edits[index + 1 :]]
            return [] if all(each.is_empty for each in kept) else kept
        ticks -= edit.duration
    return []
