"""Moved sound: the times in the file, read back by another path than the one that wrote them."""

import hashlib

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from synchformer.copies.remux import browser_note, suited_suffix, write_shifted
from synchformer.media.probe import MediaError
from tests.support.flash_click import EVENT, FPS, flash_and_click, write_flash_click


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("shift") / "flash click.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("offset", [-2.0, -1.2, -0.04, 0.0, 0.04, 0.52, 1.2, 2.0])
def test_click_moves_against_the_flash(clip, tmp_path, offset, suffix):
    flash, click = flash_and_click(clip)
    moved = flash_and_click(write_shifted(clip, offset, tmp_path / f"moved{suffix}"))
    # Above zero: the sound is early, the click comes before the flash. Matroska counts in milliseconds.
    tolerance = 1e-4 if suffix == ".mp4" else 2e-3
    assert (moved[1] - moved[0]) - (click - flash) == pytest.approx(-offset, abs=tolerance)
    if suffix == ".mp4":
        assert moved[0] == pytest.approx(flash)  # the picture keeps its times


def packets(path, kind):
    with av.open(str(path)) as source:
        return [
            (round(float(p.pts * p.time_base), 4), hashlib.md5(bytes(p)).hexdigest())
            for p in source.demux(**{kind: 0})
            if p.pts is not None
        ]


@pytest.mark.parametrize("offset", [-0.52, 0.0, 0.52])
def test_nothing_is_encoded_again(clip, tmp_path, offset):
    moved = write_shifted(clip, offset, tmp_path / "moved.mp4")
    assert packets(moved, "video") == packets(clip, "video")
    before, after = dict(reversed(pair) for pair in packets(clip, "audio")), packets(moved, "audio")
    loud = [(time, digest) for time, digest in after if abs(before[digest] - EVENT) < 0.2]
    assert loud
    assert [before[digest] - time for time, digest in loud] == pytest.approx([offset] * len(loud), abs=1e-4)
    with av.open(str(moved)) as source:
        assert source.streams.audio[0].start_time * source.streams.audio[0].time_base >= 0


def test_a_part_starts_at_its_start(clip, tmp_path):
    flash, click = flash_and_click(write_shifted(clip, 0.4, tmp_path / "part.mp4", start=2.0, seconds=2.0))
    assert flash == pytest.approx(1.0, abs=1e-3)
    assert click == pytest.approx(0.6, abs=2e-3)
    with av.open(str(tmp_path / "part.mp4")) as source:
        assert source.duration / 1e6 == pytest.approx(2.0, abs=0.2)


def test_container_follows_the_codecs(clip, tmp_path):
    webm = write_flash_click(tmp_path / "a.webm", video="libvpx", audio="libopus")
    assert (suited_suffix(clip), suited_suffix(webm)) == (".mp4", ".webm")
    moved = flash_and_click(write_shifted(webm, 0.4, tmp_path / "b.webm"))
    assert moved[1] - moved[0] == pytest.approx(-0.4, abs=0.01)
    with pytest.raises(ValueError, match=r"\.mp4 cannot hold vp8 of a\.webm; name the copy \*\.webm"):
        write_shifted(webm, 0.4, tmp_path / "b.mp4")


def test_browser_note_names_what_browsers_lack(clip, tmp_path):
    assert browser_note(clip) is None
    old = write_flash_click(tmp_path / "old.avi", video="mpeg4", audio="mp2")
    assert "mp2, mpeg4" in browser_note(old)
    before, moved = flash_and_click(old), flash_and_click(write_shifted(old, -0.4, tmp_path / "old.mp4"))
    assert (moved[1] - moved[0]) - (before[1] - before[0]) == pytest.approx(0.4, abs=0.002)


def test_transport_stream_becomes_mp4(tmp_path):
    write_flash_click(tmp_path / "a.ts")
    before = flash_and_click(tmp_path / "a.ts")
    flash, click = flash_and_click(write_shifted(tmp_path / "a.ts", 0.4, tmp_path / "b.mp4"))
    assert (click - flash) - (before[1] - before[0]) == pytest.approx(-0.4, abs=1e-3)
    assert flash < before[0]  # a transport stream begins at 1.4 s, the copy at 0


def test_input_is_never_overwritten(clip):
    digest = hashlib.md5(clip.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match="input itself"):
        write_shifted(clip, 0.4, clip)
    with pytest.raises(ValueError, match="input itself"):
        write_shifted(clip, 0.4, clip.parent / "." / clip.name)
    assert hashlib.md5(clip.read_bytes()).hexdigest() == digest


def test_failure_leaves_nothing_behind(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        write_shifted(text, 0.4, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"offset": float("nan")}, "offset must be a finite number"),
        ({"offset": 0.4, "seconds": 0.0}, "seconds must be above zero"),
        ({"offset": 0.4, "name": "out.gif"}, "suffix must be one of"),
    ],
)
def test_arguments_are_checked(clip, tmp_path, arguments, words):
    name = arguments.pop("name", "out.mp4")
    with pytest.raises(ValueError, match=words):
        write_shifted(clip, out=tmp_path / name, **arguments)


def test_both_streams_are_needed(tmp_path):
    silent = tmp_path / "silent.mp4"
    with av.open(str(silent), "w") as out:
        picture = out.add_stream("libx264", rate=FPS, width=64, height=48, pix_fmt="yuv420p")
        for _ in range(5):
            out.mux(picture.encode(VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        out.mux(picture.encode(None))
    with pytest.raises(MediaError, match="has no sound"):
        write_shifted(silent, 0.4, tmp_path / "out.mp4")
