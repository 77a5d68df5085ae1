"""What the page draws, as plotly JSON.

Colours are names of CSS variables such as `var(--accent)`: the page resolves them when it draws, so that one figure
fits the light and the dark theme.
"""

from __future__ import annotations

from typing import Any

from synchformer.prediction import Prediction, offset_in_words

Figure = dict[str, Any]

BAR_SHARE = 0.82  # of a class's width
ROOM = 0.5  # classes left free beyond the first and the last bar


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


def _bars(prediction: Prediction, step: float) -> dict[str, Any]:
    colours = ["var(--accent)" if x == prediction.offset else "var(--accent-soft)" for x in prediction.grid]
    words = ["no offset" if x == 0 else f"sound {offset_in_words(x)}" for x in prediction.grid]
    return {
        "type": "bar",
        "x": list(prediction.grid),
        "y": [round(share, 5) for share in prediction.probabilities],
        "width": step * BAR_SHARE,
        "marker": {"color": colours, "cornerradius": 3},
        "customdata": words,
        "hovertemplate": "<b>%{customdata}</b><br>%{y:.1%}<extra></extra>",
    }


def _layout(grid: tuple[float, ...], step: float) -> dict[str, Any]:
    whole = [x for x in grid if float(x).is_integer()]
    words = [f"{x:+g} s".replace("-", "−") if x else "0" for x in whole]
    return {
        "xaxis": {
            "range": [grid[0] - step * (0.5 + ROOM), grid[-1] + step * (0.5 + ROOM)],
            "tickvals": whole,
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
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "fixedrange": True,
            "gridcolor": "var(--line)",
            "zeroline": False,
        },
        "margin": {"l": 46, "r": 12, "t": 34, "b": 46},
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
