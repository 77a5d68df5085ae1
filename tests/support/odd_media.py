"""Files as cameras, recorders, browsers and stations write them: joined, piped, scrambled, edited."""

import struct
import subprocess
from pathlib import Path

import numpy as np

from tests.support.ffprobe import ffmpeg


def copied(source: Path, out: Path, *options: str) -> Path:
    """A copy of a file's first picture and sound in another container, nothing encoded anew."""
    ffmpeg("-i", source, "-c", "copy", *options, out)
    return out


def piped(source: Path, out: Path, container: str) -> Path:
    """A copy written as into a pipe: the writer cannot come back to put in how long it is."""
    with out.open("wb") as file:
        command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(source), "-c", "copy", "-f", container, "-"]
        subprocess.run(command, check=True, stdout=file)
    return out


def joined(out: Path, *parts: Path) -> Path:
    """Recordings laid end to end, byte by byte."""
    out.write_bytes(b"".join(part.read_bytes() for part in parts))
    return out


def scrambled(source: Path, out: Path) -> Path:
    """A transport stream whose pictures and sounds say that they are scrambled, and are."""
    raw = bytearray(source.read_bytes())
    noise = np.random.default_rng(0)
    for start in range(0, len(raw), 188):
        pid = (raw[start + 1] & 0x1F) << 8 | raw[start + 2]
        if 0x100 <= pid < 0x1000:
            raw[start + 3] |= 0x80
            raw[start + 60 : start + 188] = noise.bytes(128)
    out.write_bytes(raw)
    return out


def box(kind: bytes, content: bytes) -> bytes:
    """An ISO media box."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def with_edits(source: Path, out: Path, edits: list[tuple[float, float | None]]) -> Path:
    """An MP4 file, its `moov` behind its `mdat`, all of whose tracks get these edits.

    An edit is its seconds and the second of the media it begins at, or None for nothing at all. The media's own times
    count from its first packet in decoding order.
    """
    raw = source.read_bytes()
    place = raw.rindex(b"moov") - 4
    assert place > raw.index(b"mdat"), "moov comes last"
    out.write_bytes(raw[:place] + _edited(raw[place:], edits))
    return out


def _edited(moov: bytes, edits: list[tuple[float, float | None]]) -> bytes:
    scale = struct.unpack(">I", moov[moov.index(b"mvhd") + 16 : moov.index(b"mvhd") + 20])[0]
    parts, position = [], 8
    while position < len(moov):
        size, kind = struct.unpack(">I4s", moov[position : position + 8])
        part = moov[position : position + size]
        parts.append(_edited_track(part, scale, edits) if kind == b"trak" else part)
        position += size
    return box(b"moov", b"".join(parts))


def _edited_track(trak: bytes, scale: int, edits: list[tuple[float, float | None]]) -> bytes:
    place = trak.index(b"mdhd")
    media_scale = struct.unpack(">I", trak[place + 16 : place + 20])[0]
    begin = _first_media_time(trak)
    rows = [
        struct.pack(">IiI", round(seconds * scale), -1 if at is None else begin + round(at * media_scale), 1 << 16)
        for seconds, at in edits
    ]
    parts, position = [], 8
    while position < len(trak):
        size, kind = struct.unpack(">I4s", trak[position : position + 8])
        if kind != b"edts":
            parts.append(trak[position : position + size])
        if kind == b"tkhd":
            parts.append(box(b"edts", box(b"elst", struct.pack(">II", 0, len(rows)) + b"".join(rows))))
        position += size
    return box(b"trak", b"".join(parts))


def _first_media_time(trak: bytes) -> int:
    """Where the track's own edit list begins: behind an encoder's run-up."""
    place = trak.find(b"elst")
    return 0 if place < 0 else struct.unpack(">i", trak[place + 16 : place + 20])[0]
