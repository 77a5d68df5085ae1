"""The synchronization module for thousands of mixtures of one clip with distractors: the same logits, less work.

Three exact savings over calling the module with mixed features (equal up to the order of floating-point sums):

1. Projection, norm and position are functions of one token, and so are the first block's norm and q, k, v. They are
   computed once for the clip and once for each distractor; a mask then only picks rows out of a table.
2. The head reads the class token, so that of the last block only what that token needs is computed
   (`synchformer.modeling.attention.summarize`; the whole model does so, too).
3. Only the block between, if there is one, is computed in full.

Shape legend: N masks, T tokens, E width, H heads, d = E / H, D distractors, C classes.
"""

from __future__ import annotations

import copy
import functools
import time
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from attribution.settings import CHECK_EVERY
from synchformer.config import Precision
from synchformer.inference.prediction import Encoding
from synchformer.modeling.attention import attend, summarize
from synchformer.modeling.synchronizer import SynchronizationModule

CPU_BYTES = 12 << 20  # working set of a batch on a CPU: beyond the caches a larger batch is slower, not faster
MIN_BATCH = 4  # masks of a batch
GPU_SHARE = 0.25  # of the free memory


class FastSynchronizer:
    """Decisions for mixtures of one clip with distractors.

    Args:
        module: the synchronization module, in evaluation mode.
        clip: the clip's features.
        distractors: features of each distractor, of the same shapes.
        dtype: of the arithmetic; the tables are made in float32 first.
    """

    def __init__(
        self, module: SynchronizationModule, clip: Encoding, distractors: list[Encoding], dtype: torch.dtype
    ) -> None:
        everyone = [clip, *distractors]
        first: Any = module.blocks[0]
        with torch.inference_mode():
            tokens = torch.cat([_tokens(module, each) for each in everyone])  # (1 + D, T, E)
            packed = first.attn.qkv(first.norm1(tokens))  # (1 + D, T, 3E)
            self._tokens = tokens.to(dtype).flatten(0, 1)
            self._packed = packed.to(dtype).flatten(0, 1)
            self._module = module if dtype == torch.float32 else copy.deepcopy(module).to(dtype)
        self.length = tokens.shape[1]
        self.distractors = len(distractors)
        self.dtype, self.device = dtype, tokens.device
        self._places = torch.arange(self.length, device=self.device)

    @torch.inference_mode()
    def __call__(self, keep: Tensor, choice: Tensor) -> Tensor:
        """Logits of mixtures.

        Args:
            keep: which tokens are the clip's, bool (N, T); the others are the distractor's.
            choice: distractor of each mixture, int64 (N,).

        Returns:
            Logits (N, C) in float32.
        """
        source = torch.where(keep, 0, choice[:, None] + 1)
        rows = (source * self.length + self._places).flatten()
        blocks: Any = self._module.blocks
        tokens = self._tokens[rows].unflatten(0, keep.shape)  # (N, T, E)
        if len(blocks) > 1:
            tokens = _mix(blocks[0], tokens, self._packed[rows].unflatten(0, keep.shape))
            for block in blocks[1:-1]:
                tokens = _mix(block, tokens, block.attn.qkv(block.norm1(tokens)))
        summary = summarize(blocks[-1], tokens)
        result: Tensor = self._module.head(self._module.norm(summary)).float()
        return result

    def bytes_per_mask(self) -> int:
        """Working memory of one mask, roughly: tokens, q, k, v, the MLP's hidden layer twice."""
        width = self._tokens.shape[1]
        first: Any = self._module.blocks[0]
        hidden: int = first.mlp.fc1.out_features
        return self.length * (3 * width + 3 * width + 2 * hidden) * self._tokens.element_size()

    def batch(self) -> int:
        """Masks per pass: even, as many as memory suggests, at most `CHECK_EVERY`."""
        on_gpu = self.device.type == "cuda"
        budget = GPU_SHARE * torch.cuda.mem_get_info(self.device)[0] if on_gpu else CPU_BYTES
        return max(MIN_BATCH, min(CHECK_EVERY, int(budget / self.bytes_per_mask()) // 2 * 2))


def _tokens(module: SynchronizationModule, features: Encoding) -> Tensor:
    """The sequence that enters the first block: (1, T, E), float32."""
    video = module.video_norm(module.video_projection(features.video_features.float()).flatten(1, 2))
    audio = module.audio_norm(module.audio_projection(features.audio_features.float()).flatten(1, 2))
    return torch.cat([module.class_token, video, module.separator, audio], dim=1) + module.position


def _mix(block: Any, tokens: Tensor, packed: Tensor) -> Tensor:
    """One block, whose q, k, v are given: tokens (N, T, E), packed (N, T, 3E) to (N, T, E)."""
    q, k, v = packed.unflatten(2, (3, block.attn.num_heads, -1)).permute(2, 0, 3, 1, 4)  # (N, H, T, d)
    mixed = attend(q, k, v).transpose(1, 2).flatten(2)
    tokens = tokens + block.attn.proj(mixed)
    result: Tensor = tokens + block.mlp(block.norm2(tokens))
    return result


def pick_dtype(device: torch.device, precision: Precision) -> torch.dtype:
    """The type of the arithmetic: as asked, or for `auto` bfloat16 where a short trial finds it clearly faster."""
    if precision != "auto":
        return torch.bfloat16 if precision == "bf16" else torch.float32
    return torch.bfloat16 if _bf16_gain(str(device)) > 1.3 else torch.float32


@functools.lru_cache(maxsize=8)
def _bf16_gain(device: str) -> float:
    """How many times faster a matrix product of the module's size is in bfloat16 than in float32."""
    return _product_seconds(device, torch.float32) / _product_seconds(device, torch.bfloat16)


def _product_seconds(device: str, dtype: torch.dtype) -> float:
    left, right = (torch.ones(shape, dtype=dtype, device=device) for shape in ((768, 768), (3072, 768)))
    times = []
    for _ in range(6):
        begin = time.perf_counter()
        _wait(linear(left, right))
        times.append(time.perf_counter() - begin)
    return min(times[1:])


def _wait(tensor: Tensor) -> None:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize(tensor.device)
