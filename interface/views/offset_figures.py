"""What the page draws, as plotly JSON.

Colors are names of CSS variables such as `var(--accent)`: the page resolves them when it draws, so that one figure
fits the light and the dark theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attribution.figures.figure_data import FigureData
from attribution.figures.plotly_figure import plot
from synchformer.inference.prediction import Prediction, offset_in_words

Figure = dict[str, Any]

BAR_SHARE = 0.82  # of a class's width
ROOM = 0.5  # classes left free beyond the first and the last bar
LOOK: dict[str, Any] = {
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": "var(--ink-soft)"},
    "hoverlabel": {
        "bgcolor": "var(--card)",
        "bordercolor": "var(--line)",
        "font": {"color": "var(--ink)", "family": "system-ui, sans-serif"},
    },
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "showlegend": False,
    "dragmode": False,
    "uirevision": "constant",
}


def distribution(grid: tuple[float, ...], prediction: Prediction | None) -> Figure:
    """Bars of the probability of every offset, with the applied offset as a line.

    Args:
        grid: offset of each class in seconds.
        prediction: what to draw; None draws the empty axes.
    """
    step = grid[1] - grid[0]
    bars = [] if prediction is None else [_bars(prediction, step)]
    layout = _layout(grid, step)
    layout["annotations"] = [_end("← sound late", 0, "left"), _end("sound early →", 1, "right")]
    if prediction is not None:
        layout["shapes"] = [_line(prediction.applied_offset)]
        layout["annotations"].append(_label(prediction.applied_offset, grid[-1]))
    return {"data": bars, "layout": layout}


def moved(prediction: Prediction) -> dict[str, Any]:
    """What changes in `distribution` when the sound is moved: the page puts it into the figure that it shows."""
    return {
        "y": _heights(prediction),
        "best": prediction.grid.index(prediction.offset),
        "line": prediction.applied_offset,
        "label": _label(prediction.applied_offset, prediction.grid[-1]),
    }


def response(grid: tuple[float, ...], predictions: Sequence[Prediction]) -> Figure:
    """Predicted against applied offset with the ideal diagonal, and what is left of it below.

    Answers that are too unsure to tell are open diamonds, so that the difference does not hang on a color.
    """
    end = grid[-1] + (grid[1] - grid[0])
    axis = {"range": [-end, end], "zeroline": False, "gridcolor": "var(--line)", "fixedrange": True}
    diagonal = {"type": "line", "line": {"color": "var(--ink-soft)", "width": 1, "dash": "dash"}}
    layout = LOOK | {
        "xaxis": axis | {"title": {"text": "applied offset (s): ← later | earlier →"}, "anchor": "y2"},
        "yaxis": axis | {"domain": [0.36, 1], "title": {"text": "predicted (s)"}},
        "yaxis2": axis | {"domain": [0, 0.27], "title": {"text": "residual (s)"}},
        "shapes": [
            diagonal | {"x0": grid[0], "x1": grid[-1], "y0": grid[0], "y1": grid[-1], "xref": "x", "yref": "y"},
            diagonal | {"x0": grid[0], "x1": grid[-1], "y0": 0, "y1": 0, "xref": "x", "yref": "y2"},
        ],
        "margin": {"l": 56, "r": 12, "t": 8, "b": 44},
        "height": 420,
    }
    return {"data": [_answers(predictions, axis) for axis in ("y", "y2")], "layout": layout}


def _answers(predictions: Sequence[Prediction], axis: str) -> dict[str, Any]:
    sure = [each.is_conclusive for each in predictions]
    return {
        "type": "scatter",
        "mode": "markers",
        "yaxis": axis,
        "x": [each.applied_offset for each in predictions],
        "y": [round(each.offset - (each.applied_offset if axis == "y2" else 0), 4) for each in predictions],
        "marker": {
            "size": 9,
            "color": ["var(--accent)" if is_sure else "var(--warn)" for is_sure in sure],
            "symbol": ["circle" if is_sure else "diamond-open" for is_sure in sure],
        },
        "customdata": [each.sentence for each in predictions],
        "hovertemplate": "applied %{x:+.2f} s<br>%{customdata}<extra></extra>",
    }


def panel(figure_data: FigureData) -> Figure:
    """The curves of an attribution alone, for standing side by side: two rows on one clock."""
    figure = plot(figure_data, pictures=False)
    layout = figure["layout"]
    rows = {"y": [0.57, 1.0], "y2": [0.0, 0.43]}
    layout["yaxis"]["domain"], layout["yaxis2"]["domain"] = rows.values()
    del layout["yaxis3"], layout["yaxis4"]
    events = {"seen": "y domain", "heard": "y2 domain"}
    kept = [shape for shape in layout["shapes"] if shape.get("name") != "segment"]
    layout["shapes"] = [
        shape | {"yref": events[shape["name"]], "y0": 0, "y1": 1} if shape.get("name") in events else shape
        for shape in kept
    ]
    layout["annotations"] = []
    layout["height"] = 300
    return {"data": [trace for trace in figure["data"] if trace["yaxis"] in rows], "layout": layout}


def _bars(prediction: Prediction, step: float) -> dict[str, Any]:
    words = ["no offset" if x == 0 else f"sound {offset_in_words(x)}" for x in prediction.grid]
    return {
        "type": "bar",
        "x": list(prediction.grid),
        "y": _heights(prediction),
        "width": step * BAR_SHARE,
        "marker": {"color": "var(--accent-soft)", "cornerradius": 3},
        "selectedpoints": [prediction.grid.index(prediction.offset)],
        "selected": {"marker": {"color": "var(--accent)", "opacity": 1}},
        "unselected": {"marker": {"opacity": 1}},
        "customdata": words,
        "hovertemplate": "<b>%{customdata}</b><br>%{y:.1%}<extra></extra>",
    }


def _heights(prediction: Prediction) -> list[float]:
    return [round(share, 5) for share in prediction.probabilities]


def _layout(grid: tuple[float, ...], step: float) -> dict[str, Any]:
    seconds = [x for x in grid if float(x).is_integer()]
    words = [f"{x:+g} s".replace("-", "−") if x else "0" for x in seconds]
    return LOOK | {
        "xaxis": {
            "range": [grid[0] - step * (0.5 + ROOM), grid[-1] + step * (0.5 + ROOM)],
            "tickvals": seconds,
            "ticktext": words,
            "fixedrange": True,
            "zeroline": False,
            "showgrid": False,
            "ticks": "outside",
            "tickcolor": "var(--line)",
            "linecolor": "var(--line)",
            "showline": True,
        },
        "yaxis": {
            "range": [0, 1.02],
            "tickformat": ".0%",
            "tickvals": [0, 0.5, 1],
            "fixedrange": True,
            "gridcolor": "var(--line)",
            "zeroline": False,
        },
        "margin": {"l": 46, "r": 12, "t": 24, "b": 42},
    }


def _end(words: str, x: float, anchor: str) -> dict[str, Any]:
    """What an end of the offset axis means, in words below its numbers."""
    place = {"x": x, "y": 0, "xref": "paper", "yref": "paper", "xanchor": anchor, "yanchor": "top", "yshift": -24}
    return place | {"text": words, "showarrow": False, "font": {"color": "var(--ink-soft)", "size": 13}}


def _line(applied: float) -> dict[str, Any]:
    """A dotted line where the sound was put."""
    line = {"color": "var(--mark)", "width": 2, "dash": "dot"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": applied, "x1": applied, "y0": 0, "y1": 1, "line": line}


def _label(applied: float, end: float) -> dict[str, Any]:
    """Words on top of the line, which stay inside the figure."""
    words = f"you moved it: {offset_in_words(applied)}" if applied else "as in the file"
    anchor = "right" if applied > 0.4 * end else "left" if applied < -0.4 * end else "center"
    place = {"x": applied, "y": 1, "xref": "x", "yref": "paper", "xanchor": anchor, "yanchor": "bottom"}
    return place | {"text": words, "showarrow": False, "font": {"color": "var(--mark)", "size": 13}}
