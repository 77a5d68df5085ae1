"""Audio encoder: Audio Spectrogram Transformer (section 3.1, equations 1 and 2).

Shape legend: N segments, f = 12 bands, t = 6 moments, D width.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.modeling.layers import Aggregator, encoder_block


class AudioEncoder(nn.Module):
    """Spectrograms of segments to one feature every 0.1 s."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embedding = nn.Conv2d(1, config.dim, config.audio_patch, stride=config.audio_stride)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.position = nn.Parameter(torch.zeros(1, 2 + config.audio_bands * config.audio_steps, config.dim))
        self.blocks = nn.ModuleList(
            encoder_block(config.dim, config.heads, config.mlp_ratio, eps=1e-12) for _ in range(config.audio_depth)
        )
        self.norm = nn.LayerNorm(config.dim, eps=1e-12)
        self.aggregator = Aggregator(config.dim, config.heads, config.mlp_ratio)
        for table in (self.class_token, self.distillation_token, self.position):
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, mel: Tensor) -> Tensor:
        """Normalized log-mel spectrograms (N, 128, 66) to features (N, t, D)."""
        patches = rearrange(self.patch_embedding(mel[:, None]), "N d f t -> N (f t) d")
        tokens = (self.class_token, self.distillation_token)
        summary = torch.cat(tokens, dim=1).expand(len(mel), -1, -1)
        hidden = torch.cat([summary, patches], dim=1) + self.position
        for block in self.blocks:
            hidden = block(hidden)
        bands = rearrange(self.norm(hidden)[:, 2:], "N (f t) d -> (N t) f d", t=self.config.audio_steps)
        result: Tensor = rearrange(self.aggregator(bands), "(N t) d -> N t d", t=self.config.audio_steps)
        return result
