"""Pictures of evaluations: confusion, accuracy by offset, models side by side, synchronizability (figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import NDArray

from training.evaluation.comparison import Comparison
from training.evaluation.metrics import chance
from training.evaluation.report import Report, Row

BLUE, ORANGE, GRAY = "#1f5fbf", "#c8641e", "#777777"


def report_figure(report: Report) -> Figure:
    """Confusion matrix (shares of each row) and accuracy by applied offset, with intervals and chance."""
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    figure.suptitle(report.setting.sentence, fontsize=10)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    _draw_confusion(left, report, figure)
    _draw_offsets(right, report.by_offset, report.setting.classes)
    return figure


def _with_spread(rows: Sequence[Any], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A figure of every row (n,), and how far its interval reaches below and above it (2, n)."""
    values = np.array([getattr(row, name) for row in rows])
    bounds = np.array([getattr(row, f"{name}_interval") for row in rows])
    return values, np.clip(np.stack([values - bounds[:, 0], bounds[:, 1] - values]), 0, None)


def _draw_confusion(axes: Axes, report: Report, figure: Figure) -> None:
    counts = report.confusion
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    limit = report.setting.step * (report.setting.classes - 1) / 2 + report.setting.step / 2
    image = axes.imshow(shares, origin="lower", extent=(-limit, limit, -limit, limit), vmin=0, vmax=1, cmap="Blues")
    axes.set_xlabel("predicted offset, s (> 0: the sound is early)")
    axes.set_ylabel("true offset, s")
    axes.set_title("What each offset was taken for", fontsize=11)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the crops with that offset")


def _draw_offsets(axes: Axes, rows: Sequence[Row], classes: int) -> None:
    places = [float(row.clips.split()[0]) for row in rows]
    guess = chance(classes)
    series = (("acc1_tol1", "within ±1 class", ORANGE, 0.02), ("acc1", "exact", BLUE, -0.02))
    for name, label, color, aside in series:
        values, spread = _with_spread(rows, name)
        moved = np.array(places) + aside
        axes.errorbar(moved, values, spread, fmt="o-", color=color, label=label, capsize=2, markersize=4, linewidth=1)
        axes.axhline(guess[name], color=color, linestyle=":", linewidth=1)
    axes.text(0.99, guess["acc1_tol1"] + 0.01, "chance", transform=axes.get_yaxis_transform(), ha="right", color=GRAY)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("true offset, s (> 0: the sound is early)")
    axes.set_ylabel("share of right answers, 95 % interval")
    axes.set_title("Accuracy by offset", fontsize=11)
    axes.legend(loc="lower left", fontsize=9, framealpha=0.9)
    axes.grid(alpha=0.25)


def comparison_figure(comparison: Comparison) -> Figure:
    """Accuracy of several models with intervals and chance, and the course of their training over crops seen."""
    figure = Figure(figsize=(13, 5), layout="constrained")
    figure.suptitle(fill(comparison.measured, 130), fontsize=10)
    left, right = figure.subplots(1, 2)
    places = np.arange(len(comparison.entries))
    guess = chance(comparison.classes)
    for name, label, color, aside in (("acc1_tol1", "within ±1 class", ORANGE, 0.14), ("acc1", "exact", BLUE, -0.14)):
        values, spread = _with_spread(comparison.entries, name)
        left.errorbar(values, places - aside, xerr=spread, fmt="o", color=color, label=label, capsize=3)
        left.axvline(guess[name], color=color, linestyle=":", linewidth=1)
    left.text(guess["acc1_tol1"] + 0.01, -0.45, "chance", color=GRAY, va="center")
    left.set(xlim=(0, 1.02), ylim=(len(places) - 0.5, -0.6), xlabel="share of right answers, 95 % interval")
    left.set_yticks(places, [f"{entry.name}\n{entry.crops:,} crops" for entry in comparison.entries])
    left.set_title("Test clips", fontsize=11)
    left.legend(loc="upper right", fontsize=9)
    left.grid(alpha=0.25, axis="x")
    for entry, course in zip(comparison.entries, comparison.courses, strict=True):
        crops, values = np.array(course).reshape(-1, 2).T
        right.plot(crops, values, "o-", markersize=3, linewidth=1, label=entry.name)
    right.axhline(guess["acc1_tol1"], color=GRAY, linestyle=":", linewidth=1)
    right.set(xlim=(0, None), ylim=(0, 1.02), xlabel="crops seen in training", ylabel="share within ±1 class")
    right.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    right.set_title("Held-out crops during training", fontsize=11)
    right.legend(loc="upper left", fontsize=9)
    right.grid(alpha=0.25)
    return figure


def synchronizability_figure(
    title: str,
    roc: tuple[Sequence[float], Sequence[float]],
    area: float,
    thresholds: Sequence[float],
    accuracies: Sequence[tuple[str, Sequence[float], Sequence[tuple[float, float]]]],
    kept: Sequence[int],
) -> Figure:
    """Figure 4: the ROC curve, and the offset's accuracy on what passes each threshold.

    Args:
        title: what was measured.
        roc: false and true positive rates.
        area: under that curve.
        thresholds: on the probability of being synchronizable.
        accuracies: name, values and 95 % intervals, one per threshold, of each curve; empty leaves the panel out.
        kept: crops above each threshold.
    """
    figure = Figure(figsize=(12.5 if accuracies else 6, 5.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(1, 2 if accuracies else 1, squeeze=False)[0]
    panels[0].plot(*roc, color=BLUE, label=f"area {area:.3f}")
    panels[0].plot([0, 1], [0, 1], color=GRAY, linestyle=":", label="guessing")
    panels[0].set(xlabel="false positive rate", ylabel="true positive rate", title="Can it be synchronized?")
    panels[0].set_aspect("equal")
    panels[0].legend(loc="lower right")
    panels[0].grid(alpha=0.25)
    if accuracies:
        _draw_thresholds(panels[1], thresholds, accuracies, kept)
    return figure


def _draw_thresholds(
    axes: Axes,
    thresholds: Sequence[float],
    accuracies: Sequence[tuple[str, Sequence[float], Sequence[tuple[float, float]]]],
    kept: Sequence[int],
) -> None:
    places = np.arange(len(thresholds))
    for (name, values, bounds), color in zip(accuracies, (ORANGE, BLUE), strict=False):
        spread = [[v - b[0] for v, b in zip(values, bounds, strict=True)],
                  [b[1] - v for v, b in zip(values, bounds, strict=True)]]  # fmt: skip
        axes.errorbar(places, values, np.clip(spread, 0, None), fmt="o-", color=color, label=name, capsize=2)
    labels = [f"{threshold:g}\n({count})" for threshold, count in zip(thresholds, kept, strict=True)]
    axes.set_xticks(places, labels)
    axes.invert_xaxis()  # as in the paper: the strictest threshold first
    axes.set_ylim(0, 1.02)
    axes.set(xlabel="probability of being synchronizable above (crops kept)", ylabel="accuracy of the offset")
    axes.set_title("Offset accuracy on what passes", fontsize=11)
    axes.legend(loc="lower left")
    axes.grid(alpha=0.25)
