"""The running average of weights, which is steadier than the weights of any one step (Polyak and Juditsky, 1992)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential average of everything that a module's state holds; young averages forget faster.

    Attributes:
        values: the average, by the names of the module's state.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards a module's state after `step` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - decay)
            else:
                self.values[name].copy_(value)

    def load(self, values: dict[str, Tensor]) -> None:
        """Go on from saved values."""
        for name, value in values.items():
            self.values[name].copy_(value)

    @contextmanager
    def in_place_of(self, module: nn.Module) -> Iterator[None]:
        """Inside, a module has the average's values; behind, its own again."""
        own = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self.values)
        try:
            yield
        finally:
            module.load_state_dict(own)
