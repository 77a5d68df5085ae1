"""Figures of merit for offset classes."""

from __future__ import annotations

from torch import Tensor


def accuracy(logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Acc@1 and Acc@1 within one class (section 5) of logits (N, C) for classes (N,); neighbors do not wrap around.

    Two classes have no neighbor to forgive: Acc@1 alone.
    """
    distance = (logits.argmax(-1) - targets).abs()
    exact = {"acc1": (distance == 0).float().mean()}
    return exact if logits.shape[-1] == 2 else {**exact, "acc1_tol1": (distance <= 1).float().mean()}


def chance(classes: int) -> dict[str, float]:
    """What guessing one class at random reaches, for targets uniform over the classes: 1/21 and 61/441 for 21."""
    within = sum(min(classes - 1, c + 1) - max(0, c - 1) + 1 for c in range(classes)) / classes**2
    return {"acc1": 1 / classes, "acc1_tol1": within}
