"""What a model was fed, turned back into something to look at.

Shape legend: S segments, F frames per segment, M mel bands, C spectrogram columns, n audio samples.
"""

from __future__ import annotations

import math

import matplotlib as mpl
import torch
import torch.nn.functional as F
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.media.preprocess import LOG_FLOOR, denormalize_mel, mel_spectrogram, unit_frames
from training.readers.pixel_reader import model_frames

WIDTH, GAP = 112, 2  # pixels of a segment's column, and behind it
LOUDEST = 7.0  # natural logarithm of the mel energy that is shown white; LOG_FLOOR is black


def input_picture(frames: Tensor, waves: Tensor, config: SynchformerConfig) -> Tensor:
    """One column per segment: its first, middle and last frame, and below them its spectrogram; (3, height, width).

    It lies on the CPU, wherever the frames do.

    Args:
        frames: (S, F, 3, H, W), uint8 or normalized.
        waves: (S, n).
        config: sizes.
    """
    shown = unit_frames(model_frames(frames[:, [0, config.segment_frames // 2, -1]].cpu()))
    columns = F.interpolate(shown.flatten(0, 1).float(), (WIDTH, WIDTH), mode="area").unflatten(0, shown.shape[:2])
    pictures = _side_by_side(columns.permute(0, 2, 1, 3, 4).flatten(2, 3))
    return torch.cat([pictures, _side_by_side(_spectrograms(waves, config))], dim=1)


def _side_by_side(columns: Tensor) -> Tensor:
    """Pictures (S, 3, H, W) in a row, with white gaps: (3, H, S * (W + GAP))."""
    return F.pad(columns, (0, GAP), value=1.0).permute(1, 2, 0, 3).flatten(2)


def _spectrograms(waves: Tensor, config: SynchformerConfig) -> Tensor:
    """The model's spectrograms in colors, low notes at the bottom: (S, 3, M, WIDTH)."""
    energies = denormalize_mel(mel_spectrogram(waves.float(), config))  # (S, M, C), logarithms
    floor = math.log(LOG_FLOOR)
    shades = ((energies - floor) / (LOUDEST - floor)).clamp(0, 1).flip(1)
    columns = F.interpolate(shades[:, None], (config.mel_bins, WIDTH), mode="nearest")[:, 0]
    return torch.from_numpy(mpl.colormaps["magma"](columns.numpy())[..., :3]).permute(0, 3, 1, 2).float()
