"""The distribution and the sweep as SVG, for places without a page behind them: by matplotlib, in two themes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attribution.figures.figure_data import COLORS
from attribution.figures.matplotlib_figure import BRIGHT, THEMES
from synchformer.inference.prediction import Prediction, offset_in_words

SIZE = (4.8, 2.9)  # inches: readable on a phone without zooming
FAINT = 0.35  # opacity of the bars that are not the answer
SEED = "synchformer"  # of the names inside an SVG: the same chart is the same file


def distribution_chart(prediction: Prediction, theme: str) -> Figure:
    """Bars of the probability of every offset; the likeliest is strong, the applied offset a dotted line."""
    figure, axes = _axes(theme)
    accent, mark = _inks(theme)
    step = prediction.grid[1] - prediction.grid[0]
    for offset, share in zip(prediction.grid, prediction.probabilities, strict=True):
        best = offset == prediction.offset
        axes.bar(offset, share, width=0.82 * step, color=accent, alpha=1.0 if best else FAINT, linewidth=0)
    axes.set_ylim(0, 1.08)
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    _offsets(axes, prediction.grid, theme, "offset")
    axes.axvline(prediction.applied_offset, color=mark, linewidth=1.5, linestyle=(0, (1, 1.5)))
    moved = prediction.applied_offset
    words = f"sound moved: {offset_in_words(moved)}" if moved else "sound as in the file"
    beside = 0.08 if moved <= 0 else -0.08
    axes.text(moved + beside, 1.03, words, color=mark, fontsize=8, va="center", ha="left" if beside > 0 else "right")
    return figure


def sweep_chart(predictions: Sequence[Prediction], theme: str) -> Figure:
    """Predicted against applied offset, with the diagonal of a file in sync; hollow where the model cannot tell."""
    figure, axes = _axes(theme)
    accent, _ = _inks(theme)
    grid = predictions[0].grid
    axes.plot(grid, grid, color=THEMES[theme]["soft"], linewidth=1, linestyle=(0, (4, 3)))
    for each in predictions:
        face = accent if each.is_conclusive else "none"
        axes.plot(each.applied_offset, each.offset, marker="o", markersize=5, color=accent, markerfacecolor=face)
    axes.set_ylim(grid[0] - 0.2, grid[-1] + 0.2)
    seconds = [value for value in grid if float(value).is_integer()]
    axes.set_yticks(seconds, [_seconds(value) for value in seconds])
    axes.set_ylabel("predicted", color=THEMES[theme]["soft"], fontsize=8)
    _offsets(axes, grid, theme, "applied")
    return figure


def as_svg(figure: Figure) -> str:
    """A figure as SVG text without date and with names that depend on the figure alone."""
    store = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": SEED}):
        figure.savefig(store, format="svg", metadata={"Date": None, "Creator": None}, facecolor="none")
    text = store.getvalue()
    return text[text.index("<svg") :]


def _axes(theme: str) -> tuple[Figure, Axes]:
    if theme not in THEMES:
        raise ValueError(f"theme must be one of {', '.join(THEMES)}, not {theme!r}")
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.tick_params(colors=THEMES[theme]["soft"], labelsize=8)
    for name, spine in axes.spines.items():
        spine.set_color(THEMES[theme]["line"])
        spine.set_visible(name in ("left", "bottom"))
    return figure, axes


def _inks(theme: str) -> tuple[str, str]:
    colors = BRIGHT if theme == "dark" else {str(name): color for name, color in COLORS.items()}
    return colors["video"], colors["audio"]


def _offsets(axes: Axes, grid: Sequence[float], theme: str, name: str) -> None:
    """The axis of offsets, with what its ends mean in words."""
    step = grid[1] - grid[0]
    axes.set_xlim(grid[0] - step, grid[-1] + step)
    seconds = [value for value in grid if float(value).is_integer()]
    axes.set_xticks(seconds, [_seconds(value) for value in seconds])
    axes.set_xlabel(f"← sound late      {name}      sound early →", color=THEMES[theme]["soft"], fontsize=8)


def _seconds(value: float) -> str:
    return f"{value:+g} s".replace("-", "−") if value else "0"


def residual(predictions: Sequence[Prediction]) -> float:
    """Mean distance in seconds between predicted and applied offset: 0 for a file in sync and a perfect model."""
    return float(np.mean([abs(each.offset - each.applied_offset) for each in predictions]))
