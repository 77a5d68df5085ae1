"""What the parts of the page share: components, and how their events run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from interface.session.errors import PageError
from interface.session.model_registry import Models

STATIC = Path(__file__).parent.parent / "static"

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

Changes = dict[Any, Any]
"""What a handler returns or yields: new values by component, of some of the event's outputs; the others stay.

gradio takes an empty one for a wrong number of values: what changes nothing returns `no_changes()`.
"""


def no_changes() -> Changes:
    """Every output stays as it is."""
    changes: Changes = gr.skip()
    return changes


@dataclass
class AttributionControls:
    """Above the timeline: three buttons, what the curves show, and how far the work is; and the settings' fields.

    `job` holds the visitor's `AttributionJob`; `fields` are named like the attributes of `attribution.Settings`.
    """

    run: gr.Button
    stop: gr.Button
    resume: gr.Button
    measure: gr.Dropdown
    progress: gr.HTML
    job: gr.State
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def buttons(self) -> list[gr.Button]:
        """What `enabled` changes."""
        return [self.run, self.stop, self.resume]

    def enabled(self, *, running: bool, kept: bool = True) -> Changes:
        """Which buttons can be pressed: while an attribution is `running`, and whether one is `kept` that can go on."""
        pressable = {self.run: not running, self.stop: running, self.resume: not running and kept}
        return {button: gr.update(interactive=can) for button, can in pressable.items()}


@dataclass
class PageContext:
    """The models and examples of a page, and the components that several of its parts read or write.

    `key` holds the visitor's clip and `model` the chosen model's name.
    """

    models: Models
    examples: Sequence[Path]
    key: gr.State
    model: gr.State
    start: gr.Slider
    offset: gr.Slider
    result: gr.HTML
    timeline: gr.HTML
    attribution: AttributionControls

    @property
    def place(self) -> list[Any]:
        """Inputs that say what is asked about: the clip, the model, the start and the offset."""
        return [self.key, self.model, self.start, self.offset]


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


@contextmanager
def gradio_errors() -> Iterator[None]:
    """What a visitor is told becomes gradio's error: the page shows it as a notice, a program gets the sentence.

    Raises:
        gr.Error: one sentence.
    """
    try:
        yield
    except PageError as error:
        raise gr.Error(str(error), print_exception=False) from error
