"""Elements of Matroska and WebM files that describe tracks: read to see what a copy kept, and what is encrypted.

Own code, because PyAV shows neither a stream's side data nor its encryption. Numbers are those of RFC 9559.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from synchformer.media.structure import element_number

SEGMENT, TRACKS, CLUSTER, TRACK, EBML = 0x18538067, 0x1654AE6B, 0x1F43B675, 0xAE, 0x1A45DFA3
ENCODINGS, ENCODING, ENCRYPTION = 0x6D80, 0x6240, 0x5035
VIDEO, COLOR, MASTERING, MAX_CLL, MAX_FALL = 0xE0, 0x55B0, 0x55D0, 0x55BC, 0x55BD
PROJECTION, PROJECTION_TYPE, ROLL, STEREO = 0x7670, 0x7671, 0x7675, 0x53B8
ADDITION, ADDITION_TYPE = 0x41E4, 0x41E7
LARGEST = 2**26  # bytes of a list of tracks

Element = tuple[int, memoryview]


def tracks(path: Path) -> list[memoryview]:
    """The bodies of the track entries of a Matroska file, in its order; none when it is no such file."""
    with path.open("rb") as file:
        head = file.read(LARGEST)
    data = memoryview(head)
    for number, start, stop in _elements(data, 0, len(data)):
        if number == SEGMENT:
            for inner, begin, end in _elements(data, start, min(stop, len(data))):
                if inner == CLUSTER:
                    return []
                if inner == TRACKS:
                    return [body for kind, body in children(data[begin:end]) if kind == TRACK]
        elif number != EBML:
            return []
    return []


def children(data: memoryview) -> Iterator[Element]:
    """Numbers and bodies of the elements in `data`, as far as they can be read."""
    for number, start, stop in _elements(data, 0, len(data)):
        yield number, data[start:stop]


def inside(data: memoryview, *path: int) -> Iterator[memoryview]:
    """Bodies of all elements at a path of numbers."""
    if not path:
        yield data
        return
    for number, body in children(data):
        if number == path[0]:
            yield from inside(body, *path[1:])


def records(track: memoryview) -> frozenset[str]:
    """What a track says beside its codec, in words; `encrypted` where its blocks are."""
    names = set()
    if any(True for _ in inside(track, ENCODINGS, ENCODING, ENCRYPTION)):
        names.add("encrypted")
    for projection in inside(track, VIDEO, PROJECTION):
        if any(_unsigned(body) for body in inside(projection, PROJECTION_TYPE)):
            names.add("360° projection")
        elif any(_real(body) for body in inside(projection, ROLL)):
            names.add("rotation")
    if any(_unsigned(body) for body in inside(track, VIDEO, STEREO)):
        names.add("stereoscopic layout")
    if any(True for _ in inside(track, VIDEO, COLOR, MASTERING)):
        names.add("HDR mastering display")
    if any(True for number in (MAX_CLL, MAX_FALL) for _ in inside(track, VIDEO, COLOR, number)):
        names.add("HDR light levels")
    kinds = {bytes(body) for body in inside(track, ADDITION, ADDITION_TYPE)}
    return frozenset(names | ({"Dolby Vision record"} if kinds & {b"dvcC", b"dvvC", b"dvwC"} else set()))


def _unsigned(body: memoryview) -> int:
    return int.from_bytes(body, "big")


def _real(body: memoryview) -> float:
    layout = {4: ">f", 8: ">d"}.get(len(body))
    return struct.unpack(layout, body)[0] if layout else 0.0


def _elements(data: memoryview, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of the body of each element; an unknown length reaches to the end."""
    while start < stop:
        number, start = element_number(data, start, keep_marker=True)
        size, begin = element_number(data, start, keep_marker=False)
        if number < 0:
            return
        end = stop if size < 0 else begin + size
        yield number, begin, min(end, stop)
        start = end
