"""Figures of merit for offset classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
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


def chance_at(targets: ArrayLike, classes: int) -> dict[str, float]:
    """What guessing one class at random reaches for the given targets (N,); those at the ends have one neighbor."""
    truth = np.asarray(targets, dtype=int)
    within = np.minimum(truth + 1, classes - 1) - np.maximum(truth - 1, 0) + 1
    return {"acc1": 1 / classes, "acc1_tol1": float(within.mean()) / classes}


def permuted(predicted: ArrayLike, targets: ArrayLike, classes: int) -> dict[str, float]:
    """What the given answers (N,) reach on average when they are dealt out among the targets (N,) at random.

    Answers that favor the commonest offset do better than chance without looking at anything; this says how much.
    """
    given, truth = (np.bincount(np.asarray(each, dtype=int), minlength=classes) for each in (predicted, targets))
    pairs = np.outer(given, truth) / max(1, given.sum() * truth.sum())
    distance = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes)))
    return {"acc1": float(pairs[distance == 0].sum()), "acc1_tol1": float(pairs[distance <= 1].sum())}
