"""Probe: the clip, its player, the two sliders, the answer that follows them, and the choice of the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from interface.export import link
from interface.session.errors import PageError
from interface.session.examples import strip, truth_of
from interface.session.limits import MAX_OFFSETS_AHEAD, SLIDER_STEP
from interface.session.model_registry import Models, label
from interface.session.session import Session
from interface.session.workspace import Upload
from interface.tabs import synchronizability
from interface.tabs.attribute import IDLE, states
from interface.tabs.components import QUICK, VIDEO_TYPES, Shared, script
from interface.views import timeline
from interface.views.result_card import View, answer_view, empty_view, error_view, moved_view

WEIGHTS = (".safetensors", ".pt", ".pth")
PICTURE_HEIGHT = 248  # pixels
OWN_FILE = "own checkpoint…"

OFFSET_SCALE = """<div class="ends"><span>← sound later</span><span>sound earlier →</span></div>
<p id="offset-words" aria-live="polite">The sound stays where the file has it.</p>"""


@dataclass
class Probe:
    """Components of this part."""

    upload: gr.File
    player: gr.Video
    file: gr.Row
    caption: gr.HTML
    another: gr.UploadButton
    start: gr.Slider
    offset: gr.Slider
    picks: gr.HTML
    result: gr.HTML
    chooser: gr.Dropdown
    weights: gr.UploadButton
    told: gr.HTML
    judge: synchronizability.Judge


def chooser(models: Models) -> tuple[gr.Dropdown, gr.UploadButton, gr.HTML]:
    """The model's name, an own checkpoint, and what the model was trained on."""
    with gr.Row(elem_id="model"):
        told = gr.HTML(value=_told(models, models.first.name), elem_id="model-told")
        names = gr.Dropdown(
            choices=list(models.names), value=models.first.name, label="Model", elem_id="model-name", container=False
        )
        weights = gr.UploadButton(label="Own checkpoint", file_types=list(WEIGHTS), size="sm", elem_id="own-model")
    return names, weights, told


def clip_column() -> tuple[gr.File, gr.Video, gr.Row, gr.HTML, gr.UploadButton]:
    """Where the video is dropped and then played."""
    kinds = list(VIDEO_TYPES)
    upload = gr.File(label="Video", show_label=False, file_types=kinds, height=PICTURE_HEIGHT, elem_id="clip")
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
        another = gr.UploadButton(label="Choose another video", file_types=kinds, size="sm", elem_id="another")
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


def answer(models: Models, plotly: Path) -> gr.HTML:
    """The card with the sentence and the distribution."""
    return gr.HTML(
        value=json.dumps(empty_view(models.first.model.config.grid)),
        html_template=script("result.html"),
        js_on_load=script("shared.js", "result.js"),
        server_functions=[_live(models), _ahead(models)],
        plotly=str(plotly),
        elem_id="result",
    )


def opened(shared: Shared, probe: Probe, progress: gr.HTML) -> list[Any]:
    """What changes when a clip is opened, in the order of `open_at`."""
    return [
        shared.key, probe.upload, probe.player, probe.file, probe.caption, probe.start, probe.offset, probe.result,
        shared.timeline, progress, *shared.buttons,
    ]  # fmt: skip


def wire(shared: Shared, probe: Probe, progress: gr.HTML) -> None:
    """Connect uploads, examples, sliders and the model's choice."""
    outputs = opened(shared, probe, progress)
    busy: dict[str, Any] = {"fn": None, "js": "() => document.dispatchEvent(new CustomEvent('synchformer:busy'))"}
    judged = synchronizability.told(shared, probe.judge)
    uploads: list[Any] = [(field.upload, partial(_open, shared), [field, shared.model])
               for field in (probe.upload, probe.another)]  # fmt: skip
    picked = (probe.picks.pick, _picker(shared), [shared.model])
    for chosen, fn, inputs in (*uploads, picked):
        chosen(**busy)
        chosen(fn=fn, inputs=inputs, outputs=outputs, **QUICK).then(**judged)
    place = [shared.key, shared.model, shared.start, shared.offset]
    moves: list[Any] = [
        (probe.result.settle, _move, [probe.player, probe.result, shared.timeline]),
        (probe.result.restart, _restart, [probe.player, probe.result, shared.timeline, progress, *shared.buttons]),
    ]
    for moved, fn, answers in moves:
        moved(fn=partial(fn, shared), inputs=place, outputs=answers, trigger_mode="always_last", **QUICK).then(**judged)
    changed = [shared.model, probe.told, probe.result, shared.timeline, progress, *shared.buttons]
    synchronizability.wire(shared, probe.judge)
    choices: list[Any] = [
        (probe.chooser.input, _choose, probe.chooser),
        (probe.weights.upload, _own_weights, probe.weights),
    ]
    for event, fn, field in choices:
        event(
            fn=partial(fn, shared),
            inputs=[field, shared.model, shared.key, shared.start, shared.offset],
            outputs=[*changed, probe.chooser],
            **QUICK,
        ).then(**judged)


def _open(shared: Shared, path: str | None, model: str) -> tuple[Any, ...]:
    """A video was chosen: measure it, then swap the upload field for the player and set the sliders' bounds."""
    nothing = (gr.skip(),) * (10 + len(shared.buttons))
    if not path:
        return nothing
    try:
        session = shared.models.get(model)
        clip = session.open(Path(path))
        return open_at(shared, session, clip, clip.start, 0.0)
    except PageError as error:
        return gr.skip(), gr.update(value=None), *(gr.skip(),) * 5, json.dumps(error_view(str(error))), *nothing[8:]


def link_follower(shared: Shared, names: tuple[str, ...]) -> Callable[[gr.Request], tuple[Any, ...]]:
    """What runs when the page is opened; a plain function, for gradio reads the types of no other."""

    def follow(request: gr.Request) -> tuple[Any, ...]:
        return _follow_link(shared, names, dict(request.query_params))

    return follow


def _follow_link(shared: Shared, names: tuple[str, ...], query: dict[str, str]) -> tuple[Any, ...]:
    """The page was opened by a link: the example, the model and the settings that it names; else nothing."""
    count = 10 + len(shared.buttons)
    query = {name: value for name, value in query.items() if not name.startswith("__")}  # gradio's own, such as theme
    nothing = (gr.skip(),) * (count + 2 + len(names))
    if not query:
        return nothing
    try:
        by_name = {path.stem: path for path in shared.examples}
        ready = [name for name in shared.models.names if name == shared.models.first.name or shared.models.loaded(name)]
        place = link.read(query, examples=tuple(by_name), models=ready, max_offset=shared.models.max_offset)
        session = shared.models.get(place.model)
        clip = session.open(by_name[place.example])
        start = clip.start if place.start is None else place.start
        changed = open_at(shared, session, clip, start, place.offset)
    except PageError as error:
        return *nothing[:7], json.dumps(error_view(str(error))), *nothing[8:]
    values = {name: getattr(place.settings, name) for name in names if name != "distractors"}
    values |= {"tolerance": place.settings.tolerance or 0, "modalities": list(place.settings.modalities)}
    fields = [gr.update(value=values[name]) if name in values else gr.skip() for name in names]
    return *changed, session.name, gr.update(value=session.name), *fields


def open_at(shared: Shared, session: Session, clip: Upload, start: float, offset: float) -> tuple[Any, ...]:
    """Everything that changes when a clip is opened.

    Raises:
        PageError: when it cannot be measured there.
    """
    view = _view(session, clip.key, start, offset)
    copy = session.shifted(clip.key, start, offset)
    line = timeline.opened(session, clip, start, offset, truth_of(clip.path, shared.examples))
    return (
        clip.key,
        gr.update(value=None, visible=False),
        gr.update(value=str(copy), visible=True),
        gr.update(visible=True),
        caption(clip),
        _start_slider(clip, start),
        gr.update(value=offset, interactive=True),
        json.dumps(view),
        json.dumps(line),
        IDLE,
        *states(running=False, kept=False),
    )


def _picker(shared: Shared) -> Callable[[str, gr.EventData], tuple[Any, ...]]:
    """Open the example whose place in our own list the page names; gradio reads the types of a plain function only."""

    def pick(model: str, event: gr.EventData) -> tuple[Any, ...]:
        index: object = getattr(event, "index", None)
        known = isinstance(index, int) and 0 <= index < len(shared.examples)
        return _open(shared, str(shared.examples[index]) if known and isinstance(index, int) else None, model)

    return pick


def _move(shared: Shared, key: str | None, model: str, start: float, offset: float) -> tuple[Any, ...]:
    """The offset slider was let go: write the shifted copy, and measure in full."""
    try:
        session = shared.models.get(model)
        view = _view(session, key, start, offset)
        copy = session.shifted(key, start, offset)
    except PageError as error:
        return gr.skip(), json.dumps(error_view(str(error))), gr.skip()
    return gr.update(value=str(copy)), json.dumps(view), json.dumps({"offset": float(offset)})


def _restart(shared: Shared, key: str | None, model: str, start: float, offset: float) -> tuple[Any, ...]:
    """The start slider was let go: other five seconds, so other pictures, and no curves yet."""
    count = len(shared.buttons)
    try:
        session = shared.models.get(model)
        clip = session.opened(key)
        view = _view(session, key, start, offset)
        line = timeline.opened(session, clip, start, offset, truth_of(clip.path, shared.examples))
        copy = gr.update(value=str(session.shifted(key, start, offset))) if clip.long else gr.skip()
    except PageError as error:
        return gr.skip(), json.dumps(error_view(str(error))), *(gr.skip(),) * (2 + count)
    return copy, json.dumps(view), json.dumps(line), IDLE, *states(running=False, kept=False)


def _choose(
    shared: Shared, name: str, before: str, key: str | None, start: float, offset: float
) -> Iterator[tuple[Any, ...]]:
    """Another model was chosen: load it, which may mean a download, then ask it about the same clip."""
    rest = (gr.skip(),) * (3 + len(shared.buttons))
    try:
        for step in shared.models.steps(str(name)):
            yield gr.skip(), f'<span class="loading" role="status">{escape(step)}</span>', *rest, gr.skip()
        yield _changed(shared, str(name), key, start, offset)
    except PageError as error:
        sentence = json.dumps(error_view(str(error)))
        told = _told(shared.models, before)
        yield gr.skip(), told, sentence, *rest[1:], gr.update(value=before)


def _own_weights(
    shared: Shared, path: str | None, before: str, key: str | None, start: float, offset: float
) -> tuple[Any, ...]:
    """A visitor's own checkpoint: under a name that nobody else can guess."""
    count = 4 + len(shared.buttons)
    if not path:
        return (gr.skip(),) * (count + 2)
    try:
        name = shared.models.add_file(Path(path))
        changed = _changed(shared, name, key, start, offset)
    except PageError as error:
        return gr.skip(), gr.skip(), json.dumps(error_view(str(error))), *(gr.skip(),) * (count - 1)
    choices = [*shared.models.names, (label(name), name)]
    return *changed[:-1], gr.update(choices=choices, value=name)


def _changed(shared: Shared, name: str, key: str | None, start: float, offset: float) -> tuple[Any, ...]:
    session = shared.models.get(name)
    told = _told(shared.models, name)
    if key is None:
        return name, told, json.dumps(empty_view(session.model.config.grid)), *(gr.skip(),) * (3 + len(shared.buttons))
    clip = session.opened(key)
    view = json.dumps(_view(session, key, start, offset))
    line = json.dumps(timeline.opened(session, clip, start, offset, truth_of(clip.path, shared.examples)))
    return name, told, view, line, IDLE, *states(running=False, kept=False), gr.skip()


def _view(session: Session, key: object, start: object, offset: object) -> View:
    place: dict[str, Any] = {"key": key, "start": start}
    return answer_view(session.answer(key, start, offset), **place, model=session.name, device=session.device)


def _start_slider(clip: Upload, start: float) -> dict[str, Any]:
    """The start slider bounded by the clip; a clip of just one crop leaves nothing to choose."""
    movable = clip.last_start - clip.first_start >= SLIDER_STEP
    last = clip.last_start if movable else clip.first_start + SLIDER_STEP
    return gr.update(minimum=clip.first_start, maximum=last, value=start, interactive=movable)


def caption(clip: Upload) -> str:
    """The file's name below the player, and why the browser may not play it; both are foreign text."""
    note = f'<span class="warning">{escape(clip.note)}</span>' if clip.note else ""
    return f'<span class="name" title="{escape(clip.name)}">{escape(clip.name)}</span>{note}'


def _told(models: Models, name: str) -> str:
    whole = models.told(name)
    return f'<span title="{escape(whole)}">{escape("".join(whole.split(", ")[1:2]) or whole)}</span>'


def _live(models: Models) -> Callable[[Any], View]:
    """The function that the page calls while the slider moves; whatever it is sent, it answers with a view."""

    def live(request: Any) -> View:
        values = request if isinstance(request, dict) else {}
        try:
            session = models.get(values.get("model"))
            answer = session.answer(values.get("key"), values.get("start"), values.get("offset"))
            return moved_view(answer, model=session.name, device=session.device)
        except PageError as error:
            return error_view(str(error))

    return live


def _ahead(models: Models) -> Callable[[Any], View]:
    """The function by which the page learns answers before the slider gets there: some `rows`, and what is `left`."""

    def ahead(request: Any) -> View:
        values = request if isinstance(request, dict) else {}
        offsets = values.get("offsets")
        try:
            session = models.get(values.get("model"))
            if not isinstance(offsets, list) or len(offsets) > MAX_OFFSETS_AHEAD:
                raise PageError(f"Answers are given for a list of at most {MAX_OFFSETS_AHEAD} offsets.")
            found, left = session.ahead(values.get("key"), values.get("start"), offsets)
            rows = [moved_view(answer, model=session.name, device=session.device) for answer in found]
            return {"rows": rows, "left": left}
        except PageError as error:
            return error_view(str(error))

    return ahead
