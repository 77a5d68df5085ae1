"""The figure for the page: plotly JSON.

Colors are names of CSS variables such as `var(--accent)`, which the page resolves: one figure fits both themes. The
frames and the spectrogram have axes of their own, `y3` and `y4`, from 0 to 1: the page sends the pictures once and lays
them there, while the curves change. `plot` puts them in itself unless it is told not to.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from attribution.figures.figure_data import FigureData, Line, offset_note

INKS = {"video": "var(--accent)", "audio": "var(--mark)"}
BANDS = {"video": "rgba(61, 82, 213, 0.22)", "audio": "rgba(214, 90, 20, 0.22)"}
AXES = {"video": "y", "audio": "y2", "frames": "y3", "spectrogram": "y4"}
ROWS = {
    "frames": (0.86, 1.0),
    "segments": (0.815, 0.845),
    "video": (0.565, 0.795),
    "spectrogram": (0.345, 0.535),
    "audio": (0.07, 0.32),
}
FRAME_HEIGHT = 64  # pixels
SHADE = [[0, "rgba(8, 12, 20, 0.62)"], [1, "rgba(8, 12, 20, 0)"]]  # what does not matter is dimmed
Shapes = list[dict[str, Any]]


def plot(figure_data: FigureData, *, pictures: bool = True) -> dict[str, Any]:
    """A plotly figure, `data` and `layout`, of figure data.

    Args:
        figure_data: what to show.
        pictures: put the frames and the spectrogram in; without, their places stay empty.
    """
    traces: list[dict[str, Any]] = [_nothing(axis, figure_data.begin) for axis in AXES.values()]
    for line in figure_data.lines:
        traces += [*_band(line, figure_data.begin), _heat(line, figure_data.begin)]
    begin, end = figure_data.begin, figure_data.begin + figure_data.seconds
    layout = {
        "xaxis": {
            "range": [begin, end], "anchor": "y2",
            "title": {"text": "seconds of the file; sound where it is heard", "standoff": 6},
            "zeroline": False, "showgrid": False, "linecolor": "var(--line)", "minallowed": begin, "maxallowed": end,
        },
        "yaxis": _axis("video", figure_data),
        "yaxis2": _axis("audio", figure_data),
        "yaxis3": _still("frames", "frames"),
        "yaxis4": _still("spectrogram", "sound"),
        "images": _pictures(figure_data) if pictures else [],
        "shapes": [*_segments(figure_data), *_events(figure_data), *_neutral(figure_data.lines)],
        "annotations": _notes(figure_data),
        "margin": {"l": 58, "r": 10, "t": 8, "b": 38},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "var(--ink-soft)"},
        "hoverlabel": {"bgcolor": "var(--card)", "bordercolor": "var(--line)", "font": {"color": "var(--ink)"}},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "x",
        "dragmode": "zoom",
        "uirevision": "constant",
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def webp(pixels: NDArray[np.uint8], quality: int = 80) -> str:
    """A picture (h, w, 3) as a data address."""
    store = io.BytesIO()
    Image.fromarray(pixels).save(store, format="WEBP", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(store.getvalue()).decode()


def colored(spectrogram: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Log-mel values (M, T), the lowest band first, to pixels (M, T, 3), the lowest band at the bottom."""
    low, high = np.quantile(spectrogram, (0.02, 0.999))
    shares = np.clip((spectrogram[::-1] - low) / max(float(high - low), 1e-6), 0, 1)
    pixels: NDArray[np.uint8] = (colormaps["magma"](shares)[..., :3] * 255).astype(np.uint8)
    return pixels


def _nothing(axis: str, begin: float) -> dict[str, Any]:
    """An invisible trace: plotly draws no axis that has none."""
    return {"type": "scatter", "mode": "markers", "x": [begin], "y": [None], "yaxis": axis, "hoverinfo": "skip"}


def _band(line: Line, begin: float) -> list[dict[str, Any]]:
    """The band of intervals as one closed shape, and the curve above it."""
    times, value, low, high = (np.round(part, 4) for part in (begin + line.times, line.value, line.low, line.high))
    around = {"x": [*times, *times[::-1]], "y": [*_plain(high), *_plain(low)[::-1]]}
    shared = {"type": "scatter", "yaxis": AXES[line.modality], "mode": "lines"}
    spans = [f"{_plain([one])[0]} to {_plain([two])[0]}" for one, two in zip(low, high, strict=True)]
    return [
        shared
        | around
        | {"fill": "toself", "fillcolor": BANDS[line.modality], "line": {"width": 0}, "hoverinfo": "skip"},
        shared
        | {"x": list(times), "y": _plain(value), "line": {"color": INKS[line.modality], "width": 2}}
        | {"customdata": spans, "hovertemplate": f"{line.modality}: %{{y:.3f}} (%{{customdata}})<extra></extra>"},
    ]


def _heat(line: Line, begin: float) -> dict[str, Any]:
    """The curve again, laid over the frames or the spectrogram: a shade that lifts where it matters."""
    axis = AXES["frames" if line.modality == "video" else "spectrogram"]
    known = np.where(np.isfinite(line.value), line.value, np.nan)
    low, high = (np.nanmin(known), np.nanmax(known)) if np.isfinite(known).any() else (0.0, 1.0)
    shares = np.nan_to_num((known - low) / max(high - low, 1e-9))
    return {
        "type": "heatmap",
        "name": "heat",
        "yaxis": axis,
        "x": [round(begin + time, 4) for time in line.times],
        "y": [0.5],
        "dy": 1,
        "z": [[round(float(share), 3) for share in shares]],
        "zmin": 0,
        "zmax": 1,
        "colorscale": SHADE,
        "showscale": False,
        "hoverinfo": "skip",
    }


def _plain(values: NDArray[np.float64] | list[float]) -> list[float | None]:
    """JSON has no NaN and no infinity."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _axis(name: str, figure_data: FigureData) -> dict[str, Any]:
    """The axis of a curve; a stream that is not explained has an empty one."""
    title = {"text": name, "font": {"color": INKS[name]}}
    look: dict[str, Any] = {"zeroline": False, "gridcolor": "var(--line)", "nticks": 4, "fixedrange": True}
    if name not in {line.modality for line in figure_data.lines}:
        look |= {"range": [0, 1], "showticklabels": False, "showgrid": False}
    return {"domain": list(ROWS[name]), "title": title, "anchor": "x"} | look


def _still(name: str, words: str) -> dict[str, Any]:
    """The axis of a row that holds a picture."""
    fixed = {
        "range": [0, 1],
        "fixedrange": True,
        "showticklabels": False,
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
    }
    return {"domain": list(ROWS[name]), "title": {"text": words}, "anchor": "x", "ticks": ""} | fixed


def _pictures(figure_data: FigureData) -> list[dict[str, Any]]:
    width = FRAME_HEIGHT * figure_data.frames.shape[2] // figure_data.frames.shape[1]
    small = [np.asarray(Image.fromarray(frame).resize((width, FRAME_HEIGHT))) for frame in figure_data.frames]
    sources = {"frames": webp(np.concatenate(small, axis=1)), "spectrogram": webp(colored(figure_data.spectrogram))}
    place = {"xref": "x", "x": figure_data.begin, "y": 1, "sizex": figure_data.seconds, "sizey": 1}
    look = {"sizing": "stretch", "layer": "below"}
    return [{"source": source, "yref": AXES[name]} | place | look for name, source in sources.items()]


def _segments(figure_data: FigureData) -> Shapes:
    """Segments overlap by half: every other one in the upper half of the band."""
    low, high = ROWS["segments"]
    middle = (low + high) / 2
    shapes = []
    for index, (begin, end) in enumerate(figure_data.segments):
        ends = (middle + 0.001, high) if index % 2 == 0 else (low, middle - 0.001)
        place = {
            "x0": figure_data.begin + begin + 0.01,
            "x1": figure_data.begin + end - 0.01,
            "y0": ends[0],
            "y1": ends[1],
        }
        look = {"line": {"width": 0}, "fillcolor": "var(--line-strong)", "name": "segment"}
        shapes.append({"type": "rect", "xref": "x", "yref": "paper"} | place | look)
    return shapes


def _events(figure_data: FigureData) -> Shapes:
    """Known events: dotted lines through the picture's rows for what is seen, through the sound's for what is heard."""
    line = {"color": "var(--event)", "width": 1.5, "dash": "dot"}
    rows = {"seen": (figure_data.seen, "frames", "video"), "heard": (figure_data.heard, "spectrogram", "audio")}
    shapes = []
    for name, (times, upper, lower) in rows.items():
        ends = {"yref": "paper", "y0": ROWS[lower][0], "y1": ROWS[upper][1]}
        for time in times:
            at = figure_data.begin + time
            shapes.append({"type": "line", "xref": "x", "x0": at, "x1": at, "line": line, "name": name} | ends)
    return shapes


def _neutral(lines: tuple[Line, ...]) -> Shapes:
    style = {"color": "var(--ink-soft)", "width": 1, "dash": "dash"}
    return [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": line.neutral, "y1": line.neutral, "line": style}
        | {"yref": AXES[line.modality], "name": "neutral"}
        for line in lines
        if line.neutral is not None
    ]


def _notes(figure_data: FigureData) -> list[dict[str, Any]]:
    """What the curves measure, in the corner of each; and what the decision was."""
    shared = {"xref": "paper", "yref": "paper", "yanchor": "top", "showarrow": False}
    notes = [
        shared | {"x": 0.002, "xanchor": "left", "y": ROWS[line.modality][1], "text": figure_data.label}
        for line in figure_data.lines
    ]
    explained = {line.modality for line in figure_data.lines}
    for name, sense in (("video", "seen"), ("audio", "heard")):
        if name not in explained:
            low, high = ROWS[name]
            words = (
                "not explained" if explained else f"Attribute tells which moments of what is {sense} the answer needs"
            )
            notes.append(shared | {"x": 0.5, "y": (low + high) / 2, "yanchor": "middle", "text": words})
    if figure_data.offset is not None:
        decision = {"text": offset_note(figure_data.offset), "font": {"color": "var(--mark)"}}
        notes.append(shared | {"x": 1, "xanchor": "right", "y": ROWS["audio"][1]} | decision)
    return notes
