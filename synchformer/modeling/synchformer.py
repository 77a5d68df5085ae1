"""Synchformer: two encoders and a synchronization module (figure 1).

Shape legend: B clips, S segments, F frames per segment, H x W pixels, M mel bands, T spectrogram columns,
t tokens per segment, D encoder width.
"""

# No `from __future__ import annotations` here: the Hub mixin reads the annotation of `config` to rebuild the dataclass.

from typing import Any, Self

from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.modeling.encoders import AnyAudioEncoder, AnyVideoEncoder, audio_encoder, video_encoder
from synchformer.modeling.synchronizer import SynchronizationModule


class SegmentEncoders(nn.Module):
    """The two encoders of a model: segments of picture and sound to features."""

    config: SynchformerConfig
    video_encoder: nn.Module
    audio_encoder: nn.Module

    def encode_video(self, frames: Tensor) -> Tensor:
        """Normalized frames (B, S, F, 3, H, W) to video features (B, S, t_v, D), equations 1 and 2."""
        result: Tensor = self.video_encoder(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return result

    def encode_audio(self, mel: Tensor) -> Tensor:
        """Normalized log-mel spectrograms (B, S, M, T) to audio features (B, S, t_a, D), equations 1 and 2."""
        result: Tensor = self.audio_encoder(mel.flatten(0, 1)).unflatten(0, mel.shape[:2])
        return result


class TwoStreams(SegmentEncoders):
    """Whatever encodes picture and sound apart and then compares them; all that a prediction needs."""

    synchronizer: nn.Module

    def forward(self, frames: Tensor, mel: Tensor) -> Tensor:
        """Normalized frames (B, S, F, 3, H, W) and spectrograms (B, S, M, T) to logits (B, classes)."""
        return self.synchronize(self.encode_video(frames), self.encode_audio(mel))

    def synchronize(self, video_features: Tensor, audio_features: Tensor) -> Tensor:
        """Features (B, S, t_v, D) and (B, S, t_a, D) to logits (B, classes), equation 3."""
        result: Tensor = self.synchronizer(video_features, audio_features)
        return result


class Synchformer(
    TwoStreams,
    PyTorchModelHubMixin,
    library_name="synchformer",
    tags=["audio-visual-synchronization"],
    license="mit",
):
    """The model of the paper; `config.head` decides whether it tells the offset or the synchronizability.

    `save_pretrained`, `from_pretrained` and `push_to_hub` come from the Hugging Face Hub and use safetensors.
    """

    video_encoder: AnyVideoEncoder
    audio_encoder: AnyAudioEncoder
    synchronizer: SynchronizationModule

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        self.video_encoder = video_encoder(config)
        self.audio_encoder = audio_encoder(config)
        self.synchronizer = SynchronizationModule(config)

    @classmethod
    def _from_pretrained(cls, *, strict: bool = True, **arguments: Any) -> Self:
        """Load as the mixin does, but refuse missing or unknown tensors unless asked not to."""
        result: Self = super()._from_pretrained(strict=strict, **arguments)
        return result
