"""A row per clip for thousands of clips, with a probability of being in sync that a threshold can be put on.

The model's probabilities are sharpened or flattened by one temperature, measured on held-out generated clips, so that
of the clips with probability p a share p has that offset (Guo et al., 2017). "In sync" means the class 0: closer to 0
than to any other class, 0.1 s for a step of 0.2 s. The model was trained on offsets that are equally frequent; where
most clips are believed to be in sync, `prior` shifts the probabilities accordingly (Saerens et al., "Adjusting the
outputs of a classifier to new a priori probabilities", 2002).

Shape legend: B clips, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synchformer.config import Precision
from synchformer.consensus.answers import read_surroundings, usual_shifts
from synchformer.consensus.consensus import Tested, ask_around
from synchformer.errors import sentence_of
from synchformer.inference.engine import check_model
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets.calibration import Calibration, calibration_of
from synchformer.storage.file_names import printable
from synchformer.storage.prefetch import prefetched
from synchformer.storage.results_table import Table

COLUMNS = (
    "file", "status", "stated", "stated_offset", "probability_right", "supported", "answerable", "single_offset",
    "single_confidence", "in_sync", "expected_size", "start", "note",
)  # fmt: skip
TINY = 1e-12  # probabilities are kept above this before their logarithm is taken

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One file: `status` is "ok" or "failed"; times in seconds; `note` says what went wrong or must be known.

    `file` is its path, printable (`synchformer.storage.file_names`).
    `stated` says whether the tested answer holds (`synchformer.consensus`): then `stated_offset` is the offset.
    `supported` of the `answerable` places support it, and `probability_right` is that of its being right.
    What follows rests on one answer at `start`, not tested: `single_offset` and `single_confidence`, the likeliest
    class and its probability; `in_sync`, the calibrated probability of class 0; and `expected_size`, the mean absolute
    offset in seconds under the calibrated probabilities.
    """

    file: str
    status: str
    stated: bool | None = None
    stated_offset: float | None = None
    probability_right: float | None = None
    supported: int | None = None
    answerable: int | None = None
    single_offset: float | None = None
    single_confidence: float | None = None
    in_sync: float | None = None
    expected_size: float | None = None
    start: float | None = None
    note: str = ""


def predict_folder(
    model: Synchformer,
    files: Iterable[Path],
    *,
    start: float = 0.0,
    prior: float | None = None,
    workers: int = 2,
    precision: Precision = "auto",
    calibration: Calibration | None = None,
) -> Iterator[Row]:
    """A row for every file, in order; a file that cannot be used gets one that says why.

    Args:
        model: a Synchformer with the offset head, in evaluation mode.
        files: video files.
        start: first second of each crop.
        prior: the share of the files that is believed to be in sync; None where all offsets are equally likely.
        workers: threads that decode.
        precision: as in `predict`.
        calibration: constants; those of the model when None.

    Raises:
        ValueError: a model that cannot tell offsets, or a prior outside 0 to 1.
    """
    check_model(model, "offset")
    if prior is not None and not 0 < prior < 1:
        raise ValueError(f"prior is a share between 0 and 1, not {prior}")
    constants = calibration or calibration_of(model)
    shifts = usual_shifts(model)
    reach = max(map(abs, shifts))
    for path, clip in prefetched(files, lambda path: read_surroundings(path, model.config, start, reach), workers):
        if isinstance(clip, Exception):
            yield _failed(path, start, clip)
            continue
        try:
            tested = ask_around(model, clip, shifts, precision=precision)
        except (ValueError, MemoryError) as error:
            yield _failed(path, start, error)
            continue
        yield _row(path, start, tested, constants.temperature, prior)


def _failed(path: Path, start: float, error: Exception) -> Row:
    return Row(printable(path), "failed", start=start, note=sentence_of(error))


def _row(path: Path, start: float, tested: Tested, temperature: float, prior: float | None) -> Row:
    answer, consensus = tested.single, tested.consensus
    shares = calibrated(np.array([answer.probabilities]), temperature)[0]
    if prior is not None:
        shares = with_prior(shares, answer.grid.index(0.0), prior)
    return Row(
        file=printable(path),
        status="ok",
        stated=consensus.stated,
        stated_offset=consensus.offset if consensus.stated else None,
        probability_right=consensus.probability,
        supported=consensus.supported,
        answerable=consensus.answerable,
        single_offset=answer.offset,
        single_confidence=answer.confidence,
        in_sync=float(shares[answer.grid.index(0.0)]),
        expected_size=float(shares @ np.abs(answer.grid)),
        start=start,
        note=" ".join(answer.notes),
    )


def calibrated(probabilities: Floats, temperature: float) -> Floats:
    """Probabilities (B, C) with their logits divided by the temperature."""
    logits = np.log(np.maximum(probabilities, TINY)) / temperature
    heights = np.exp(logits - logits.max(1, keepdims=True))
    shares: Floats = heights / heights.sum(1, keepdims=True)
    return shares


def with_prior(shares: Floats, zero: int, prior: float) -> Floats:
    """Probabilities (C,) for equally likely classes, when class `zero` is believed to come with probability `prior`."""
    weights = np.full(len(shares), (1 - prior) / (len(shares) - 1))
    weights[zero] = prior
    posterior: Floats = shares * weights / (shares @ weights)
    return posterior


def write_table(
    model: Synchformer,
    files: list[Path],
    out: str | Path,
    *,
    model_name: str,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> dict[str, int]:
    """Run `predict_folder` into a table and go on where an earlier run stopped.

    Args:
        model: as in `predict_folder`.
        files: video files.
        out: `.csv` or `.parquet`.
        model_name: kept in the table; a table of another model is refused.
        progress: called with the number of files that are done and their total.
        options: those of `predict_folder`.

    Returns:
        How many files were measured, failed, and were in the table before.

    Raises:
        ValueError: as `Table` and `predict_folder`.
    """
    settings = f"start {options.get('start', 0.0):g} s, prior {options.get('prior') or 'even'}"
    with Table(out, COLUMNS, {"model": model_name, "settings": settings}) as table:
        known = table.names
        todo = [path for path in files if printable(path) not in known]
        counts = {"measured": 0, "failed": 0, "kept": len(files) - len(todo)}
        for done, row in enumerate(predict_folder(model, todo, **options), start=1):
            table.add(vars(row))
            counts["measured" if row.status == "ok" else "failed"] += 1
            if progress:
                progress(done + counts["kept"], len(files))
    return counts
