"""Changes of sound that torchaudio works out: resampling, mel spectrograms and the way back from them, effects.

torchaudio 2.11 is its last release. Nothing else of this project imports it, so that leaving it is work in this file;
`tests/synchformer/media/test_audio_transforms.py` holds each function against another implementation.

Shape legend: n samples, F frequencies (`fft` // 2 + 1), M mel bands, T columns of a spectrogram.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torchaudio.functional as audio_functional
from torch import Tensor, nn
from torchaudio.transforms import GriffinLim, InverseMelScale, MelSpectrogram

BUTTERWORTH = 0.707  # the quality factor of a second-order low-pass without resonance, about 1 / sqrt(2)


def resample(waves: Tensor, rate: int, wanted: int) -> Tensor:
    """Waves (..., n) at `rate` Hz to waves (..., ceil(n * wanted / rate)) at `wanted` Hz; every sample keeps its place.

    A sinc windowed by a squared cosine, six zero crossings to either side, that cuts at 0.99 of half the lower rate.
    """
    result: Tensor = audio_functional.resample(waves, rate, wanted)
    return result


def mel_power(waves: Tensor, sample_rate: int, *, fft: int, window: int, hop: int, bands: int) -> Tensor:
    """Waves (..., n) to the power in `bands` mel bands, (..., M, 1 + n // hop), column k centered on k hops.

    The window is a periodic Hann window of `window` samples in the middle of the transform's `fft`, the wave is
    reflected at its ends, and the bands are HTK's triangles over 0 to half the sample rate, as torchaudio's defaults
    and AST have them.
    """
    power: Tensor = _mel_transform(sample_rate, fft, window, hop, bands, str(waves.device))(waves)
    return power


@lru_cache(maxsize=8)
def _mel_transform(sample_rate: int, fft: int, window: int, hop: int, bands: int, device: str) -> nn.Module:
    mel: nn.Module = MelSpectrogram(sample_rate, n_fft=fft, win_length=window, hop_length=hop, n_mels=bands)
    return mel.to(device)


def unmix_mel(mel: Tensor, sample_rate: int, *, fft: int) -> Tensor:
    """Mel power (M, T) to the power at every frequency, (F, T), by least squares; never below 0.

    Of the many spectra that have this mel power it is the one with the smallest sum of squares.
    """
    power: Tensor = InverseMelScale(fft // 2 + 1, mel.shape[-2], sample_rate, driver="gelsd")(mel)
    return power


def search_phase(power: Tensor, *, fft: int, window: int, hop: int, length: int, rounds: int) -> Tensor:
    """A wave (length,) whose power spectrogram is close to `power` (F, T), by Griffin and Lim's method.

    D. Griffin and J. Lim (1984), "Signal estimation from modified short-time Fourier transform", with the momentum of
    0.99 of Perraudin et al. (2013), from phases of 0, so that the result is always the same.
    """
    search = GriffinLim(fft, rounds, window, hop, power=2.0, length=length, rand_init=False)
    wave: Tensor = search(power)
    return wave


def stretch_spectrum(spectrum: Tensor, rate: float, hop: int) -> Tensor:
    """A complex spectrogram (F, T) played at `rate` times its speed, (F, ceil(T / rate)), by a phase vocoder.

    Its frequencies reach from 0 to half the sample rate, and stay; `hop` is the number of samples between columns.
    """
    advance = torch.linspace(0, torch.pi * hop, spectrum.shape[-2], device=spectrum.device)[:, None]
    stretched: Tensor = audio_functional.phase_vocoder(spectrum, rate, advance)
    return stretched


def lowpass(waves: Tensor, sample_rate: int, cutoff: float) -> Tensor:
    """Waves (..., n) without what lies above `cutoff` Hz, 12 dB per octave, clipped to -1 and 1; as sox does it."""
    low: Tensor = audio_functional.lowpass_biquad(waves, sample_rate, cutoff, BUTTERWORTH)
    return low


def amplify(waves: Tensor, gain: float) -> Tensor:
    """Waves (..., n) times `gain`, clipped to -1 and 1; as sox does it."""
    return (waves * gain).clamp(-1, 1)


def convolve(waves: Tensor, response: Tensor) -> Tensor:
    """The full convolution of waves (..., n) with responses (..., m), (..., n + m - 1), by the Fourier transform."""
    full: Tensor = audio_functional.fftconvolve(waves, response)
    return full
