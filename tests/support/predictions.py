"""Predictions whose every number is known."""

import torch

from synchformer.config import MINI
from synchformer.inference import prediction

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
