"""A sweep as a table, and how often the model was right in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synchformer.inference.prediction import Prediction
from synchformer.storage.csv_rows import as_csv


def sweep_csv(predictions: Sequence[Prediction]) -> str:
    """A sweep as CSV: a row per applied offset with the answer, its residual, and the whole distribution."""
    head = ["applied_offset", "predicted_offset", "residual", "confidence", "near", "telling"]
    classes = [f"p({offset:+.1f})" for offset in (predictions[0].grid if predictions else ())]
    return as_csv([_row(each) for each in predictions], [*head, *classes])


def _row(each: Prediction) -> list[Any]:
    answer = [each.applied_offset, each.offset, round(each.offset - each.applied_offset, 6)]
    return [*answer, each.confidence, each.near, each.is_conclusive, *each.probabilities]


def summary_as_html(predictions: Sequence[Prediction]) -> str:
    """How often the model was right, within one class, and unsure; against the offset that was applied."""
    step = predictions[0].grid[1] - predictions[0].grid[0]
    errors = [abs(each.offset - each.applied_offset) for each in predictions]
    exact = sum(error <= step / 2 + 1e-6 for error in errors)
    near = sum(error <= 1.5 * step + 1e-6 for error in errors)
    unsure = sum(not each.is_conclusive for each in predictions)
    return (
        f'<p class="note"><b>{exact} of {len(predictions)}</b> on the diagonal, {near} within one class, '
        f"{unsure} too unsure to tell. (Right, if the file itself is in sync.)</p>"
    )
