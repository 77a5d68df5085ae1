"""The figure as a file: PNG, SVG or PDF, by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attribution.figures.figure_data import COLORS, FigureData, Line, offset_note
from synchformer.storage.atomic import atomic_write

SUFFIXES = (".png", ".svg", ".pdf")
THEMES = {
    "light": {"ground": "#ffffff", "ink": "#16202e", "soft": "#55617a", "line": "#dde3ec", "event": "#0f766e"},
    "dark": {"ground": "#0c121d", "ink": "#eef2f9", "soft": "#a4b0c5", "line": "#2c384d", "event": "#5eead4"},
}
BRIGHT = {"video": "#8c9eff", "audio": "#fb923c"}  # the streams' colors on a dark ground


def draw(figure_data: FigureData, *, theme: str = "light") -> Figure:
    """Draw figure data.

    Raises:
        ValueError: for a theme other than light and dark.
    """
    if theme not in THEMES:
        raise ValueError(f"theme must be one of {', '.join(THEMES)}, not {theme!r}")
    look = THEMES[theme]
    lines = {line.modality: line for line in figure_data.lines}
    kinds = [kind for kind in ("frames", "video", "spectrogram", "audio") if kind not in COLORS or kind in lines]
    heights = {"frames": 0.9, "spectrogram": 1.2, "video": 1.5, "audio": 1.5}
    figure = Figure(figsize=(11, 1.1 + sum(heights[kind] for kind in kinds)), facecolor=look["ground"])
    grid = figure.add_gridspec(
        len(kinds), 1, height_ratios=[heights[kind] for kind in kinds], hspace=0.12, left=0.075, right=0.985,
        top=0.86, bottom=0.09,
    )  # fmt: skip
    for row, kind in enumerate(kinds):
        axes = figure.add_subplot(grid[row])
        _PARTS[kind](axes, figure_data, look, lines, theme)
        _dress(axes, figure_data, look, last=row == len(kinds) - 1)
    title = figure.text(0.075, 0.955, figure_data.title, color=look["ink"], fontsize=12, weight="bold", va="center")
    title.set_parse_math(False)  # a file's name may hold dollar signs
    figure.text(0.075, 0.905, figure_data.note, color=look["soft"], fontsize=9, va="center")
    return figure


def save_figure(figure_data: FigureData, path: str | Path, *, theme: str = "light") -> Path:
    """Draw figure data into a PNG, SVG or PDF file.

    Raises:
        ValueError: for another suffix.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"a figure is written as one of {', '.join(SUFFIXES)}, not {path.name}")
    figure = draw(figure_data, theme=theme)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=160, facecolor=figure.get_facecolor())
    return path


def _draw_frames(axes: Axes, figure_data: FigureData, look: dict[str, str], lines: dict[Any, Line], theme: str) -> None:
    count = len(figure_data.frames)
    edges = figure_data.begin + figure_data.seconds / count * np.arange(count + 1)
    for frame, left, right in zip(figure_data.frames, edges[:-1], edges[1:], strict=True):
        axes.imshow(frame, extent=(left, right, 0, 1), aspect="auto", interpolation="bilinear")
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_ylabel("seen", color=look["soft"], fontsize=9)


def _draw_spectrogram(
    axes: Axes, figure_data: FigureData, look: dict[str, str], lines: dict[Any, Line], theme: str
) -> None:
    extent = (figure_data.begin, figure_data.begin + figure_data.seconds, 0, 1)
    axes.imshow(
        figure_data.spectrogram, extent=extent, aspect="auto", origin="lower", cmap="magma", interpolation="nearest"
    )
    axes.set_yticks([])
    axes.set_ylabel("heard", color=look["soft"], fontsize=9)


def _draw_line(modality: str) -> Any:
    def part(axes: Axes, figure_data: FigureData, look: dict[str, str], lines: dict[Any, Line], theme: str) -> None:
        line = lines[modality]
        color = BRIGHT[modality] if theme == "dark" else COLORS[line.modality]
        if line.neutral is not None:
            axes.axhline(line.neutral, color=look["soft"], linewidth=0.8, linestyle=(0, (4, 3)))
        times = figure_data.begin + line.times
        axes.fill_between(times, line.low, line.high, color=color, alpha=0.22, linewidth=0)
        axes.plot(times, line.value, color=color, linewidth=1.8)
        for time in figure_data.seen if modality == "video" else figure_data.heard:
            axes.axvline(figure_data.begin + time, color=look["event"], linewidth=1.2, linestyle=(0, (1, 1.5)))
        axes.set_ylabel(modality, color=color, fontsize=9)
        top = np.nanmax(np.where(np.isfinite(line.high), line.high, np.nan), initial=line.neutral or 0.0)
        bottom = np.nanmin(np.where(np.isfinite(line.low), line.low, np.nan), initial=line.neutral or 0.0)
        axes.set_ylim(bottom - 0.05 * (top - bottom), top + 0.25 * (top - bottom) + 1e-9)
        axes.text(0.006, 0.93, figure_data.label, transform=axes.transAxes, color=look["soft"], fontsize=8, va="top")
        if modality == "audio" and figure_data.offset is not None:
            place: dict[str, Any] = {"transform": axes.transAxes, "va": "top", "ha": "right"}
            axes.text(0.994, 0.93, offset_note(figure_data.offset), **place, color=color, fontsize=9, weight="bold")

    return part


_PARTS: dict[str, Any] = {
    "frames": _draw_frames,
    "video": _draw_line("video"),
    "spectrogram": _draw_spectrogram,
    "audio": _draw_line("audio"),
}


def _dress(axes: Axes, figure_data: FigureData, look: dict[str, str], last: bool) -> None:
    axes.set_xlim(figure_data.begin, figure_data.begin + figure_data.seconds)
    axes.set_facecolor(look["ground"])
    axes.tick_params(colors=look["soft"], labelsize=8, labelbottom=last, bottom=last)
    for spine in axes.spines.values():
        spine.set_color(look["line"])
    if last:
        axes.set_xlabel("seconds of the file; sound where it is heard", color=look["soft"], fontsize=9)
