"""Sweep: the predicted offset against the applied one over the whole range, where it fails, and its table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from interface.session.errors import PageError
from interface.session.film_jobs import own_folder
from interface.tabs.components import JOB, Changes, PageContext, panels
from interface.views.messages import error_as_html, note_as_html
from interface.views.offset_figures import response
from interface.views.sweep_table import summary_as_html, sweep_csv
from synchformer.inference.prediction import Prediction
from synchformer.storage.json_text import to_json

ABOUT = note_as_html(
    "The sound is moved through the whole range, and the model is asked at every step. A model that works draws the "
    "diagonal; where it does not, its answer is not to be trusted for this clip."
)


@dataclass
class SweepOutputs:
    """Components of this tab that a sweep fills."""

    figure: gr.HTML
    words: gr.HTML
    table: gr.DownloadButton


def tab(context: PageContext, plotly: Path) -> None:
    """Lay out and connect the tab."""
    with gr.Row(elem_classes="bar-row"):
        run = gr.Button("Sweep", variant="primary", elem_id="sweep", size="md")
        stop = gr.Button("Stop", elem_id="sweep-stop", size="md")
        table = gr.DownloadButton("Table (CSV)", elem_id="sweep-csv", size="md", interactive=False)
        words = gr.HTML(value=ABOUT, elem_id="sweep-words")
    outputs = SweepOutputs(panels(plotly, "sweep-figure"), words, table)
    running = run.click(
        fn=partial(_sweep, context, outputs),
        inputs=[context.key, context.model, context.start],
        outputs=[outputs.figure, outputs.words, outputs.table],
        show_progress_on=[outputs.words],
        **JOB,
    )
    stop.click(fn=None, cancels=[running])


def _sweep(context: PageContext, outputs: SweepOutputs, key: str | None, model: str, start: float) -> Iterator[Changes]:
    predictions: list[Prediction] = []
    try:
        if key is None:
            raise PageError("Choose a video first.")
        session = context.models.get(model)
        for prediction in session.sweep(key, start):
            predictions.append(prediction)
            figure = {"title": "", "figure": response(session.model.config.grid, predictions)}
            yield {outputs.figure: to_json([figure]), outputs.words: summary_as_html(predictions)}
        with own_folder(context.models.workspace) as folder:
            path = folder / "sweep.csv"
            path.write_bytes(sweep_csv(predictions).encode())
            yield {outputs.table: gr.update(value=str(path), interactive=True)}
    except PageError as error:
        yield {outputs.words: error_as_html(str(error))}
