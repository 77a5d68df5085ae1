"""Films put together from measured clips, for the constants of scans.

A film of 300 s costs thirty times what a clip costs, and hundreds of films of every length would be needed to see how
often intervals hold. But what a film's windows say about its offset are sums over scenes that know nothing of one
another, and the clips are such scenes: moved so that their true offsets agree, any of them are a film. Windows that
would see two scenes at once are left out, so that a clip stands for four windows.

Shape legend: N clips, K offsets of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synchformer.offsets.calibration import EVERY, LEVEL, Combination, Constants
from synchformer.offsets.continuous import film_densities, window_evidence
from synchformer.offsets.posterior import Posterior, to_posterior
from synchformer.stats.intervals import wilson_of
from training.calibration.outcomes import Held, conformal
from training.calibration.trials import Recipe, Trial

EACH = 2  # every how many of a clip's windows is one of the film: 1.68 s apart, where a scan takes 1.92 s
PER_CLIP = 4
STEP, FAR = 0.01, 4.0  # s: the grid of errors
COUNTS = (1, 2, 4, 8, 17, 39)  # clips of a film: 11 to 300 s
DRAWN = 400  # films of each length
WEIGHTS = tuple(float(weight) for weight in np.round(np.linspace(0.1, 1.0, 19), 2))
FITTED_CLIPS = 17  # of the films whose true offsets are made likeliest: 133 s
UNIFORM = 0.002  # share of the uniform density: few films mislead as a whole
SEED = 0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scenes:
    """What the windows of each of N clips say together, unweighted, by the distance from its true offset: (N, K)."""

    errors: Floats
    densities: Floats

    def density(self, clips: NDArray[np.int64], weight: float) -> Floats:
        """The log density of a film of these clips over the errors: (K,)."""
        return np.asarray(weight * self.densities[clips].sum(0))


def scenes_of(trials: Sequence[Trial], constants: Constants) -> Scenes:
    """The clips as scenes of films; those without a window are left out."""
    count = round(FAR / STEP)
    errors: Floats = np.asarray(np.arange(-count, count + 1) * STEP)
    unweighted = replace(constants, film=replace(constants.film, weight=1.0))
    densities = []
    for trial in trials:
        rows = [window_evidence(trial.truth + errors, window, constants) for window in trial.windows[::EACH]]
        if rows:
            densities.append(film_densities(np.array(rows), unweighted, EVERY).sum(0))
    return Scenes(errors, np.array(densities))


def film_seconds(clips: int) -> float:
    """How long a film is whose windows are those of so many clips."""
    return clips * PER_CLIP * EVERY + 4.8 - EVERY


def fit_film(trials: Sequence[Trial], constants: Constants) -> Combination:
    """The weight of windows under which films' true offsets are likeliest, and the level for every length."""
    scenes = scenes_of(trials, constants)
    middle = len(scenes.errors) // 2

    def mean_log_density(weight: float) -> float:
        logs = [scenes.density(clips, weight) for clips in _drawn(scenes, FITTED_CLIPS)]
        shares = [(row - np.logaddexp.reduce(row))[middle] for row in logs]
        return float(np.mean(np.logaddexp(shares, np.log(UNIFORM / len(scenes.errors)))))

    weight = max(WEIGHTS, key=mean_log_density)
    spans = [film_seconds(count) for count in COUNTS]
    levels = [_level([_posterior(scenes, clips, weight) for clips in _drawn(scenes, count)]) for count in COUNTS]
    return Combination(weight, UNIFORM, tuple(round(span, 1) for span in spans), tuple(levels))


def film_table(held: Sequence[Held], recipes: Sequence[Recipe]) -> str:
    """Errors and coverage of films of clips that were left out, by kind of file and length, as Markdown."""
    head = ("films", "length", "count", "median error", f"{LEVEL:.0%} intervals cover", "median width")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for index, recipe in enumerate(recipes):
        for count in COUNTS:
            rows = [row for each in held for row in _outcomes(each, index, count)]
            errors, covered, widths = (np.array(column) for column in zip(*rows, strict=True))
            low, high = (share * 100 for share in wilson_of(int(covered.sum()), len(rows)))
            lines.append(
                f"| {recipe.sample_rate} Hz, {recipe.fps:g} fps | {film_seconds(count):.0f} s | {len(rows)} | "
                f"{np.median(errors) * 1000:.0f} ms | {covered.mean() * 100:.1f} % ({low:.0f} to {high:.0f}) | "
                f"{np.median(widths) * 1000:.0f} ms |"
            )
    return "\n".join(lines)


def _outcomes(held: Held, kind: int, count: int) -> list[tuple[float, bool, float]]:
    """Error in seconds, whether the interval holds the truth, and its width, for films of clips that were left out."""
    trials = held.kinds[kind]
    hertz = float(np.median([trial.bandwidth for trial in trials]))
    constants = held.constants.of(hertz, trials[0].fps)
    scenes, rows = scenes_of(trials, constants), []
    rng, known = np.random.default_rng([SEED, count]), len(scenes.densities)
    for _ in range(DRAWN // 4):
        clips = rng.choice(known, count, replace=count > known)
        posterior = _posterior(scenes, clips, constants.film.weight)
        low, high = posterior.interval(constants.film.q_of(film_seconds(count)))
        rows.append((abs(posterior.median), low <= 0 <= high, high - low))
    return rows


def _drawn(scenes: Scenes, count: int, films: int = DRAWN) -> list[NDArray[np.int64]]:
    """Films of `count` clips each, that differ from one another as films of fresh clips would from the truth.

    Long films that are drawn from few clips all have the mean error of these clips, which the constants are fitted to.
    So every film is drawn from a resampled set of clips (Efron, "Bootstrap methods", 1979, applied twice).
    """
    rng = np.random.default_rng([SEED, count])
    known = len(scenes.densities)
    return [rng.choice(rng.choice(known, known), count) for _ in range(films)]


def _posterior(scenes: Scenes, clips: NDArray[np.int64], weight: float) -> Posterior:
    """The density over the error on a scan's grid, on which the truth lies on a point or halfway between two."""
    half = int(clips[0]) % 2
    return to_posterior(scenes.errors[half::2], scenes.density(clips, weight)[half::2], UNIFORM)


def _level(posteriors: Sequence[Posterior]) -> float:
    return conformal(posteriors, np.zeros(len(posteriors)))
