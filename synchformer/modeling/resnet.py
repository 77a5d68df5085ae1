"""ResNet-18 for spectrograms and S3D for frames: the encoders that table 4 puts in place of AST and Motionformer.

Both are built of torchvision's blocks, so that they can be narrower than its own classes allow. At width 1 they are
`resnet18` (on one channel) and `s3d` without their classifiers, tensor for tensor and under the same names.

Shape legend: N segments, F frames, M mel bands, T spectrogram columns, C channels, D width of the features.
"""

from __future__ import annotations

from itertools import pairwise

from einops import rearrange
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from synchformer.config import SynchformerConfig
from synchformer.modeling.layers import Aggregator
from synchformer.modeling.s3d import narrow


class ResNet18(nn.Module):
    """ResNet-18 on one channel, without pooling and classifier."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        counts = [narrow(channels, width) for channels in (64, 128, 256, 512)]
        self.channels = counts[-1]
        self.conv1 = nn.Conv2d(1, counts[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(counts[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _residual(counts[0], counts[0], stride=1)
        self.layer2, self.layer3, self.layer4 = (_residual(a, b, stride=2) for a, b in pairwise(counts))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, mel: Tensor) -> Tensor:
        """Spectrograms (N, 1, M, T) to maps (N, C, M / 32, T / 32), both rounded up."""
        hidden = self.maxpool(self.relu(self.bn1(self.conv1(mel))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            hidden = stage(hidden)
        result: Tensor = hidden
        return result


class ResNetMaps(nn.Module):
    """Spectrograms to one feature per place of ResNet-18's map."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.trunk = ResNet18(config.extractor_width)
        self.bridge = nn.Conv2d(self.trunk.channels, config.dim, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """Normalized log-mel spectrograms (N, M, T) to features (N, t, f, D), moments before bands."""
        result: Tensor = rearrange(self.bridge(self.trunk(mel[:, None])), "N d f t -> N t f d")
        return result


class ResNetEncoder(nn.Module):
    """Spectrograms of segments to one feature every 0.32 s: a map, its bands summarized as equation 2 does."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        self.maps = ResNetMaps(config)
        self.aggregator = Aggregator(config.dim, config.heads, config.mlp_ratio)

    def forward(self, mel: Tensor) -> Tensor:
        """Normalized log-mel spectrograms (N, M, T) to features (N, t, D)."""
        maps = self.maps(mel)
        result: Tensor = self.aggregator(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        return result


def _residual(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Two residual blocks, the first of which may halve both axes."""
    shortcut = None
    if stride != 1 or inputs != outputs:
        convolution = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
        shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
    return nn.Sequential(BasicBlock(inputs, outputs, stride, shortcut), BasicBlock(outputs, outputs))
