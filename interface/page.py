"""The page: layout first, wiring last."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import plotly

from interface.errors import PageError
from interface.examples import strip
from interface.models import Models
from interface.session import Session
from interface.view import View, empty_view, error_view, prediction_view
from interface.workspace import Opened

STATIC = Path(__file__).parent / "static"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
SUFFIXES = ("video", ".mkv", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".flv", ".3gp", ".wmv", ".ogv")
OFFSET_STEP = 0.04  # seconds: one frame at 25 fps
PICTURE_HEIGHT = 350  # pixels: the page then fits a window of 900
CACHE_AGE = (600, 3600)  # seconds: every ten minutes, files older than an hour go

HEADING = """<header><h1>Is this video in sync?</h1>
<p>Synchformer listens and looks at five seconds of a video and says how far the sound is off. Everything stays on this
computer.</p></header>"""

OFFSET_SCALE = """<div class="ends"><span>← sound later</span><span>sound earlier →</span></div>
<p id="offset-words" aria-live="polite">The sound stays where the file has it.</p>"""


def build_interface(models: Models, examples: Sequence[Path] = ()) -> gr.Blocks:
    """Lay out the page and connect it.

    Args:
        models: what visitors may choose from, and what they opened.
        examples: clips of ours to offer below the controls.
    """
    session = models.first
    gr.set_static_paths([PLOTLY])
    limit = session.model.config.max_offset
    with gr.Blocks(title="Synchformer", delete_cache=CACHE_AGE, analytics_enabled=False) as page:
        key = gr.State(value=None, time_to_live=3600)
        gr.HTML(value=HEADING, elem_id="heading")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=5, min_width=320, elem_id="left"):
                upload = gr.File(
                    label="Video", show_label=False, file_types=list(SUFFIXES), height=PICTURE_HEIGHT, elem_id="clip"
                )
                player = gr.Video(
                    show_label=False,
                    interactive=False,
                    visible=False,
                    height=PICTURE_HEIGHT,
                    buttons=["download"],
                    elem_id="player",
                )
                with gr.Row(visible=False, elem_id="file") as file:
                    caption = gr.HTML(elem_id="caption")
                    another = gr.UploadButton(
                        label="Choose another video", file_types=list(SUFFIXES), size="sm", elem_id="another"
                    )
                with gr.Group(elem_id="controls"):
                    start = gr.Slider(
                        minimum=0,
                        maximum=1,
                        value=0,
                        step=OFFSET_STEP,
                        label="Start of the five seconds (s)",
                        interactive=False,
                        buttons=[],
                        elem_id="start",
                    )
                    offset = gr.Slider(
                        minimum=-limit,
                        maximum=limit,
                        value=0,
                        step=OFFSET_STEP,
                        label="Move the sound (s)",
                        interactive=False,
                        buttons=["reset"],
                        elem_id="offset",
                    )
                    gr.HTML(value=OFFSET_SCALE, elem_id="offset-scale")
                picks = gr.HTML(
                    value=strip(examples),
                    js_on_load=(STATIC / "examples.js").read_text(),
                    visible=bool(examples),
                    elem_id="examples",
                )
            with gr.Column(scale=7, min_width=320, elem_id="right"):
                result = gr.HTML(
                    value=json.dumps(empty_view(session.model.config.grid)),
                    html_template=(STATIC / "result.html").read_text(),
                    js_on_load=(STATIC / "result.js").read_text(),
                    server_functions=[_live(session)],
                    plotly=str(PLOTLY),
                    elem_id="result",
                )
        _add_api(session)

        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_id": "model"}
        busy: dict[str, Any] = {"fn": None, "js": "() => document.dispatchEvent(new CustomEvent('synchformer:busy'))"}
        opened = [key, upload, player, file, caption, start, offset, result]
        choices = [(field.upload, partial(_open, session), [field]) for field in (upload, another)]
        for chosen, fn, inputs in (*choices, (picks.pick, _picker(session, examples), None)):
            chosen(**busy)
            chosen(fn=fn, inputs=inputs, outputs=opened, **quiet)
        result.settle(
            fn=partial(_move, session),
            inputs=[key, start, offset],
            outputs=[player, result],
            trigger_mode="always_last",
            **quiet,
        )
    return page


def _open(session: Session, path: str | None) -> tuple[Any, ...]:
    """A video was chosen: measure it, then swap the upload field for the player and set the sliders' bounds."""
    if not path:
        return (gr.skip(),) * 8
    try:
        clip = session.open(Path(path))
        view = _view(session, clip.key, clip.start, 0.0)
        copy = session.shifted(clip.key, clip.start, 0.0)
    except PageError as error:
        return gr.skip(), gr.update(value=None), *(gr.skip(),) * 5, json.dumps(error_view(str(error)))
    return (
        clip.key,
        gr.update(value=None, visible=False),
        gr.update(value=str(copy), visible=True),
        gr.update(visible=True),
        _caption(clip),
        _start_slider(clip),
        gr.update(value=0, interactive=True),
        json.dumps(view),
    )


def _view(session: Session, key: object, start: object, offset: object) -> View:
    prediction = session.predict(key, start, offset)
    place: dict[str, Any] = {"key": key, "start": start}
    return prediction_view(prediction, **place, model=session.name, device=session.device)


def _start_slider(clip: Opened) -> dict[str, Any]:
    """The start slider bounded by the clip; a clip of just one crop leaves nothing to choose."""
    movable = clip.last_start - clip.first_start >= OFFSET_STEP
    last = clip.last_start if movable else clip.first_start + OFFSET_STEP
    return gr.update(minimum=clip.first_start, maximum=last, value=clip.start, interactive=movable)


def _caption(clip: Opened) -> str:
    """The file's name below the player, and why the browser may not play it; both are foreign text."""
    note = f'<span class="note">{escape(clip.note)}</span>' if clip.note else ""
    return f'<span class="name" title="{escape(clip.name)}">{escape(clip.name)}</span>{note}'


def _picker(session: Session, examples: Sequence[Path]) -> Callable[[gr.EventData], tuple[Any, ...]]:
    """Open the example whose place in our own list the page names."""

    def pick(event: gr.EventData) -> tuple[Any, ...]:
        index: object = getattr(event, "index", None)
        path = examples[index] if isinstance(index, int) and 0 <= index < len(examples) else None
        return _open(session, None if path is None else str(path))

    return pick


def _move(session: Session, key: str | None, start: float, offset: float) -> tuple[Any, Any]:
    """A slider was let go: write the shifted copy, and measure in full."""
    try:
        view = _view(session, key, start, offset)
        copy = session.shifted(key, start, offset)
    except PageError as error:
        return gr.skip(), json.dumps(error_view(str(error)))
    return gr.update(value=str(copy)), json.dumps(view)


def _live(session: Session) -> Callable[[Any], View]:
    """The function that the page calls while the slider moves; whatever it is sent, it answers with a view."""

    def live(request: Any) -> View:
        values = request if isinstance(request, dict) else {}
        try:
            return _view(session, values.get("key"), values.get("start"), values.get("offset"))
        except PageError as error:
            return error_view(str(error))

    return live


def _add_api(session: Session) -> None:
    """The endpoint `/predict` for programs: a video, a start and an offset give one JSON object."""

    def predict(video: str, start: float = 0.0, offset: float = 0.0) -> dict[str, Any]:
        """Measure how far a video's sound is off.

        Args:
            video: the file.
            start: first second of the crop.
            offset: seconds by which the sound is moved before asking; above zero it runs ahead.

        Returns:
            model, start, applied_offset, offset, confidence, grid, probabilities, sentence.
        """
        try:
            clip = session.open(Path(video))
            found = session.predict(clip.key, start, offset)
        except PageError as error:
            raise gr.Error(str(error)) from error
        answer = {"model": session.name, "start": start, "applied_offset": found.applied_offset, "offset": found.offset}
        answer |= {"confidence": found.confidence, "grid": list(found.grid)}
        return answer | {"probabilities": list(found.probabilities), "sentence": found.sentence}

    limit = session.model.config.max_offset
    inputs = [
        gr.File(label="video", file_types=list(SUFFIXES), visible=False),
        gr.Number(label="start (s)", value=0.0, minimum=0.0, visible=False),
        gr.Number(label="offset (s)", value=0.0, minimum=-limit, maximum=limit, visible=False),
    ]
    gr.Button(visible=False).click(
        fn=predict,
        inputs=inputs,
        outputs=[gr.JSON(visible=False)],
        api_name="predict",
        concurrency_id="model",
        api_description="Measure how far a video's sound is off (offset above zero: the sound is early).",
    )
