"""Copies of MP4 and MOV files: by ffprobe, by decoding, and box by box, nothing differs but the sound's place."""

import struct

import numpy as np
import pytest

from synchformer.copies.remux import write_moved
from synchformer.media.container import MediaError
from tests.support import phone_films
from tests.support.ffprobe import ffmpeg, has_encoder, needs_ffmpeg, packets, picture_times, probed, samples
from tests.support.phone_films import DOLBY, SPHERE, write_full_film, write_phone_film, write_plain_film

pytestmark = needs_ffmpeg
RATE = 48_000
MAY_DIFFER = (b"mvhd", b"tkhd", b"elst", b"stco", b"co64", b"free", b"mdat")


@pytest.fixture(scope="module")
def phone(tmp_path_factory):
    path = write_phone_film(tmp_path_factory.mktemp("phone") / "IMG_0001.MOV", "-video_track_timescale", "600")
    phone_films.put_into_picture(path, DOLBY, SPHERE)
    return path


def assert_moved(before, after, offset, tracks=1):
    """The sound is heard `offset` seconds earlier, to a sample, and every sample is the same; so is every picture."""
    assert picture_times(after) == picture_times(before)
    assert [(each.digest, each.pts) for each in packets(after, "v:0")] == [
        (each.digest, each.pts) for each in packets(before, "v:0")
    ]
    for track in range(tracks):
        (old, begins), (new, moved) = samples(before, track), samples(after, track)
        cut = max(0, round((offset - begins) * RATE))
        assert abs(len(new) - (len(old) - cut)) <= 1
        assert np.array_equal(new, old[len(old) - len(new) :])
        assert moved == pytest.approx(max(0.0, begins - offset), abs=1.5 / RATE)
        assert rises(after, f"a:{track}") or not rises(before, f"a:{track}")
    assert ffmpeg("-i", after, "-f", "null", "-") == ""


def rises(path, stream):
    times = [each.dts for each in packets(path, stream)]
    return times == sorted(set(times))


@pytest.mark.parametrize("offset", [-0.3, 0.3, -0.123456, 1.0001, 0.0])
def test_a_phones_film_differs_in_nothing_but_the_sounds_place(phone, tmp_path, offset):
    out = tmp_path / "fixed.mov"
    assert write_moved(phone, offset, out).not_kept == ()
    assert_moved(phone, out, offset)
    old, new = probed(phone), probed(out)
    assert new["format"]["tags"] == old["format"]["tags"]
    assert old["format"]["tags"].items() >= phone_films.VENDOR.items()
    assert [s.get("side_data_list") for s in new["streams"]] == [s.get("side_data_list") for s in old["streams"]]
    assert [s["codec_tag_string"] for s in new["streams"]] == [s["codec_tag_string"] for s in old["streams"]]
    if has_encoder("libx265"):
        assert new["streams"][0]["codec_tag_string"] == "hvc1"
    boxes = [[box for box in phone_films.kinds_in(path) if box[0] not in MAY_DIFFER] for path in (phone, out)]
    assert boxes[0] == boxes[1]
    raw = out.read_bytes()
    assert DOLBY in raw
    assert SPHERE in raw


@pytest.mark.parametrize("offset", [-0.25, 0.25])
@pytest.mark.parametrize(
    "options",
    [
        ("-movflags", "+faststart"),
        ("-movflags", "+faststart", "-use_editlist", "0", "-bf", "0"),
        ("-movie_timescale", "600"),
        ("-moov_size", "30000"),
        ("-itsoffset", "0.5"),
    ],
    ids=["moov first", "no edit list", "coarse clock", "room behind moov", "late sound"],
)
def test_files_of_all_layouts_are_moved(tmp_path, options, offset):
    path, out = tmp_path / "a.mp4", tmp_path / "b.mp4"
    if options[0] == "-itsoffset":
        sources = (*phone_films.SOURCES[:4], *options, *phone_films.SOURCES[4:])
        ffmpeg(*sources, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", path)
    else:
        write_plain_film(path, *options)
    write_moved(path, offset, out)
    assert_moved(path, out, offset)
    first = [kind for kind, _ in phone_films.kinds_in(out) if kind in (b"moov", b"mdat")]
    assert first == [kind for kind, _ in phone_films.kinds_in(path) if kind in (b"moov", b"mdat")]


def cut_in_two(path):
    """Each track shows its first second, then its third: as trims of a phone's gallery are written."""
    raw = bytearray(path.read_bytes())
    place = 0
    while (place := raw.find(b"elst", place + 1)) > 0:
        duration, start = struct.unpack_from(">Ii", raw, place + 12)
        scale = struct.unpack_from(">I", raw, raw.index(b"mdhd", place) + 16)[0]
        rows = struct.pack(">IiIIiI", 1000, start, 1 << 16, 1000, start + 2 * scale, 1 << 16)
        assert duration > 2000
        struct.pack_into(">I", raw, place + 8, 2)
        two_rows(raw, place + 12, rows)
    path.write_bytes(raw)


def two_rows(raw, place, rows):
    """Replace the one row of a list by two; what holds it becomes longer by one row."""
    raw[place : place + 12] = rows
    at = place
    for kind in (b"elst", b"edts", b"trak", b"moov"):
        at = raw.rindex(kind, 0, at)
        struct.pack_into(">I", raw, at - 4, struct.unpack_from(">I", raw, at - 4)[0] + 12)


@pytest.mark.parametrize("offset", [-0.25, 0.25])
def test_a_trimmed_film_keeps_both_of_its_parts(tmp_path, offset):
    path, out = tmp_path / "a.mp4", tmp_path / "b.mp4"
    write_plain_film(path, "-g", "25", "-bf", "0")
    cut_in_two(path)
    assert len(samples(path)[0]) == pytest.approx(2 * RATE, abs=1100)
    write_moved(path, offset, out)
    assert_moved(path, out, offset)


def test_a_sound_that_ffmpeg_cannot_decode_moves_with_the_others(tmp_path):
    path, out = tmp_path / "a.mov", tmp_path / "b.mov"
    write_plain_film(path, "-map", "0:v", "-map", "1:a", "-map", "1:a")
    phone_films.rename_sound(path, 1, b"apac")
    assert write_moved(path, -0.3, out).not_kept == ()
    lists = [body for kind, body in phone_films.kinds_in(out) if kind == b"elst"]
    assert lists[1] == lists[2]
    assert struct.unpack_from(">IIi", lists[1], 4)[:2] == (2, 300)  # two edits, of which the first lasts 300 ms
    assert [stream["codec_tag_string"] for stream in probed(out)["streams"]] == ["avc1", "mp4a", "apac"]


def test_all_that_an_mp4_holds_is_in_the_copy(tmp_path):
    path = write_full_film(tmp_path / "full.mp4", tmp_path)
    assert write_moved(path, 0.2, tmp_path / "b.mp4").not_kept == ()
    assert_moved(path, tmp_path / "b.mp4", 0.2, tracks=2)
    old, new = probed(path), probed(tmp_path / "b.mp4")
    assert new["chapters"] == old["chapters"]
    assert len(new["chapters"]) == 2
    keys = ("codec_name", "disposition")
    assert [[s.get(key) for key in keys] for s in new["streams"]] == [
        [s.get(key) for key in keys] for s in old["streams"]
    ]
    assert [s.get("tags", {}).get("language") for s in new["streams"]] == [
        s.get("tags", {}).get("language") for s in old["streams"]
    ]


def test_a_sound_is_not_moved_out_of_the_film(tmp_path):
    path = write_plain_film(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match=r"nothing would be left of it"):
        write_moved(path, 30.0, tmp_path / "b.mp4")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.mp4"]


def test_a_fragmented_film_is_copied_by_its_packets(tmp_path):
    path = write_plain_film(tmp_path / "a.mp4", "-movflags", "+frag_keyframe+empty_moov+delay_moov")
    assert write_moved(path, 0.2, tmp_path / "b.mp4").not_kept == ()
    assert_moved(path, tmp_path / "b.mp4", 0.2)
