"""Synchronization module: from the features of both streams to the offset (section 3.1, equation 3).

Shape legend: B clips, S segments, t tokens per segment, D encoder width, E module width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.modeling.attention import summarize
from synchformer.modeling.layers import encoder_block


class SynchronizationModule(nn.Module):
    """A transformer encoder over [class token, video, separator, audio] whose class token is classified.

    The position table is drawn from a standard normal distribution, as published.
    """

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        width = config.sync_dim
        self.video_projection = nn.Linear(config.dim, width)
        self.audio_projection = nn.Linear(config.dim, width)
        self.video_norm = nn.LayerNorm(width, eps=1e-5)
        self.audio_norm = nn.LayerNorm(width, eps=1e-5)
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.separator = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, config.sequence_length, width))
        self.blocks = nn.ModuleList(
            encoder_block(width, config.sync_heads, config.mlp_ratio, eps=1e-5) for _ in range(config.sync_depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.head = nn.Linear(width, config.classes)

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """Features (B, S, t_v, D) and (B, S, t_a, D) to logits (B, classes)."""
        result: Tensor = self.head(self.encode(video, audio))
        return result

    def encode(self, video: Tensor, audio: Tensor) -> Tensor:
        """The class token's output, (B, E), that the head reads."""
        video = self.video_norm(self.video_projection(video).flatten(1, 2))
        audio = self.audio_norm(self.audio_projection(audio).flatten(1, 2))
        first, between = (token.expand(len(video), -1, -1) for token in (self.class_token, self.separator))
        tokens = torch.cat([first, video, between, audio], dim=1) + self.position
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        result: Tensor = self.norm(summarize(self.blocks[-1], tokens))
        return result
