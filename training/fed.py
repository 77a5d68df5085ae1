"""What a model was fed, turned back into something to look at.

Shape legend: S segments, F frames per segment, M mel bands, C spectrogram columns, n samples.
"""

from __future__ import annotations

import math

import matplotlib as mpl
import torch
import torch.nn.functional as F
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.preprocess import LOG_FLOOR, MEL_MEAN, MEL_STD, mel_spectrogram
from training.pixels import model_frames

WIDTH = 112  # pixels of a segment's column
LOUDEST = 7.0  # natural logarithm of the mel energy that is shown white; LOG_FLOOR is black


def fed_picture(frames: Tensor, waves: Tensor, config: SynchformerConfig) -> Tensor:
    """One column per segment: its first, middle and last frame, and below them its spectrogram; (3, height, width).

    Args:
        frames: (S, F, 3, H, W), uint8 or normalised.
        waves: (S, n).
        config: sizes.
    """
    shown = (model_frames(frames[:, [0, config.segment_frames // 2, -1]]) + 1) / 2
    columns = F.interpolate(shown.flatten(0, 1).float(), (WIDTH, WIDTH), mode="area").unflatten(0, shown.shape[:2])
    pictures = columns.permute(2, 1, 3, 0, 4).flatten(3).flatten(1, 2)  # (3, 3 * WIDTH, S * WIDTH)
    return torch.cat([pictures, _spectrograms(waves, config)], dim=1)


def _spectrograms(waves: Tensor, config: SynchformerConfig) -> Tensor:
    """The model's spectrograms side by side, low notes at the bottom; (3, M, S * WIDTH) in colours."""
    energies = mel_spectrogram(waves.float(), config) * 2 * MEL_STD + MEL_MEAN  # (S, M, C), logarithms
    floor = math.log(LOG_FLOOR)
    shades = ((energies - floor) / (LOUDEST - floor)).clamp(0, 1).flip(1)
    columns = F.interpolate(shades[:, None], (config.mel_bins, WIDTH), mode="nearest")[:, 0]
    row = columns.permute(1, 0, 2).flatten(1)  # (M, S * WIDTH)
    return torch.from_numpy(mpl.colormaps["magma"](row.numpy())[..., :3]).permute(2, 0, 1).float()
