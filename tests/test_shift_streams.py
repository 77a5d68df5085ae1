"""Whole files whose sound is moved: every track moves, and all that is no sound stays as it was."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import pytest
from test_shift import flash_and_click, write_flash_click

from synchformer.media.remux import left_out, write_shifted

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


def rotation(path):
    with av.open(str(path)) as source:
        return next(source.decode(video=0)).rotation


def tracks_begin(path):
    """Seconds at which each track's loudest moment lies, by decoding each alone."""
    found = []
    with av.open(str(path)) as source:
        count = len(source.streams.audio)
    for index in range(count):
        with av.open(str(path)) as source:
            frames = [(frame.time, abs(frame.to_ndarray()[0]).max()) for frame in source.decode(audio=index)]
        found.append(max(frames, key=lambda frame: frame[1])[0])
    return found


@pytest.mark.parametrize("offset", [-0.4, 0.52])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_every_sound_moves_and_nothing_else_changes(tmp_path, suffix, offset):
    rich = write_rich(tmp_path, suffix)
    moved = write_shifted(rich, offset, tmp_path / f"moved{suffix}", every_stream=True)
    before, after = flash_and_click(rich), flash_and_click(moved)
    assert after[1] - after[0] == pytest.approx(before[1] - before[0] - offset, abs=2e-3)
    early = [a - b for a, b in zip(tracks_begin(rich), tracks_begin(moved), strict=True)]
    # Matroska may begin all streams later to keep a negative time: the picture tells by how much.
    assert early == pytest.approx([offset - (after[0] - before[0])] * 2, abs=2e-3)
    was, now = told(rich), told(moved)
    shift = round(1000 * (after[0] - before[0]))
    was["words"] = [(start + shift, length, text) for start, length, text in was["words"]]
    assert now == was
    assert rotation(moved) == rotation(rich) == (0 if suffix == ".mkv" else -90)
    assert not left_out(rich)


def test_the_way_up_survives_a_change_of_container(tmp_path):
    moved = write_shifted(write_rich(tmp_path, ".mp4"), 0.2, tmp_path / "moved.mkv", every_stream=True)
    assert rotation(moved) == -90
    assert [stream[1] for stream in told(moved)["streams"][1:]] == ["eng", "deu"]


def test_a_part_has_no_other_streams(tmp_path):
    with pytest.raises(ValueError, match="whole files"):
        write_shifted(write_flash_click(tmp_path / "a.mp4"), 0.2, tmp_path / "b.mp4", 1.0, every_stream=True)


def test_what_a_container_cannot_hold_is_said(tmp_path):
    with pytest.raises(ValueError, match="cannot hold"):
        write_shifted(write_rich(tmp_path, ".mkv"), 0.2, tmp_path / "moved.webm", every_stream=True)
    assert not (tmp_path / "moved.webm").exists()
