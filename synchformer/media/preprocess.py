"""What the encoders eat: frames in [-1, 1] and normalized log-mel spectrograms.

Shape legend: n samples, M mel bands, T spectrogram columns.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torchaudio.transforms import MelSpectrogram

from synchformer.config import SynchformerConfig

LOG_FLOOR = 1e-6
MEL_MEAN, MEL_STD = -4.2677393, 4.5689974  # of AudioSet log-mel values; the spread is used twice, as AST does


def normalize_frames(frames: Tensor) -> Tensor:
    """uint8 frames (..., 3, H, W) to float32 in [-1, 1]."""
    return frames.float().div_(127.5).sub_(1.0)


def mel_spectrogram(waveforms: Tensor, config: SynchformerConfig) -> Tensor:
    """Waveforms (..., n) of segments to normalized log-mel spectrograms (..., M, T)."""
    logarithm = log_mel(waveforms, config)
    missing = config.mel_frames - logarithm.shape[-1]
    return (F.pad(logarithm, (0, missing)) - MEL_MEAN) / (2 * MEL_STD)


def log_mel(waveforms: Tensor, config: SynchformerConfig) -> Tensor:
    """Waveforms (..., n) of any length to log-mel spectrograms (..., M, 1 + n // hop), column k centerd on k hops."""
    mel = _transform(
        config.sample_rate, config.window_length, config.hop_length, config.mel_bins, str(waveforms.device)
    )
    return torch.log(mel(waveforms) + LOG_FLOOR)


@lru_cache(maxsize=8)
def _transform(sample_rate: int, window: int, hop: int, bins: int, device: str) -> MelSpectrogram:
    mel = MelSpectrogram(sample_rate, n_fft=1024, win_length=window, hop_length=hop, n_mels=bins)
    return mel.to(device)
