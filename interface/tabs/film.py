"""Whole film: the offset over time, and a corrected file with its proof."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from interface.session import limits
from interface.session.errors import PageError, sentences
from interface.session.film_jobs import (
    Mending,
    Part,
    checked,
    fixed_name,
    mending,
    own_folder,
    read_mending,
    read_part,
    scanning,
    survey,
)
from interface.session.session import Session
from interface.tabs.attribute import sorry
from interface.tabs.components import FILM, QUICK, VIDEO_TYPES, Shared, panels
from interface.views.film_card import STAGES, fixed, left, progress, scanned
from interface.views.film_figure import film
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets import RefusedError, Repair, Timeline
from synchformer.offsets.scan import EVERY, REACH, Survey
from synchformer.offsets.timeline import clock

MEASURED, OWN = "measured", "own"
AMOUNTS = (("what is measured", MEASURED), ("an offset that I know", OWN))
FORCE = "Write on weak evidence too"
REPORT_SECONDS = 0.4  # between two looks at the work on the page
ABOUT = (
    '<p class="note">A scan measures window after window, of any length of film: a constant offset, a drift, or jumps '
    "at edits. Drop a film in, or leave the field empty to take the clip that is open above.</p>"
)
WAITING = '<p class="note">Waiting for the turn …</p>'
NOTHING = Part()


@dataclass(eq=False)
class Job:
    """What one visitor asked last; `stop` ends it, and `found` is what a scan of the whole film found.

    Kept with the visitor alone. The thread that works reads `stop`; nobody else writes `found`.
    """

    path: Path
    model: str
    part: Part = NOTHING
    judged: bool = False
    how: Mending | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    found: Timeline | None = None


@dataclass
class Film:
    """Components of this tab."""

    job: gr.State
    upload: gr.File
    scan: list[Any]
    fix: list[Any]
    buttons: list[gr.Button]
    words: gr.HTML
    card: gr.HTML
    figure: gr.HTML
    table: gr.DownloadButton
    copy: gr.DownloadButton


def tab(shared: Shared, plotly: Path) -> None:
    """Lay out and connect the tab."""
    with gr.Row(elem_id="film-ask"):
        upload = gr.File(label="Film", file_types=list(VIDEO_TYPES), height=112, elem_id="film-file", scale=2)
        with gr.Column(scale=3):
            scan = _scan_fields()
    with gr.Row(elem_classes="bar-row"):
        run = gr.Button("Scan", variant="primary", elem_id="film-scan", size="md")
        stop = gr.Button("Stop", elem_id="film-stop", size="md", interactive=False)
        table = gr.DownloadButton("Table (CSV)", elem_id="film-csv", size="md", interactive=False)
        words = gr.HTML(value=ABOUT, elem_id="film-words")
    card = gr.HTML(value="", elem_id="film-card")
    figure = panels(plotly, "film-figure")
    with gr.Row(elem_id="film-how"):
        fix = _fix_fields()
    with gr.Row(elem_classes="bar-row"):
        mend = gr.Button("Fix", variant="primary", elem_id="film-fix", size="md")
        copy = gr.DownloadButton("Corrected file", elem_id="film-copy", size="md", interactive=False)
    job = gr.State(value=None, time_to_live=3600)
    _wire(shared, Film(job, upload, scan, fix, [run, stop, mend], words, card, figure, table, copy))


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
    judged = gr.Checkbox(
        value=False, label="Also ask of every window whether it can be matched at all", elem_id="film-judge"
    )
    return [every, reach, start, stop, judged]


def _fix_fields() -> list[Any]:
    amount = gr.Radio(choices=list(AMOUNTS), value=MEASURED, label="Take out of the sound", elem_id="film-amount")
    offset = gr.Number(
        value=0.0, step=0.01, visible=False, min_width=150, label="It is early by (s); late below 0",
        elem_id="film-offset", **limits.CORRECTION.bounds,
    )  # fmt: skip
    resample = gr.Checkbox(value=False, label="Undo a drift (encodes the sound anew)", elem_id="film-resample")
    force = gr.Checkbox(value=False, label=FORCE, elem_id="film-force")
    amount.change(
        fn=lambda chosen: gr.update(visible=chosen == OWN), inputs=[amount], outputs=[offset], **QUICK
    )  # fmt: skip
    return [amount, offset, resample, force]


def _wire(shared: Shared, film: Film) -> None:
    chosen = [film.job, film.upload, shared.key, shared.model]
    ready = [film.job, film.words, *film.buttons]
    asked = film.buttons[0].click(fn=partial(_ask_scan, shared), inputs=[*chosen, *film.scan], outputs=ready, **QUICK)
    asked.success(
        fn=partial(_scan, shared),
        inputs=[film.job],
        outputs=[film.figure, film.words, film.card, film.table, film.copy, *film.buttons],
        show_progress_on=[film.words],
        **FILM,
    )
    wanted = film.buttons[2].click(
        fn=partial(_ask_fix, shared), inputs=[*chosen, film.scan[1], *film.fix], outputs=ready, **QUICK
    )  # fmt: skip
    wanted.success(
        fn=partial(_fix, shared),
        inputs=[film.job],
        outputs=[film.figure, film.words, film.card, film.copy, *film.buttons],
        show_progress_on=[film.words],
        **FILM,
    )
    film.buttons[1].click(fn=_stop, inputs=[film.job], outputs=[film.words], **QUICK)
    film.upload.upload(fn=partial(_look, shared), inputs=[film.upload, shared.model], outputs=[film.words], **QUICK)


def _look(shared: Shared, upload: str | None, model: str) -> str:
    """What was uploaded, before anything is measured."""
    if not upload:
        return ABOUT
    path = Path(upload)
    try:
        info = checked(shared.models.get(model), path)
    except PageError as error:
        return sorry(str(error))
    return progress(0, info.path.name, clock(info.seconds), "press Scan, or Fix to do both")


def _path(shared: Shared, upload: str | None, key: str | None, session: Session) -> Path:
    """The film in question: what was dropped here, else the clip that is open."""
    if not upload and key is None:
        raise PageError("Drop a film here, or open a clip above, first.")
    path = Path(upload) if upload else shared.models.workspace.opened(key, session.model.config).path
    checked(session, path)
    return path


def _ask_scan(
    shared: Shared, job: Job | None, upload: str | None, key: str | None, model: str, *values: Any
) -> tuple[Any, ...]:
    """Check everything before the queue; `values` are those of `_scan_fields`."""
    every, reach, start, stop, judged = values
    try:
        path = _path(shared, upload, key, shared.models.get(model))
        asked = Job(path, model, read_part(every, reach, start, stop or None), bool(judged))
    except PageError as error:
        raise gr.Error(str(error), print_exception=False) from error
    return asked, WAITING, *_states(running=True)


def _ask_fix(
    shared: Shared, job: Job | None, upload: str | None, key: str | None, model: str, *values: Any
) -> tuple[Any, ...]:
    """As `_ask_scan`, with the reach and `_fix_fields`; a scan of the same film is not done again."""
    reach, amount, offset, resample, force = values
    try:
        path = _path(shared, upload, key, shared.models.get(model))
        how = read_mending(offset if amount == OWN else None, resample, force, reach)
    except PageError as error:
        raise gr.Error(str(error), print_exception=False) from error
    asked = Job(path, model, Part(reach=how.reach), how=how)
    if job is not None and (job.path, job.model, job.part.reach) == (path, model, how.reach):
        asked.found = job.found
    return asked, WAITING, *_states(running=True)


def _scan(shared: Shared, job: Job) -> Iterator[tuple[Any, ...]]:
    """The timeline as it grows; Stop tells of the windows so far."""
    rest = (gr.skip(),) * 3
    try:
        session, judge = shared.models.get(job.model), None
        if job.judged:
            for step in shared.models.judge_steps(session):
                yield gr.skip(), progress(0, step), *rest, *_states(running=True)
            judge = shared.models.judge_of(session)
        yield from _scanning(shared, job, session, judge)
    except PageError as error:
        yield gr.skip(), sorry(str(error)), *rest, *_states(running=False)


def _scanning(shared: Shared, job: Job, session: Session, judge: Synchformer | None) -> Iterator[tuple[Any, ...]]:
    asked = survey(session, job.path, job.part, judge)
    begin, told, drawn, stopped = time.monotonic(), 0.0, 0, False
    cleared = ("", gr.update(interactive=False), gr.update(interactive=False))
    with closing(scanning(session, asked)) as steps:
        for step in steps:
            if stopped := job.stop.is_set():
                break
            if time.monotonic() - told > REPORT_SECONDS:
                share, told = step.done / step.total, time.monotonic()
                count = f"{len(asked.moments)} of {asked.windows} windows"
                words = progress(share, "Scanning", count, left(share, told - begin))
                figure = gr.skip() if drawn == len(asked.moments) else _drawn(asked)
                drawn = len(asked.moments)
                yield figure, words, *cleared, *_states(running=True)
    if stopped and not asked.moments:
        raise PageError("Stopped before the first windows were measured, so there is nothing to tell.")
    with sentences(job.path.name):
        found = asked.timeline()
    job.found = found if job.part.whole and not stopped else None
    count = f"{len(found.moments)} of {asked.windows} windows"
    words = progress(len(found.moments) / max(asked.windows, 1), "Stopped" if stopped else "Done", count)
    with own_folder(shared.models.workspace) as folder:
        path = folder / f"{job.path.stem}_offsets.csv"
        path.write_text(found.as_csv(), encoding="utf-8")
        table = gr.update(value=str(path), interactive=True)
        yield _panel(found), words, scanned(found, stopped), table, cleared[2], *_states(running=False)


def _drawn(asked: Survey) -> str:
    """The windows so far."""
    fps = asked.model.config.video_fps
    stop = asked.seconds if asked.plan.stop is None else min(asked.seconds, asked.plan.stop / fps)
    return json.dumps([{"title": asked.path.name, "figure": film(asked.moments, (asked.plan.start / fps, stop))}])


def _panel(*found: Timeline) -> str:
    """The timelines side by side; of two, the second is that of the corrected copy."""
    names = ("before", "after") if len(found) > 1 else (found[0].path.name,) if found else ()
    titles = [f"{name}: {each.sentence}" if len(found) > 1 else name for name, each in zip(names, found, strict=True)]
    panels = zip(titles, found, strict=True)
    return json.dumps([{"title": title, "figure": film(each.moments, _span(each), each)} for title, each in panels])


def _span(found: Timeline) -> tuple[float, float]:
    return found.moments[0].start, found.moments[-1].stop


def _fix(shared: Shared, job: Job) -> Iterator[tuple[Any, ...]]:
    """How far the correction is, then the copy with both timelines."""
    assert job.how is not None
    locked, begin, told = gr.update(interactive=False), time.monotonic(), 0.0
    workspace = shared.models.workspace
    try:
        session = shared.models.get(job.model)
        with own_folder(workspace) as folder:
            steps = mending(session, job.path, folder / fixed_name(job.path), job.how, job.found)
            with closing(steps):
                for step in steps:
                    if isinstance(step, Repair):
                        job.found = step.before or job.found
                        yield _mended(step)
                    elif job.stop.is_set():
                        raise PageError("Stopped; nothing was written.")
                    elif time.monotonic() - told > REPORT_SECONDS:
                        told = time.monotonic()
                        share = step.done / step.total
                        words = progress(share, STAGES[step.stage], f"{share:.0%}", f"{told - begin:.0f} s so far")
                        yield gr.skip(), words, gr.skip(), locked, *_states(running=True)
    except PageError as error:
        yield gr.skip(), sorry(_refusal(error)), gr.skip(), locked, *_states(running=False)


def _refusal(error: PageError) -> str:
    """The sentence, and where the evidence does not carry the correction, the way to have it all the same."""
    sentence = f"{str(error)[0].upper()}{str(error)[1:]}"
    if not isinstance(error.__cause__, RefusedError):
        return sentence
    return f"{sentence}. To have it all the same, tick “{FORCE}”."


def _mended(made: Repair) -> tuple[Any, ...]:
    """The result while its file is still there: gradio takes a copy of it when this is handed out."""
    figure = _panel(*(each for each in (made.before, made.after) if each is not None))
    size = f"{made.out.stat().st_size / 1e6:.1f} MB"
    copy = gr.update(value=str(made.out), label=f"Download {made.out.name}", interactive=True)
    return figure, progress(1, "Done", made.out.name, size), fixed(made), copy, *_states(running=False)


def _stop(job: Job | None) -> Any:
    """Tell the work to end; it answers itself."""
    if job is None:
        return gr.skip()
    job.stop.set()
    return '<p class="note">Stopping …</p>'


def _states(*, running: bool) -> tuple[Any, Any, Any]:
    """Which of Scan, Stop and Fix can be pressed."""
    return gr.update(interactive=not running), gr.update(interactive=running), gr.update(interactive=not running)
