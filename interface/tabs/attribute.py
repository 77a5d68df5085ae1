"""Attribute: the settings, and the run that fills the timeline's curves; it can be stopped and goes on when asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import gradio as gr

from attribution.figures.figure_data import FigureData
from attribution.result import Attribution
from attribution.settings import MODALITIES, Settings
from interface.session import limits
from interface.session.attribution_job import AttributionJob, kept_attribution, new_job, prolonged, run_job
from interface.session.errors import PageError
from interface.session.examples import truth_of
from interface.tabs.components import (
    JOB,
    QUICK,
    AttributionControls,
    Changes,
    PageContext,
    gradio_errors,
    no_changes,
)
from interface.views.messages import WAITING, error_as_html, note_as_html, progress_as_html
from interface.views.timeline import attribution_timeline, base_figure_data
from synchformer.storage.json_text import to_json

USUAL = Settings()
REFERENCES = (("what the model says", "prediction"), ("the offset I applied", "applied"))
LEVELS = (("features (fast, as in the paper)", "token"), ("frames and samples (slow, nothing leaks)", "input"))
MEASURES = (
    ("show: kept in correct masks", "score"),
    ("show: effect on being correct", "effect"),
    ("show: effect on the log odds", "margin"),
)
IDLE = note_as_html("Attributing hides random moments thousands of times and counts which ones the answer needs.")
SETTLE_SECONDS = 0.3


def controls() -> AttributionControls:
    """Attribute, Stop and Continue above the timeline, and the line that tells how far the work is."""
    with gr.Row(elem_id="actions"):
        run = gr.Button("Attribute", variant="primary", elem_id="attribute", interactive=False, size="md")
        stop = gr.Button("Stop", elem_id="stop", interactive=False, size="md")
        resume = gr.Button("Continue", elem_id="continue", interactive=False, size="md")
        progress = gr.HTML(value=IDLE, elem_id="progress")
        measure = gr.Dropdown(
            choices=list(MEASURES), value="score", label="Curves show", elem_id="measure", container=False
        )
    return AttributionControls(run, stop, resume, measure, progress, job=gr.State(value=None, time_to_live=3600))


def settings_form(fields: dict[str, Any]) -> None:
    """Every choice of `attribution.Settings`, with the paper's values; the components are put into `fields`."""
    with gr.Row():
        fields["samples"] = gr.Slider(
            value=USUAL.samples, step=100, label="Masks per curve", info="More masks, narrower intervals.",
            buttons=["reset"], elem_id="samples", **limits.MASKS.bounds,
        )  # fmt: skip
        fields["unit_seconds"] = gr.Slider(
            value=USUAL.unit_seconds, step=0.02, label="Length of a moment (s)", buttons=["reset"],
            **limits.UNIT_SECONDS.bounds,
        )  # fmt: skip
        fields["keep"] = gr.Slider(
            value=USUAL.keep, step=0.05, label="Chance to keep a moment", buttons=["reset"], **limits.KEEP.bounds
        )
        fields["tolerance"] = gr.Slider(
            value=0, step=0.01, label="Stop when intervals are narrower than", **limits.TOLERANCE.bounds,
            info="0 draws all masks.", buttons=["reset"],
        )  # fmt: skip
        fields["smooth"] = gr.Slider(
            value=USUAL.smooth, step=0.1, label="Curves averaged over ± (s)", **limits.SMOOTH.bounds,
            info="0 shows every moment alone, as in the paper.", buttons=["reset"],
        )  # fmt: skip
    with gr.Row():
        fields["modalities"] = gr.CheckboxGroup(choices=list(MODALITIES), value=list(MODALITIES), label="Explain")
        fields["together"] = gr.Checkbox(value=False, label="Hide both streams at once")
        fields["level"] = gr.Radio(choices=list(LEVELS), value=USUAL.level, label="What is replaced")
        fields["reference"] = gr.Radio(choices=list(REFERENCES), value="prediction", label="Correct is")
    with gr.Row():
        fields["seed"] = gr.Number(value=USUAL.seed, precision=0, label="Seed", **limits.SEED.bounds)
        fields["distractors"] = gr.File(
            file_count="multiple", height=110, elem_id="distractors",
            label="Hidden moments are filled from other clips: ours, unless you give at least two crops of your own",
        )  # fmt: skip


def wire(context: PageContext) -> None:
    """Connect the buttons."""
    controls = context.attribution
    asked = [controls.job, controls.progress, *controls.buttons]
    prepare = controls.run.click(
        fn=partial(_prepare, controls), inputs=[*context.place, *controls.fields.values()], outputs=asked, **QUICK
    )
    again = controls.resume.click(
        fn=partial(_prolong, context), inputs=[controls.job, controls.fields["samples"]], outputs=asked, **QUICK
    )
    runs = [
        ready.success(
            fn=partial(_run, context),
            inputs=[controls.job, controls.measure],
            outputs=[context.timeline, controls.progress, *controls.buttons],
            show_progress_on=[controls.progress],
            **JOB,
        )
        for ready in (prepare, again)
    ]
    shown: dict[str, Any] = {"inputs": [controls.job], "outputs": [controls.progress, *controls.buttons]}
    stopping = controls.stop.click(fn=partial(_stop, context), **shown, cancels=runs, **QUICK)
    stopping.then(fn=partial(_settle, context), **shown, **QUICK)
    controls.measure.change(
        fn=partial(_redraw, context), inputs=[controls.job, controls.measure], outputs=[context.timeline], **QUICK
    )


def _prepare(
    controls: AttributionControls, key: str | None, model: str, start: float, offset: float, *values: Any
) -> Changes:
    """Check everything before the queue; `values` are those of the form's fields."""
    with gradio_errors():
        job = new_job(key, model, start, offset, dict(zip(controls.fields, values, strict=True)))
    return {controls.job: job, controls.progress: WAITING, **controls.enabled(running=True)}


def _prolong(context: PageContext, job: AttributionJob | None, samples: float) -> Changes:
    """Go on where it was stopped; what is finished gets as many masks again."""
    controls = context.attribution
    with gradio_errors():
        job = prolonged(context.models.workspace, job, samples)
    return {controls.job: job, controls.progress: WAITING, **controls.enabled(running=True)}


def _run(context: PageContext, job: AttributionJob, measure: str) -> Iterator[Changes]:
    """Partial results as they come; each is kept, so that Stop loses nothing."""
    controls = context.attribution
    try:
        figure_data = _figure_data(context, job)
        with closing(run_job(context.models, job)) as parts:
            for attribution in parts:
                yield {
                    context.timeline: to_json(attribution_timeline(figure_data, attribution, measure)),
                    controls.progress: progress_of(attribution),
                    **controls.enabled(running=not attribution.finished),
                }
    except PageError as error:
        yield {controls.progress: error_as_html(str(error)), **controls.enabled(running=False)}


def _redraw(context: PageContext, job: AttributionJob | None, measure: str) -> Changes:
    """The same attribution by another measure."""
    attribution = kept_attribution(context.models.workspace, job)
    if job is None or attribution is None:
        return no_changes()
    try:
        figure_data = _figure_data(context, job)
    except PageError:
        return no_changes()
    return {context.timeline: to_json(attribution_timeline(figure_data, attribution, measure))}


def _figure_data(context: PageContext, job: AttributionJob) -> FigureData:
    crop = context.models.get(job.model).crop(*job.place)
    return base_figure_data(crop, truth_of(crop.path, context.examples))


def _stop(context: PageContext, job: AttributionJob | None) -> Changes:
    controls = context.attribution
    attribution = kept_attribution(context.models.workspace, job)
    if attribution is None:
        return {controls.progress: IDLE, **controls.enabled(running=False, kept=False)}
    return {controls.progress: progress_of(attribution, stopped=True), **controls.enabled(running=False)}


def _settle(context: PageContext, job: AttributionJob | None) -> Changes:
    """The same once more: a partial result that was under way when Stop was pressed may have come after it."""
    time.sleep(SETTLE_SECONDS)
    return _stop(context, job)


def progress_of(attribution: Attribution, *, stopped: bool = False) -> str:
    """How far the sampling is, as HTML: a bar, masks, speed, time left and the widest interval."""
    total = attribution.masks + attribution.left
    share = 1.0 if attribution.finished else attribution.masks / max(total, 1)
    widest = max(curve.estimates.width for curve in attribution.curves)
    parts = [
        _state(attribution, stopped),
        f"{attribution.masks:,} of {total:,} masks",
        f"{attribution.rate:.0f} masks/s",
    ]
    if not attribution.finished and not stopped:
        parts.append(f"{attribution.left / max(attribution.rate, 1e-9):.0f} s left")
    parts.append(f"widest interval {widest:.2f}")
    if stopped:
        parts.append("Continue goes on from here")
    return progress_as_html(share, *parts, masks=attribution.masks)


def _state(attribution: Attribution, stopped: bool) -> str:
    if attribution.finished:
        return "Precise enough" if all(curve.state == "precise" for curve in attribution.curves) else "Done"
    return "Stopped" if stopped else "Attributing"
