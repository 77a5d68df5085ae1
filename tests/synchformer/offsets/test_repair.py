"""Corrected files: measured by reading their clicks back, by a model, and refused where evidence is weak."""

import hashlib
import json

import av
import numpy as np
import pytest

from synchformer import cli
from synchformer.checkpoints.registry import load_model
from synchformer.copies.resample import write_stretched
from synchformer.media.decode import read_media
from synchformer.offsets import RefusedError, fix
from synthetic import write_film
from tests.support.flash_click import flash_and_click, write_flash_click
from tests.support.rich_files import told, write_rich

CODECS = {".mp4": "aac", ".mov": "aac", ".mkv": "libopus", ".webm": "libopus"}


def write_clicks(path, seconds=20, rate=48_000):
    """A click at every whole second."""
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libvpx" if path.suffix == ".webm" else "libx264", rate=25, width=64, height=48)
        picture.pix_fmt = "yuv420p"
        sound = out.add_stream(CODECS[path.suffix], rate=rate, layout="mono")
        for index in range(seconds * 25):
            out.mux(picture.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), index % 255, np.uint8), "rgb24")))
        wave = np.zeros((1, seconds * rate), np.float32)
        for second in range(1, seconds):
            wave[0, second * rate : second * rate + rate // 100] = 0.8
        for first in range(0, wave.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(wave[:, first : first + 1024].copy(), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, first
            out.mux(sound.encode(frame))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    return path


def onsets(path):
    loud = np.flatnonzero(np.abs(read_media(path).audio.numpy()) > 0.35)
    return loud[np.insert(np.diff(loud) > 4000, 0, True)] / 16_000


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize(("offset", "slope"), [(0.3, 0.01), (-0.5, -0.02)])
def test_every_click_comes_to_its_place(tmp_path, suffix, offset, slope):
    path = write_clicks(tmp_path / f"a{suffix}")
    heard = onsets(path)
    belongs = (heard + offset) / (1 - slope)  # u = t - (offset + slope * t)
    write_stretched(path, offset, slope, tmp_path / f"b{suffix}")
    found = onsets(tmp_path / f"b{suffix}")
    assert len(found) == np.count_nonzero(belongs > 0)
    assert found == pytest.approx(belongs[belongs > 0], abs=2e-3)


def test_a_stretched_file_keeps_the_rest(tmp_path):
    rich = write_rich(tmp_path, ".mkv")
    assert write_stretched(rich, 0.1, 0.01, tmp_path / "b.mkv").not_kept == ()
    assert told(tmp_path / "b.mkv") == told(rich)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_known_offset_is_taken_out(tmp_path, suffix):
    rich = write_rich(tmp_path, suffix)
    before = flash_and_click(rich)
    made = fix(None, rich, tmp_path / f"fixed{suffix}", offset=0.4)
    after = flash_and_click(made.out)
    assert (after[1] - after[0]) - (before[1] - before[0]) == pytest.approx(0.4, abs=2e-3)  # early, so moved later
    assert "moved 400 ms later; nothing is encoded again" in made.sentence
    assert made.before is made.after is None


def test_the_input_is_never_changed(tmp_path, capsys):
    clip = write_flash_click(tmp_path / "a.mp4")
    digest = hashlib.md5(clip.read_bytes()).hexdigest()
    assert cli.main(["fix", str(clip), "-o", str(clip), "--offset", "0.4", "--no-proof"]) == 1
    assert "never changed" in capsys.readouterr().err
    assert cli.main(["fix", str(clip), "-o", str(tmp_path / "b.gif"), "--offset", "0.4", "--no-proof"]) == 1
    assert cli.main(["fix", str(clip), "-o", str(tmp_path / "b.mp4"), "--no-proof"]) == 2
    (tmp_path / "text.mp4").write_text("no video")
    assert cli.main(["fix", str(tmp_path / "text.mp4"), "-o", str(tmp_path / "b.mp4"), "--offset", "1"]) == 1
    assert hashlib.md5(clip.read_bytes()).hexdigest() == digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "text.mp4"]


@pytest.fixture(scope="module")
def mini():
    return load_model("mini", "cpu")


@pytest.mark.slow
def test_a_drift_is_undone_when_asked(mini, tmp_path, capsys):
    film, out = write_film(tmp_path / "film.mp4", 60, lambda t: -0.4 + 0.015 * t), tmp_path / "fixed.mp4"
    with pytest.raises(RefusedError, match=r"moving the sound cannot undo a drift"):
        fix(mini, film, out)
    assert not out.exists()
    assert cli.main(["fix", str(film), "-o", str(out), "--resample", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["slope"] == pytest.approx(0.015, abs=0.0025)
    assert made["before"]["kind"] == "drift"
    assert made["after"]["kind"] == "constant"
    assert abs(made["after"]["whole"]["offset"]) < 0.1


def test_weak_evidence_is_refused_unless_forced(mini, tmp_path):
    dark = write_flash_click(tmp_path / "dark.mp4", seconds=6, event=3)
    with pytest.raises(RefusedError, match="nothing was written: cannot tell"):
        fix(mini, dark, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
    made = fix(mini, dark, tmp_path / "out.mp4", force=True)
    assert made.out.exists()
    assert "forced although cannot tell" in made.sentence
