"""The offset over a film as plotly JSON: every window with its interval and confidence, and what explains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interface.views.offset_figures import LOOK, Figure
from synchformer.inference.coverage import Unmeasured
from synchformer.offsets.continuous import in_milliseconds
from synchformer.offsets.plots import SHORT, SURE, TICKS
from synchformer.offsets.timeline import Moment, Piece, Timeline, clock

MAX_TICKS = 8  # what a phone has room for
HEADROOM = 0.25  # s above and below the farthest offset
ABOVE = 0.3  # of the height that the lower row, synchronizability, leaves free below the upper one


def film_figure(moments: Sequence[Moment], span: tuple[float, float], timeline: Timeline | None = None) -> Figure:
    """Offsets over time; windows that are less sure are hollow, so that the difference does not hang on a color.

    Args:
        moments: the windows so far.
        span: the part of the video that is scanned, in seconds.
        timeline: what explains them; None while that is not known.
    """
    matched = any(moment.synchronizability is not None for moment in moments)
    sure = [moment for moment in moments if moment.confidence >= SURE]
    unsure = [moment for moment in moments if moment.confidence < SURE]
    data = [_windows(unsure, sure=False), _windows(sure, sure=True)]
    layout = _layout(span, [moment.offset for moment in sure or moments], matched)
    if timeline is not None:
        data += _explanation(timeline)
        layout["shapes"] += [_unmeasured(part) for part in timeline.unmeasured]
    if matched:
        data.append(_matched(moments))
    return {"data": data, "layout": layout}


def _windows(moments: Sequence[Moment], *, sure: bool) -> dict[str, Any]:
    short = [each.interval[1] - each.interval[0] <= SHORT for each in moments]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "sure" if sure else "less sure",
        "x": [round(each.center, 2) for each in moments],
        "y": [round(each.offset, 4) for each in moments],
        "marker": {
            "size": max(4, min(9, 900 // max(len(moments), 1))),
            "color": "var(--accent)" if sure else "var(--ink-soft)",
            "symbol": "circle" if sure else "circle-open",
            "opacity": 1 if sure else 0.55,
        },
        "error_y": {
            "visible": sure,
            "type": "data",
            "symmetric": False,
            "array": [_away(each.interval[1], each) if keep else 0 for each, keep in zip(moments, short, strict=True)],
            "arrayminus": [
                _away(each.interval[0], each) if keep else 0 for each, keep in zip(moments, short, strict=True)
            ],
            "color": "var(--accent-soft)",
            "thickness": 1.5,
            "width": 0,
        },
        "customdata": [_words(each) for each in moments],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _away(end: float, moment: Moment) -> float:
    return round(abs(end - moment.offset), 4)


def _words(moment: Moment) -> str:
    low, high = (round(1000 * end) for end in moment.interval)
    parts = [
        f"{clock(moment.start)} to {clock(moment.stop)}",
        f"<b>sound {in_milliseconds(moment.offset)}</b> ({moment.confidence:.0%} within 0.1 s)",
        f"interval {low:+d} to {high:+d} ms".replace("-", "−"),
    ]
    if moment.synchronizability is not None:
        parts.append(f"can be matched: {moment.synchronizability:.0%}")
    return "<br>".join(parts)


def _explanation(timeline: Timeline) -> list[dict[str, Any]]:
    start, stop = timeline.moments[0].start, timeline.moments[-1].stop
    if timeline.kind == "drift":
        return [_line([start, stop], [timeline.drift.at_start, timeline.drift.at_stop], "drift")]
    pieces = timeline.pieces if timeline.kind == "jumps" else (timeline.whole,)
    bands = [_band(piece) for piece in pieces]
    times, offsets = _stretches(pieces)
    return [*bands, _line(times, offsets, "constant" if timeline.kind == "constant" else "stretches")]


def _stretches(pieces: Sequence[Piece]) -> tuple[list[float | None], list[float | None]]:
    """One broken line through all stretches."""
    times: list[float | None] = []
    offsets: list[float | None] = []
    for piece in pieces:
        times += [piece.start, piece.stop, None]
        offsets += [piece.offset, piece.offset, None]
    return times[:-1], offsets[:-1]


def _line(times: Sequence[float | None], offsets: Sequence[float | None], name: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(times),
        "y": [None if offset is None else round(offset, 4) for offset in offsets],
        "line": {"color": "var(--mark)", "width": 2.5},
        "hoverinfo": "skip",
    }


def _band(piece: Piece) -> dict[str, Any]:
    low, high = piece.interval
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "interval",
        "x": [piece.start, piece.stop, piece.stop, piece.start],
        "y": [low, low, high, high],
        "fill": "toself",
        "fillcolor": "var(--mark)",
        "opacity": 0.16,
        "line": {"width": 0},
        "hoverinfo": "skip",
    }


def _matched(moments: Sequence[Moment]) -> dict[str, Any]:
    asked = [moment for moment in moments if moment.synchronizability is not None]
    return {
        "type": "bar",
        "name": "can be matched",
        "yaxis": "y2",
        "x": [round(moment.center, 2) for moment in asked],
        "y": [round(moment.synchronizability or 0.0, 4) for moment in asked],
        "marker": {"color": "var(--event)", "opacity": 0.7},
        "customdata": [_words(moment) for moment in asked],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _layout(span: tuple[float, float], offsets: Sequence[float], matched: bool) -> dict[str, Any]:
    places = ticks(*span)
    far = max([0.5, *(abs(offset) + HEADROOM for offset in offsets)])
    axis = {"zeroline": False, "gridcolor": "var(--line)", "fixedrange": True}
    layout = LOOK | {
        "dragmode": "zoom",
        "xaxis": axis
        | {
            "range": list(span),
            "tickvals": places,
            "ticktext": [clock(place) for place in places],
            "fixedrange": False,
            "anchor": "y2" if matched else "y",
            "title": {"text": "time in the video"},
        },
        "yaxis": axis | {
            "range": [-far, far],
            "title": {"text": "late ← sound (s) → early"},
            "domain": [ABOVE if matched else 0, 1],
        },
        "shapes": [_zero()],
        "margin": {"l": 56, "r": 12, "t": 8, "b": 44},
        "height": 400 if matched else 320,
    }  # fmt: skip
    if matched:
        layout["yaxis2"] = axis | {
            "range": [0, 1], "domain": [0, ABOVE - 0.08], "tickvals": [0, 0.5, 1], "tickformat": ".0%",
            "title": {"text": "matched"},
        }  # fmt: skip
    return layout


def _zero() -> dict[str, Any]:
    """The line of a film in sync."""
    line = {"color": "var(--ink-soft)", "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "line": line}


def _unmeasured(part: Unmeasured) -> dict[str, Any]:
    """A grey band, named, over a part that was not measured."""
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": part.start,
        "x1": part.stop,
        "y0": 0,
        "y1": 1,
        "fillcolor": "var(--ink-soft)",
        "opacity": 0.18,
        "line": {"width": 0},
        "layer": "below",
        "label": {"text": part.reason, "textposition": "top center"},
    }


def ticks(start: float, stop: float) -> list[float]:
    """Round times from `start` to `stop`, at most eight."""
    every = next((step for step in TICKS if (stop - start) / step <= MAX_TICKS), TICKS[-1])
    first = -(-start // every)
    return [index * every for index in range(int(first), int(stop // every) + 1)]
