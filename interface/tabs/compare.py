"""Compare: two offsets, two models, or several methods, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from interface.session.attribution_job import read_settings
from interface.session.errors import PageError, number
from interface.session.examples import truth_of
from interface.session.limits import MAX_COMPARED_MASKS
from interface.session.model_registry import label
from interface.session.session import Session
from interface.tabs.components import JOB, Changes, PageContext, panels
from interface.views.messages import error_as_html, note_as_html
from interface.views.offset_figures import panel
from interface.views.timeline import base_figure_data
from synchformer.storage.json_text import to_json

KINDS = (("another offset", "offset"), ("another model", "model"), ("other methods", "method"))
NAMES = {
    "occlusion": "Occlusion: each moment hidden alone",
    "kernelshap": "KernelSHAP: Shapley values",
    "integrated_gradients": "Integrated gradients",
}
ABOUT = note_as_html("The clip as it stands on the left, and what you compare it with beside it.")
Panel = dict[str, Any]
Place = tuple[str, float, float]


@dataclass
class CompareOutputs:
    """Components of this tab that a comparison fills."""

    figure: gr.HTML
    words: gr.HTML

    def changes(self, shown: Sequence[Panel], words: str) -> Changes:
        """Panels side by side and a note about them."""
        return {self.figure: to_json(list(shown)), self.words: note_as_html(words)}


@dataclass(frozen=True)
class Subject:
    """What is explained in one panel: a crop, asked of one model with the settings of the form."""

    context: PageContext
    session: Session
    place: Place
    settings: Settings
    distractors: tuple[Path, ...]

    @property
    def figure_data(self) -> FigureData:
        """The crop with its known events, without curves."""
        crop = self.session.crop(*self.place)
        return base_figure_data(crop, truth_of(crop.path, self.context.examples))


def tab(context: PageContext, plotly: Path) -> None:
    """Lay out and connect the tab."""
    with gr.Row(elem_classes="bar-row"):
        kind = gr.Radio(choices=list(KINDS), value="offset", label="Compare with", elem_id="compare-kind")
        offset = gr.Number(value=0.4, step=0.2, label="Offset (s)", elem_id="compare-offset", min_width=120)
        model = gr.Dropdown(
            choices=list(context.models.names), value=context.models.first.name, label="Model", visible=False,
            elem_id="compare-model",
        )  # fmt: skip
        run = gr.Button("Compare", variant="primary", elem_id="compare", size="md")
        stop = gr.Button("Stop", elem_id="compare-stop", size="md")
    words = gr.HTML(value=ABOUT, elem_id="compare-words")
    outputs = CompareOutputs(panels(plotly, "compare-figure"), words)
    kind.change(
        fn=lambda chosen: {
            offset: gr.update(visible=chosen == "offset"), model: gr.update(visible=chosen == "model"),
        },
        inputs=[kind], outputs=[offset, model], api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    running = run.click(
        fn=partial(_compare, context, outputs),
        inputs=[kind, offset, model, *context.place, *context.attribution.fields.values()],
        outputs=[outputs.figure, outputs.words],
        show_progress_on=[outputs.words],
        **JOB,
    )
    stop.click(fn=None, cancels=[running])


def _compare(
    context: PageContext,
    outputs: CompareOutputs,
    kind: str,
    other_offset: float,
    other_model: str,
    key: str | None,
    model: str,
    start: float,
    offset: float,
    *values: Any,
) -> Iterator[Changes]:
    """Panels as they grow; the left one first. `values` are those of the form's fields."""
    try:
        if key is None:
            raise PageError("Choose a video first.")
        settings, distractors = read_settings(dict(zip(context.attribution.fields, values, strict=True)))
        settings = replace(settings, samples=min(settings.samples, MAX_COMPARED_MASKS))
        subject = Subject(context, context.models.get(model), (key, start, offset), settings, distractors)
        for attribution, left in _masking(subject, label(model)):
            yield outputs.changes([left], f"{attribution.masks} masks …")
        if kind == "method":
            yield from _methods(outputs, subject, attribution, left)
            return
        if kind == "model":
            for step in context.models.steps(str(other_model)):
                yield outputs.changes([left], step)
            subject = replace(subject, session=context.models.get(other_model))
        else:
            subject = replace(subject, place=(key, start, number("offset", other_offset)))
        for other, right in _masking(subject, label(subject.session.name)):
            yield outputs.changes([left, right], f"{other.masks} masks …")
        yield outputs.changes([left, right], _agreement(attribution, other))
    except PageError as error:
        yield {outputs.figure: "[]", outputs.words: error_as_html(str(error))}


def _masking(subject: Subject, name: str) -> Iterator[tuple[Attribution, Panel]]:
    """Attributions as they get more precise, each with its panel."""
    figure_data, place = subject.figure_data, subject.place
    prediction = subject.session.predict(*place)
    title = f"{name}, sound moved by {place[2]:+.2f} s: {prediction.sentence}"
    for attribution in subject.session.attribute(*place, subject.settings, subject.distractors or None):
        yield attribution, {"title": title, "figure": panel(explained(figure_data, attribution, measure="effect"))}


def _methods(outputs: CompareOutputs, subject: Subject, attribution: Attribution, left: Panel) -> Iterator[Changes]:
    """captum's methods one after the other; they explain the log odds and give no intervals."""
    figure_data = subject.figure_data
    done = [left | {"title": "Masking with distractors (the paper's)"}]
    ranks = []
    for method in METHODS:
        yield outputs.changes(done, f"{NAMES[method]} …")
        values = subject.session.explain(*subject.place, subject.settings, method, subject.distractors or None)
        lines = []
        for curve in attribution.curves:
            value = values[curve.modality]
            shown = triangle(curve.middles, curve.smooth) @ value
            times, width = np.array(curve.middles), subject.settings.unit_seconds
            lines.append(Line(curve.modality, times, shown, shown, shown, 0.0, width))
            agree = rank_correlation(curve.estimates.margin.value, value)
            ranks.append(f"{method.replace('_', ' ')} on {curve.modality} {_rank(agree)}")
        drawn = replace(figure_data, lines=tuple(reversed(lines)), label="effect on the log odds")
        done.append({"title": NAMES[method], "figure": panel(drawn)})
    yield outputs.changes(done, f"Rank correlation with masking: {', '.join(ranks)}.")


def _agreement(one: Attribution, other: Attribution) -> str:
    ranks = [
        f"{first.modality} {_rank(rank_correlation(first.estimates.effect.value, second.estimates.effect.value))}"
        for first, second in zip(one.curves, other.curves, strict=True)
        if len(first.units) == len(second.units)
    ]
    return f"Rank correlation of the two: {', '.join(ranks)}." if ranks else "The two have different moments."


def _rank(value: float) -> str:
    return "undefined (a flat curve)" if math.isnan(value) else f"{value:.2f}"
