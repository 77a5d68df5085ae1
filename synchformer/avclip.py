"""Segment AVCLIP, the contrastive pre-training of both encoders (section 3.2, equation 4).

Shape legend: B clips, S segments, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synchformer.audio import AudioEncoder
from synchformer.config import SynchformerConfig
from synchformer.video import VideoEncoder

INITIAL_TEMPERATURE = 0.07
TEMPERATURE_RANGE = (0.001, 0.5)


class SegmentAVCLIP(nn.Module):
    """Both encoders and a trainable temperature, clamped in place at every forward pass, as published."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        self.video_encoder = VideoEncoder(config)
        self.audio_encoder = AudioEncoder(config)
        self.temperature = nn.Parameter(torch.tensor(INITIAL_TEMPERATURE))

    def embed(self, frames: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, S, F, 3, H, W) and spectrograms (B, S, M, T) to unit vectors, two of (B * S, D)."""
        video = self.video_encoder(frames.flatten(0, 1)).mean(1)
        audio = self.audio_encoder(mel.flatten(0, 1)).mean(1)
        return F.normalize(video, dim=-1), F.normalize(audio, dim=-1)

    def forward(self, frames: Tensor, mel: Tensor) -> Tensor:
        """Similarities of every video with every audio segment over the temperature: (B * S, B * S)."""
        with torch.no_grad():
            self.temperature.clamp_(*TEMPERATURE_RANGE)
        video, audio = self.embed(frames, mel)
        return video @ audio.T / self.temperature

    def contrastive_loss(self, frames: Tensor, mel: Tensor) -> Tensor:
        """Equation 4, both directions averaged; segments of the same clip are negatives too."""
        similarity = self(frames, mel)
        targets = torch.arange(len(similarity), device=similarity.device)
        return (F.cross_entropy(similarity, targets) + F.cross_entropy(similarity.T, targets)) / 2
