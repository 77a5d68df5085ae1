"""What decoded media are like: where their sound ends, and by how much the model's clock takes pictures too early."""

import shutil
import subprocess

import av
import numpy as np
import pytest
import torch

from synchformer.inference.condition import MediaCondition
from synchformer.media.decode import read_media, read_sound
from synchformer.offsets.calibration import picture_lead

RATE = 16_000


def noise(seconds=4, below=8000.0, seed=0):
    """White noise that ends at a frequency, in hertz."""
    wave = np.random.default_rng(seed).standard_normal(seconds * RATE)
    spectrum = np.fft.rfft(wave)
    spectrum[np.fft.rfftfreq(len(wave), 1 / RATE) > below] = 0
    return (0.1 * np.fft.irfft(spectrum, len(wave))).astype(np.float32)


def bandwidth(*waves):
    condition = MediaCondition(RATE)
    for wave in waves:
        condition.add_sound(torch.from_numpy(wave))
    return condition.bandwidth


@pytest.mark.parametrize("below", [3400.0, 4000.0, 5500.0, 8000.0])
def test_where_the_sound_ends(below):
    assert below <= bandwidth(noise(below=below)) <= below + 260


def test_hum_hides_nothing_and_silence_says_nothing():
    hum = (0.5 * np.sin(2 * np.pi * 50 * np.arange(4 * RATE) / RATE)).astype(np.float32)
    assert bandwidth(hum + 0.01 * noise()) == 8000.0
    assert bandwidth(np.zeros(RATE, np.float32)) == 8000.0
    assert bandwidth(noise(below=4000.0), np.zeros(RATE, np.float32)) == pytest.approx(4000, abs=260)
    assert bandwidth(np.zeros(10, np.float32)) == 8000.0


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_a_nominal_rate_is_not_believed(tmp_path):
    """A file of 48 kHz that was made from sound of 8 kHz ends where that ends."""
    source, narrow, wide = (tmp_path / name for name in ("a.wav", "b.wav", "c.m4a"))
    import wave as waves

    with waves.open(str(source), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((noise(below=8000.0) * 20000).clip(-32767, 32767).astype(np.int16).tobytes())
    for rate, before, after in ((8000, source, narrow), (48_000, narrow, wide)):
        subprocess.run(["ffmpeg", "-v", "error", "-i", before, "-ar", str(rate), after], check=True)
    assert 3500 <= bandwidth(read_sound(wide, 4.0).numpy()) <= 4600


STEEPNESS = 30  # gray levels a second


def _dithered(level):
    """A gray picture whose mean is any number, to a part in a thousand: so many of its pixels are one level up."""
    whole = int(level)
    return (whole + (np.arange(32 * 32) < (level - whole) * 32 * 32)).reshape(32, 32).astype(np.uint8)


def write_ramp(path, fps, seconds=8):
    """Pictures whose brightness is their time, 30 gray levels a second, and some sound."""
    from fractions import Fraction

    with av.open(str(path), "w") as out:
        picture = out.add_stream("ffv1", rate=Fraction(fps).limit_denominator(1001), width=32, height=32)
        picture.pix_fmt = "gray"
        sound = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for index in range(round(seconds * fps)):
            level = _dithered(STEEPNESS * index / fps)
            frame = av.VideoFrame.from_ndarray(level, format="gray")
            frame.pts = index
            out.mux(picture.encode(frame))
        for first in range(0, seconds * RATE, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, first
            out.mux(sound.encode(frame))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("fps", [12.5, 15, 24000 / 1001, 25, 30, 50, 60, 100, 120])
def test_the_lead_of_pictures_is_what_reading_does(tmp_path, fps):
    """The time that every picture of the model's clock shows, against the time that it stands for."""
    video = read_media(write_ramp(tmp_path / "a.mkv", fps)).video.float().mean((1, 2, 3)).numpy()
    shown = video[: 7 * 25] / STEEPNESS  # seconds
    stands_for = np.arange(len(shown)) / 25
    steady = write_ramp(tmp_path / "b.mkv", 25)
    usual = read_media(steady).video.float().mean((1, 2, 3)).numpy()[: len(shown)] / STEEPNESS
    assert np.mean(shown - stands_for) - np.mean(usual - stands_for) == pytest.approx(picture_lead(fps), abs=2e-3)


def test_rates_that_cannot_be_believed_have_no_lead():
    assert picture_lead(25.0) == 0.0
    assert picture_lead(0.0) == picture_lead(90_000.0) == 0.0
    assert picture_lead(12.5) == pytest.approx(-0.02, abs=1e-4)
