"""Which encoders a configuration asks for: the paper's transformers, or the convolutional ones of table 4."""

from __future__ import annotations

from typing import TypeAlias

from synchformer.audio import AudioEncoder
from synchformer.config import SynchformerConfig
from synchformer.convolutional import ResNetEncoder, S3DEncoder
from synchformer.video import VideoEncoder

AnyVideoEncoder: TypeAlias = VideoEncoder | S3DEncoder
AnyAudioEncoder: TypeAlias = AudioEncoder | ResNetEncoder
Encoders: TypeAlias = tuple[AnyVideoEncoder, AnyAudioEncoder]


def video_encoder(config: SynchformerConfig) -> AnyVideoEncoder:
    """A new encoder of frames (N, F, 3, H, W) to features (N, t_v, D)."""
    return VideoEncoder(config) if config.extractors == "transformers" else S3DEncoder(config)


def audio_encoder(config: SynchformerConfig) -> AnyAudioEncoder:
    """A new encoder of spectrograms (N, M, T) to features (N, t_a, D)."""
    return AudioEncoder(config) if config.extractors == "transformers" else ResNetEncoder(config)
