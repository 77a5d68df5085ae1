"""S3D, the video network of table 4 and of the baselines, computed by two-dimensional operations.

Every filter of S3D lies in a frame, or along time, or in one point. Frames are therefore kept with their channels last
and handed to 2D convolutions as pictures, either frame by frame or as one picture of moments by places: the same sums
as torchvision's 3D ones, in a third of the time on a CPU, where bfloat16 gradients of 3D filters are not even right
(1e34 and NaN with PyTorch 2.11).

Shape legend: N segments, F frames, H rows, W columns, C channels.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torchvision.models.video.s3d import SepInceptionBlock3D, TemporalSeparableConv
from torchvision.ops.misc import Conv3dNormActivation

from synchformer.config import SynchformerConfig
from synchformer.modeling.layers import Aggregator

GRAIN = 4  # channels come in multiples of this
INCEPTIONS = (
    # Channels of the branches: the point; bottleneck and output of two that convolve; the pooled one.
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
"""The inception blocks of S3D between its pools (torchvision's table)."""


def narrow(channels: int, width: float) -> int:
    """A share of a published number of channels, in multiples of `GRAIN`; all of them at width 1."""
    return max(GRAIN, GRAIN * round(channels * width / GRAIN))


class S3D(nn.Module):
    """Separable 3D inception network, without pooling and classifier.

    Modules, names and tensors are torchvision's; only the way through them is ours. The running statistics of its
    normalization follow at PyTorch's usual pace; the published one is a hundred times slower, too slow for a network
    that starts from random weights.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm3d, eps=1e-3)
        one, three = narrow(64, width), narrow(192, width)
        layers: list[nn.Module] = [
            TemporalSeparableConv(3, one, 7, 2, 3, norm),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            Conv3dNormActivation(one, one, kernel_size=1, stride=1, norm_layer=norm),
            TemporalSeparableConv(one, three, 3, 1, 1, norm),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        ]
        self.channels = three
        for part, pool in zip(INCEPTIONS, (nn.MaxPool3d(3, 2, 1), nn.MaxPool3d(2, 2), None), strict=True):
            for counts in part:
                first, *others = (narrow(channels, width) for channels in counts)
                layers.append(SepInceptionBlock3D(self.channels, first, *others, norm))
                self.channels = first + others[1] + others[3] + others[4]
            layers += [pool] if pool else []
        self.features = nn.Sequential(*layers)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (N, F, H, W, 3) to maps (N, F / 8, H / 32, W / 32, C); the last of the halvings round down."""
        return _through(self.features, frames)


def _through(module: nn.Module, maps: Tensor) -> Tensor:
    """What a part of S3D makes of maps (N, F, H, W, C), in the same layout.

    Raises:
        TypeError: a part that S3D does not have.
    """
    if isinstance(module, SepInceptionBlock3D):
        branches = (module.branch0, module.branch1, module.branch2, module.branch3)
        return torch.cat([_through(branch, maps) for branch in branches], dim=-1)
    if isinstance(module, nn.Sequential):
        for part in module:
            maps = _through(part, maps)
        return maps
    if isinstance(module, nn.Conv3d):
        return _convolved(module, maps)
    if isinstance(module, nn.MaxPool3d):
        return _pooled(module, maps)
    if isinstance(module, nn.BatchNorm3d):
        result: Tensor = module(maps.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)
        return result
    if isinstance(module, nn.ReLU):
        return F.relu(maps)  # not in place, as torchvision's: the gradient of a changed view is a copy of all of it
    raise TypeError(f"S3D has no {type(module).__name__}")


def _convolved(conv: nn.Conv3d, maps: Tensor) -> Tensor:
    """A convolution with filters of one point, one frame or one place."""
    stride, pad = conv.stride, tuple(int(value) for value in conv.padding)
    if conv.kernel_size == (1, 1, 1):
        return F.linear(maps, conv.weight[:, :, 0, 0, 0], conv.bias)
    if conv.kernel_size[0] == 1:
        filtered = F.conv2d(_by_frame(maps), conv.weight[:, :, 0], conv.bias, stride[1:], pad[1:])
        return _frames(filtered, maps)
    filtered = F.conv2d(_by_place(maps), conv.weight[..., 0], conv.bias, (stride[0], 1), (pad[0], 0))
    return _places(filtered, maps)


def _pooled(pool: nn.MaxPool3d, maps: Tensor) -> Tensor:
    """The largest in every frame's window, then the largest along time."""
    kernel, stride, pad = (_triple(value) for value in (pool.kernel_size, pool.stride, pool.padding))
    maps = _frames(F.max_pool2d(_by_frame(maps), kernel[1:], stride[1:], pad[1:]), maps)
    if kernel[0] == 1:
        return maps
    return _places(F.max_pool2d(_by_place(maps), (kernel[0], 1), (stride[0], 1), (pad[0], 0)), maps)


def _triple(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value,) * 3 if isinstance(value, int) else value


def _by_frame(maps: Tensor) -> Tensor:
    """Maps (N, F, H, W, C) as pictures (N * F, C, H, W), channels last in memory."""
    return maps.flatten(0, 1).permute(0, 3, 1, 2)


def _frames(pictures: Tensor, maps: Tensor) -> Tensor:
    """Pictures of every frame as maps again, with the clips and moments of `maps`."""
    result: Tensor = pictures.permute(0, 2, 3, 1).unflatten(0, maps.shape[:2])
    return result


def _by_place(maps: Tensor) -> Tensor:
    """Maps (N, F, H, W, C) as pictures (N, C, F, H * W), channels last in memory."""
    return maps.flatten(2, 3).permute(0, 3, 1, 2)


def _places(pictures: Tensor, maps: Tensor) -> Tensor:
    """Pictures of moments by places as maps again, with the rows and columns of `maps`."""
    result: Tensor = pictures.permute(0, 2, 3, 1).unflatten(2, maps.shape[2:4])
    return result


class S3DMaps(nn.Module):
    """Frames to one feature per place of S3D's map."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.trunk = S3D(config.extractor_width)
        self.bridge = nn.Conv3d(self.trunk.channels, config.dim, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Normalized frames (N, F, 3, H, W) to features (N, t, h, w, D)."""
        maps = self.trunk(rearrange(frames, "N f c h w -> N f h w c").contiguous())
        return F.linear(maps, self.bridge.weight.flatten(1), self.bridge.bias)


class S3DEncoder(nn.Module):
    """Frames of segments to one feature every 0.32 s: a map, its places summarized as equation 2 does."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        self.maps = S3DMaps(config)
        self.aggregator = Aggregator(config.dim, config.heads, config.mlp_ratio)

    def forward(self, frames: Tensor) -> Tensor:
        """Normalized frames (N, F, 3, H, W) to features (N, t, D)."""
        maps = self.maps(frames)
        result: Tensor = self.aggregator(rearrange(maps, "N t h w d -> (N t) (h w) d")).unflatten(0, maps.shape[:2])
        return result
