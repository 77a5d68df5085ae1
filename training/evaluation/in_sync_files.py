"""Accuracy of a model on video files that are in sync, over all offset classes and many starts.

python -m training.evaluation.in_sync_files mini clip.mp4 other.mp4

Every file is taken to be in sync as it is. Its sound is moved to every class of the model at every start (one a
second) where the file holds enough sound.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from synchformer.cli.options import add_device
from synchformer.cli.terminal import command
from synchformer.errors import sentence_of
from synchformer.inference.sweep import read_around, sweep
from synchformer.media.crop import possible_starts
from synchformer.media.probe import probe
from synchformer.modeling.synchformer import TwoStreams
from training.baselines.model import load_any
from training.evaluation.metrics import chance
from training.evaluation.report import Row, count_row, table
from training.evaluation.trials import Trial

EVERY = 1.0  # s between starts


def trials_of(model: TwoStreams, path: Path) -> Iterator[Trial]:
    """A trial for every start and every class whose sound the file holds; `seed` counts starts.

    Raises:
        MediaError: as `possible_starts`.
    """
    config, info = model.config, probe(path)
    first, last = possible_starts(info, config)
    for number in range(int((last - first) / EVERY) + 1):
        start = first + number * EVERY
        classes = [c for c, offset in enumerate(config.grid) if _fits(start, offset, info.audio.stop, model)]
        media = read_around(model, path, start)
        predictions = sweep(model, media, start, [config.grid[c] for c in classes])
        for target, prediction in zip(classes, predictions, strict=True):
            yield Trial(number, start, target, config.offset_class(prediction.offset), prediction.confidence, shared=1)


def _fits(start: float, offset: float, end: float, model: TwoStreams) -> bool:
    return 0 <= start + offset <= end - model.config.crop_seconds


@command
def main(argv: list[str] | None = None) -> int:
    """Print a table with a row for each file; exit status 1 when one could not be used."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.in_sync_files", description=__doc__.splitlines()[0]
    )
    parser.add_argument("model", help="name or file of the model")
    parser.add_argument("files", nargs="+", type=Path, help="videos that are in sync")
    add_device(parser)
    arguments = parser.parse_args(argv)
    model = load_any(arguments.model, arguments.device)
    guess = chance(model.config.offset_classes)
    rows, failed = [Row("chance", guess["acc1"], guess["acc1_tol1"])], False
    for path in arguments.files:
        try:
            rows.append(count_row(path.name, list(trials_of(model, path))))
        except (ValueError, OSError, MemoryError) as error:
            print(f"{path}: {sentence_of(error)}", file=sys.stderr)
            failed = True
    print(table(rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
