"""Synchronizability: told after every answer, and the download of the published weights that tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from interface.session.errors import PageError
from interface.tabs.attribute import sorry
from interface.tabs.components import QUICK, Shared
from interface.views.result_card import synchronizability_view
from synchformer.checkpoints.registry import CHECKPOINTS


@dataclass
class Judge:
    """Components of this part: the row is there only while weights are wanting that can be had."""

    row: gr.Row
    fetch: gr.Button
    words: gr.HTML


def bar() -> Judge:
    """The button below the answer."""
    with gr.Row(visible=False, elem_id="judge") as row:
        fetch = gr.Button("Download the weights", size="sm", elem_id="judge-fetch")
        words = gr.HTML(elem_id="judge-words")
    return Judge(row, fetch, words)


def told(shared: Shared, judge: Judge) -> dict[str, Any]:
    """The event that follows an answer."""
    return {
        "fn": partial(_tell, shared),
        "inputs": [shared.key, shared.model, shared.start, shared.offset],
        "outputs": [shared.result, judge.row, judge.fetch, judge.words],
        **QUICK,
    }


def wire(shared: Shared, judge: Judge) -> None:
    """Connect the button."""
    judge.fetch.click(
        fn=partial(_fetch, shared),
        inputs=[shared.key, shared.model, shared.start, shared.offset],
        outputs=[shared.result, judge.row, judge.fetch, judge.words],
        **QUICK,
    )


def _tell(shared: Shared, key: str | None, model: str, start: float, offset: float) -> tuple[Any, ...]:
    """Whether the clip can be synchronized at all, or why that cannot be told here and what to do."""
    if key is None:
        return (gr.skip(),) * 4
    fetch = None
    try:
        session = shared.models.get(model)
        fetch = shared.models.judge_to_fetch(session)
        missing = shared.models.judge_missing(session)
        if missing:
            raise PageError(missing)
        found = session.synchronizability(key, start, offset)
        view = synchronizability_view(found, key=key, start=start)
    except PageError as error:
        view = {"key": key, "start": start, "error": str(error)}
    size = f"Download {fetch} ({CHECKPOINTS[fetch].size})" if fetch else ""
    button = gr.update(value=size, interactive=True) if fetch else gr.skip()
    return json.dumps({"sync": view}), gr.update(visible=fetch is not None), button, ""


def _fetch(shared: Shared, key: str | None, model: str, start: float, offset: float) -> Iterator[tuple[Any, ...]]:
    """Download the weights, saying how far that is, then answer for the clip that is open."""
    wait = gr.update(interactive=False)
    try:
        session = shared.models.get(model)
        for step in shared.models.judge_steps(session):
            yield gr.skip(), gr.skip(), wait, f'<p class="note" role="status">{escape(step)}</p>'
    except PageError as error:
        yield gr.skip(), gr.skip(), gr.update(interactive=True), sorry(str(error))
        return
    yield _tell(shared, key, model, start, offset)
