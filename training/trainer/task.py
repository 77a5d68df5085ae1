"""What the loop knows of a stage: a module whose forward pass is the loss, batches, a validation."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor, nn

from training.runtime.batches import Batch


class Task(Protocol):
    """A stage. `chance` is the loss of knowing nothing and `course` says in words how its curve is expected to go.

    `headline` is the validation figure that picks the best state and stops early, the larger the better. `partial`
    tells that some batches leave some parameters without a gradient.
    """

    name: str
    chance: float
    course: str
    headline: str
    partial: bool

    @property
    def module(self) -> nn.Module:
        """All that is trained and saved; called with a `Batch`, returns figures (0-d tensors), of which "loss".

        The names are the same for every batch, so that processes can average them; NaN is what a batch does not tell.
        """
        ...

    def batch(self, rng: np.random.Generator) -> Batch:
        """A micro-batch, a function of `rng` alone."""
        ...

    def ready(self, batch: Batch) -> Batch:
        """A micro-batch, now on the module's device, as the module takes it: what is cheaper there is done here."""
        ...

    def validate(self) -> dict[str, float]:
        """Figures on held-out data, in evaluation mode and without gradients."""
        ...

    def pictures(self) -> dict[str, Tensor]:
        """Pictures of how it stands, for TensorBoard: (3, H, W) in [0, 1] by name; may be empty."""
        ...
