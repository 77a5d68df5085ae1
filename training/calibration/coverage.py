"""How often the intervals that a model's constants give hold the truth, on other clips and other kinds of file.

python -m training.calibration.coverage runs/coverage --model mini --sample-rate 8000 --sample-rate 48000 --fps 25

measures clips that no constants were fitted on, in every combination of sample rate and frame rate, and prints a row
for each. An interrupted run goes on.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np

from synchformer.checkpoints.registry import load_model
from synchformer.offsets.calibration import LEVEL, Calibration, calibration_of
from synchformer.stats.intervals import wilson_of
from synthetic.render import FPS
from synthetic.sounds import SAMPLE_RATE
from training.calibration.outcomes import outcome_of
from training.calibration.trials import FIRST_SEED, Recipe, Trial, collect
from training.config.command_options import add_seed, add_workers

HELD_OUT = FIRST_SEED + 50_000  # behind all clips that constants are fitted on


HEAD = (
    "sound", "picture", "sound ends at", "clips", "median error", "its size", f"{LEVEL:.0%} intervals cover",
    "median width",
)  # fmt: skip


def cells(recipe: Recipe, trials: list[Trial], constants: Calibration) -> list[str]:
    """A row of the table."""
    outcomes = [outcome_of(trial, constants) for trial in trials]
    errors = np.array([each.median - each.truth for each in outcomes]) * 1000
    covered = sum(each.covered for each in outcomes)
    low, high = (share * 100 for share in wilson_of(covered, len(outcomes)))
    width = float(np.median([each.width for each in outcomes])) * 1000
    return [
        f"{recipe.sample_rate} Hz",
        f"{recipe.fps:g} fps",
        f"{np.median([trial.bandwidth for trial in trials]):.0f} Hz",
        f"{len(trials)}",
        f"{np.median(errors):+.0f} ms",
        f"{np.median(np.abs(errors)):.0f} ms",
        f"{covered / len(trials) * 100:.1f} % ({low:.0f} to {high:.0f})",
        f"{width:.0f} ms",
    ]


def main(argv: list[str] | None = None) -> int:
    """Collect and print the table; exit status 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m training.calibration.coverage", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="where the trials are kept")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--sample-rate", type=int, action="append", help=f"of the sound (default: {SAMPLE_RATE})")
    parser.add_argument("--fps", type=float, action="append", help=f"of the picture (default: {FPS})")
    add_seed(parser, "the first clip", HELD_OUT)
    parser.add_argument("--count", type=int, default=400, help="clips")
    add_workers(parser)
    asked = parser.parse_args(argv)
    pairs = itertools.product(asked.fps or [FPS], asked.sample_rate or [SAMPLE_RATE])
    recipes = [Recipe(sample_rate=rate, fps=fps) for fps, rate in pairs]
    seeds = range(asked.seed, asked.seed + asked.count)
    try:
        kinds = collect(asked.model, recipes, seeds, asked.folder, asked.workers)
    except ValueError as error:
        parser.error(str(error))
    constants = calibration_of(load_model(asked.model, "cpu"))
    print(f"| {' | '.join(HEAD)} |\n" + "|---" * len(HEAD) + "|")
    for recipe, trials in zip(recipes, kinds, strict=True):
        print(f"| {' | '.join(cells(recipe, trials, constants))} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
