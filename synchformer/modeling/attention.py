"""Attention, and the part of a transformer layer that one token needs.

Shape legend: N sequences, T tokens, E width, H heads, d = E / H.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.attention import Attention as TimmAttention
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of (N, H, t, d) over keys and values (N, H, T, d): (N, H, t, d).

    PyTorch's own is slow in bfloat16 on CPUs, its backward pass above all: there it took most of a training step.
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return scaled_dot_product_attention(query, key, value)
    q, k, v = (part.flatten(0, 1) for part in (query * query.shape[-1] ** -0.5, key, value))
    result: Tensor = torch.bmm(torch.bmm(q, k.mT).softmax(-1, dtype=q.dtype), v).unflatten(0, query.shape[:2])
    return result


class Attention(TimmAttention):
    """timm's self-attention with `attend`; neither masks nor dropout."""

    def forward(self, tokens: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """Tokens (N, T, E) to the same shape.

        Raises:
            ValueError: when a mask is given.
        """
        if attn_mask is not None or is_causal:
            raise ValueError("attention here knows no masks")
        q, k, v = self.qkv(tokens).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        result: Tensor = self.proj(attend(q, k, v).transpose(1, 2).flatten(2))
        return result


def summarize(block: Any, tokens: Tensor) -> Tensor:
    """The first token after a transformer layer (timm's `Block`): tokens (N, T, E) to (N, E), at a part of its cost.

    Only that token's query, attention and MLP are computed. One query makes keys and values needless, too:
    q . (W_k x) = (W_k' q) . x, and the weighted sum of W_v x is W_v times the weighted sum of x (the weights sum to
    one, so biases pass through). A token then costs 2 * H * E multiplications instead of 2 * E * E.
    """
    attention = block.attn
    heads, width = attention.num_heads, tokens.shape[2]
    query, key, value = attention.qkv.weight.unflatten(0, (3, heads, -1))  # (H, d, E)
    seen = block.norm1(tokens)
    asked = linear(seen[:, 0], query.flatten(0, 1), attention.qkv.bias[:width]).unflatten(1, (heads, -1))
    asked = torch.einsum("nhd,hde->nhe", asked * attention.scale, key)  # the key's bias shifts all scores alike
    weights = (asked @ seen.transpose(1, 2)).float().softmax(2).to(seen.dtype)  # (N, H, T)
    mixed = torch.einsum("nhe,hde->nhd", weights @ seen, value).flatten(1) + attention.qkv.bias[2 * width :]
    summary = tokens[:, 0] + attention.proj(mixed)
    result: Tensor = summary + block.mlp(block.norm2(summary))
    return result
