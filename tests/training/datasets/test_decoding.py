"""Decoding a little of every clip: a clip of each kind of fault is named in words, a good one is not."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from synchformer.config import MINI
from synchformer.media.probe import probe
from tests.support.float_sound import write_float_sound
from tests.support.media import MediaSpec, write
from training import check
from training.datasets.decoding import places
from training.datasets.registry import open_source
from training.datasets.validation import check_source

RATE = 16_000
NOISE = 0.1 * np.random.default_rng(0).standard_normal(RATE * 9).astype(np.float32)
FILM = {"seconds": 9.0, "size": (96, 128), "video": "mpeg4"}

# What the table says of each clip: one of these words stands in the finding's kind or beside the clip's name.
KINDS = {
    "silent": ["silent"],
    "inverted": ["one is inverted"],
    "nan": ["not a number"],
    "huge": ["not a number"],
    "broken": ["cannot be read"],
    "late": ["start more than 0.04 s apart"],
    "short": ["too short for any offset"],
    "mute": ["has no sound"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    write_float_sound(folder / "good.mkv", NOISE)
    write_float_sound(folder / "silent.mkv", 0 * NOISE)
    write_float_sound(folder / "inverted.mkv", np.stack([NOISE, -NOISE]))
    for name, value in (("nan", np.nan), ("huge", 1e29)):
        wave = NOISE.copy()
        wave[RATE * 4 + RATE // 2] = value
        write_float_sound(folder / f"{name}.mkv", wave)
    broken = write(folder / "broken.mp4", MediaSpec(**FILM))
    data = bytearray(broken.read_bytes())
    begin = data.index(b"mdat") + 4
    data[begin : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - begin)
    broken.write_bytes(data)
    write(folder / "late.mp4", MediaSpec(audio_delay=1.0, **FILM))
    write(folder / "short.mp4", MediaSpec(**FILM | {"seconds": 3.0}))
    write(folder / "mute.mp4", MediaSpec(audio=None, **FILM))
    return folder


@pytest.fixture(scope="module")
def findings(folder):
    return check_source(open_source(f"folder:{folder}"), MINI, None, decode=True)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_named_in_words(findings, name):
    said = [f"{finding.what}: {', '.join(finding.examples)}" for finding in findings if name in finding.clips]
    assert any(word in text for word in KINDS[name] for text in said), said


def test_a_good_clip_has_no_more_than_notes(findings):
    assert not [finding.what for finding in findings if "good" in finding.clips and finding.level != "note"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg, which encrypts")
def test_an_encrypted_clip_is_an_error(folder, tmp_path):
    key = "76a6c65c5ea762046bd749a2e632ccbb"
    (tmp_path / "films").mkdir()
    plain = write(tmp_path / "plain.mp4", MediaSpec(**FILM | {"video": "libx264"}))
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", plain, "-c", "copy", "-encryption_scheme", "cenc-aes-ctr", "-encryption_key",
         key, "-encryption_kid", key, tmp_path / "films" / "locked.mp4"],
        check=True,
    )  # fmt: skip
    found = check_source(open_source(f"folder:{tmp_path / 'films'}"), MINI, None, decode=True)
    assert ["encrypted" in finding.what for finding in found if "locked" in finding.clips] == [True]


def test_the_command_says_how_many(folder, capsys):
    assert check.main([f"folder:{folder}", "--preset", "mini", "--all"]) == 1
    output = capsys.readouterr().out
    assert "9 clips looked into: " in output
    assert " with errors, " in output


def test_headers_alone_do_not_show_what_is_heard(folder):
    found = check_source(open_source(f"folder:{folder}"), MINI, None)
    heard = {"silent", "inverted", "nan"}
    assert not [finding for finding in found if finding.clips & heard and finding.level != "note"]


@pytest.mark.parametrize(("seconds", "count"), [(3.0, 1), (6.0, 1), (9.0, 3), (7200.0, 3)])
def test_long_clips_are_decoded_in_three_places(folder, seconds, count):
    info = probe(folder / "good.mkv")
    info = replace(info, video=replace(info.video, stop=seconds), audio=replace(info.audio, stop=seconds + 1))
    parts = places(info)
    assert len(parts) == count
    assert parts[0][0] == 0
    assert parts[-1][1] == seconds
    assert sum(stop - start for start, stop in parts) <= 6.0
