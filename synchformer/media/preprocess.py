"""What the encoders get: frames in [-1, 1] and normalized log-mel spectrograms; and the way back from them.

Shape legend: n samples, M mel bands, T spectrogram columns.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.media import audio_transforms

FFT = 1024  # samples of the transform behind a column
LOG_FLOOR = 1e-6
MEL_MEAN, MEL_STD = -4.2677393, 4.5689974  # of AudioSet log-mel values; the spread is used twice, as AST does


def normalize_frames(frames: Tensor) -> Tensor:
    """uint8 frames (..., 3, H, W) to float32 in [-1, 1]."""
    return frames.float().div_(127.5).sub_(1.0)


def normalize_frames_as_published(frames: Tensor) -> Tensor:
    """`normalize_frames` with the rounding of the published code, which computes it in half precision; float32."""
    return ((frames.half() / 255 - 0.5) / 0.5).float()


def unit_frames(frames: Tensor) -> Tensor:
    """Normalized frames, from -1 to 1, to floats from 0 to 1: colors that can be shown."""
    return (frames + 1) / 2


def denormalize_frames(frames: Tensor) -> Tensor:
    """Normalized frames to uint8: the inverse of `normalize_frames`."""
    return (unit_frames(frames) * 255).round().clamp(0, 255).to(torch.uint8)


def mel_spectrogram(waveforms: Tensor, config: SynchformerConfig) -> Tensor:
    """Waveforms (..., n) of segments to normalized log-mel spectrograms (..., M, T)."""
    logarithm = log_mel(waveforms, config)
    missing = config.mel_frames - logarithm.shape[-1]
    return (F.pad(logarithm, (0, missing)) - MEL_MEAN) / (2 * MEL_STD)


def denormalize_mel(spectrograms: Tensor) -> Tensor:
    """Normalized log-mel spectrograms to what `log_mel` returned, the padding to 0; any shape."""
    return spectrograms * 2 * MEL_STD + MEL_MEAN


def to_mel_power(spectrograms: Tensor) -> Tensor:
    """Normalized log-mel spectrograms to mel power: normalization and logarithm undone; any shape."""
    return (denormalize_mel(spectrograms).exp() - LOG_FLOOR).clamp(min=0)


def log_mel(waveforms: Tensor, config: SynchformerConfig) -> Tensor:
    """Waveforms (..., n) of any length to log-mel spectrograms (..., M, 1 + n // hop), column k centered on k hops."""
    power = audio_transforms.mel_power(
        waveforms,
        config.sample_rate,
        fft=FFT,
        window=config.window_length,
        hop=config.hop_length,
        bands=config.mel_bins,
    )
    return torch.log(power + LOG_FLOOR)
