"""Segment AVCLIP, the contrastive pre-training of both encoders (section 3.2, equation 4).

Shape legend: B clips, S segments, W windows, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.modeling.encoders import audio_encoder, video_encoder

INITIAL_TEMPERATURE = 0.07
TEMPERATURE_RANGE = (0.001, 0.5)
CLIP_SECONDS = 8.96  # of every clip (section 3.2): 14 segments of 0.64 s without overlap
WINDOW_SEGMENTS = 8  # of 14: seven windows, the zero-shot measure that picks the published stage I checkpoint


def segment_count(config: SynchformerConfig) -> int:
    """Segments of a clip in stage I: as many as fit into 8.96 s without overlap, 14 of the published length."""
    return int(round(CLIP_SECONDS * config.video_fps) // config.segment_frames)


class SegmentAVCLIP(nn.Module):
    """Both encoders and a trainable temperature, clamped in place at every forward pass, as published."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        self.video_encoder = video_encoder(config)
        self.audio_encoder = audio_encoder(config)
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


def match_windows(video: Tensor, audio: Tensor, length: int = WINDOW_SEGMENTS) -> tuple[Tensor, Tensor]:
    """Find, without any training for it, which stretch of one stream belongs to which of the other.

    Args:
        video: unit vectors (B, S, D), segments in order of time.
        audio: the same for the sound.
        length: segments in a window; windows start at every segment, so W = S - length + 1.

    Returns:
        The best audio window for each video window, and the best video window for each audio window: indices (B, W).

    Raises:
        ValueError: when a clip has fewer segments than a window.
    """
    if video.shape[1] < length:
        raise ValueError(f"windows of {length} segments do not fit into {video.shape[1]} segments; shorten them")
    seen, heard = (stream.unfold(1, length, 1).flatten(2) for stream in (video, audio))  # (B, W, D * length)
    fit = seen @ heard.mT
    return fit.argmax(2), fit.argmax(1)


def window_precision(video: Tensor, audio: Tensor, length: int = WINDOW_SEGMENTS) -> Tensor:
    """Share of windows matched to their own counterpart, both directions averaged: (B,); chance is 1 / W."""
    heard, seen = match_windows(video, audio, length)
    own = torch.arange(heard.shape[1], device=heard.device)
    return ((heard == own).float().mean(1) + (seen == own).float().mean(1)) / 2
