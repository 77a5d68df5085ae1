"""Compare: two offsets, two models, or several methods, side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from attribution.estimation.smoothing import triangle
from attribution.figures.figure_data import FigureData, Line, explained
from attribution.proof.captum_methods import METHODS
from attribution.proof.metrics import rank_correlation
from attribution.result import Attribution
from attribution.settings import Settings
from interface.session.errors import PageError, number
from interface.session.examples import truth_of
from interface.session.limits import MAX_COMPARED_MASKS
from interface.session.model_registry import label
from interface.session.session import Session
from interface.tabs.attribute import FIELDS, Evidence, read_settings, sorry
from interface.tabs.components import JOB, Shared, panels
from interface.views.offset_figures import panel
from interface.views.timeline import base_figure_data

KINDS = (("another offset", "offset"), ("another model", "model"), ("other methods", "method"))
NAMES = {
    "occlusion": "Occlusion: each moment hidden alone",
    "kernelshap": "KernelSHAP: Shapley values",
    "integrated_gradients": "Integrated gradients",
}
ABOUT = '<p class="note">The clip as it stands on the left, and what you compare it with beside it.</p>'
Panel = dict[str, Any]


def tab(shared: Shared, evidence: Evidence, plotly: Path) -> None:
    """Lay out and connect the tab."""
    with gr.Row(elem_classes="bar-row"):
        kind = gr.Radio(choices=list(KINDS), value="offset", label="Compare with", elem_id="compare-kind")
        offset = gr.Number(value=0.4, step=0.2, label="Offset (s)", elem_id="compare-offset", min_width=120)
        model = gr.Dropdown(
            choices=list(shared.models.names), value=shared.models.first.name, label="Model", visible=False,
            elem_id="compare-model",
        )  # fmt: skip
        run = gr.Button("Compare", variant="primary", elem_id="compare", size="md")
        stop = gr.Button("Stop", elem_id="compare-stop", size="md")
    words = gr.HTML(value=ABOUT, elem_id="compare-words")
    figure = panels(plotly, "compare-figure")
    kind.change(
        fn=lambda chosen: (gr.update(visible=chosen == "offset"), gr.update(visible=chosen == "model")),
        inputs=[kind], outputs=[offset, model], api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    running = run.click(
        fn=partial(_compare, shared),
        inputs=[kind, offset, model, shared.key, shared.model, shared.start, shared.offset, *evidence.fields.values()],
        outputs=[figure, words],
        show_progress_on=[words],
        **JOB,
    )
    stop.click(fn=None, cancels=[running])


def _compare(
    shared: Shared,
    kind: str,
    other_offset: float,
    other_model: str,
    key: str | None,
    model: str,
    start: float,
    offset: float,
    *values: Any,
) -> Iterator[tuple[str, str]]:
    """Panels as they grow; the left one first."""
    try:
        if key is None:
            raise PageError("Choose a video first.")
        settings, paths = read_settings(values, FIELDS)
        settings = replace(settings, samples=min(settings.samples, MAX_COMPARED_MASKS))
        session = shared.models.get(model)
        done: list[Panel] = []
        for part in _masking(shared, session, (key, start, offset), settings, paths, label(model)):
            found, shown = part
            yield json.dumps([shown]), _told(f"{found.masks} masks …")
        done.append(shown)
        if kind == "method":
            yield from _methods(shared, session, (key, start, offset), settings, found, done, paths)
            return
        if kind == "model":
            for step in shared.models.steps(str(other_model)):
                yield json.dumps(done), _told(step)
            session = shared.models.get(other_model)
        place = (key, start, number("offset", other_offset) if kind == "offset" else offset)
        for second, shown in _masking(shared, session, place, settings, paths, label(session.name)):
            yield json.dumps([*done, shown]), _told(f"{second.masks} masks …")
        yield json.dumps([*done, shown]), _told(_agreement(found, second))
    except PageError as error:
        yield "[]", sorry(str(error))


Place = tuple[str, float, float]


def _masking(
    shared: Shared, session: Session, place: Place, settings: Settings, paths: tuple[Path, ...], name: str
) -> Iterator[tuple[Attribution, Panel]]:
    figure_data = _sketch(shared, session, place)
    prediction = session.predict(*place)
    title = f"{name}, sound moved by {place[2]:+.2f} s: {prediction.sentence}"
    for found in session.attribute(*place, settings, paths or None):
        yield found, {"title": title, "figure": panel(explained(figure_data, found, measure="effect"))}


def _methods(
    shared: Shared,
    session: Session,
    place: Place,
    settings: Settings,
    found: Attribution,
    done: list[Panel],
    paths: tuple[Path, ...],
) -> Iterator[tuple[str, str]]:
    """captum's methods one after the other; they explain the log odds and give no intervals."""
    figure_data = _sketch(shared, session, place)
    done[0] = done[0] | {"title": "Masking with distractors (the paper's)"}
    ranks = []
    for method in METHODS:
        yield json.dumps(done), _told(f"{NAMES[method]} …")
        values = session.explain(*place, settings, method, paths or None)
        lines = []
        for curve in found.curves:
            value = values[curve.modality]
            shown = triangle(curve.middles, curve.smooth) @ value
            lines.append(Line(curve.modality, np.array(curve.middles), shown, shown, shown, 0.0, settings.chunk))
            agree = rank_correlation(curve.estimates.margin.value, value)
            ranks.append(f"{method.replace('_', ' ')} on {curve.modality} {_rank(agree)}")
        whole = replace(figure_data, lines=tuple(reversed(lines)), label="effect on the log odds")
        done.append({"title": NAMES[method], "figure": panel(whole)})
    yield json.dumps(done), _told(f"Rank correlation with masking: {', '.join(ranks)}.")


def _sketch(shared: Shared, session: Session, place: Place) -> FigureData:
    clip = session.opened(place[0])
    return base_figure_data(session.clip(*place), truth_of(clip.path, shared.examples))


def _agreement(one: Attribution, other: Attribution) -> str:
    ranks = [
        f"{first.modality} {_rank(rank_correlation(first.estimates.effect.value, second.estimates.effect.value))}"
        for first, second in zip(one.curves, other.curves, strict=True)
        if len(first.units) == len(second.units)
    ]
    return f"Rank correlation of the two: {', '.join(ranks)}." if ranks else "The two have different moments."


def _rank(value: float) -> str:
    return "undefined (a flat curve)" if math.isnan(value) else f"{value:.2f}"


def _told(words: str) -> str:
    return f'<p class="note">{words}</p>'
