"""Measure the constants of `synchformer.offsets` for a model on generated clips, and how they do on clips left out.

python -m training.calibration.fit runs/trials --model mini --count 600 --picture assets/reliability.png

Clips are made and measured by `training.calibration.trials` into the folder, which an interrupted run goes on with.
The table and the picture are cross-fitted: the clips are dealt into folds, and each is measured with constants that
were fitted on the other folds. The constants that are written to `assets/calibration.json`, under the fingerprint of
the weights, are fitted on all. Clips are made in every kind of file for which constants are kept (narrow sound and
ordinary sound); films of any length are put together from them (`training.calibration.films`).
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.checkpoints.registry import load_model
from synchformer.cli.terminal import command
from synchformer.consensus.batch import calibrated
from synchformer.offsets.calibration import CALIBRATION_FILE, LEVEL, Calibration, Combination, Constants, as_dict
from synchformer.offsets.continuous import WIDEST
from synchformer.offsets.plots import draw_reliability, save
from synchformer.offsets.posterior import evidence, offset_grid, to_posterior
from synchformer.offsets.response import Response, measure_profile
from synchformer.stats.calibration_error import expected_calibration_error
from synchformer.stats.intervals import wilson_of
from synchformer.storage.atomic import put_into_json
from synthetic.render import FPS
from synthetic.sounds import SAMPLE_RATE
from training.calibration.films import film_table, fit_film
from training.calibration.outcomes import Answers, Held, Outcome, answers_of, conformal, outcome_of
from training.calibration.trials import FIRST_SEED, Recipe, Trial, collect
from training.config.command_options import add_seed, add_workers

PLACE = asset(CALIBRATION_FILE)
CHANCES = (0.1, 0.2, 0.4, 0.6, 0.8)
WEIGHTS = tuple(float(f"{weight:.2g}") for weight in np.geomspace(0.02, 1.0, 18))
UNIFORMS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
CLIP_WINDOWS = (2, 3, 5, 7)  # of a clip: what parts of it see for which a level is measured
RECIPES = tuple(Recipe(sample_rate=rate, fps=fps) for fps in (12.5, FPS) for rate in (8_000, SAMPLE_RATE))
"""The kinds of file that constants are kept for: with all of sound and picture, or half; the ordinary one last."""

NAMES = ("said", "raw", "happened")

Floats = NDArray[np.float64]


def fit(kinds: Sequence[list[Trial]], grid: tuple[float, ...], measured: str) -> Calibration:
    """All constants, for trials of every kind of file, the last of which is the ordinary one."""
    known = sorted((fit_kind(trials, grid) for trials in kinds), key=lambda kind: (kind.fps, kind.hertz))
    return Calibration(tuple(known), fit_temperature(answers_of(kinds[-1], grid[-1]), grid), measured)


def fit_kind(trials: list[Trial], grid: tuple[float, ...]) -> Constants:
    """The constants of one kind, each the one under which true offsets are likeliest, and the conformal levels."""
    answers = answers_of(trials, grid[-1])
    profile = measure_profile(answers.totals, answers.shares, grid)
    truths = np.array([trial.truth for trial in trials])
    fits = []
    for chance in CHANCES:
        response = Response(grid, profile, chance)
        sums = np.array([each.sum(0) for each in _evidence(trials, response)])
        fits.append((*_likeliest(sums, truths, response), response))
    _, (weight, uniform), response = max(fits, key=lambda each: each[0])
    rows = _evidence(trials, response)
    middle = np.array([each[len(each) // 2] for each in rows])
    _, (window_weight, window_uniform) = _likeliest(middle, truths, response)
    offsets = offset_grid(response.reach)

    def level(sums: Floats, weight: float, uniform: float) -> float:
        return conformal([to_posterior(offsets, weight * row, uniform) for row in sums], truths)

    parts = {round(span_of(trials, count), 2): [each[:count].sum(0) for each in rows] for count in CLIP_WINDOWS}
    clip = Combination(
        weight, uniform, tuple(parts), tuple(level(np.array(sums), weight, uniform) for sums in parts.values())
    )
    one = round(span_of(trials, 1), 2)
    window = Combination(window_weight, window_uniform, (one,), (level(middle, window_weight, window_uniform),))
    hertz = float(np.median([trial.bandwidth for trial in trials]))
    film = Combination(1.0, 0.0, (one,), (LEVEL,))  # not known yet
    constants = Constants(hertz, trials[0].fps, response, clip, window, film)
    return replace(constants, film=fit_film(trials, constants))


def span_of(trials: list[Trial], count: int) -> float:
    """Seconds of picture that the first `count` windows of a clip see."""
    windows = max((trial.windows for trial in trials), key=len)
    return windows[min(count, len(windows)) - 1].stop - windows[0].start


def _evidence(trials: list[Trial], response: Response) -> list[Floats]:
    """The evidence of every window of every clip: (W, K) each."""
    offsets = offset_grid(response.reach)
    return [
        np.array([evidence(offsets, window.shifts, window.probabilities, response) for window in trial.windows])
        for trial in trials
    ]


def _likeliest(sums: Floats, truths: Floats, response: Response) -> tuple[float, tuple[float, float]]:
    """The mean log density of the true offsets at best, and the weight and share that reach it."""
    places = np.argmin(np.abs(offset_grid(response.reach) - truths[:, None]), axis=1)

    def mean_log_density(weight: float, uniform: float) -> float:
        scaled = weight * sums
        mass = np.exp(scaled - scaled.max(1, keepdims=True))
        shares = (mass / mass.sum(1, keepdims=True))[np.arange(len(truths)), places]
        return float(np.log((1 - uniform) * shares + uniform / sums.shape[1]).mean())

    best = max(itertools.product(WEIGHTS, UNIFORMS), key=lambda pair: mean_log_density(*pair))
    return mean_log_density(*best), best


def fit_temperature(answers: Answers, grid: tuple[float, ...]) -> float:
    """The temperature under which the nearest classes are likeliest."""
    targets = np.abs(answers.totals[:, None] - np.array(grid)).argmin(1)

    def loss(temperature: float) -> float:
        shares = calibrated(answers.shares, temperature)[np.arange(len(targets)), targets]
        return float(-np.log(np.maximum(shares, 1e-12)).mean())

    return round(float(minimize_scalar(loss, bounds=(0.3, 5.0), method="bounded").x), 4)


def cross_fit(kinds: Sequence[list[Trial]], grid: tuple[float, ...], folds: int) -> list[Held]:
    """Every fold's clips, a list for each kind, with the constants that were fitted on the other folds."""
    return [
        Held(
            fit([[trial for index, trial in enumerate(trials) if index % folds != fold] for trials in kinds], grid, ""),
            [trials[fold::folds] for trials in kinds],
        )
        for fold in range(folds)
    ]


def table(outcomes: list[Outcome], recipe: Recipe) -> str:
    """Errors and coverage over all clips, those with a shared event, and those with a narrow interval, as Markdown."""
    groups = {
        "all": outcomes,
        "with a shared event": [each for each in outcomes if recipe.shared(each.seed)],
        f"interval at most {WIDEST:g} s": [each for each in outcomes if each.width <= WIDEST],
    }
    head = ("clips", "count", "median error", "90th percentile", f"{LEVEL:.0%} intervals cover", "median width")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(_line(name, group) for name, group in groups.items() if group)])


def _line(name: str, outcomes: list[Outcome]) -> str:
    errors = np.array([each.error for each in outcomes]) * 1000
    covered = sum(each.covered for each in outcomes)
    low, high = (share * 100 for share in wilson_of(covered, len(outcomes)))
    width = float(np.median([each.width for each in outcomes])) * 1000
    return (
        f"| {name} | {len(outcomes)} | {np.median(errors):.0f} ms | {np.percentile(errors, 90):.0f} ms | "
        f"{covered / len(outcomes) * 100:.1f} % ({low:.0f} to {high:.0f}) | {width:.0f} ms |"
    )


@command
def main(argv: list[str] | None = None) -> int:
    """Collect, fit, write, and print the table of the clips that were left out; exit status 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m training.calibration.fit", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the trials are kept")
    parser.add_argument("--model", default="mini")
    add_seed(parser, "the first clip", FIRST_SEED)
    parser.add_argument("--count", type=int, default=600, help="clips")
    parser.add_argument("--folds", type=int, default=5, help="groups of clips for the table")
    add_workers(parser)
    parser.add_argument("--to", type=Path, default=PLACE, help="the file of constants")
    parser.add_argument("--picture", type=Path, help="write the reliability picture")
    asked = parser.parse_args(argv)
    begin, model = time.perf_counter(), load_model(asked.model, "cpu")
    grid, recipes = model.config.grid, RECIPES
    seeds = range(asked.seed, asked.seed + asked.count)
    try:
        kinds = collect(asked.model, recipes, seeds, asked.folder, asked.workers)
    except ValueError as error:
        parser.error(str(error))
    measured = f"{asked.count} generated clips of {recipes[-1].duration:g} s"
    put_into_json(asked.to, fingerprint(model), as_dict(fit(kinds, grid, measured)))
    held = cross_fit(kinds, grid, asked.folds)
    columns = [[outcome_of(trial, each.constants) for each in held for trial in each.kinds[index]]
               for index in range(len(recipes))]  # fmt: skip
    for recipe, outcomes in zip(recipes, columns, strict=True):
        print(f"Files of {recipe.sample_rate} Hz and {recipe.fps:g} frames per second\n\n{table(outcomes, recipe)}\n")
    print(f"Films made of these clips\n\n{film_table(held, recipes)}\n")
    said, raw, happened = (np.concatenate([getattr(each, name) for each in columns[-1]]) for name in NAMES)
    gaps = [expected_calibration_error(each, happened) for each in (raw, said)]
    print(f"expected calibration error of class 0: {gaps[0]:.4f} as the model says, {gaps[1]:.4f} with temperature")
    print(f"took {(time.perf_counter() - begin) / 60:.1f} min, trials that were there before not counted in")
    if asked.picture:
        title = f"{asked.model}: {len(said)} answers about {len(columns[-1])} held-out generated clips"
        save(draw_reliability(said.tolist(), happened.tolist(), title), asked.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
