"""Notices that a run is lost: numbers that are not finite, or a loss that runs away."""

from __future__ import annotations

import math
from dataclasses import dataclass

FIRST = 20  # steps whose mean loss says where the run began
MEMORY = 0.98  # of the running mean: about the last 50 steps
TOLERATED = 2.0  # times the first mean


class DivergedError(RuntimeError):
    """The run is lost; the last good state is kept."""


@dataclass
class Watch:
    """The course of the loss: `first` is the mean of the first steps, `recent` the running mean since."""

    seen: int = 0
    first: float = 0.0
    recent: float = 0.0

    def problem(self, loss: float, norm: float) -> str | None:
        """What is wrong at this step, in words, or None.

        Args:
            loss: of the step.
            norm: of its gradient, before clipping.
        """
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(norm):
            return f"the gradient's norm is {norm}"
        self.seen += 1
        if self.seen <= FIRST:
            self.first += (loss - self.first) / self.seen
            self.recent = self.first
            return None
        self.recent = MEMORY * self.recent + (1 - MEMORY) * loss
        if self.recent > TOLERATED * abs(self.first) + 1e-3:
            return f"the loss runs away: {self.recent:.3g} on average of late, {self.first:.3g} at the start"
        return None
