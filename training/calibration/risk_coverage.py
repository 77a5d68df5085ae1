"""Figure: how many answers are wrong when only the surest share of clips is answered, for recorded and generated clips.

Shape legend: N clips.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from synchformer.offsets.plots import FIT, INK, POINT, QUIET

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BINS = 6


def risk_coverage(said: Floats, right: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """Coverage and risk, (N,) each, when the surest clips up to each one are answered."""
    order = np.argsort(-said, kind="stable")
    total = np.cumsum(weights[order])
    wrong = np.cumsum((weights * ~right)[order])
    return np.asarray(total / total[-1]), np.asarray(wrong / total)


def draw_risk_coverage(
    groups: Mapping[str, tuple[Floats, Bools, Floats]], threshold: float, risk: float, chance: Mapping[str, float]
) -> Figure:
    """Risk against coverage, and how often what was said with a probability was right, a line for each group.

    Args:
        groups: probabilities that the offset is right, whether it is, and the clips' weights, (N,) each.
        threshold: from which an offset is stated.
        risk: the share of stated offsets that may be wrong.
        chance: the risk of permuted answers, for each group.
    """
    figure = Figure(figsize=(10, 4.4), dpi=130, layout="constrained")
    left, right_axes = figure.subplots(1, 2)
    right_axes.plot([0, 1], [0, 1], color=QUIET, lw=1, ls=":")
    for (name, (said, right, weights)), color in zip(groups.items(), (POINT, FIT, INK), strict=False):
        coverage, wrong = risk_coverage(said, right, weights)
        left.plot(coverage, wrong, color=color, lw=1.6, label=name)
        left.axhline(chance[name], color=color, lw=0.8, ls=":")
        stated = said >= threshold
        if stated.any():
            share = np.average(stated, weights=weights)
            left.plot(share, np.average(~right[stated], weights=weights[stated]), "o", color=color, ms=6)
        place = np.minimum((said * BINS).astype(int), BINS - 1)
        mass = np.bincount(place, weights, BINS)
        filled = mass > 0
        means = np.bincount(place, weights * said, BINS)[filled] / mass[filled]
        rates = np.bincount(place, weights * right, BINS)[filled] / mass[filled]
        right_axes.plot(means, rates, color=color, marker="o", ms=5, lw=1.4, label=name)
    left.axhline(risk, color=QUIET, lw=0.8)
    left.set(
        xlabel="coverage: clips that are answered", ylabel="risk: answers that are wrong", ylim=(0, 1), xlim=(0, 1)
    )
    left.set_title(
        f"Stated from {threshold:.0%} on (dots); dotted: permuted answers", loc="left", fontsize=10, color=INK
    )
    right_axes.set(xlabel="probability that is said", ylabel="answers that are right", ylim=(0, 1), xlim=(0, 1))
    right_axes.set_title("Sources that were left out of the fit", loc="left", fontsize=10, color=INK)
    for axes in (left, right_axes):
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.tick_params(colors=INK, labelsize=8)
        axes.legend(frameon=False, fontsize=9)
    return figure
