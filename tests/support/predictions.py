"""Predictions whose every number is known."""

from dataclasses import replace

import numpy as np
import torch

from synchformer.config import MINI
from synchformer.consensus.consensus import Consensus
from synchformer.inference import prediction
from synchformer.inference.sliding_windows import Window

GRID = MINI.grid


def some_prediction(best=12, share=0.58, applied=0.0):
    rest = (1 - share) / 20
    probabilities = tuple(share if index == best else rest for index in range(21))
    return prediction.Prediction(
        grid=GRID,
        logits=tuple(float(p) for p in torch.tensor(probabilities).log()),
        probabilities=probabilities,
        offset=GRID[best],
        confidence=share,
        applied_offset=applied,
    )


def some_consensus(**changed):
    """70 of 81 places say 0.4 s."""
    usual = Consensus(0.4, 70, 81, 12.0, 101, 3, 3, 0.914, True, 0.2, 0.2, "12 clips")
    return replace(usual, **changed)


def window(shifts, answers, grid=GRID):
    """A window whose answers are all but sure of the classes that are nearest to `answers`."""
    classes = np.array(grid)
    shares = np.full((len(shifts), len(grid)), 0.2 / (len(grid) - 1))
    shares[np.arange(len(shifts)), np.abs(classes - np.array(answers)[:, None]).argmin(1)] = 0.8
    return Window(0.0, 5.0, np.array(shifts, dtype=float), shares)
