"""Attribute: the settings, and the run that fills the timeline's curves; it can be stopped and goes on when asked."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from attribution.result import Attribution
from attribution.settings import MODALITIES, Settings
from interface.session import limits
from interface.session.errors import PageError, number
from interface.session.examples import truth_of
from interface.tabs.components import JOB, QUICK, VIDEO_TYPES, Shared
from interface.views.timeline import attributed, base_figure_data

USUAL = Settings()
REFERENCES = (("what the model says", "prediction"), ("the offset I applied", "applied"))
LEVELS = (("features (fast, as in the paper)", "token"), ("frames and samples (slow, nothing leaks)", "input"))
MEASURES = (
    ("show: kept in correct masks", "score"),
    ("show: effect on being correct", "effect"),
    ("show: effect on the log odds", "margin"),
)
IDLE = '<p class="note">Attributing hides random moments thousands of times and counts which ones the answer needs.</p>'


@dataclass(frozen=True)
class Job:
    """What an attribution was asked: kept with the visitor, so that it can go on and be taken away."""

    token: str
    key: str
    model: str
    start: float
    offset: float
    settings: Settings
    distractors: tuple[Path, ...] = ()


@dataclass
class Evidence:
    """Components of this part that others need: the job, the run's event, and the fields of the settings."""

    job: gr.State
    measure: gr.Dropdown
    progress: gr.HTML
    fields: dict[str, Any] = field(default_factory=dict)


def buttons() -> tuple[Evidence, list[gr.Button]]:
    """Attribute, Stop and Continue above the timeline, and the line that tells how far the work is."""
    with gr.Row(elem_id="actions"):
        run = gr.Button("Attribute", variant="primary", elem_id="attribute", interactive=False, size="md")
        stop = gr.Button("Stop", elem_id="stop", interactive=False, size="md")
        more = gr.Button("Continue", elem_id="continue", interactive=False, size="md")
        progress = gr.HTML(value=IDLE, elem_id="progress")
        measure = gr.Dropdown(
            choices=list(MEASURES), value="score", label="Curves show", elem_id="measure", container=False
        )
    return Evidence(gr.State(value=None, time_to_live=3600), measure, progress), [run, stop, more]


def settings_form(evidence: Evidence) -> None:
    """Every choice of `attribution.Settings`, with the paper's values."""
    fields = evidence.fields
    with gr.Row():
        fields["samples"] = gr.Slider(
            value=USUAL.samples, step=100, label="Masks per curve", info="More masks, narrower intervals.",
            buttons=["reset"], elem_id="samples", **limits.MASKS.bounds,
        )  # fmt: skip
        fields["chunk"] = gr.Slider(
            value=USUAL.chunk, step=0.02, label="Length of a moment (s)", buttons=["reset"],
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
            file_count="multiple", file_types=list(VIDEO_TYPES), height=110, elem_id="distractors",
            label="Hidden moments are filled from other clips: ours, unless you give at least two crops of your own",
        )  # fmt: skip


def wire(shared: Shared, evidence: Evidence) -> None:
    """Connect the buttons."""
    run, stop, more = shared.buttons
    place = [shared.key, shared.model, shared.start, shared.offset]
    prepare = run.click(
        fn=_prepare,
        inputs=[*place, *evidence.fields.values()],
        outputs=[evidence.job, evidence.progress, *shared.buttons],
        **QUICK,
    )
    again = more.click(
        fn=partial(_prolong, shared),
        inputs=[evidence.job, evidence.fields["samples"]],
        outputs=[evidence.job, evidence.progress, *shared.buttons],
        **QUICK,
    )
    runs = [
        ready.success(
            fn=partial(_run, shared),
            inputs=[evidence.job, evidence.measure],
            outputs=[shared.timeline, evidence.progress, *shared.buttons],
            show_progress_on=[evidence.progress],
            **JOB,
        )
        for ready in (prepare, again)
    ]
    shown: dict[str, Any] = {"inputs": [evidence.job], "outputs": [evidence.progress, *shared.buttons]}
    stopping = stop.click(fn=partial(_stopped, shared), **shown, cancels=runs, **QUICK)
    stopping.then(fn=partial(_settled, shared), **shown, **QUICK)
    evidence.measure.change(
        fn=partial(_redraw, shared), inputs=[evidence.job, evidence.measure], outputs=[shared.timeline], **QUICK
    )


def read_settings(values: Sequence[Any], names: Sequence[str]) -> tuple[Settings, tuple[Path, ...]]:
    """Settings, and a visitor's own distractors, from the fields of the form.

    Raises:
        PageError: when a value is out of range; one sentence.
    """
    asked = dict(zip(names, values, strict=True))
    paths = tuple(Path(path) for path in asked.pop("distractors") or ())
    samples, seed = (round(number(name, asked.pop(name))) for name in ("samples", "seed"))
    if samples > limits.MASKS.high:
        raise PageError(
            f"At most {limits.MASKS.high:.0f} masks can be asked for here, not {samples}; use the command line."
        )
    asked["tolerance"] = asked["tolerance"] or None
    asked["modalities"] = tuple(asked["modalities"])
    try:
        return Settings(samples=samples, seed=seed, **asked), paths
    except (TypeError, ValueError) as error:
        raise PageError(f"These settings cannot be used: {error}.") from error


FIELDS = (
    "samples",
    "chunk",
    "keep",
    "tolerance",
    "smooth",
    "modalities",
    "together",
    "level",
    "reference",
    "seed",
    "distractors",
)
SETTLE_SECONDS = 0.3
WAITING = '<p class="note">Waiting for the turn …</p>'


def _prepare(key: str | None, model: str, start: float, offset: float, *values: Any) -> tuple[Any, ...]:
    """Check everything before the queue, and give the job a name of its own."""
    try:
        if key is None:
            raise PageError("Choose a video first.")
        settings, paths = read_settings(values, FIELDS)
    except PageError as error:
        raise gr.Error(str(error), print_exception=False) from error
    job = Job(secrets.token_urlsafe(16), key, model, float(start), float(offset), settings, paths)
    return job, WAITING, *states(running=True)


def _prolong(shared: Shared, job: Job | None, samples: float) -> tuple[Any, ...]:
    """Go on where it was stopped; what is finished gets as many masks again."""
    try:
        if job is None:
            raise PageError("There is no attribution yet that could go on.")
        found = shared.models.workspace.kept(job.token)
    except PageError as error:
        raise gr.Error(str(error), print_exception=False) from error
    if found.finished:
        most = max(curve.estimates.masks for curve in found.curves)
        job = replace(job, settings=replace(job.settings, samples=most + round(samples), tolerance=None))
    return job, WAITING, *states(running=True)


def _run(shared: Shared, job: Job, measure: str) -> Iterator[tuple[Any, ...]]:
    """Partial results as they come; each is kept, so that Stop loses nothing."""
    workspace = shared.models.workspace
    try:
        session = shared.models.get(job.model)
        clip = session.opened(job.key)
        figure_data = base_figure_data(
            session.clip(job.key, job.start, job.offset), truth_of(clip.path, shared.examples)
        )
        before = _kept(shared, job)
        parts = session.attribute(job.key, job.start, job.offset, job.settings, job.distractors or None, resume=before)
        for found in parts:
            workspace.keep(found, job.token)
            yield json.dumps(attributed(figure_data, found, measure)), told(found), *states(running=not found.finished)
    except PageError as error:
        yield gr.skip(), sorry(str(error)), *states(running=False)


def _redraw(shared: Shared, job: Job | None, measure: str) -> Any:
    found = _kept(shared, job) if job else None
    if job is None or found is None:
        return gr.skip()
    try:
        session = shared.models.get(job.model)
        clip = session.opened(job.key)
        figure_data = base_figure_data(
            session.clip(job.key, job.start, job.offset), truth_of(clip.path, shared.examples)
        )
    except PageError:
        return gr.skip()
    return json.dumps(attributed(figure_data, found, measure))


def _kept(shared: Shared, job: Job) -> Attribution | None:
    try:
        return shared.models.workspace.kept(job.token)
    except PageError:
        return None


def _stopped(shared: Shared, job: Job | None) -> tuple[Any, ...]:
    found = _kept(shared, job) if job else None
    if found is None:
        return IDLE, *states(running=False, kept=False)
    return told(found, stopped=True), *states(running=False)


def _settled(shared: Shared, job: Job | None) -> tuple[Any, ...]:
    """The same once more: a partial result that was under way when Stop was pressed may have come after it."""
    time.sleep(SETTLE_SECONDS)
    return _stopped(shared, job)


def states(*, running: bool, kept: bool = True) -> tuple[Any, Any, Any]:
    """Which of Attribute, Stop and Continue can be pressed."""
    return (
        gr.update(interactive=not running),
        gr.update(interactive=running),
        gr.update(interactive=not running and kept),
    )


def told(found: Attribution, *, stopped: bool = False) -> str:
    """How far the sampling is: a bar, masks, speed, time left and the widest interval."""
    total = found.masks + found.left
    share = 100 if found.finished else 100 * found.masks / max(total, 1)
    widest = max(curve.estimates.width for curve in found.curves)
    parts = [f"<b>{_state(found, stopped)}</b>", f"{found.masks:,} of {total:,} masks", f"{found.rate:.0f} masks/s"]
    if not found.finished and not stopped:
        parts.append(f"{found.left / max(found.rate, 1e-9):.0f} s left")
    parts.append(f"widest interval {widest:.2f}")
    if stopped:
        parts.append("Continue goes on from here")
    bar = f'<div class="bar"><div style="width:{share:.1f}%"></div></div>'
    return f'<div class="run" data-masks="{found.masks}">{bar}<p class="note">{" · ".join(parts)}</p></div>'


def _state(found: Attribution, stopped: bool) -> str:
    if found.finished:
        return "Precise enough" if all(curve.state == "precise" for curve in found.curves) else "Done"
    return "Stopped" if stopped else "Attributing"


def sorry(sentence: str) -> str:
    """An error where the progress stands; the sentence may hold a visitor's file name."""
    return f'<p class="sorry" role="alert">{escape(sentence)}</p>'
