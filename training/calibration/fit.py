"""Measure the constants of `synchformer.offsets` for a model on generated clips, and how they do on clips left out.

python -m training.calibration.fit runs/trials --model mini --count 600 --picture assets/reliability.png

Clips are made and measured by `training.calibration.trials` into the folder, which an interrupted run goes on with.
The table and the picture are cross-fitted: the clips are dealt into folds, and each is measured with constants that
were fitted on the other folds. The constants that are written to `assets/calibration.json`, under the fingerprint of
the weights, are fitted on all.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.checkpoints.registry import load_model
from synchformer.cli.terminal import command
from synchformer.offsets.batch import calibrated
from synchformer.offsets.calibration import CALIBRATION_FILE, LEVEL, Calibration, Combination, as_dict
from synchformer.offsets.continuous import WIDEST, combine
from synchformer.offsets.plots import draw_reliability, save
from synchformer.offsets.posterior import Posterior, evidence, offset_grid, to_posterior
from synchformer.offsets.response import Response, measure_profile
from synchformer.stats.calibration_error import expected_calibration_error
from synchformer.stats.intervals import wilson_of
from synchformer.storage.atomic import atomic_write
from training.calibration.trials import FIRST_SEED, Recipe, Trial, collect
from training.config.command_options import add_seed, add_workers

PLACE = asset(CALIBRATION_FILE)
CHANCES = (0.1, 0.2, 0.4, 0.6, 0.8)
WEIGHTS = tuple(float(f"{weight:.2g}") for weight in np.geomspace(0.02, 1.0, 18))
UNIFORMS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)

NAMES = ("said", "raw", "happened")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Every answer of some trials: true total offsets (N,) within the classes, and distributions (N, C)."""

    totals: Floats
    shares: Floats


def answers_of(trials: list[Trial], reach: float) -> Answers:
    """The answers whose true total offset lies within `reach` seconds."""
    windows = [(trial.truth, window) for trial in trials for window in trial.windows]
    totals = np.concatenate([truth + window.shifts for truth, window in windows])
    shares = np.concatenate([window.probabilities for _, window in windows])
    inside = np.abs(totals) <= reach
    return Answers(totals[inside], shares[inside] / shares[inside].sum(1, keepdims=True))


def fit(trials: list[Trial], grid: tuple[float, ...], measured: str) -> Calibration:
    """All constants, each the one under which the true offsets are likeliest, and the conformal levels."""
    answers = answers_of(trials, grid[-1])
    profile = measure_profile(answers.totals, answers.shares, grid)
    fits = []
    for chance in CHANCES:
        response = Response(grid, profile, chance)
        clips, truths = _clip_evidence(trials, response)
        fits.append((*_likeliest(clips, truths, response), response))
    _, best, response = max(fits, key=lambda each: each[0])
    clips, truths = _clip_evidence(trials, response)
    windows, their_truths = _window_evidence(trials, response)
    _, window = _likeliest(windows, their_truths, response)
    return Calibration(
        response=response,
        clip=_covering(best, clips, truths, response),
        window=_covering(window, windows, their_truths, response),
        temperature=fit_temperature(answers, grid),
        measured=measured,
    )


def _clip_evidence(trials: list[Trial], response: Response) -> tuple[Floats, Floats]:
    """The summed evidence of every clip (N, K), and the true offsets (N,)."""
    offsets = offset_grid(response.reach)
    sums = [
        sum(evidence(offsets, window.shifts, window.probabilities, response) for window in trial.windows)
        for trial in trials
    ]
    return np.array(sums), np.array([trial.truth for trial in trials])


def _window_evidence(trials: list[Trial], response: Response) -> tuple[Floats, Floats]:
    """The evidence of single windows, the middle one of every clip, which sees most shifts."""
    offsets = offset_grid(response.reach)
    middle = [trial.windows[len(trial.windows) // 2] for trial in trials]
    rows = [evidence(offsets, window.shifts, window.probabilities, response) for window in middle]
    return np.array(rows), np.array([trial.truth for trial in trials])


def _likeliest(sums: Floats, truths: Floats, response: Response) -> tuple[float, Combination]:
    """The mean log density of the true offsets at best, and the weight and share that reach it."""
    places = np.argmin(np.abs(offset_grid(response.reach) - truths[:, None]), axis=1)

    def mean_log_density(weight: float, uniform: float) -> float:
        scaled = weight * sums
        mass = np.exp(scaled - scaled.max(1, keepdims=True))
        shares = (mass / mass.sum(1, keepdims=True))[np.arange(len(truths)), places]
        return float(np.log((1 - uniform) * shares + uniform / sums.shape[1]).mean())

    best = max(itertools.product(WEIGHTS, UNIFORMS), key=lambda pair: mean_log_density(*pair))
    return mean_log_density(*best), Combination(*best, q=LEVEL)


def _covering(constants: Combination, sums: Floats, truths: Floats, response: Response) -> Combination:
    """The conformal level: with n clips, the ceil((n + 1) * LEVEL)-th smallest of |2 F(truth) - 1|."""
    offsets = offset_grid(response.reach)
    posteriors = [to_posterior(offsets, constants.weight * row, constants.uniform) for row in sums]
    scores = sorted(abs(2 * each.below(truth) - 1) for each, truth in zip(posteriors, truths, strict=True))
    rank = min(len(scores), int(np.ceil((len(scores) + 1) * LEVEL)))
    return replace(constants, q=round(float(scores[rank - 1]), 5))


def fit_temperature(answers: Answers, grid: tuple[float, ...]) -> float:
    """The temperature under which the nearest classes are likeliest."""
    targets = np.abs(answers.totals[:, None] - np.array(grid)).argmin(1)

    def loss(temperature: float) -> float:
        shares = calibrated(answers.shares, temperature)[np.arange(len(targets)), targets]
        return float(-np.log(np.maximum(shares, 1e-12)).mean())

    return round(float(minimize_scalar(loss, bounds=(0.3, 5.0), method="bounded").x), 4)


@dataclass(frozen=True)
class Outcome:
    """A clip that was left out: its density under constants from other clips, and their conformal level `q`.

    `said` (M,) are calibrated probabilities of class 0, `raw` the model's, and `happened` (M,) whether that was it.
    """

    seed: int
    truth: float
    posterior: Posterior
    q: float
    said: Floats
    raw: Floats
    happened: NDArray[np.bool_]

    @property
    def error(self) -> float:
        """Distance of the estimate from the truth in seconds."""
        return abs(self.posterior.median - self.truth)

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth."""
        low, high = self.posterior.interval(self.q)
        return low <= self.truth <= high

    @property
    def width(self) -> float:
        """Width of the interval in seconds."""
        return float(np.ptp(self.posterior.interval(self.q)))


def cross_fit(trials: list[Trial], grid: tuple[float, ...], folds: int) -> list[Outcome]:
    """Every clip under constants that were fitted on the other folds."""
    outcomes = []
    for fold in range(folds):
        constants = fit([trial for index, trial in enumerate(trials) if index % folds != fold], grid, "")
        outcomes += [_outcome(trial, constants) for trial in trials[fold::folds]]
    return outcomes


def _outcome(trial: Trial, constants: Calibration) -> Outcome:
    grid = np.array(constants.response.grid)
    answers = answers_of([trial], grid[-1])
    zero = int(np.abs(grid).argmin())
    return Outcome(
        trial.seed,
        trial.truth,
        combine(trial.windows, constants),
        constants.clip.q,
        calibrated(answers.shares, constants.temperature)[:, zero],
        answers.shares[:, zero],
        np.abs(answers.totals[:, None] - grid).argmin(1) == zero,
    )


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


def write(constants: Calibration, weights: str, place: Path) -> None:
    """Put constants into the file under the fingerprint of their weights, beside those of other models."""
    known = json.loads(place.read_text()) if place.exists() else {}
    with atomic_write(place) as part:
        part.write_text(json.dumps(known | {weights: as_dict(constants)}, indent=1) + "\n")


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
    recipe, model = Recipe(), load_model(asked.model, "cpu")
    grid = model.config.grid
    seeds = range(asked.seed, asked.seed + asked.count)
    try:
        trials = collect(asked.model, recipe, seeds, asked.folder, asked.workers)
    except ValueError as error:
        parser.error(str(error))
    write(fit(trials, grid, f"{len(trials)} generated clips of {recipe.duration:g} s"), fingerprint(model), asked.to)
    outcomes = cross_fit(trials, grid, asked.folds)
    print(table(outcomes, recipe))
    said, raw, happened = (np.concatenate([getattr(each, name) for each in outcomes]) for name in NAMES)
    gaps = [expected_calibration_error(each, happened) for each in (raw, said)]
    print(f"\nexpected calibration error of class 0: {gaps[0]:.4f} as the model says, {gaps[1]:.4f} with temperature")
    if asked.picture:
        title = f"{asked.model}: {len(said)} answers about {len(outcomes)} held-out generated clips"
        save(draw_reliability(said.tolist(), happened.tolist(), title), asked.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
