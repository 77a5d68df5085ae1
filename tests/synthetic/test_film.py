"""Films whose sound is off as planned: measured on the files, against the sound of their scenes."""

import json

import av
import numpy as np
import pytest

from synthetic import render_sound, sample_scene, write_film
from synthetic.__main__ import main
from synthetic.film import EVENTS, FIRST_SEED, SCENE_SECONDS

RATE = 16_000


def decoded(path):
    """Samples of the file's sound at 16 kHz, and its number of frames."""
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(path)) as container:
        frames = [frame for part in container.decode(audio=0) for frame in resampler.resample(part)]
    with av.open(str(path)) as container:
        count = sum(1 for _ in container.decode(video=0))
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames]), count


def lag(heard, own):
    """Seconds by which `heard` comes before `own`, from their cross-correlation."""
    size = 2 * len(own)
    spectrum = np.fft.rfft(own, size) * np.conj(np.fft.rfft(heard, size))
    peak = int(np.fft.irfft(spectrum).argmax())
    return (peak if peak < len(own) else peak - size) / RATE


@pytest.mark.parametrize(("ending", "offset"), [("mp4", 0.5), ("webm", -0.3)])
def test_sound_is_early_as_planned(tmp_path, ending, offset):
    heard, frames = decoded(write_film(tmp_path / f"film.{ending}", 6.0, lambda _: offset))
    own = render_sound(sample_scene(FIRST_SEED, EVENTS, SCENE_SECONDS, distractors=False))[: 6 * RATE]
    assert frames == 150
    assert lag(heard[: len(own)], own) == pytest.approx(offset, abs=0.01)


def test_command_writes_a_drifting_film_and_its_truth(tmp_path, capsys):
    size = ["--height", "32", "--width", "32"]
    assert main(["--film", "12", "--offset", "0.1", "--drift", "3000", "--out", str(tmp_path), *size]) == 0
    heard, _ = decoded(tmp_path / "film.mkv")
    scenes = [sample_scene(FIRST_SEED + index, EVENTS, SCENE_SECONDS, distractors=False) for index in range(2)]
    own = np.concatenate([render_sound(scene) for scene in scenes])
    found = [lag(heard[part], own[part]) for part in (slice(0, 3 * RATE), slice(8 * RATE, 11 * RATE))]
    assert found == pytest.approx([0.1 + 0.05 * 1.5, 0.1 + 0.05 * 9.5], abs=0.08)
    assert json.loads((tmp_path / "truth.json").read_text())["film.mkv"]["drift_ms_per_minute"] == 3000
    assert "above 0 the sound is early" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"), [(["--film", "0"], "longer than 0 s"), (["--film", "3", "--width", "3"], "even")]
)
def test_unusable_films_are_sentences(tmp_path, capsys, arguments, sentence):
    with pytest.raises(SystemExit):
        main([*arguments, "--out", str(tmp_path)])
    assert sentence in capsys.readouterr().err
