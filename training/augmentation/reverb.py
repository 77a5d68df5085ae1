"""Freeverb: the reverberation that the published code takes from sox, whose wrapper torchaudio has dropped.

The filter is linear, so its response to one impulse is worked out once and convolved with every sound.

Shape legend: n audio samples.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import Tensor

from synchformer.media.audio_transforms import convolve

COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)  # samples at 44.1 kHz, Jezar's
ALLPASSES = (225, 341, 441, 556)
DESIGN_RATE = 44_100
FEEDBACK = 0.84  # Freeverb's at half of its room sizes
DAMPING = 0.2  # share of the lows that feed back instead of the highs
DIFFUSION = 0.5  # of the all-passes
SECONDS = 1.0  # the response is cut here, some 40 dB down


def reverberate(wave: Tensor, sample_rate: int) -> Tensor:
    """The reverberation alone of waves (..., n), without the direct sound and as loud as the input was."""
    response = torch.from_numpy(impulse_response(sample_rate)).to(wave)
    wet = convolve(wave, response.expand(*wave.shape[:-1], -1))[..., : wave.shape[-1]]
    loud = wave.square().mean(-1, keepdim=True).sqrt()
    result: Tensor = wet * loud / wet.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-9)
    return result


@lru_cache(maxsize=4)
def impulse_response(sample_rate: int) -> NDArray[np.float32]:
    """Eight damped combs side by side, then four all-passes in a row: (n,)."""
    impulse = np.zeros(round(SECONDS * sample_rate))
    impulse[0] = 1.0
    wet = sum(_comb(impulse, _scaled(length, sample_rate)) for length in COMBS)
    for length in ALLPASSES:
        wet = _allpass(np.asarray(wet), _scaled(length, sample_rate))
    return np.asarray(wet, np.float32)


def _scaled(length: int, sample_rate: int) -> int:
    return round(length * sample_rate / DESIGN_RATE)


def _comb(wave: NDArray[np.float64], delay: int) -> NDArray[np.float64]:
    """Feedback through a one-pole low-pass: H = z^-d (1 - p z^-1) / (1 - p z^-1 - g (1 - p) z^-d)."""
    top, bottom = np.zeros(delay + 2), np.zeros(delay + 1)
    top[delay], top[delay + 1] = 1.0, -DAMPING
    bottom[0], bottom[1] = 1.0, -DAMPING
    bottom[delay] -= FEEDBACK * (1 - DAMPING)
    return np.asarray(lfilter(top, bottom, wave))


def _allpass(wave: NDArray[np.float64], delay: int) -> NDArray[np.float64]:
    """Freeverb's all-pass: H = (-1 + (1 + g) z^-d) / (1 - g z^-d)."""
    top, bottom = np.zeros(delay + 1), np.zeros(delay + 1)
    top[0], top[delay] = -1.0, 1.0 + DIFFUSION
    bottom[0], bottom[delay] = 1.0, -DIFFUSION
    return np.asarray(lfilter(top, bottom, wave))
