"""For programs: scan and fix whole films. Both stream how far they are; who stops listening stops the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import gradio as gr

from interface.api.endpoint import LOADING_SECONDS, Reply, asked, endpoint, model_field, video_field
from interface.session import limits
from interface.session.errors import page_errors
from interface.session.film_jobs import (
    check_film,
    fixed_name,
    new_survey,
    own_folder,
    read_fix_options,
    read_scan_options,
    run_fix,
    run_scan,
)
from interface.session.model_registry import Models, wait_for
from interface.tabs.components import FILM
from synchformer.offsets import Repair, Timeline
from synchformer.offsets.calibration import EVERY
from synchformer.offsets.scan import REACH, Survey


def add_films(models: Models) -> None:
    """Add the two endpoints to the page that is being built, out of sight."""
    films = Films(models)
    endpoint(films.scan, [video_field(), *_scan_fields(), model_field(models)], FILM)
    copy = gr.File(label="the corrected file, once it is written", visible=False)
    endpoint(films.fix, [video_field(), *_fix_fields(), model_field(models)], FILM, copy)


def _scan_fields() -> list[gr.components.Component]:
    return [
        gr.Number(label="seconds between windows", value=EVERY, visible=False, **limits.WINDOW_DISTANCE.bounds),
        _reach(),
        gr.Number(label="first second", value=0.0, minimum=0, visible=False),
        gr.Number(label="last second; empty: the end", value=None, minimum=0, visible=False),
        gr.Checkbox(label="also ask whether each window can be matched at all", value=False, visible=False),
    ]


def _fix_fields() -> list[gr.components.Component]:
    known = "seconds by which the sound is known to be early; late below zero; empty: measure it"
    return [
        gr.Number(label=known, value=None, visible=False, **limits.CORRECTION.bounds),
        gr.Checkbox(label="undo a drift by resampling the sound", value=False, visible=False),
        gr.Checkbox(label="write even where the evidence is weak", value=False, visible=False),
        _reach(),
    ]


def _reach() -> gr.Number:
    beyond = "seconds searched beyond the model's own range"
    return gr.Number(label=beyond, value=REACH, visible=False, **limits.REACH.bounds)


class Films:
    """The functions behind the endpoints."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def scan(
        self,
        video: str,
        every: float = EVERY,
        reach: float = REACH,
        start: float = 0.0,
        stop: float | None = None,
        synchronizability: bool = False,
        model: str = "mini",
    ) -> Iterator[Reply]:
        """Measure the offset over a whole video: constant, drifting, or jumping. Above zero: the sound is early.

        Args:
            video: a video file with sound, of any length.
            every: seconds between windows, 0.32 to 60.
            reach: seconds searched beyond the model's own range of 2 s, 0 to 10.
            start: first second on the file's clock.
            stop: last second; empty for the end.
            synchronizability: also ask of every window whether it can be matched at all.
            model: name of the model.

        Returns:
            video (its name), model, state (running or complete), done and total (seconds of the video), windows (how
            many are measured), result (null while running; then sentence, telling, kind and probability of each
            explanation, whole, drift, pieces, verdicts, and moments: start, stop, offset, interval and confidence of
            every window).
        """
        with asked(self._models, video, model) as (session, path):
            check_film(session, path)
            options, asked_too = read_scan_options(every, reach, start, stop), None
            if synchronizability:
                with page_errors(path.name):
                    wait_for(self._models.synchronizability_steps(session), LOADING_SECONDS)
                asked_too = self._models.synchronizability_model(session)
            survey = new_survey(session, path, options, asked_too)
            answer: Reply = {}
            with closing(run_scan(session, survey)) as steps:
                for step in steps:
                    answer = _scan_progress(survey, session.name, step.done, step.total)
                    yield answer
            with page_errors(path.name):
                result = _as_reply(survey.timeline())
            yield answer | {"state": "complete", "windows": len(survey.moments), "result": result}

    def fix(
        self,
        video: str,
        offset: float | None = None,
        resample: bool = False,
        force: bool = False,
        reach: float = REACH,
        model: str = "mini",
    ) -> Iterator[tuple[str | None, Reply]]:
        """Write a copy of a video with its sound in place, measured before and after; the video itself stays.

        Args:
            video: a video file with sound, of any length.
            offset: seconds by which its sound is known to be early (late below zero); empty to measure it.
            resample: undo a drift by resampling the sound; without it, a drift is refused.
            force: write even where the evidence is weak.
            reach: seconds searched beyond the model's own range of 2 s, 0 to 10.
            model: name of the model.

        Returns:
            the corrected file (nothing while running), and an object: video (its name), model, state (running or
            complete), stage (before, writing, after), done and total (of the stage), result (null while running; then
            sentence, offset and slope that were taken out, forced, left_out, and the scans before and after).
        """
        with asked(self._models, video, model) as (session, path), own_folder(session.workspace) as folder:
            check_film(session, path)
            options = read_fix_options(offset, resample, force, reach)
            answer: Reply = {"video": path.name, "model": session.name, "state": "running"}
            with closing(run_fix(session, path, folder / fixed_name(path), options)) as steps:
                for step in steps:
                    if isinstance(step, Repair):
                        far: Reply = {"stage": "after", "done": 1.0, "total": 1.0, "result": _repair_reply(step)}
                        yield str(step.out), answer | {"state": "complete"} | far
                    else:
                        far = {"stage": step.phase, "done": step.done, "total": step.total, "result": None}
                        yield None, answer | far


def _scan_progress(survey: Survey, model: str, done: float, total: float) -> Reply:
    state = {"video": survey.path.name, "model": model, "state": "running", "done": done, "total": total}
    return state | {"windows": len(survey.moments), "result": None}


def _repair_reply(repair: Repair) -> Reply:
    """Plain values without the places of files on this computer."""
    timelines = {"before": repair.before, "after": repair.after}
    scans = {name: _as_reply(timeline) if timeline else None for name, timeline in timelines.items()}
    return repair.as_dict() | {"video": repair.path.name, "out": repair.out.name} | scans


def _as_reply(timeline: Timeline) -> Reply:
    """A timeline as plain values; where the file lies on this computer is nobody's business."""
    return timeline.as_dict() | {"video": timeline.path.name}
