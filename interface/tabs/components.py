"""What the parts of the page share: components, and how their events run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from interface.session.model_registry import Models
from synchformer.media.video_files import VIDEO_SUFFIXES

STATIC = Path(__file__).parent.parent / "static"
VIDEO_TYPES = ("video", *sorted(VIDEO_SUFFIXES))  # what an upload field takes: browsers know few of the suffixes

# Short work waits for nobody but the accelerator's lock; long work is done one at a time, and its place in the queue
# is shown.
QUICK: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_id": "quick",
    "concurrency_limit": 4,
}
JOB: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "minimal",
    "concurrency_id": "job",
    "concurrency_limit": 1,
}
FILM: dict[str, Any] = JOB | {"concurrency_id": "film"}  # takes minutes, in short turns at the accelerator


@dataclass
class Shared:
    """Components that several parts of the page read or write.

    `key` holds the visitor's clip and `model` the chosen model's name; `buttons` are Attribute, Stop and Continue.
    """

    models: Models
    examples: Sequence[Path]
    key: gr.State
    model: gr.State
    start: gr.Slider
    offset: gr.Slider
    result: gr.HTML
    timeline: gr.HTML
    buttons: list[gr.Button]


def panels(plotly: Path, name: str) -> gr.HTML:
    """Figures side by side; their value is the JSON text of a list of {title, figure}."""
    return gr.HTML(
        value="[]",
        html_template=script("panels.html"),
        js_on_load=script("shared.js", "panels.js"),
        plotly=str(plotly),
        elem_id=name,
    )


def script(*names: str) -> str:
    """The text of scripts in `static/`, one after the other, as the body of a component's `js_on_load`."""
    return "\n".join((STATIC / name).read_text() for name in names)
