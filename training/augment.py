"""Random changes of brightness and sound that keep every event where it is.

Shape legend: N segments, F frames, n samples.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def augment_frames(frames: Tensor, rng: np.random.Generator) -> Tensor:
    """Vary contrast, brightness and colour of normalised frames (N, F, 3, H, W), mirror half of the segments."""
    count = len(frames)
    contrast = torch.as_tensor(rng.uniform(0.7, 1.3, (count, 1, 1, 1, 1)), dtype=frames.dtype)
    tint = torch.as_tensor(rng.uniform(-0.15, 0.15, (count, 1, 3, 1, 1)), dtype=frames.dtype)
    mirrored = torch.as_tensor(rng.random(count) < 0.5).view(count, 1, 1, 1, 1)
    frames = torch.where(mirrored, frames.flip(-1), frames)
    return (frames * contrast.to(frames.device) + tint.to(frames.device)).clamp(-1, 1)


def augment_waveform(waveform: Tensor, rng: np.random.Generator) -> Tensor:
    """Vary the level of waveforms (N, n) by up to 12 dB and add faint noise."""
    count = len(waveform)
    gain = 10 ** rng.uniform(-0.45, 0.15, (count, 1))
    level = 10 ** rng.uniform(-5.0, -2.3, (count, 1))
    noise = rng.standard_normal(tuple(waveform.shape), dtype=np.float32) * level
    changed = waveform * torch.as_tensor(gain, dtype=waveform.dtype)
    return changed + torch.as_tensor(noise, dtype=waveform.dtype)
