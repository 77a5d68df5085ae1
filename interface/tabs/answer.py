"""The answer: its card, what the card asks while the slider moves, and what changes when something else is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from interface.session.consensus import clip_consensus
from interface.session.errors import PageError, number
from interface.session.examples import truth_of
from interface.session.limits import MAX_OFFSETS_AHEAD
from interface.session.model_registry import Models
from interface.session.session import Session
from interface.session.workspace import Upload
from interface.tabs.attribute import IDLE
from interface.tabs.components import Changes, PageContext, script
from interface.views.result_card import (
    View,
    answer_view,
    consensus_view,
    empty_view,
    error_view,
    moved_view,
    single_only_view,
)
from interface.views.timeline import clip_timeline
from synchformer.storage.json_text import to_json


def card(models: Models, plotly: Path) -> gr.HTML:
    """The card with the sentence and the distribution."""
    return gr.HTML(
        value=to_json(empty_view(models.first.model.config.grid)),
        html_template=script("result.html"),
        js_on_load=script("shared.js", "result.js"),
        server_functions=[_live(models), _ahead(models), _tested(models)],
        plotly=str(plotly),
        elem_id="result",
    )


def answered(context: PageContext) -> list[Any]:
    """What changes when something else is asked: the answer, and the timeline without curves."""
    controls = context.attribution
    return [context.result, context.timeline, controls.progress, *controls.buttons]


def answer_changes(context: PageContext, session: Session, clip: Upload, start: float, offset: float) -> Changes:
    """The answer at a place that was not on show before: other pictures, and no curves yet.

    Raises:
        PageError: when it cannot be measured there.
    """
    view = answer_of(session, clip.key, start, offset)
    truth = truth_of(clip.path, context.examples)
    return {
        context.result: to_json(view),
        context.timeline: to_json(clip_timeline(session, clip, start, offset, truth)),
        context.attribution.progress: IDLE,
        **context.attribution.enabled(running=False, kept=False),
    }


def error_changes(context: PageContext, error: PageError) -> Changes:
    """A sentence in the place of the answer."""
    return {context.result: to_json(error_view(str(error)))}


def answer_of(session: Session, key: object, start: object, offset: object) -> View:
    """The card for one measurement.

    Raises:
        PageError: when it cannot be measured there.
    """
    place: dict[str, Any] = {"key": key, "start": start}
    return answer_view(session.answer(key, start, offset), **place, model=session.name, device=session.device)


def _live(models: Models) -> Callable[[Any], View]:
    """The function that the page calls while the slider moves; whatever it is sent, it answers with a view."""

    def live(request: Any) -> View:
        values = request if isinstance(request, dict) else {}
        try:
            session = models.get(values.get("model"))
            answer = session.answer(values.get("key"), values.get("start"), values.get("offset"))
            return moved_view(answer, model=session.name, device=session.device)
        except PageError as error:
            return error_view(str(error))

    return live


def _ahead(models: Models) -> Callable[[Any], View]:
    """The function by which the page learns answers before the slider gets there: some `rows`, and what is `left`."""

    def ahead(request: Any) -> View:
        values = request if isinstance(request, dict) else {}
        offsets = values.get("offsets")
        try:
            session = models.get(values.get("model"))
            if not isinstance(offsets, list) or len(offsets) > MAX_OFFSETS_AHEAD:
                raise PageError(f"Answers are given for a list of at most {MAX_OFFSETS_AHEAD} offsets.")
            answers, left = session.ahead(values.get("key"), values.get("start"), offsets)
            rows = [moved_view(answer, model=session.name, device=session.device) for answer in answers]
            return {"rows": rows, "left": left}
        except PageError as error:
            return error_view(str(error))

    return ahead


def _tested(models: Models) -> Callable[[Any], View]:
    """The function by which the page learns whether the answer follows the sound, once the offsets are known."""

    def tested(request: Any) -> View:
        values = request if isinstance(request, dict) else {}
        try:
            session = models.get(values.get("model"))
            clip, start = session.opened(values.get("key")), number("start", values.get("start"))
            place: dict[str, Any] = {"key": clip.key, "start": start, "model": session.name}
            if not session.is_quick:
                return single_only_view(**place)
            return consensus_view(clip_consensus(session, clip.key, start), **place)
        except PageError as error:
            return error_view(str(error))

    return tested
