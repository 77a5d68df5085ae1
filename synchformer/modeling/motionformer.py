"""Visual encoder: Motionformer with divided space-time attention (section 3.1, equations 1 and 2).

Shape legend: N segments, F frames, t = F / tubelet moments, n patches per moment, D width.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.modeling.layers import Aggregator, DividedBlock

MOTION_GAIN = 4.0  # neighboring frames differ little: their differences are raised to the size of the frames themselves


class VideoEncoder(nn.Module):
    """Frames of segments to one feature per pair of frames.

    Built from scratch, places and moments are drawn wide enough to stand out beside the patches, and every second patch
    filter subtracts a frame from the next, so that order and motion can be found from the first step on. The published
    code starts its patch layer and its table of moments at zero, which hides every pixel until they move.
    """

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        size = (config.tubelet_frames, config.patch_size, config.patch_size)
        self.patch_embedding = nn.Conv3d(3, config.dim, kernel_size=size, stride=size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.space_position = nn.Parameter(torch.zeros(1, 1 + config.patches_per_frame, config.dim))
        self.time_position = nn.Parameter(torch.zeros(1, config.video_steps, config.dim))
        self.blocks = nn.ModuleList(
            DividedBlock(config.dim, config.heads, config.mlp_ratio) for _ in range(config.video_depth)
        )
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.aggregator = Aggregator(config.dim, config.heads, config.mlp_ratio)
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.normal_(self.space_position, std=0.2)
        nn.init.normal_(self.time_position, std=0.5)
        self._start_with_motion()

    def forward(self, frames: Tensor) -> Tensor:
        """Normalized frames (N, F, 3, H, W) to features (N, t, D)."""
        steps = self.config.video_steps
        tokens = self._embed(frames)
        for block in self.blocks:
            tokens = block(tokens, steps)
        patches = self.norm(tokens[:, 1:])  # the class token goes before the norm
        places = rearrange(patches, "N (t n) d -> (N t) n d", t=steps)
        result: Tensor = rearrange(self.aggregator(places), "(N t) d -> N t d", t=steps)
        return result

    @torch.no_grad()
    def _start_with_motion(self) -> None:
        weight = self.patch_embedding.weight  # (D, 3, tubelet, patch, patch)
        half = self.config.tubelet_frames // 2
        weight[1::2, :, half : 2 * half] = -weight[1::2, :, :half]
        weight[1::2] *= MOTION_GAIN

    def _embed(self, frames: Tensor) -> Tensor:
        patches = self.patch_embedding(rearrange(frames, "N f c h w -> N c f h w"))
        patches = rearrange(patches, "N d t h w -> N t (h w) d")
        patches = patches + self.space_position[:, None, 1:] + self.time_position[:, :, None]
        summary = (self.class_token + self.space_position[:, :1]).expand(len(frames), -1, -1)
        return torch.cat([summary, rearrange(patches, "N t n d -> N (t n) d")], dim=1)
