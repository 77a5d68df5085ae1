"""Every change of sound against another implementation: numpy, scipy, or the definition."""

import ast

import numpy as np
import pytest
import torch
from scipy.signal import get_window, lfilter, resample_poly, stft

from synchformer.media.audio_transforms import (
    amplify,
    convolve,
    lowpass,
    mel_power,
    resample,
    search_phase,
    stretch_spectrum,
    unmix_mel,
)
from tests.support.paths import ROOT

FOLDERS = ("attribution", "benchmarks", "interface", "synchformer", "synthetic", "tests", "training")
RATE, FFT, WINDOW, HOP, BANDS = 16_000, 1024, 400, 160, 128


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.2, shape)


def as_tensor(values):
    return torch.from_numpy(np.asarray(values, np.float32))


def test_torchaudio_is_imported_in_one_module():
    importing = set()
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "torchaudio" for name in names):
                importing.add(path.relative_to(ROOT).as_posix())
    assert importing == {"synchformer/media/audio_transforms.py"}


def windowed_sinc(wave, rate, wanted):
    """The sum over six zero crossings of a sinc under a squared cosine, cut at 0.99 of half the lower rate."""
    divisor = np.gcd(rate, wanted)
    old, new = rate // divisor, wanted // divisor
    cut = 0.99 * min(old, new)
    places = np.arange(len(wave)) / old
    result = np.empty(-(-len(wave) * new // old))
    for index in range(len(result)):
        crossings = (places - index / new) * cut
        window = np.where(np.abs(crossings) < 6, np.cos(crossings * np.pi / 12) ** 2, 0)
        result[index] = wave @ (np.sinc(crossings) * window) * cut / old
    return result


@pytest.mark.parametrize("rate", [48_000, 44_100, 22_050, 8_000])
def test_resampling_is_the_sum_of_its_definition(rate):
    wave = noise(rate // 20)
    changed = resample(as_tensor(wave), rate, RATE).numpy()
    assert changed == pytest.approx(windowed_sinc(wave, rate, RATE), abs=2e-5), "float32"


def test_resampling_agrees_with_scipy_on_what_both_rates_can_hold():
    time = np.arange(48_000) / 48_000
    wave = sum(np.sin(2 * np.pi * hertz * time + hertz) for hertz in (50, 440, 1700, 5000)) / 4
    changed = resample(as_tensor(wave), 48_000, RATE).numpy()
    middle = slice(800, -800)  # both take what lies outside for silence
    assert np.abs(changed - resample_poly(wave, 1, 3))[middle].max() < 0.01
    assert resample(as_tensor(wave)[None], 48_000, RATE).shape == (1, 16_000)


def triangles():
    """HTK's triangles between 0 and half the sample rate: (F, M)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    places = np.arange(FFT // 2 + 1) * RATE / FFT
    rising = (places[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - places[:, None]) / np.diff(edges)[1:]
    return np.clip(np.minimum(rising, falling), 0, None)


def power_of(wave):
    """The power spectrogram (F, T) of a wave by scipy."""
    window = np.zeros(FFT)
    window[(FFT - WINDOW) // 2 : (FFT + WINDOW) // 2] = get_window("hann", WINDOW)
    padded = np.pad(wave, FFT // 2, mode="reflect")
    # scipy divides by the window's sum; whole columns begin every HOP samples.
    columns = stft(padded, window=window, nperseg=FFT, noverlap=FFT - HOP, boundary=None, padded=False)[2]
    return np.abs(columns * window.sum()) ** 2


def test_mel_power_is_triangles_of_scipys_spectrogram():
    wave = noise(2, 10_240)
    power = mel_power(as_tensor(wave), RATE, fft=FFT, window=WINDOW, hop=HOP, bands=BANDS).numpy()
    assert power.shape == (2, BANDS, 65)
    expected = np.stack([triangles().T @ power_of(each) for each in wave])
    assert power == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_unmixing_is_the_shortest_solution_by_numpy():
    mel = triangles().T @ power_of(noise(3200))
    power = unmix_mel(as_tensor(mel), RATE, fft=FFT).numpy()
    shortest = np.clip(np.linalg.pinv(triangles().T) @ mel, 0, None)
    assert power == pytest.approx(shortest, abs=1e-3 * shortest.max())
    assert (power >= 0).all()


def griffin_lim(power, rounds, length):
    """The iteration with momentum in numpy: (F, T) to (length,)."""
    window = np.zeros(FFT)
    window[(FFT - WINDOW) // 2 : (FFT + WINDOW) // 2] = get_window("hann", WINDOW)
    first = [HOP * index for index in range(power.shape[1])]

    def to_columns(wave):
        padded = np.pad(wave, FFT // 2, mode="reflect")
        return np.stack([np.fft.rfft(padded[at : at + FFT] * window) for at in first], axis=1)

    def to_wave(columns):
        total, weight = np.zeros(first[-1] + FFT), np.full(first[-1] + FFT, 1e-11)
        for at, column in zip(first, columns.T, strict=True):
            total[at : at + FFT] += np.fft.irfft(column) * window
            weight[at : at + FFT] += window**2
        return (total / weight)[FFT // 2 :][:length]

    magnitude, before = np.sqrt(power), 0
    phases = np.ones_like(magnitude, dtype=complex)
    for _ in range(rounds):
        rebuilt = to_columns(to_wave(magnitude * phases))
        phases, before = rebuilt - 0.99 / 1.99 * before, rebuilt
        phases = phases / (np.abs(phases) + 1e-16)
    return to_wave(magnitude * phases)


def test_searched_phases_rebuild_the_power_of_a_sound():
    time = np.arange(8000) / RATE
    wave = np.sin(2 * np.pi * (300 + 800 * time) * time) * np.exp(-((time - 0.25) ** 2) / 0.01)
    power, sizes = power_of(wave), {"fft": FFT, "window": WINDOW, "hop": HOP, "length": len(wave)}
    few = search_phase(as_tensor(power), **sizes, rounds=3).numpy()
    assert few == pytest.approx(griffin_lim(power, 3, len(wave)), abs=1e-3)
    rebuilt = search_phase(as_tensor(power), **sizes, rounds=32).numpy()
    magnitude = np.sqrt(power)
    assert np.linalg.norm(np.sqrt(power_of(rebuilt)) - magnitude) < 0.1 * np.linalg.norm(magnitude)
    assert np.array_equal(rebuilt, search_phase(as_tensor(power), **sizes, rounds=32).numpy()), "no random numbers"


def vocoder(spectrum, rate, hop):
    """Column by column: magnitudes are interpolated, phases advance as they did between the two columns around."""
    padded = np.pad(spectrum, [(0, 0), (0, 2)])
    usual = np.linspace(0, np.pi * hop, len(spectrum))
    phase, columns = np.angle(spectrum[:, 0]), []
    for place in np.arange(0, spectrum.shape[1], rate):
        first, share = int(place), place % 1
        one, other = padded[:, first], padded[:, first + 1]
        columns.append(((1 - share) * np.abs(one) + share * np.abs(other)) * np.exp(1j * phase))
        step = np.angle(other) - np.angle(one) - usual
        phase = phase + usual + step - 2 * np.pi * np.round(step / (2 * np.pi))
    return np.stack(columns, axis=1)


def test_stretching_is_the_vocoder_of_its_definition():
    window = torch.hann_window(512, dtype=torch.float64)
    spectrum = torch.stft(torch.from_numpy(noise(6000)), 512, 128, window=window, return_complex=True)
    stretched = stretch_spectrum(spectrum, 9 / 16, 128).numpy()
    expected = vocoder(spectrum.numpy(), 9 / 16, 128)
    assert stretched.shape == expected.shape == (257, -(-spectrum.shape[1] * 16 // 9))
    assert np.abs(stretched - expected).max() < 1e-3 * np.abs(expected).max()


def test_lowpass_is_scipys_filter_with_the_cookbooks_numbers():
    turn = 2 * np.pi * 100 / RATE
    alpha, cosine = np.sin(turn) / (2 * 0.707), np.cos(turn)
    top = np.array([(1 - cosine) / 2, 1 - cosine, (1 - cosine) / 2])
    wave = noise(4000)
    expected = lfilter(top, [1 + alpha, -2 * cosine, 1 - alpha], wave)
    assert lowpass(as_tensor(wave).double(), RATE, 100.0).numpy() == pytest.approx(expected, abs=1e-6)
    assert lowpass(as_tensor(wave), RATE, 100.0).numpy() == pytest.approx(expected, abs=1e-3), "float32"


def test_amplifying_clips():
    assert amplify(torch.tensor([0.25, -0.75, 0.5]), 2.0).tolist() == [0.5, -1.0, 1.0]


def test_convolution_is_numpys():
    waves, responses = noise(2, 500), noise(2, 90, seed=1)
    full = convolve(as_tensor(waves), as_tensor(responses)).numpy()
    expected = [np.convolve(wave, response) for wave, response in zip(waves, responses, strict=True)]
    assert full == pytest.approx(np.stack(expected), abs=1e-5)
