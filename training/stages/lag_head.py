"""A head for training alone that knows nothing but lags: which one makes what is seen and what is heard fit best.

Every token of the picture is compared with every token of the sound, and each offset class collects the comparisons of
tokens that are as far apart in time as it says (as SyncNet slides one stream over the other; Chung and Zisserman,
"Out of time", 2016). No place in the crop has a weight of its own, so that little footage suffices to learn what to
compare; the encoders learn it, and the synchronization module, which finds the offset in the end, reads their features.

Shape legend: B crops, S segments, t tokens per segment, D encoder width, V and A tokens of a crop's picture and sound.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synchformer.config import SynchformerConfig

WIDTH = 64  # of the space in which tokens are compared
REACH = 0.14  # s: a comparison counts less the further its lag is from the class's, and from here on not at all
GAIN = 9.0  # of the summed comparisons, to start with: they are small beside what a softmax needs


class LagHead(nn.Module):
    """Features of both streams to logits over offset classes, by lags alone."""

    kernel: Tensor

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.video = nn.Sequential(nn.LayerNorm(config.dim), nn.Linear(config.dim, WIDTH))
        self.audio = nn.Sequential(nn.LayerNorm(config.dim), nn.Linear(config.dim, WIDTH))
        self.scale = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(config.offset_classes))
        self.register_buffer("kernel", torch.from_numpy(lag_kernel(config)), persistent=False)

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """Features (B, S, t_v, D) and (B, S, t_a, D) to logits (B, classes), float32."""
        seen, heard = self.video(video).flatten(1, 2).float(), self.audio(audio).flatten(1, 2).float()
        fit = seen @ heard.mT / math.sqrt(WIDTH)  # (B, V, A)
        fit = fit - fit.mean(1, keepdim=True) - fit.mean(2, keepdim=True) + fit.mean((1, 2), keepdim=True)
        result: Tensor = torch.einsum("kva,bva->bk", self.kernel, fit) * GAIN * self.scale.exp() + self.bias
        return result


def lag_kernel(config: SynchformerConfig) -> NDArray[np.float32]:
    """How much each pair of tokens counts for each offset class: (classes, V, A), on average 1 for a class.

    What is seen at a time of the crop is heard an offset earlier, so the pair speaks for the difference of its times.
    """
    starts = np.array(config.segment_starts)[:, None] / config.video_fps
    seen, heard = ((starts + np.array(centers)).ravel() for centers in (config.video_centers, config.audio_centers))
    lags = seen[:, None] - heard[None]
    kernel = np.clip(1 - np.abs(lags[None] - np.array(config.grid)[:, None, None]) / REACH, 0, None)
    return np.asarray(kernel / kernel.sum((1, 2)).mean(), np.float32)
