"""Predictions whose every number is known."""

from dataclasses import replace

import torch

from synchformer.config import MINI
from synchformer.inference import prediction
from synchformer.offsets.consensus.consensus import Consensus

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
