"""Figures for files: a film's timeline, the density of a fine estimate, reliability."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator, PercentFormatter

from synchformer.offsets.timeline import Timeline, clock
from synchformer.storage.atomic import atomic_write
from synchformer.storage.file_names import printable

INK, QUIET, POINT, FIT = "#1f2430", "#8a90a0", "#4657c9", "#c8452f"
SUFFIXES = (".png", ".svg", ".pdf")
SHORT = 1.0  # s: longer intervals are left out, for they would hide everything else
SURE = 0.5  # confidence from which a window is drawn full
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # s between labels


def check_suffix(path: str | Path) -> Path:
    """A picture's path.

    Raises:
        ValueError: when its suffix is no picture's.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"a picture ends in {', '.join(SUFFIXES)}, not {path.name}")
    return path


def draw_timeline(timeline: Timeline) -> Figure:
    """Every window's offset with its interval, darker where the model is surer, and what explains them."""
    matched = [moment.synchronizability for moment in timeline.moments]
    has_matched = any(value is not None for value in matched)
    figure = Figure(figsize=(10, 4.6 if has_matched else 3.8), dpi=130, layout="constrained")
    grid = figure.subplots(
        2 if has_matched else 1, 1, sharex=True, squeeze=False, height_ratios=(4, 1)[: 1 + has_matched]
    )
    axes = grid[0][0]
    times = np.array([moment.center for moment in timeline.moments])
    strength = np.array([moment.confidence for moment in timeline.moments])
    axes.axhline(0, color=QUIET, lw=0.8)
    _unmeasured(axes, timeline)
    for part, alpha in ((strength < SURE, 0.18), (strength >= SURE, 0.9)):
        _windows(axes, timeline, times, part, alpha)
    _explanation(axes, timeline)
    axes.set_ylabel("sound late  ←  s  →  early")
    title = f"{printable(timeline.path.name)}\n{fill(timeline.sentence, 110)}"
    axes.set_title(title, loc="left", fontsize=10, color=INK, parse_math=False)
    axes.legend(loc="upper right", fontsize=8, frameon=False, ncols=3)
    if has_matched:
        below = grid[1][0]
        below.fill_between(times, [value or 0.0 for value in matched], color=QUIET, alpha=0.5, lw=0)
        below.set_ylim(0, 1)
        below.set_ylabel("can be\nmatched", fontsize=8)
    for each in grid[:, 0]:
        _clean(each)
    _clock_axis(grid[-1][0], *timeline.span)
    return figure


def _windows(axes: Axes, timeline: Timeline, times: np.ndarray, part: np.ndarray, alpha: float) -> None:
    moments = [moment for moment, inside in zip(timeline.moments, part, strict=True) if inside]
    if not moments:
        return
    size = float(np.clip(800 / len(times), 3, 18))
    if alpha > SURE:
        for moment in moments:
            if np.ptp(moment.interval) <= SHORT:
                axes.vlines(moment.center, *moment.interval, color=POINT, alpha=0.3, lw=1)
    label = f"window, at least {SURE:.0%} sure" if alpha > SURE else "window, less sure"
    axes.scatter(
        times[part], [m.offset for m in moments], s=size, color=POINT, alpha=alpha, lw=0, label=label, zorder=3
    )


def _unmeasured(axes: Axes, timeline: Timeline) -> None:
    """A grey band over every part that was not measured; the legend says why."""
    named: set[str] = set()
    for part in timeline.unmeasured:
        label = None if part.reason in named else f"not measured: {part.reason}"
        named.add(part.reason)
        axes.axvspan(part.start, part.stop, color=QUIET, alpha=0.25, lw=0, label=label, zorder=0)


def _explanation(axes: Axes, timeline: Timeline) -> None:
    start, stop = timeline.moments[0].start, timeline.moments[-1].stop
    if timeline.kind == "drift":
        axes.plot(
            [start, stop], [timeline.drift.at_start, timeline.drift.at_stop], color=FIT, lw=1.8, label="drift", zorder=4
        )
        return
    pieces = timeline.pieces if timeline.kind == "jumps" else (timeline.whole,)
    for index, piece in enumerate(pieces):
        label = ("constant" if timeline.kind == "constant" else "stretches") if index == 0 else None
        axes.plot([piece.start, piece.stop], [piece.offset] * 2, color=FIT, lw=1.8, label=label, zorder=4)
        axes.fill_between([piece.start, piece.stop], *piece.interval, color=FIT, alpha=0.15, lw=0)


def draw_reliability(said: Sequence[float], happened: Sequence[bool], title: str, bins: int = 10) -> Figure:
    """How often what was said with a probability came true; perfect calibration is the diagonal.

    Args:
        said: probabilities (N,).
        happened: whether each came true (N,).
        title: the headline.
        bins: of equal width.
    """
    shares, truth = np.asarray(said), np.asarray(happened, dtype=float)
    place = np.minimum((shares * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    filled = counts > 0
    means = np.bincount(place, shares, bins)[filled] / counts[filled]
    rates = np.bincount(place, truth, bins)[filled] / counts[filled]
    error = np.sqrt(np.maximum(rates * (1 - rates), 0.25 / counts[filled]) / counts[filled])
    figure = Figure(figsize=(5.2, 5.4), dpi=130, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot([0, 1], [0, 1], color=QUIET, lw=1, ls=":", label="perfect")
    above.errorbar(
        means, rates, 1.96 * error, color=POINT, marker="o", ms=5, lw=1.4, capsize=2, label="measured (95 %)"
    )
    above.set_ylim(-0.02, 1.02)
    above.set_ylabel("share that was in sync")
    above.set_title(title, loc="left", fontsize=10, color=INK, parse_math=False)
    above.legend(frameon=False, fontsize=9)
    below.bar((np.arange(bins) + 0.5) / bins, counts, width=0.9 / bins, color=QUIET, alpha=0.6)
    below.set_yscale("log")
    below.set_ylabel("clips")
    below.set_xlabel("probability of being in sync")
    for axes in (above, below):
        _clean(axes)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    above.yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure whole; the suffix names the format.

    Raises:
        ValueError: when the suffix is no picture's.
    """
    path = check_suffix(path)
    with atomic_write(path) as part:
        figure.savefig(part, facecolor="white")
    return path


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(axis="y", color=QUIET, alpha=0.15)


def _clock_axis(axes: Axes, start: float, stop: float) -> None:
    every = next((step for step in TICKS if (stop - start) / step <= 10), TICKS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(every))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(max(0.0, value))))
    axes.set_xlim(start, stop)
    axes.set_xlabel("time in the video")
