"""What the model was fed: its input, turned back into something to look at and hear."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import gradio as gr

from interface.export.model_input import contact_sheet, write_model_input
from interface.session.errors import PageError, page_errors
from interface.tabs.components import JOB, Changes, PageContext
from interface.views.messages import error_as_html, note_as_html

ABOUT = note_as_html(
    "Exactly what went into the model: its crop of the picture, and the sound rebuilt from its spectrogram. What is "
    "blurred or muffled here, the model does not see or hear better."
)


@dataclass
class ModelInputOutputs:
    """Components of this tab that are filled."""

    film: gr.Video
    sheet: gr.Image
    words: gr.HTML


def tab(context: PageContext) -> None:
    """Lay out and connect the tab."""
    with gr.Row(elem_classes="bar-row"):
        show = gr.Button("Show", variant="primary", elem_id="fed", size="md")
        words = gr.HTML(value=ABOUT, elem_id="fed-words")
    with gr.Row():
        film = gr.Video(
            show_label=False, interactive=False, height=300, buttons=["download"], elem_id="fed-film", visible=False
        )
        sheet = gr.Image(
            show_label=False, interactive=False, height=300, buttons=["download", "fullscreen"], elem_id="fed-sheet",
            visible=False, type="filepath",
        )  # fmt: skip
    outputs = ModelInputOutputs(film, sheet, words)
    show.click(
        fn=partial(_show, context, outputs),
        inputs=context.place,
        outputs=[film, sheet, words],
        show_progress_on=[words],
        **JOB,
    )


def _show(
    context: PageContext, outputs: ModelInputOutputs, key: str | None, model: str, start: float, offset: float
) -> Changes:
    workspace = context.models.workspace
    try:
        if key is None:
            raise PageError("Choose a video first.")
        crop = context.models.get(model).crop(key, start, offset)
        with page_errors(crop.path.name):
            film = write_model_input(crop, workspace.file("model_input.mp4"))
            sheet = workspace.file("model_input.png")
            contact_sheet(crop).save(sheet)
    except PageError as error:
        return {outputs.words: error_as_html(str(error))}
    return {
        outputs.film: gr.update(value=str(film), visible=True),
        outputs.sheet: gr.update(value=str(sheet), visible=True),
        outputs.words: ABOUT,
    }
