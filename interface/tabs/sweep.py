"""Sweep: the predicted offset against the applied one over the whole range, where it fails, and its table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from interface.session.errors import PageError
from interface.session.film_jobs import own_folder
from interface.tabs.attribute import sorry
from interface.tabs.components import JOB, Shared, panels
from interface.views.offset_figures import response
from interface.views.sweep_table import summary_as_html, sweep_csv
from synchformer.inference.prediction import Prediction

ABOUT = (
    '<p class="note">The sound is moved through the whole range, and the model is asked at every step. A model that '
    "works draws the diagonal; where it does not, its answer is not to be trusted for this clip.</p>"
)


def tab(shared: Shared, plotly: Path) -> None:
    """Lay out and connect the tab."""
    with gr.Row(elem_classes="bar-row"):
        run = gr.Button("Sweep", variant="primary", elem_id="sweep", size="md")
        stop = gr.Button("Stop", elem_id="sweep-stop", size="md")
        table = gr.DownloadButton("Table (CSV)", elem_id="sweep-csv", size="md", interactive=False)
        words = gr.HTML(value=ABOUT, elem_id="sweep-words")
    figure = panels(plotly, "sweep-figure")
    running = run.click(
        fn=partial(_sweep, shared),
        inputs=[shared.key, shared.model, shared.start],
        outputs=[figure, words, table],
        show_progress_on=[words],
        **JOB,
    )
    stop.click(fn=None, cancels=[running])


def _sweep(shared: Shared, key: str | None, model: str, start: float) -> Iterator[tuple[Any, Any, Any]]:
    found: list[Prediction] = []
    try:
        if key is None:
            raise PageError("Choose a video first.")
        session = shared.models.get(model)
        for prediction in session.sweep(key, start):
            found.append(prediction)
            figure = {"title": "", "figure": response(session.model.config.grid, found)}
            yield json.dumps([figure]), summary_as_html(found), gr.skip()
        with own_folder(shared.models.workspace) as folder:
            path = folder / "sweep.csv"
            path.write_bytes(sweep_csv(found).encode())
            yield gr.skip(), summary_as_html(found), gr.update(value=str(path), interactive=True)
    except PageError as error:
        yield gr.skip(), sorry(str(error)), gr.skip()
