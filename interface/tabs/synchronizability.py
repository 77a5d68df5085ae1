"""Synchronizability: asked after every answer, and the download of the published weights that tell it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from interface.session.errors import PageError
from interface.tabs.components import QUICK, Changes, PageContext, no_changes
from interface.views.messages import error_as_html
from interface.views.result_card import synchronizability_view
from synchformer.checkpoints.registry import CHECKPOINTS
from synchformer.storage.json_text import to_json


@dataclass
class DownloadRow:
    """Components of this part: the row is there only while weights are missing that can be had."""

    row: gr.Row
    fetch: gr.Button
    words: gr.HTML


def download_row() -> DownloadRow:
    """The button below the answer."""
    with gr.Row(visible=False, elem_id="judge") as row:
        fetch = gr.Button("Download the weights", size="sm", elem_id="judge-fetch")
        words = gr.HTML(elem_id="judge-words")
    return DownloadRow(row, fetch, words)


def after_answer(context: PageContext, download: DownloadRow) -> dict[str, Any]:
    """The event that follows an answer."""
    return {
        "fn": partial(_predict, context, download),
        "inputs": context.place,
        "outputs": [context.result, download.row, download.fetch, download.words],
        **QUICK,
    }


def wire(context: PageContext, download: DownloadRow) -> None:
    """Connect the button."""
    download.fetch.click(
        fn=partial(_fetch, context, download),
        inputs=context.place,
        outputs=[context.result, download.row, download.fetch, download.words],
        **QUICK,
    )


def _predict(
    context: PageContext, download: DownloadRow, key: str | None, model: str, start: float, offset: float
) -> Changes:
    """Whether the clip can be synchronized at all, or why that cannot be told here and what to do."""
    if key is None:
        return no_changes()
    fetch = None
    try:
        session = context.models.get(model)
        fetch = context.models.synchronizability_to_fetch(session)
        missing = context.models.synchronizability_missing(session)
        if missing:
            raise PageError(missing)
        view = synchronizability_view(session.synchronizability(key, start, offset), key=key, start=start)
    except PageError as error:
        view = {"key": key, "start": start, "error": str(error)}
    changes: Changes = {context.result: to_json({"sync": view}), download.words: ""}
    changes[download.row] = gr.update(visible=fetch is not None)
    if fetch:
        changes[download.fetch] = gr.update(value=f"Download {fetch} ({CHECKPOINTS[fetch].size})", interactive=True)
    return changes


def _fetch(
    context: PageContext, download: DownloadRow, key: str | None, model: str, start: float, offset: float
) -> Iterator[Changes]:
    """Download the weights, saying how far that is, then answer for the clip that is open."""
    wait = gr.update(interactive=False)
    try:
        session = context.models.get(model)
        for step in context.models.synchronizability_steps(session):
            yield {download.fetch: wait, download.words: f'<p class="note" role="status">{escape(step)}</p>'}
    except PageError as error:
        yield {download.fetch: gr.update(interactive=True), download.words: error_as_html(str(error))}
        return
    yield _predict(context, download, key, model, start, offset)
