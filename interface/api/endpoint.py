"""What every endpoint for programs has: a hidden button, a video, a model, and one sentence for what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from interface.session.errors import PageError
from interface.session.model_registry import Models, wait_for
from interface.session.session import Session
from interface.tabs.components import gradio_errors

LOADING_SECONDS = 240.0  # how long a request waits for weights that are not here yet

Reply = dict[str, Any]


def endpoint(
    fn: Callable[..., Any],
    inputs: Sequence[gr.components.Component],
    event: dict[str, Any],
    *files: gr.components.Component,
) -> None:
    """Add one endpoint with the name of its function; its description is the docstring's first sentences.

    Args:
        fn: what answers.
        inputs: hidden components, one for each argument.
        event: how its requests queue, as in `interface.tabs.components`.
        files: what it answers with before the JSON object.
    """
    description = " ".join((fn.__doc__ or "").split("Args:")[0].split())
    gr.Button(visible=False).click(
        fn=fn,
        inputs=inputs,
        outputs=[*files, gr.JSON(label="the answer as one JSON object", visible=False)],
        api_name=fn.__name__,
        api_description=description,
        **{name: value for name, value in event.items() if name.startswith("concurrency")},
    )


def video_field() -> gr.File:
    """The video that is asked about."""
    return gr.File(label="a video file with sound", visible=False)


def model_field(models: Models) -> gr.Dropdown:
    """The model that is asked."""
    label = "a model by name; weights that are not here yet are downloaded first"
    return gr.Dropdown(label=label, choices=list(models.names), value=models.first.name, visible=False)


@contextmanager
def asked(models: Models, video: str | None, model: str) -> Iterator[tuple[Session, Path]]:
    """The session of a model and the video, not yet looked at; errors inside become gradio's.

    Raises:
        gr.Error: one sentence.
    """
    with gradio_errors():
        if not video:
            raise PageError("No video was sent; give a file, such as handle_file('clip.mp4').")
        path = Path(video)
        wait_for(models.steps(model), LOADING_SECONDS)
        session = models.get(model)
        yield session, path
