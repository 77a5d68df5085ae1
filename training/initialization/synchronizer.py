"""Where stage II starts: not quite from random numbers, so that it leaves chance level in minutes rather than hours.

The architecture stays the paper's; only the first values of some parameters differ. With the published start (positions
from a standard normal distribution, small attention weights) `mini` was still at chance after 900 steps: the module has
to find out at once which tokens matter, where they are and how far apart.

Shape legend: n segments, t tokens per segment, S segments of a crop, D width.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.modeling.synchronizer import SynchronizationModule
from training.sampling.event_targets import audio_centers, video_centers

SHARPNESS = 2.0  # query and key weights are this much larger: attention starts less even
PERIODS = (0.2, 10.0)  # s: shortest and longest period of the time code
CLIPS = 200  # whose features are enough to look at


@torch.no_grad()
def start_from(
    module: SynchronizationModule, config: SynchformerConfig, video: NDArray[np.float16], audio: NDArray[np.float16]
) -> None:
    """Set the first values of a synchronization module from features (n, t, D) of both streams.

    Both projections see features of mean 0 and spread 1, both streams' positions are sines of the tokens' times on one
    clock, and attention is sharper.
    """
    _standardize(module.video_projection, video)
    _standardize(module.audio_projection, audio)
    starts = np.array(config.segment_starts)[:, None] / config.video_fps
    codes = [
        time_code((starts + centers).ravel(), config.sync_dim)
        for centers in (video_centers(config), audio_centers(config))
    ]
    seen = len(codes[0])
    module.position[0, 1 : 1 + seen] = codes[0]
    module.position[0, 2 + seen :] = codes[1]
    for name, parameter in module.blocks.named_parameters():
        if name.endswith("attn.qkv.weight"):
            parameter[: 2 * config.sync_dim] *= SHARPNESS


def time_code(times: NDArray[np.floating], width: int) -> Tensor:
    """Sines and cosines of times (n,) in seconds, at `width` / 2 frequencies, with mean square 1: (n, width)."""
    frequencies = 2 * np.pi / np.geomspace(*PERIODS, width // 2)
    phases = np.outer(times, frequencies)
    return torch.from_numpy(np.sqrt(2) * np.concatenate([np.sin(phases), np.cos(phases)], axis=1)).float()


def _standardize(projection: nn.Linear, features: NDArray[np.float16]) -> None:
    """An orthogonal map of features whose every channel has mean 0 and spread 1."""
    seen = torch.from_numpy(np.asarray(features, np.float32)).flatten(0, 1)
    mean, spread = seen.mean(0), seen.std(0) + 1e-4
    nn.init.orthogonal_(projection.weight)
    projection.weight /= spread
    projection.bias.copy_(-projection.weight @ mean)
