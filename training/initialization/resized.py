"""The weights of a model for pictures of another size: patches stay as they are, their places move closer together."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.modeling.motionformer import VideoEncoder

Model = TypeVar("Model", bound=nn.Module)


def differs_in_size_alone(one: SynchformerConfig, other: SynchformerConfig) -> bool:
    """Whether two models differ in nothing but the size of their pictures."""
    resized = replace(one, name=other.name, short_side=other.short_side, image_size=other.image_size)
    return one.extractors == "transformers" and resized == other


def resize_places(model: Model, target: Model) -> Model:
    """Fill `target` with the weights of `model`, which differs in the size of its pictures.

    The table of places is a picture of numbers; it is resized as one (bicubic).
    """
    state = dict(model.state_dict())
    for name, module in target.named_modules():
        if isinstance(module, VideoEncoder):
            key = f"{name}.space_position" if name else "space_position"
            state[key] = resized_table(state[key], module.config)
    target.load_state_dict(state)
    return target


@torch.no_grad()
def resized_table(table: Tensor, config: SynchformerConfig) -> Tensor:
    """Places (1, 1 + n, D) of a square grid, the class token's first, for the patches of `config`."""
    side, wanted = round((table.shape[1] - 1) ** 0.5), round(config.patches_per_frame**0.5)
    grid = table[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(wanted, wanted), mode="bicubic", align_corners=False)
    return torch.cat([table[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
