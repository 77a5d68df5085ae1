"""Files with many streams, chapters and tags, and what they say."""

import struct
from fractions import Fraction
from pathlib import Path

import av

from tests.support.flash_click import write_flash_click

TURNED = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 48 << 16, 0, 1 << 30)  # a phone held upright


CHAPTERS = ((0, 3000, "One"), (3000, 6000, "Two"))  # ms


SUBTITLES = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:03,000 --> 00:00:04,000\nClap\n\n"


def write_rich(folder: Path, suffix: str) -> Path:
    """A flash and a click with two sound tracks, chapters and tags; subtitles and a font in Matroska."""
    plain, path = write_flash_click(folder / "plain.mp4"), folder / f"rich{suffix}"
    (folder / "a.srt").write_text(SUBTITLES)
    with av.open(str(plain)) as first, av.open(str(plain)) as second, av.open(str(folder / "a.srt")) as words:
        sources = [first.streams.video[0], first.streams.audio[0], second.streams.audio[0]]
        sources += [words.streams.subtitles[0]] if suffix == ".mkv" else []
        with av.open(str(path), "w") as out:
            copies = [out.add_stream_from_template(stream, opaque=True) for stream in sources]
            for copy, language in zip(copies[1:], ("eng", "deu", "fra"), strict=False):
                copy.metadata["language"] = language
            out.metadata["title"] = "Film"
            out.set_chapters([chapter(*one) for one in CHAPTERS])
            if suffix == ".mkv":
                out.add_attachment("font.ttf", "font/ttf", b"letters")
            packets = [packet for pair in zip(sources, copies, strict=True) for packet in taken(*pair)]
            for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
                out.mux(packet)
    if suffix != ".mkv":
        turn(path)
    return path


def chapter(start, end, title):
    return {"id": start, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}


def taken(stream, copy):
    if stream.type != "subtitle":  # the picture was read before; a text file cannot be searched
        stream.container.seek(0)
    for packet in list(stream.container.demux(stream)):
        if packet.dts is not None:
            packet.stream = copy
            yield packet


def turn(path):
    """Write a quarter turn into the first track's matrix."""
    raw = bytearray(path.read_bytes())
    box = raw.index(b"tkhd")
    place = box + 8 + (32 if raw[box + 4] else 20) + 16
    raw[place : place + 36] = TURNED
    path.write_bytes(raw)


def told(path):
    """What a file says beside its picture and sound."""
    with av.open(str(path)) as source:
        return {
            "title": source.metadata.get("title"),
            "chapters": [
                (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
                for c in source.chapters()
            ],
            "streams": [
                (s.type, s.metadata.get("language"), s.disposition) for s in source.streams if s.type != "data"
            ],
            "fonts": [(a.name, a.mimetype, a.data) for a in source.streams.attachments],
            "words": [
                (p.pts, p.duration, bytes(p))
                for s in source.streams.subtitles
                for p in source.demux(s)
                if p.pts is not None
            ],
        }
