"""Whole film: the offset over time, and a corrected file with its proof."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from interface.session import limits
from interface.session.errors import PageError, page_errors
from interface.session.film_jobs import (
    FilmJob,
    ScanOptions,
    check_film,
    fixed_name,
    new_survey,
    own_folder,
    read_fix_options,
    read_scan_options,
    run_fix,
    run_scan,
)
from interface.session.session import Session
from interface.tabs.components import FILM, QUICK, Changes, PageContext, gradio_errors, no_changes, panels
from interface.views.film_card import PHASES, repair_card, scan_card, time_left
from interface.views.film_figure import film_figure
from interface.views.messages import WAITING, error_as_html, note_as_html, progress_as_html
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets import RefusedError, Repair, Timeline
from synchformer.offsets.calibration import EVERY
from synchformer.offsets.scan import REACH, Survey
from synchformer.offsets.timeline import clock
from synchformer.storage.json_text import to_json

MEASURED, OWN = "measured", "own"
AMOUNTS = (("what is measured", MEASURED), ("an offset that I know", OWN))
FORCE = "Write on weak evidence too"
REPORT_SECONDS = 0.4  # between two looks at the work on the page
ABOUT = note_as_html(
    "A scan measures window after window, of any length of film: a constant offset, a drift, or jumps at edits. Drop a "
    "film in, or leave the field empty to take the clip that is open above."
)


@dataclass
class FilmTab:
    """Components of this tab; `scan_fields` and `fix_fields` are in the order in which their readers take them."""

    job: gr.State
    upload: gr.File
    scan_fields: list[Any]
    fix_fields: list[Any]
    scan: gr.Button
    stop: gr.Button
    fix: gr.Button
    words: gr.HTML
    card: gr.HTML
    figure: gr.HTML
    table: gr.DownloadButton
    copy: gr.DownloadButton

    @property
    def buttons(self) -> list[gr.Button]:
        """What `enabled` changes."""
        return [self.scan, self.stop, self.fix]

    def enabled(self, *, running: bool) -> Changes:
        """Which buttons can be pressed."""
        pressable = {self.scan: not running, self.stop: running, self.fix: not running}
        return {button: gr.update(interactive=can) for button, can in pressable.items()}


def tab(context: PageContext, plotly: Path) -> None:
    """Lay out and connect the tab."""
    with gr.Row(elem_id="film-ask"):
        upload = gr.File(label="Film", height=112, elem_id="film-file", scale=2)
        with gr.Column(scale=3):
            scan_fields = _scan_fields()
    with gr.Row(elem_classes="bar-row"):
        scan = gr.Button("Scan", variant="primary", elem_id="film-scan", size="md")
        stop = gr.Button("Stop", elem_id="film-stop", size="md", interactive=False)
        table = gr.DownloadButton("Table (CSV)", elem_id="film-csv", size="md", interactive=False)
        words = gr.HTML(value=ABOUT, elem_id="film-words")
    card = gr.HTML(value="", elem_id="film-card")
    figure = panels(plotly, "film-figure")
    with gr.Row(elem_id="film-how"):
        fix_fields = _fix_fields()
    with gr.Row(elem_classes="bar-row"):
        fix = gr.Button("Fix", variant="primary", elem_id="film-fix", size="md")
        copy = gr.DownloadButton("Corrected file", elem_id="film-copy", size="md", interactive=False)
    job = gr.State(value=None, time_to_live=3600)
    parts = FilmTab(job, upload, scan_fields, fix_fields, scan, stop, fix, words, card, figure, table, copy)
    _wire(context, parts)


def _scan_fields() -> list[Any]:
    with gr.Row():
        start = gr.Number(value=0, minimum=0, label="From (s)", elem_id="film-start", min_width=90)
        stop = gr.Number(value=0, minimum=0, label="To (s); 0: the end", elem_id="film-end", min_width=90)
        every = gr.Number(
            value=EVERY, step=0.32, label="A window every (s)", elem_id="film-every", min_width=120,
            **limits.WINDOW_DISTANCE.bounds,
        )  # fmt: skip
        reach = gr.Number(
            value=REACH, step=0.5, label="Search farther by (s)", elem_id="film-reach", min_width=120,
            **limits.REACH.bounds,
        )  # fmt: skip
    synchronizability = gr.Checkbox(
        value=False, label="Also ask of every window whether it can be matched at all", elem_id="film-judge"
    )
    return [every, reach, start, stop, synchronizability]


def _fix_fields() -> list[Any]:
    amount = gr.Radio(choices=list(AMOUNTS), value=MEASURED, label="Take out of the sound", elem_id="film-amount")
    offset = gr.Number(
        value=0.0, step=0.01, visible=False, min_width=150, label="It is early by (s); late below 0",
        elem_id="film-offset", **limits.CORRECTION.bounds,
    )  # fmt: skip
    resample = gr.Checkbox(value=False, label="Undo a drift (encodes the sound anew)", elem_id="film-resample")
    force = gr.Checkbox(value=False, label=FORCE, elem_id="film-force")
    amount.change(
        fn=lambda chosen: {offset: gr.update(visible=chosen == OWN)}, inputs=[amount], outputs=[offset], **QUICK
    )
    return [amount, offset, resample, force]


def _wire(context: PageContext, film: FilmTab) -> None:
    chosen = [film.job, film.upload, context.key, context.model]
    reach = film.scan_fields[1]
    ready = [film.job, film.words, *film.buttons]
    film.scan.click(
        fn=partial(_ask_scan, context, film), inputs=[*chosen, *film.scan_fields], outputs=ready, **QUICK
    ).success(
        fn=partial(_scan, context, film),
        inputs=[film.job],
        outputs=[film.figure, film.words, film.card, film.table, film.copy, *film.buttons],
        show_progress_on=[film.words],
        **FILM,
    )
    film.fix.click(
        fn=partial(_ask_fix, context, film), inputs=[*chosen, reach, *film.fix_fields], outputs=ready, **QUICK
    ).success(
        fn=partial(_fix, context, film),
        inputs=[film.job],
        outputs=[film.figure, film.words, film.card, film.copy, *film.buttons],
        show_progress_on=[film.words],
        **FILM,
    )
    film.stop.click(fn=partial(_stop, film), inputs=[film.job], outputs=[film.words], **QUICK)
    film.upload.upload(
        fn=partial(_look, context, film), inputs=[film.upload, context.model], outputs=[film.words], **QUICK
    )


def _look(context: PageContext, film: FilmTab, upload: str | None, model: str) -> Changes:
    """What was uploaded, before anything is measured."""
    if not upload:
        return {film.words: ABOUT}
    try:
        info = check_film(context.models.get(model), Path(upload))
    except PageError as error:
        return {film.words: error_as_html(str(error))}
    words = progress_as_html(0, info.path.name, clock(info.seconds), "press Scan, or Fix to do both")
    return {film.words: words}


def _path(context: PageContext, upload: str | None, key: str | None, session: Session) -> Path:
    """The film in question: what was dropped here, else the clip that is open."""
    if not upload and key is None:
        raise PageError("Drop a film here, or open a clip above, first.")
    path = Path(upload) if upload else context.models.workspace.opened(key, session.model.config).path
    check_film(session, path)
    return path


def _ask_scan(
    context: PageContext,
    film: FilmTab,
    job: FilmJob | None,
    upload: str | None,
    key: str | None,
    model: str,
    *values: Any,
) -> Changes:
    """Check everything before the queue; `values` are those of `_scan_fields`."""
    every, reach, start, stop, synchronizability = values
    with gradio_errors():
        path = _path(context, upload, key, context.models.get(model))
        options = read_scan_options(every, reach, start, stop or None)
    job = FilmJob(path, model, options, bool(synchronizability))
    return {film.job: job, film.words: WAITING, **film.enabled(running=True)}


def _ask_fix(
    context: PageContext,
    film: FilmTab,
    job: FilmJob | None,
    upload: str | None,
    key: str | None,
    model: str,
    *values: Any,
) -> Changes:
    """As `_ask_scan`, with the reach and `_fix_fields`; a scan of the same film is not done again."""
    reach, amount, offset, resample, force = values
    with gradio_errors():
        path = _path(context, upload, key, context.models.get(model))
        options = read_fix_options(offset if amount == OWN else None, resample, force, reach)
    new = FilmJob(path, model, ScanOptions(reach=options.reach), fix=options)
    if job is not None and (job.path, job.model, job.scan.reach) == (path, model, options.reach):
        new.timeline = job.timeline
    return {film.job: new, film.words: WAITING, **film.enabled(running=True)}


def _scan(context: PageContext, film: FilmTab, job: FilmJob) -> Iterator[Changes]:
    """The timeline as it grows; Stop tells of the windows so far."""
    try:
        session, synchronizability = context.models.get(job.model), None
        if job.synchronizability:
            for step in context.models.synchronizability_steps(session):
                yield {film.words: progress_as_html(0, step), **film.enabled(running=True)}
            synchronizability = context.models.synchronizability_model(session)
        yield from _scanning(context, film, job, session, synchronizability)
    except PageError as error:
        yield {film.words: error_as_html(str(error)), **film.enabled(running=False)}


def _scanning(
    context: PageContext, film: FilmTab, job: FilmJob, session: Session, synchronizability: Synchformer | None
) -> Iterator[Changes]:
    survey = new_survey(session, job.path, job.scan, synchronizability)
    begin, shown, drawn, stopped = time.monotonic(), 0.0, 0, False
    with closing(run_scan(session, survey)) as steps:
        for step in steps:
            if stopped := job.stop.is_set():
                break
            if time.monotonic() - shown > REPORT_SECONDS:
                share, shown = step.done / step.total, time.monotonic()
                count = f"{len(survey.moments)} of {survey.windows} windows"
                words = progress_as_html(share, "Scanning", count, time_left(share, shown - begin))
                grown = {film.figure: _growing_panel(survey)} if drawn != len(survey.moments) else {}
                drawn = len(survey.moments)
                yield {film.words: words, **grown, **_nothing_to_save(film), **film.enabled(running=True)}
    if stopped and not survey.moments:
        raise PageError("Stopped before the first windows were measured, so there is nothing to tell.")
    with page_errors(job.path.name):
        timeline = survey.timeline()
    job.timeline = timeline if job.scan.covers_all and not stopped else None
    count = f"{len(timeline.moments)} of {survey.windows} windows"
    share = len(timeline.moments) / max(survey.windows, 1)
    with own_folder(context.models.workspace) as folder:
        path = folder / f"{job.path.stem}_offsets.csv"
        path.write_text(timeline.as_csv(), encoding="utf-8")
        yield {
            film.figure: _panels(timeline),
            film.words: progress_as_html(share, "Stopped" if stopped else "Done", count),
            film.card: scan_card(timeline, stopped),
            film.table: gr.update(value=str(path), interactive=True),
            film.copy: gr.update(interactive=False),
            **film.enabled(running=False),
        }


def _nothing_to_save(film: FilmTab) -> Changes:
    """Files and words of an earlier scan are gone while another one runs."""
    locked = gr.update(interactive=False)
    return {film.card: "", film.table: locked, film.copy: locked}


def _growing_panel(survey: Survey) -> str:
    """The windows so far."""
    fps = survey.model.config.video_fps
    stop = survey.seconds if survey.plan.stop is None else min(survey.seconds, survey.plan.stop / fps)
    figure = film_figure(survey.moments, (survey.plan.start / fps, stop))
    return to_json([{"title": survey.path.name, "figure": figure}])


def _panels(*timelines: Timeline) -> str:
    """The timelines side by side; of two, the second is that of the corrected copy."""
    if len(timelines) > 1:
        names = ("before", "after")
        titles = [f"{name}: {each.sentence}" for name, each in zip(names, timelines, strict=True)]
    else:
        titles = [each.path.name for each in timelines]
    return to_json(
        [
            {"title": title, "figure": film_figure(each.moments, _span(each), each)}
            for title, each in zip(titles, timelines, strict=True)
        ]
    )


def _span(timeline: Timeline) -> tuple[float, float]:
    return timeline.span


def _fix(context: PageContext, film: FilmTab, job: FilmJob) -> Iterator[Changes]:
    """How far the correction is, then the copy with both timelines."""
    assert job.fix is not None
    locked, begin, shown = gr.update(interactive=False), time.monotonic(), 0.0
    try:
        session = context.models.get(job.model)
        with own_folder(context.models.workspace) as folder:
            steps = run_fix(session, job.path, folder / fixed_name(job.path), job.fix, job.timeline)
            with closing(steps):
                for step in steps:
                    if isinstance(step, Repair):
                        job.timeline = step.before or job.timeline
                        yield {**_repaired(film, step), **film.enabled(running=False)}
                    elif job.stop.is_set():
                        raise PageError("Stopped; nothing was written.")
                    elif time.monotonic() - shown > REPORT_SECONDS:
                        shown = time.monotonic()
                        share = step.done / step.total
                        spent = f"{shown - begin:.0f} s so far"
                        words = progress_as_html(share, PHASES[step.phase], f"{share:.0%}", spent)
                        yield {film.words: words, film.copy: locked, **film.enabled(running=True)}
    except PageError as error:
        yield {film.words: error_as_html(_refusal(error)), film.copy: locked, **film.enabled(running=False)}


def _refusal(error: PageError) -> str:
    """The sentence, and where the evidence does not carry the correction, the way to have it all the same."""
    sentence = f"{str(error)[0].upper()}{str(error)[1:]}"
    if not isinstance(error.__cause__, RefusedError):
        return sentence
    return f"{sentence}. To have it all the same, tick “{FORCE}”."


def _repaired(film: FilmTab, repair: Repair) -> Changes:
    """The result while its file is still there: gradio takes a copy of it when this is handed out."""
    size = f"{repair.out.stat().st_size / 1e6:.1f} MB"
    return {
        film.figure: _panels(*(each for each in (repair.before, repair.after) if each is not None)),
        film.words: progress_as_html(1, "Done", repair.out.name, size),
        film.card: repair_card(repair),
        film.copy: gr.update(value=str(repair.out), label=f"Download {repair.out.name}", interactive=True),
    }


def _stop(film: FilmTab, job: FilmJob | None) -> Changes:
    """Tell the work to end; it answers itself."""
    if job is None:
        return no_changes()
    job.stop.set()
    return {film.words: note_as_html("Stopping …")}
