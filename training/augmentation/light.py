"""Random changes of brightness and sound that keep every event where it is.

How a picture changes is drawn where batches are made and applied where the model is: there it costs next to nothing.

Shape legend: N segments, F frames, n audio samples.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def draw_look(rng: np.random.Generator, count: int) -> Tensor:
    """How `count` segments are to look: contrast, what is added to red, green and blue, mirrored or not; (N, 5)."""
    contrast, tint = rng.uniform(0.7, 1.3, (count, 1)), rng.uniform(-0.15, 0.15, (count, 3))
    return torch.from_numpy(np.concatenate([contrast, tint, rng.random((count, 1)) < 0.5], axis=1)).float()


def apply_look(frames: Tensor, look: Tensor) -> Tensor:
    """Frames uint8 (..., F, 3, H, W), normalized to [-1, 1], each segment with its own look (..., 5).

    Normalization and contrast are one multiplication: large batches cost what their passes through memory cost.
    """
    contrast, tint, _ = look[..., None, None, None].split([1, 3, 1], -4)
    frames, mirrored = frames.clone(), look[..., 4] > 0
    frames[mirrored] = frames[mirrored].flip(-1)
    return frames.float().mul_(contrast / 127.5).add_(tint.transpose(-4, -3) - contrast).clamp_(-1, 1)


def augment_waveform(waveform: Tensor, rng: np.random.Generator) -> Tensor:
    """Vary the level of waveforms (N, n) by up to 12 dB and add faint noise."""
    count = len(waveform)
    gain = 10 ** rng.uniform(-0.45, 0.15, (count, 1))
    level = 10 ** rng.uniform(-5.0, -2.3, (count, 1))
    noise = rng.standard_normal(tuple(waveform.shape), dtype=np.float32) * level
    changed = waveform * torch.as_tensor(gain, dtype=waveform.dtype)
    return changed + torch.as_tensor(noise, dtype=waveform.dtype)
