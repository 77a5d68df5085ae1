"""The figure for the page: plotly JSON, with the pictures as WEBP.

Colours are names of CSS variables such as `var(--accent)`, which the page resolves: one figure fits both themes.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from attribution.figure import Line, Sketch, offset_note

INKS = {"video": "var(--accent)", "audio": "var(--mark)"}
BANDS = {"video": "rgba(61, 82, 213, 0.20)", "audio": "rgba(194, 65, 12, 0.20)"}
ROWS = {"frames": (0.86, 1.0), "video": (0.57, 0.83), "spectrogram": (0.36, 0.53), "audio": (0.06, 0.33)}
FRAME_HEIGHT = 64  # pixels


def plot(sketch: Sketch) -> dict[str, Any]:
    """A plotly figure, `data` and `layout`, of a sketch."""
    traces: list[dict[str, Any]] = []
    for line in sketch.lines:
        traces += _band(line)
    layout = {
        "xaxis": {
            "range": [0, sketch.seconds], "title": {"text": "seconds of the crop, as it is played"}, "anchor": "y2",
            "zeroline": False, "gridcolor": "var(--line)",
        },
        "yaxis": _axis(ROWS["video"], "video"),
        "yaxis2": _axis(ROWS["audio"], "audio"),
        "images": [
            _image(_strip(sketch.frames), ROWS["frames"], sketch.seconds),
            _image(_colored(sketch.spectrogram), ROWS["spectrogram"], sketch.seconds),
        ],
        "shapes": [*_events(sketch.seen, "y"), *_events(sketch.heard, "y2"), *_neutral(sketch.lines)],
        "annotations": [] if sketch.offset is None else [_told(sketch.offset)],
        "margin": {"l": 56, "r": 12, "t": 8, "b": 40},
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "var(--ink-soft)"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "x",
        "uirevision": "constant",
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _band(line: Line) -> list[dict[str, Any]]:
    """The band of intervals as one closed shape, and the curve above it."""
    axis = "y" if line.modality == "video" else "y2"
    times, value, low, high = (np.round(part, 4) for part in (line.times, line.value, line.low, line.high))
    around = {"x": [*times, *times[::-1]], "y": [*_plain(high), *_plain(low)[::-1]]}
    shared = {"type": "scatter", "yaxis": axis, "mode": "lines"}
    return [
        shared
        | around
        | {"fill": "toself", "fillcolor": BANDS[line.modality], "line": {"width": 0}, "hoverinfo": "skip"},
        shared
        | {"x": list(times), "y": _plain(value), "line": {"color": INKS[line.modality], "width": 2}}
        | {"hovertemplate": f"{line.modality} %{{x:.2f}} s: %{{y:.3f}}<extra></extra>"},
    ]


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    """JSON has no NaN and no infinity."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _axis(place: tuple[float, float], name: str) -> dict[str, Any]:
    title = {"text": name, "font": {"color": INKS[name]}}
    return {"domain": list(place), "title": title, "zeroline": False, "gridcolor": "var(--line)", "nticks": 5}


def _image(source: str, place: tuple[float, float], seconds: float) -> dict[str, Any]:
    size = {"sizex": seconds, "sizey": place[1] - place[0], "sizing": "stretch"}
    return {"source": source, "xref": "x", "yref": "paper", "x": 0, "y": place[1], "layer": "below"} | size


def _strip(frames: NDArray[np.uint8]) -> str:
    width = FRAME_HEIGHT * frames.shape[2] // frames.shape[1]
    strip = np.concatenate([np.asarray(Image.fromarray(f).resize((width, FRAME_HEIGHT))) for f in frames], axis=1)
    return _webp(strip)


def _colored(spectrogram: NDArray[np.float32]) -> str:
    low, high = float(spectrogram.min()), float(spectrogram.max())
    shares = (spectrogram[::-1] - low) / max(high - low, 1e-6)
    return _webp((colormaps["magma"](shares)[..., :3] * 255).astype(np.uint8))


def _webp(pixels: NDArray[np.uint8]) -> str:
    store = io.BytesIO()
    Image.fromarray(pixels).save(store, format="WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(store.getvalue()).decode()


def _events(times: tuple[float, ...], axis: str) -> list[dict[str, Any]]:
    line = {"color": "var(--event)", "width": 1.5, "dash": "dot"}
    ends = {"y0": 0, "y1": 1, "yref": f"{axis} domain", "xref": "x"}
    return [{"type": "line", "x0": time, "x1": time, "line": line} | ends for time in times]


def _neutral(lines: tuple[Line, ...]) -> list[dict[str, Any]]:
    style = {"color": "var(--ink-soft)", "width": 1, "dash": "dash"}
    return [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": line.neutral, "y1": line.neutral, "line": style}
        | {"yref": "y" if line.modality == "video" else "y2"}
        for line in lines
        if line.neutral is not None
    ]


def _told(offset: float) -> dict[str, Any]:
    place = {"x": 1, "y": ROWS["audio"][1], "xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "top"}
    return place | {"text": offset_note(offset), "showarrow": False, "font": {"color": "var(--mark)"}}
