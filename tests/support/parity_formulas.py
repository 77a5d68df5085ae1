"""Weights and inputs by formula: the same numbers everywhere, without a file of weights.

The published implementation ran on the same weights and inputs; its outputs are in `fixtures/`.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SAMPLE_RATE = 16_000


def weight(name: str, shape: Iterable[int], seed: int = 0) -> Tensor:
    """Values of the tensor with this published name: normal noise, scaled by what kind of tensor it is."""
    size = tuple(shape)
    if not size:
        return torch.tensor(0.07)  # the temperature
    noise = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) + seed)).standard_normal(size, np.float32)
    if len(size) > 1 and size[0] > 1:
        noise /= np.float32(math.sqrt(math.prod(size[1:])))  # matrices and filters keep the variance of their input
    else:
        noise *= np.float32(0.1)  # tokens, tables, biases, and the spread of gains around 1
        if len(size) == 1 and name.endswith("weight"):
            noise += np.float32(1)
    return torch.from_numpy(noise)


def moving_pattern(variant: int, first: int, last: int, size: int = 256) -> NDArray[np.uint8]:
    """Frames `first` to `last` (excluded) of interfering stripes, (T, 3, size, size), in whole numbers only."""
    frame, channel, row, column = np.ogrid[first:last, :3, :size, :size]
    slow = _triangle((variant + 2) * column + 3 * channel * row + (5 * variant + 7) * frame)
    curved = _triangle((column - 3 * frame) * (row + (variant + 2) * frame) // 48 + 60 * channel)
    jumping = _triangle((4 - variant) * row - (11 - 3 * variant) * frame * (frame // 25 % 3 + 1))
    return ((2 * slow + curved + jumping) // 4).astype(np.uint8)


def _triangle(phase: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.abs(phase % 510 - 255)


def bursts(variant: int, samples: int) -> NDArray[np.float32]:
    """A rising tone that is loud in every third slot, with noise, (samples,), on the grid of 16-bit audio."""
    index = np.arange(samples)
    seconds, length = index / SAMPLE_RATE, samples / SAMPLE_RATE
    low, high = 120.0 * (variant + 1), 3000.0 - 900.0 * variant
    tone = np.sin(2 * np.pi * (low * seconds + 0.5 * (high - low) * seconds * seconds / length))
    loudness = np.where(index // (SAMPLE_RATE // (2 * variant + 4)) % 3 == 0, 1.0, 0.15)
    noise = np.random.Generator(np.random.PCG64(1000 + variant)).standard_normal(samples)
    whole = np.rint((0.35 * loudness * tone + 0.05 * noise) * 32768).clip(-32768, 32767).astype(np.int16)  # no -0.0
    return whole / np.float32(32768)


def center_square(frames: NDArray[np.uint8], size: int = 224) -> Tensor:
    """The middle `size` x `size` pixels of square frames."""
    edge = (frames.shape[-1] - size) // 2
    return torch.from_numpy(frames[..., edge : edge + size, edge : edge + size])


def half_rounded(frames: Tensor) -> Tensor:
    """uint8 frames to [-1, 1] with the half-precision rounding of the published stage II, in float32."""
    return ((frames.half() / 255 - 0.5) / 0.5).float()
