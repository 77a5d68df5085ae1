"""Sweep: the predicted offset against the applied one over the whole range, where it fails, and its table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from interface.export.report import sweep_csv
from interface.session.errors import PageError
from interface.session.film_jobs import own_folder
from interface.tabs.attribute import sorry
from interface.tabs.components import JOB, Shared, panels
from interface.views.offset_figures import response
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
            yield json.dumps([figure]), told(found), gr.skip()
        with own_folder(shared.models.workspace) as folder:
            path = folder / "sweep.csv"
            path.write_bytes(sweep_csv(found).encode())
            yield gr.skip(), told(found), gr.update(value=str(path), interactive=True)
    except PageError as error:
        yield gr.skip(), sorry(str(error)), gr.skip()


def told(found: Sequence[Prediction]) -> str:
    """How often the model was right, within one class, and unsure; against the offset that was applied."""
    step = found[0].grid[1] - found[0].grid[0]
    errors = [abs(each.offset - each.applied_offset) for each in found]
    exact = sum(error <= step / 2 + 1e-6 for error in errors)
    near = sum(error <= 1.5 * step + 1e-6 for error in errors)
    unsure = sum(not each.telling for each in found)
    return (
        f'<p class="note"><b>{exact} of {len(found)}</b> on the diagonal, {near} within one class, '
        f"{unsure} too unsure to tell. (Right, if the file itself is in sync.)</p>"
    )
