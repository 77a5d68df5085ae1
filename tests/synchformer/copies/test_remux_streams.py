"""Whole files whose sound is moved: every track moves, and all that is no sound stays as it was."""

import av
import pytest

from synchformer.copies.remux import write_moved
from tests.support.flash_click import flash_and_click
from tests.support.rich_files import told, write_rich


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
    moved = tmp_path / f"moved{suffix}"
    assert write_moved(rich, offset, moved).not_kept == ()
    before, after = flash_and_click(rich), flash_and_click(moved)
    assert after[1] - after[0] == pytest.approx(before[1] - before[0] - offset, abs=2e-3)
    early = [a - b for a, b in zip(tracks_begin(rich), tracks_begin(moved), strict=True)]
    assert early == pytest.approx([offset] * 2, abs=2e-3)
    assert after[0] == pytest.approx(before[0])
    assert told(moved) == told(rich)
    assert rotation(moved) == rotation(rich) == (0 if suffix == ".mkv" else -90)


def test_the_way_up_survives_a_change_of_container(tmp_path):
    moved = tmp_path / "moved.mkv"
    write_moved(write_rich(tmp_path, ".mp4"), 0.2, moved)
    assert rotation(moved) == -90
    assert [stream[1] for stream in told(moved)["streams"][1:]] == ["eng", "deu"]


def test_what_a_container_cannot_hold_is_said(tmp_path):
    with pytest.raises(ValueError, match="cannot hold"):
        write_moved(write_rich(tmp_path, ".mkv"), 0.2, tmp_path / "moved.webm")
    assert not (tmp_path / "moved.webm").exists()
