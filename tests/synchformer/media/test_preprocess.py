"""Spectrograms against a computation from the definition, with scipy's window and numpy's transform."""

import numpy as np
import pytest
import torch
from scipy.signal import get_window

from synchformer.config import BASE, MINI
from synchformer.media.preprocess import (
    denormalize_frames,
    denormalize_mel,
    log_mel,
    mel_spectrogram,
    normalize_frames,
    to_mel_power,
    unit_frames,
)


def mel_by_definition(wave):
    """Normalized log-mel columns (128, 65) of a segment (10240,): HTK triangles, power, AST's scaling."""
    window = np.zeros(1024)
    window[312:712] = get_window("hann", 400)  # periodic, in the middle of the transform
    padded = np.pad(wave.astype(np.float64), 512, mode="reflect")
    columns = np.stack([padded[k * 160 : k * 160 + 1024] * window for k in range(65)], axis=1)
    power = np.abs(np.fft.rfft(columns, axis=0)) ** 2  # (513, 65)
    bins = np.arange(513) * 8000 / 512
    top = 2595 * np.log10(1 + 8000 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, 130) / 2595) - 1)
    rising = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    filters = np.clip(np.minimum(rising, falling), 0, None)  # (513, 128)
    return (np.log(filters.T @ power + 1e-6) + 4.2677393) / (2 * 4.5689974)


@pytest.fixture
def waves():
    time = np.arange(10_240) / 16_000
    noise = np.random.default_rng(0).normal(0, 0.1, 10_240)
    chirp = 0.5 * np.sin(2 * np.pi * (200 + 4000 * time) * time)
    click = np.zeros(10_240)
    click[5000:5040] = 0.8
    return np.stack([noise, chirp, click, np.zeros(10_240)]).astype(np.float32)


def test_every_column_is_what_the_definition_says(waves):
    found = mel_spectrogram(torch.from_numpy(waves), BASE).numpy()
    assert found.shape == (4, 128, 66)
    for wave, mel in zip(waves, found, strict=True):
        difference = np.abs(mel[:, :65] - mel_by_definition(wave))
        assert difference.mean() < 1e-5
        assert difference.max() < 5e-4, "a nearly empty band shows the rounding of float32"


def test_the_padding_column_is_the_value_of_zero(waves):
    """The log spectrogram is padded with 0, and only then scaled, as published."""
    padding = mel_spectrogram(torch.from_numpy(waves), BASE)[..., 65]
    assert torch.allclose(padding, torch.tensor(4.2677393 / (2 * 4.5689974)))


def test_a_click_lights_up_its_own_columns(waves):
    mel = mel_spectrogram(torch.from_numpy(waves[2]), MINI)[:, :65]
    loud = torch.nonzero(mel.mean(0) > mel.mean(0).min() + 0.05).flatten()
    middle = 5020 / 160  # the click's middle, in columns
    assert abs(loud.float().mean().item() - middle) < 1
    assert loud.max() - loud.min() <= 4  # a window of 25 ms


def test_batches_are_computed_item_by_item(waves):
    batch = torch.from_numpy(waves)
    together = mel_spectrogram(batch.view(2, 2, -1), BASE)
    assert together.shape == (2, 2, 128, 66)
    assert torch.allclose(together[1, 0], mel_spectrogram(batch[2], BASE), atol=1e-6)


def test_frames_reach_from_minus_one_to_one():
    frames = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    assert normalize_frames(frames).flatten().tolist() == pytest.approx([-1.0, -0.6, 1.0])
    assert frames.flatten().tolist() == [0, 51, 255], "the input stays as it was"


def test_the_way_back_to_pixels():
    frames = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(denormalize_frames(normalize_frames(frames)), frames), "every value"
    assert torch.equal(denormalize_frames(torch.tensor([-1.5, -1.0, 0.0, 1.5])), torch.tensor([0, 0, 128, 255]).byte())
    assert unit_frames(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0.0, 0.5, 1.0]


def test_the_way_back_to_power(waves):
    normalized = mel_spectrogram(torch.from_numpy(waves), MINI)
    logarithm = log_mel(torch.from_numpy(waves), MINI)
    assert torch.allclose(denormalize_mel(normalized)[..., :65], logarithm, atol=1e-5)
    assert torch.allclose(denormalize_mel(normalized)[..., 65], torch.zeros(()), atol=1e-6), "the padding"
    assert torch.allclose(to_mel_power(normalized)[..., :65], logarithm.exp() - 1e-6, rtol=1e-4, atol=1e-8)
    assert float(to_mel_power(torch.tensor([-10.0]))) == 0, "below the floor of the logarithm there is nothing"
