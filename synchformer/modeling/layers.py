"""Layers shared by the encoders.

Shape legend: N segments, t moments, n tokens, D width.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from einops import rearrange
from timm.layers.mlp import Mlp
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from synchformer.modeling.attention import Attention, attend, summarize


def encoder_block(dim: int, heads: int, mlp_ratio: int, eps: float) -> Block:
    """A pre-norm transformer layer with erf GELU: attention, then MLP, both residual; `eps` is the layer norms'."""
    norm: Any = partial(nn.LayerNorm, eps=eps)  # timm types it as a class but takes any factory
    return Block(dim, heads, mlp_ratio=mlp_ratio, qkv_bias=True, norm_layer=norm, attn_layer=Attention)


class Aggregator(nn.Module):
    """Summarize a set of tokens by one: a learned token, one transformer layer, its output (equation 2)."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.block = encoder_block(dim, heads, mlp_ratio, eps=1e-6)
        nn.init.trunc_normal_(self.token, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, n, D) to their summaries (N, D)."""
        return summarize(self.block, torch.cat([self.token.expand(len(tokens), -1, -1), tokens], dim=1))


class DividedAttention(nn.Module):
    """Attention in which a patch sees the class token and its own moments or places; the class token sees all."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, pattern: str, frames: int) -> Tensor:
        """Attend within groups.

        Args:
            tokens: (N, 1 + t * n, D), the class token first, patches ordered moment by moment.
            pattern: "time" groups the moments of one place, "space" the places of one moment.
            frames: number of moments t.
        """
        count = len(tokens)
        q, k, v = rearrange(self.qkv(tokens), "N m (three h d) -> three N h m d", three=3, h=self.heads)
        summary = attend(q[:, :, :1], k, v)  # (N, h, 1, d)
        group = "N h (t n) d -> (N n) h t d" if pattern == "time" else "N h (t n) d -> (N t) h n d"
        back = "(N n) h t d -> N h (t n) d" if pattern == "time" else "(N t) h n d -> N h (t n) d"
        q_, k_, v_ = (rearrange(part[:, :, 1:], group, t=frames) for part in (q, k, v))
        groups = len(q_) // count
        k_, v_ = (
            torch.cat([part[:, :, :1].repeat_interleave(groups, dim=0), own], dim=2) for part, own in ((k, k_), (v, v_))
        )
        patches = rearrange(attend(q_, k_, v_), back, N=count)
        result: Tensor = self.proj(rearrange(torch.cat([summary, patches], dim=2), "N h m d -> N m (h d)"))
        return result


class DividedBlock(nn.Module):
    """Motionformer layer with divided attention: over time, then over space, then an MLP, each residual."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.time_norm = nn.LayerNorm(dim, eps=1e-6)
        self.time_attention = DividedAttention(dim, heads)
        self.space_norm = nn.LayerNorm(dim, eps=1e-6)
        self.space_attention = DividedAttention(dim, heads)
        self.mlp_norm = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, mlp_ratio * dim)

    def forward(self, tokens: Tensor, frames: int) -> Tensor:
        """Tokens (N, 1 + t * n, D) to the same shape; `frames` is t."""
        tokens = tokens + self.time_attention(self.time_norm(tokens), "time", frames)
        tokens = tokens + self.space_attention(self.space_norm(tokens), "space", frames)
        result: Tensor = tokens + self.mlp(self.mlp_norm(tokens))
        return result
