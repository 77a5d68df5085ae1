"""Probe: the clip, its player, the two sliders, the choice of the model, and links that open an example."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from attribution.settings import Settings
from interface.export import link
from interface.session.errors import PageError
from interface.session.examples import strip
from interface.session.limits import SLIDER_STEP
from interface.session.model_registry import Models, label
from interface.session.session import Session
from interface.session.workspace import Upload
from interface.tabs import synchronizability
from interface.tabs.answer import answer_changes, answer_of, answered, error_changes
from interface.tabs.components import QUICK, AttributionControls, Changes, PageContext, no_changes, script
from interface.views.result_card import empty_view
from synchformer.storage.json_text import to_json

WEIGHTS = (".safetensors", ".pt", ".pth")
PICTURE_HEIGHT = 248  # pixels

OFFSET_SCALE = """<div class="ends"><span>← sound later</span><span>sound earlier →</span></div>
<p id="offset-words" aria-live="polite">The sound stays where the file has it.</p>"""


@dataclass
class ProbeComponents:
    """Components of this part."""

    upload: gr.File
    player: gr.Video
    file: gr.Row
    caption: gr.HTML
    another: gr.UploadButton
    picks: gr.HTML
    chooser: gr.Dropdown
    weights: gr.UploadButton
    description: gr.HTML
    download: synchronizability.DownloadRow


def chooser(models: Models) -> tuple[gr.Dropdown, gr.UploadButton, gr.HTML]:
    """The model's name, an own checkpoint, and what the model was trained on."""
    with gr.Row(elem_id="model"):
        description = gr.HTML(value=_description(models, models.first.name), elem_id="model-told")
        names = gr.Dropdown(
            choices=list(models.names), value=models.first.name, label="Model", elem_id="model-name", container=False
        )
        weights = gr.UploadButton(label="Own checkpoint", file_types=list(WEIGHTS), size="sm", elem_id="own-model")
    return names, weights, description


def clip_column() -> tuple[gr.File, gr.Video, gr.Row, gr.HTML, gr.UploadButton]:
    """Where the video is dropped and then played; any file is taken, for its content decides, not its suffix."""
    upload = gr.File(label="Video", show_label=False, height=PICTURE_HEIGHT, elem_id="clip")
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
        another = gr.UploadButton(label="Choose another video", size="sm", elem_id="another")
    return upload, player, file, caption, another


def controls_column(models: Models, examples: tuple[Path, ...]) -> tuple[gr.Slider, gr.Slider, gr.HTML]:
    """The two sliders, and the examples."""
    limit = models.max_offset
    with gr.Group(elem_id="controls"):
        offset = gr.Slider(
            minimum=-limit, maximum=limit, value=0, step=SLIDER_STEP, label="Move the sound (s)", interactive=False,
            buttons=["reset"], elem_id="offset",
        )  # fmt: skip
        gr.HTML(value=OFFSET_SCALE, elem_id="offset-scale")
        start = gr.Slider(
            minimum=0, maximum=1, value=0, step=SLIDER_STEP, label="Start of the five seconds (s)", interactive=False,
            buttons=[], elem_id="start",
        )  # fmt: skip
    picks = gr.HTML(value=strip(examples), js_on_load=script("examples.js"), visible=bool(examples), elem_id="examples")
    return start, offset, picks


def opened(context: PageContext, probe: ProbeComponents) -> list[Any]:
    """What changes when a clip is opened."""
    return [
        context.key, probe.upload, probe.player, probe.file, probe.caption, context.start, context.offset,
        *answered(context),
    ]  # fmt: skip


def wire(context: PageContext, probe: ProbeComponents) -> None:
    """Connect uploads, examples, sliders and the model's choice."""
    busy: dict[str, Any] = {"fn": None, "js": "() => document.dispatchEvent(new CustomEvent('synchformer:busy'))"}
    then = synchronizability.after_answer(context, probe.download)
    uploads: list[Any] = [(field.upload, partial(_open, context, probe), [field, context.model])
               for field in (probe.upload, probe.another)]  # fmt: skip
    picked = (probe.picks.pick, _picker(context, probe), [context.model])
    for chosen, fn, inputs in (*uploads, picked):
        chosen(**busy)
        chosen(fn=fn, inputs=inputs, outputs=opened(context, probe), **QUICK).then(**then)
    moves: list[Any] = [
        (context.result.settle, _move, [probe.player, context.result, context.timeline]),
        (context.result.restart, _restart, [probe.player, *answered(context)]),
    ]
    for moved, fn, outputs in moves:
        moved(
            fn=partial(fn, context, probe), inputs=context.place, outputs=outputs, trigger_mode="always_last", **QUICK
        ).then(**then)
    synchronizability.wire(context, probe.download)
    choices: list[Any] = [
        (probe.chooser.input, _choose, probe.chooser),
        (probe.weights.upload, _own_weights, probe.weights),
    ]
    for event, fn, field in choices:
        event(
            fn=partial(fn, context, probe),
            inputs=[field, context.model, context.key, context.start, context.offset],
            outputs=[context.model, probe.description, probe.chooser, *answered(context)],
            **QUICK,
        ).then(**then)


def _open(context: PageContext, probe: ProbeComponents, path: str | None, model: str) -> Changes:
    """A video was chosen: measure it, then swap the upload field for the player and set the sliders' bounds."""
    if not path:
        return no_changes()
    try:
        session = context.models.get(model)
        clip = session.open(Path(path))
        return _clip_changes(context, probe, session, clip, clip.start, 0.0)
    except PageError as error:
        return {probe.upload: gr.update(value=None), **error_changes(context, error)}


def link_follower(context: PageContext, probe: ProbeComponents) -> Callable[[gr.Request], Changes]:
    """What runs when the page is opened; a plain function, for gradio reads the types of no other."""

    def follow(request: gr.Request) -> Changes:
        return _follow_link(context, probe, dict(request.query_params))

    return follow


def _follow_link(context: PageContext, probe: ProbeComponents, query: dict[str, str]) -> Changes:
    """The page was opened by a link: the example, the model and the settings that it names; else nothing."""
    query = {name: value for name, value in query.items() if not name.startswith("__")}  # gradio's own, such as theme
    if not query:
        return no_changes()
    models = context.models
    try:
        by_name = {path.stem: path for path in context.examples}
        ready = [name for name in models.names if models.loaded(name)]
        place = link.read(query, examples=tuple(by_name), models=ready, max_offset=models.max_offset)
        session = models.get(place.model)
        clip = session.open(by_name[place.example])
        start = clip.start if place.start is None else place.start
        changes = _clip_changes(context, probe, session, clip, start, place.offset)
    except PageError as error:
        return error_changes(context, error)
    changes |= {context.model: session.name, probe.chooser: gr.update(value=session.name)}
    return changes | _settings_changes(context.attribution, place.settings)


def _settings_changes(controls: AttributionControls, settings: Settings) -> Changes:
    """The form's fields as a link wants them; a visitor's own distractors are no part of one."""
    special = {"tolerance": settings.tolerance or 0, "modalities": list(settings.modalities)}
    return {
        field: gr.update(value=special.get(name, getattr(settings, name)))
        for name, field in controls.fields.items()
        if name != "distractors"
    }


def _clip_changes(
    context: PageContext, probe: ProbeComponents, session: Session, clip: Upload, start: float, offset: float
) -> Changes:
    """Everything that changes when a clip is opened.

    Raises:
        PageError: when it cannot be measured there.
    """
    changes = answer_changes(context, session, clip, start, offset)
    return {
        context.key: clip.key,
        probe.upload: gr.update(value=None, visible=False),
        probe.player: gr.update(value=str(session.shifted(clip.key, start, offset)), visible=True),
        probe.file: gr.update(visible=True),
        probe.caption: caption(clip),
        context.start: _start_slider(clip, start),
        context.offset: gr.update(value=offset, interactive=True),
        **changes,
    }


def _picker(context: PageContext, probe: ProbeComponents) -> Callable[[str, gr.EventData], Changes]:
    """Open the example whose place in our own list the page names; gradio reads the types of a plain function only."""

    def pick(model: str, event: gr.EventData) -> Changes:
        index: object = getattr(event, "index", None)
        known = isinstance(index, int) and 0 <= index < len(context.examples)
        path = str(context.examples[index]) if known and isinstance(index, int) else None
        return _open(context, probe, path, model)

    return pick


def _move(
    context: PageContext, probe: ProbeComponents, key: str | None, model: str, start: float, offset: float
) -> Changes:
    """The offset slider was let go: write the shifted copy, and measure in full."""
    try:
        session = context.models.get(model)
        view = answer_of(session, key, start, offset)
        copy = session.shifted(key, start, offset)
    except PageError as error:
        return error_changes(context, error)
    return {
        probe.player: gr.update(value=str(copy)),
        context.result: to_json(view),
        context.timeline: to_json({"offset": float(offset)}),
    }


def _restart(
    context: PageContext, probe: ProbeComponents, key: str | None, model: str, start: float, offset: float
) -> Changes:
    """The start slider was let go: other five seconds, so other pictures, and no curves yet."""
    try:
        session = context.models.get(model)
        clip = session.opened(key)
        changes = answer_changes(context, session, clip, start, offset)
        if clip.long:
            changes[probe.player] = gr.update(value=str(session.shifted(key, start, offset)))
    except PageError as error:
        return error_changes(context, error)
    return changes


def _choose(
    context: PageContext,
    probe: ProbeComponents,
    name: str,
    before: str,
    key: str | None,
    start: float,
    offset: float,
) -> Iterator[Changes]:
    """Another model was chosen: load it, which may mean a download, then ask it about the same clip."""
    try:
        for step in context.models.steps(str(name)):
            yield {probe.description: f'<span class="loading" role="status">{escape(step)}</span>'}
        yield _model_changes(context, probe, str(name), key, start, offset)
    except PageError as error:
        yield {
            probe.description: _description(context.models, before),
            probe.chooser: gr.update(value=before),
            **error_changes(context, error),
        }


def _own_weights(
    context: PageContext,
    probe: ProbeComponents,
    path: str | None,
    before: str,
    key: str | None,
    start: float,
    offset: float,
) -> Changes:
    """A visitor's own checkpoint: under a name that nobody else can guess."""
    if not path:
        return no_changes()
    try:
        name = context.models.add_file(Path(path))
        changes = _model_changes(context, probe, name, key, start, offset)
    except PageError as error:
        return error_changes(context, error)
    choices = [*context.models.names, (label(name), name)]
    return changes | {probe.chooser: gr.update(choices=choices, value=name)}


def _model_changes(
    context: PageContext, probe: ProbeComponents, name: str, key: str | None, start: float, offset: float
) -> Changes:
    session = context.models.get(name)
    changes: Changes = {context.model: name, probe.description: _description(context.models, name)}
    if key is None:
        return changes | {context.result: to_json(empty_view(session.model.config.grid))}
    return changes | answer_changes(context, session, session.opened(key), start, offset)


def _start_slider(clip: Upload, start: float) -> dict[str, Any]:
    """The start slider bounded by the clip; a clip of just one crop leaves nothing to choose."""
    movable = clip.last_start - clip.first_start >= SLIDER_STEP
    last = clip.last_start if movable else clip.first_start + SLIDER_STEP
    return gr.update(minimum=clip.first_start, maximum=last, value=start, interactive=movable)


def caption(clip: Upload) -> str:
    """The file's name below the player, and why the browser may not play it; both are foreign text."""
    note = f'<span class="warning">{escape(clip.note)}</span>' if clip.note else ""
    return f'<span class="name" title="{escape(clip.name)}">{escape(clip.name)}</span>{note}'


def _description(models: Models, name: str) -> str:
    """What a model was trained on, as HTML; all that is known of it where the mouse rests."""
    description = models.description(name)
    short = "".join(description.split(", ")[1:2]) or description
    return f'<span title="{escape(description)}">{escape(short)}</span>'
