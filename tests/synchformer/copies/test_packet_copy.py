"""Copies packet by packet: MKV, WebM, TS, WMV, FLV, and from one container to another, seen by ffprobe and ffmpeg."""

import struct
from fractions import Fraction

import numpy as np
import pytest

from synchformer.copies.remux import write_moved
from synchformer.copies.resample import write_stretched
from synchformer.copies.stream_copier import StreamCopier
from synchformer.media.container import MediaError
from synchformer.offsets.repair import fix
from tests.support import phone_films
from tests.support.ffprobe import ffmpeg, has_encoder, needs_ffmpeg, packets, picture_times, probed, samples
from tests.support.phone_films import DOLBY, SPHERE, write_full_film, write_phone_film, write_plain_film

pytestmark = needs_ffmpeg
RATE = 48_000
CODECS = {
    ".mkv": ("libx264", "aac"),
    ".webm": ("libvpx", "libopus"),
    ".ts": ("libx264", "mp2"),
    ".m2ts": ("libx264", "ac3"),
    ".wmv": ("wmv2", "wmav2"),
    ".flv": ("flv", "libmp3lame"),
    ".3gp": ("h263", "aac"),
}


def write(folder, suffix, name="a", *options):
    video, audio = CODECS[suffix]
    rate = ("-ar", "44100") if suffix in (".wmv", ".flv") else ()
    return write_plain_film(folder / f"{name}{suffix}", *rate, *options, video=video, audio=audio)


def sound_after_picture(path):
    """Seconds from the first picture to the first sample."""
    return samples(path)[1] - picture_times(path)[0]


def assert_moved(before, after, offset, tick=2e-3, swing_in=0):
    """All pictures keep their distances, the sound is heard `offset` seconds earlier, with the same samples."""
    old, new = np.array(picture_times(before)), np.array(picture_times(after))
    assert new - new[0] == pytest.approx(old - old[0], abs=tick)
    was, now = samples(before)[0], samples(after)[0]
    if offset <= 0:
        assert sound_after_picture(after) - sound_after_picture(before) == pytest.approx(-offset, abs=tick)
        assert len(now) == len(was)
        assert now[swing_in:] == pytest.approx(was[swing_in:], abs=1e-3)  # MP2 has two decoders in FFmpeg
    else:
        lost = (len(was) - len(now)) / RATE * (RATE / rate_of(before))
        late = sound_after_picture(after)
        assert lost - late == pytest.approx(offset - sound_after_picture(before), abs=tick)
        skipped = rate_of(before) // 5  # decoders swing in
        assert now[skipped:] == pytest.approx(was[len(was) - len(now) + skipped :], abs=1e-2)
    for stream in ("v:0", "a:0"):
        times = [each.dts for each in packets(after, stream) if each.dts is not None]
        assert times == sorted(times)
    assert ffmpeg("-i", after, "-f", "null", "-") == ""


def rate_of(path):
    return next(int(stream["sample_rate"]) for stream in probed(path)["streams"] if stream["codec_type"] == "audio")


@pytest.mark.parametrize("offset", [-0.3, 0.3])
@pytest.mark.parametrize("suffix", CODECS)
def test_each_container_keeps_its_packets(tmp_path, suffix, offset):
    path, out = write(tmp_path, suffix), tmp_path / f"b{suffix}"
    assert write_moved(path, offset, out).not_kept == ()
    assert_moved(path, out, offset)
    assert [each.digest for each in packets(out, "v:0")] == [each.digest for each in packets(path, "v:0")]
    heard = [each.digest for each in packets(path, "a:0")]
    kept = [each.digest for each in packets(out, "a:0")]
    assert kept == heard[len(heard) - len(kept) :]
    keys = ("codec_name", "codec_tag_string", "width", "sample_rate")
    named = [[[stream.get(key) for key in keys] for stream in probed(each)["streams"]] for each in (path, out)]
    assert sorted(named[0], key=str) == sorted(named[1], key=str)  # FLV lists streams as they come


@pytest.mark.parametrize(
    ("source", "suffix"), [(".ts", ".mp4"), (".mkv", ".mp4"), (".mkv", ".mov"), (".wmv", ".mkv"), (".3gp", ".mkv")]
)
def test_other_containers_hold_the_same(tmp_path, source, suffix):
    path, out = write(tmp_path, source), tmp_path / f"b{suffix}"
    write_moved(path, -0.3, out)
    # What an edit list hid before AAC's first sample cannot be hidden in Matroska, and is left out there.
    assert_moved(path, out, -0.3, swing_in=1024 if source == ".3gp" else 0)


def test_a_phones_film_in_another_container(tmp_path):
    path = write_phone_film(tmp_path / "a.mov")
    phone_films.put_into_picture(path, DOLBY, SPHERE)
    made = {suffix: write_moved(path, 0.2, tmp_path / f"b{suffix}").not_kept for suffix in (".mp4", ".mkv", ".ts")}
    assert made[".mp4"] == ()  # with the codec tag, the record and the vendor's tags
    assert [stream["codec_tag_string"] for stream in probed(tmp_path / "b.mp4")["streams"]] == [
        stream["codec_tag_string"] for stream in probed(path)["streams"]
    ]
    assert probed(tmp_path / "b.mp4")["format"]["tags"].items() >= phone_films.VENDOR.items()
    assert not any("Dolby" in lost for lost in made[".mkv"])
    assert "the 360° projection of the picture" in made[".ts"]
    assert "the tag com.apple.quicktime.make" in made[".ts"]


def test_pictures_of_an_avi_with_b_frames_come_in_order(tmp_path):
    path, out = write_plain_film(tmp_path / "a.avi", "-bf", "2", audio="ac3"), tmp_path / "b.mkv"
    write_moved(path, -0.2, out)
    times = picture_times(out)
    assert np.diff(times) == pytest.approx(np.full(len(times) - 1, 0.04), abs=1.1e-3)
    assert sound_after_picture(out) == pytest.approx(0.2, abs=2e-3)
    pictures = [ffmpeg_pictures(each) for each in (path, out)]
    assert pictures[0] == pictures[1]
    with pytest.raises(ValueError, match=r"AVI keeps no times .* name the copy b\.mkv"):
        write_moved(path, -0.2, tmp_path / "b.avi")


def ffmpeg_pictures(path):
    listing = path.with_suffix(".md5")
    ffmpeg("-i", path, "-map", "0:v", "-vsync", "passthrough", "-f", "framemd5", listing)
    return [line.split(",")[-1].strip() for line in listing.read_text().splitlines() if not line.startswith("#")]


def test_covers_subtitles_chapters_and_languages_survive(tmp_path):
    path = write_full_film(tmp_path / "full.mp4", tmp_path)
    lost = write_moved(path, 0.2, tmp_path / "b.mkv").not_kept
    assert lost == tuple(f"fonts and places of the subtitles (mov_text, {name})" for name in ("eng", "fra"))
    old, new = probed(path), probed(tmp_path / "b.mkv")
    assert [chapter["tags"]["title"] for chapter in new["chapters"]] == ["One", "Two"]
    kinds = [(stream["codec_type"], stream.get("tags", {}).get("language", "und")) for stream in new["streams"]]
    assert kinds[1:5] == [("audio", "eng"), ("audio", "fra"), ("subtitle", "eng"), ("subtitle", "fra")]
    assert [stream["disposition"]["attached_pic"] for stream in new["streams"] if stream["codec_type"] == "video"] == [
        0,
        1,
    ]
    assert new["format"]["tags"]["title"] == old["format"]["tags"]["title"]
    ffmpeg("-i", tmp_path / "b.mkv", "-map", "0:s:0", tmp_path / "b.srt")
    assert (tmp_path / "b.srt").read_text().split() == phone_films.SRT.split()
    assert write_moved(tmp_path / "b.mkv", -0.2, tmp_path / "c.mkv").not_kept == ()


def test_words_of_other_subtitles_go_into_mp4(tmp_path):
    (tmp_path / "a.srt").write_text(phone_films.SRT)
    path = write_plain_film(tmp_path / "a.mkv", "-c:s", "subrip")
    ffmpeg("-i", path, "-i", tmp_path / "a.srt", "-map", "0", "-map", "1", "-c", "copy", tmp_path / "s.mkv")
    assert write_moved(tmp_path / "s.mkv", 0.2, tmp_path / "b.mp4").not_kept == (
        "fonts and places of the subtitles (subrip)",
    )
    ffmpeg("-i", tmp_path / "b.mp4", "-map", "0:s:0", tmp_path / "b.srt")
    assert (tmp_path / "b.srt").read_text().split() == phone_films.SRT.split()


def test_a_sound_without_a_decoder_is_named_as_lost(tmp_path):
    path = write_plain_film(tmp_path / "a.mov", "-map", "0:v", "-map", "1:a", "-map", "1:a")
    phone_films.rename_sound(path, 1, b"apac")
    lost = write_moved(path, 0.2, tmp_path / "b.mkv").not_kept
    assert "the sound (apac), which FFmpeg cannot decode" in lost


def test_a_container_that_cannot_hold_a_codec_is_refused_with_one_that_can(tmp_path):
    path = write(tmp_path, ".wmv")
    with pytest.raises(MediaError, match=r"\.mp4 cannot hold wmv2 and wmav2 of a\.wmv; name the copy \*\.wmv"):
        write_moved(path, 0.2, tmp_path / "b.mp4")
    made = fix(None, path, tmp_path / "b.wmv", offset=0.2)
    assert "suited_suffix" not in made.sentence
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.wmv", "b.wmv"]


def encrypt(path):
    """Name both tracks' codecs as encrypted ones."""
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"avc1\0\0\0\0", b"encv\0\0\0\0").replace(b"mp4a\0\0\0\0", b"enca\0\0\0\0"))


def scramble(path):
    """Mark all packets of a transport stream's streams as scrambled."""
    raw = bytearray(path.read_bytes())
    for place in range(0, len(raw), 188):
        if struct.unpack_from(">H", raw, place + 1)[0] & 0x1FFF >= 0x100:
            raw[place + 3] |= 0x80
    path.write_bytes(raw)


@pytest.mark.parametrize(("suffix", "close"), [(".mp4", encrypt), (".ts", scramble)])
def test_encrypted_files_are_refused_before_anything_is_written(tmp_path, suffix, close):
    path = write_plain_film(tmp_path / f"a{suffix}")
    close(path)
    with pytest.raises(MediaError):
        fix(None, path, tmp_path / f"b{suffix}", offset=0.2)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["2025-01-01T10:00:00", "50 % $HOME %03d", "a" * 251, "caf\udce9"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_any_name_can_be_given_to_the_copy(tmp_path, monkeypatch, suffix, name):
    path = write(tmp_path, ".mkv") if suffix == ".mkv" else write_plain_film(tmp_path / "a.mp4")
    monkeypatch.chdir(tmp_path)
    path.rename(tmp_path / f"{name}{suffix}")
    fix(None, f"{name}{suffix}", f"{name[:-1]}_{suffix}", offset=0.2)
    assert (tmp_path / f"{name[:-1]}_{suffix}").stat().st_size > 0


def test_a_drift_is_undone_in_a_file_that_keeps_the_rest(tmp_path):
    path = write_phone_film(tmp_path / "a.mov")
    phone_films.put_into_picture(path, DOLBY)
    assert write_stretched(path, 0.1, 0.001, tmp_path / "b.mov").not_kept == ()
    old, new = probed(path), probed(tmp_path / "b.mov")
    assert new["streams"][0]["codec_tag_string"] == old["streams"][0]["codec_tag_string"]
    assert new["format"]["tags"].items() >= phone_films.VENDOR.items()
    if has_encoder("libx265"):
        assert new["streams"][0]["side_data_list"] == old["streams"][0]["side_data_list"]


def test_a_copy_whose_sound_came_out_elsewhere_is_removed(tmp_path, monkeypatch):
    place = StreamCopier._place

    def beside(copier, packet, index, moved):
        place(copier, packet, index, moved + (Fraction(1, 10) if index == 1 else 0))

    monkeypatch.setattr(StreamCopier, "_place", beside)
    path = write(tmp_path, ".mkv")
    with pytest.raises(MediaError, match=r"was removed, for its sound came out 100 ms beside its place; .* \*\.mp4"):
        write_moved(path, -0.5, tmp_path / "b.mkv")
    assert [each.name for each in tmp_path.iterdir()] == ["a.mkv"]
