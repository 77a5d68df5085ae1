"""What a scan says of films that drift slowly, put together from measured clips (`training.calibration.films`).

python -m training.calibration.drifts runs/trials --model mini --count 400

reads the clips that `training.calibration.fit` measured. Every film is weighed with constants that were fitted on other
clips than its own.

Shape legend: W windows, K offsets of the grid.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from synchformer.checkpoints.registry import load_model
from synchformer.offsets.calibration import EVERY, LEVEL, Constants
from synchformer.offsets.continuous import film_densities, window_evidence
from synchformer.offsets.drift_or_jumps import explain
from synchformer.offsets.posterior import offset_grid
from synchformer.offsets.scan import STEP
from synchformer.offsets.timeline import SURE
from training.calibration.films import EACH, FAR, film_seconds
from training.calibration.fit import cross_fit
from training.calibration.trials import FIRST_SEED, Recipe, Trial, collect
from training.config.command_options import add_seed, add_workers

CLIPS = (8, 17, 39)  # of a film: 60 to 300 s
SLOPES = (0.0, 0.0002, 0.0005, 0.001, 0.002)  # seconds per second, in both directions
SEED = 0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Said:
    """What is said of one film: the explanation, or "cannot tell"; and whether the slope's interval holds the truth."""

    words: str
    slope_held: bool


def weigh(trials: Sequence[Trial], slope: float, constants: Constants) -> Said:
    """The film of these clips, one after the other, whose offset grows by `slope` seconds per second."""
    offsets, rows = offset_grid(FAR, STEP), []
    for trial in trials:
        rows += [(trial.truth, window) for window in trial.windows[::EACH]]
    times: Floats = np.asarray(np.arange(len(rows)) * EVERY)
    sums = [
        window_evidence(truth + offsets - slope * (time - times.mean()), window, constants)
        for time, (truth, window) in zip(times, rows, strict=True)
    ]
    level = max(LEVEL, constants.film.q_of(float(np.ptp(times))))
    found = explain(offsets, times, film_densities(np.array(sums), constants, EVERY), level)
    kind = max(found.probability, key=lambda each: found.probability[each])
    low, high = found.line.slope_interval
    return Said(kind if found.probability[kind] >= SURE else "cannot tell", low <= slope <= high)


def table(kinds: Sequence[list[Trial]], grid: tuple[float, ...], films: int, folds: int) -> str:
    """What is said of films of several lengths and slopes, as Markdown; `kinds` as in `fit`, the last one is asked."""
    held = cross_fit(kinds, grid, folds)
    names = ("constant", "cannot tell", "drift", "jumps")
    head = ("length", "drift", "over the film", "films", *names, "slope's interval holds")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    rng = np.random.default_rng(SEED)
    for clips in CLIPS:
        for slope in tqdm(SLOPES, desc=f"{film_seconds(clips):.0f} s"):
            heard = []
            for index in range(films if slope else 2 * films):
                one = held[index % folds]
                own = one.kinds[-1]
                drawn = rng.choice(len(own), clips, replace=clips > len(own))
                signed = slope if index // folds % 2 else -slope
                constants = one.constants.ordinary
                heard.append(weigh([own[each] for each in drawn], signed, constants))
            counts, seconds = Counter(each.words for each in heard), film_seconds(clips)
            shares = [f"{100 * counts[name] / len(heard):.0f} %" for name in names]
            holds = f"{100 * float(np.mean([each.slope_held for each in heard])):.0f} %"
            cells = [f"{seconds:.0f} s", f"{100 * slope:.2f} %", f"{1000 * slope * seconds:.0f} ms", str(len(heard))]
            lines.append(f"| {' | '.join([*cells, *shares, holds])} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Print the table; exit status 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m training.calibration.drifts", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the trials are kept")
    parser.add_argument("--model", default="mini")
    add_seed(parser, "the first clip", FIRST_SEED)
    parser.add_argument("--count", type=int, default=400, help="clips")
    parser.add_argument("--films", type=int, default=40, help="films of each length and slope")
    parser.add_argument("--folds", type=int, default=4, help="groups of clips")
    add_workers(parser)
    asked = parser.parse_args(argv)
    seeds = range(asked.seed, asked.seed + asked.count)
    try:
        kinds = collect(asked.model, [Recipe()], seeds, asked.folder, asked.workers)
    except ValueError as error:
        parser.error(str(error))
    print(table(kinds, load_model(asked.model, "cpu").config.grid, asked.films, asked.folds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
