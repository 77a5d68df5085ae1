"""Which encoders a configuration asks for: the paper's transformers, or the convolutional ones of table 4."""

from __future__ import annotations

from typing import TypeAlias

from synchformer.config import SynchformerConfig
from synchformer.modeling.audio_spectrogram_transformer import AudioEncoder
from synchformer.modeling.motionformer import VideoEncoder
from synchformer.modeling.resnet import ResNetEncoder
from synchformer.modeling.s3d import S3DEncoder

AnyVideoEncoder: TypeAlias = VideoEncoder | S3DEncoder
AnyAudioEncoder: TypeAlias = AudioEncoder | ResNetEncoder
Encoders: TypeAlias = tuple[AnyVideoEncoder, AnyAudioEncoder]


def video_encoder(config: SynchformerConfig) -> AnyVideoEncoder:
    """A new encoder of frames (N, F, 3, H, W) to features (N, t_v, D)."""
    return VideoEncoder(config) if config.extractors == "transformers" else S3DEncoder(config)


def audio_encoder(config: SynchformerConfig) -> AnyAudioEncoder:
    """A new encoder of spectrograms (N, M, T) to features (N, t_a, D)."""
    return AudioEncoder(config) if config.extractors == "transformers" else ResNetEncoder(config)
