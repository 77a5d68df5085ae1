"""What the outermost structure of a file tells before FFmpeg does: that it is cut off, or scrambled."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from av.container import InputContainer

CONTENT = (b"mdat", b"moov", b"moof")  # boxes of ISO media files whose end may be missing
TS_SYNC, TS_PACKET = 0x47, 188
TS_LEADS = {188: 0, 192: 4, 204: 0}  # bytes from one packet to the next (as broadcast, on Blu-ray, with parity): lead
LONGEST_HEADER = 1 << 16  # bytes of a Matroska file within which its segment begins
LOOKED_THROUGH = 4 << 20  # bytes of a transport stream whose packets are asked whether they are scrambled


def is_cut_off(container: InputContainer, path: Path) -> bool:
    """Whether a file is shorter than its outermost boxes, chunks or elements say."""
    size = path.stat().st_size
    name = container.format.name
    with path.open("rb") as file:
        if "mov" in name:
            return _iso_end(file, size) > size
        if "matroska" in name:
            return _matroska_end(file) > size
        if name == "avi":
            return _riff_end(file) > size
    return False


def _iso_end(file: BinaryIO, size: int) -> int:
    """The byte after the last box that begins in the file; what is no box behind them does not count."""
    position = 0
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if length == 1:
            length = int.from_bytes(file.read(8))
        if length < 8 or (position + length > size and kind not in CONTENT):  # 0: to the file's end
            return size
        position += length
        file.seek(position)
    return position


def _riff_end(file: BinaryIO) -> int:
    """The byte after the last RIFF chunk that begins in the file."""
    position = 0
    while len(head := file.read(12)) == 12 and head[:4] == b"RIFF":
        position += 8 + int(struct.unpack("<I", head[4:8])[0])
        file.seek(position)
    return position


def _matroska_end(file: BinaryIO) -> int:
    """The byte after the segment; 0 where its size is unknown, as live writers leave it."""
    head = memoryview(file.read(LONGEST_HEADER))
    size, begin = element_number(head, element_number(head, 0, keep_marker=True)[1], keep_marker=False)
    size, begin = element_number(head, element_number(head, begin + size, keep_marker=True)[1], keep_marker=False)
    return 0 if size < 0 else begin + size


def element_number(data: memoryview, start: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of variable length of Matroska (RFC 8794) in `data`, and where the next begins.

    A size comes without its marker, an element's identity with it; -1 when it is unknown or cut off.
    """
    first = data[start] if start < len(data) else 0
    length = 9 - first.bit_length()
    if not first or start + length > len(data):
        return -1, len(data)
    value = int.from_bytes(data[start : start + length], "big")
    marker = 1 << (7 * length)
    if keep_marker:
        return value, start + length
    return (-1 if value == 2 * marker - 1 else value - marker), start + length


def is_scrambled(path: Path, pids: Collection[int]) -> bool:
    """Whether more than half of the packets of these streams in a transport stream say that they are scrambled."""
    with path.open("rb") as file:
        raw = file.read(LOOKED_THROUGH)
    sizes = [size for size, lead in TS_LEADS.items() if all(raw[lead + size * k : lead + size * k + 1] == b"\x47"
                                                            for k in range(min(5, len(raw) // size)))]  # fmt: skip
    if not sizes:
        return False
    size, seen = sizes[0], Counter[bool]()
    for start in range(TS_LEADS[size], len(raw) - TS_PACKET + 1, size):
        if raw[start] == TS_SYNC and ((raw[start + 1] & 0x1F) << 8 | raw[start + 2]) in pids:
            seen[bool(raw[start + 3] & 0xC0)] += 1
    return seen[True] > seen[False]
