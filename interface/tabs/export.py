"""Take away: the figure, the data, a report, a movie, a link; and what the model was fed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from attribution.figures.figure_data import explained
from attribution.figures.matplotlib_figure import save_figure
from attribution.result import Attribution
from interface.export import link, model_input, movie, report
from interface.session import limits
from interface.session.errors import PageError, sentences
from interface.session.examples import truth_of
from interface.session.model_registry import OWN
from interface.session.upload_checks import notes_on_clip
from interface.tabs.attribute import Evidence, Job, sorry
from interface.tabs.components import JOB, QUICK, Shared
from interface.views.timeline import base_figure_data
from synchformer.media.crop import Crop

Made = Iterator[tuple[Any, Any]]
FILES = (
    ("figure-png", "Figure (PNG)"),
    ("figure-svg", "Figure (SVG)"),
    ("data-csv", "Data (CSV)"),
    ("data-json", "Data (JSON)"),
    ("data-npz", "Data (NPZ)"),
    ("report", "Report (HTML)"),
    ("movie", "Movie (MP4)"),
)
ABOUT = '<p class="note">What the last attribution found, as files. Nothing is sent anywhere.</p>'
FED = (
    '<p class="note">Exactly what went into the model: its crop of the picture, and the sound rebuilt from its '
    "spectrogram. What is blurred or muffled here, the model does not see or hear better.</p>"
)
# The browser saves a file as soon as its address has arrived.
SAVE = "() => setTimeout(() => document.querySelector('#take-file')?.click(), 250)"


def tab(shared: Shared, evidence: Evidence) -> None:
    """Lay out and connect the files and the link."""
    words = gr.HTML(value=ABOUT, elem_id="take-words")
    ready = gr.DownloadButton(elem_id="take-file", visible="hidden")
    with gr.Row(elem_classes="bar-row"):
        for name, caption in FILES:
            button = gr.Button(caption, elem_id=f"take-{name}", size="md")
            made = button.click(
                fn=partial(_make, shared, name),
                inputs=[evidence.job, evidence.measure],
                outputs=[ready, words],
                show_progress_on=[words],
                **JOB,
            )
            made.success(fn=None, js=SAVE)
    with gr.Row(elem_classes="bar-row"):
        copy = gr.Button("Link to this example", elem_id="take-link", size="md")
        address = gr.Textbox(
            label="Link", show_label=False, container=False, interactive=False, buttons=["copy"],
            elem_id="take-address", placeholder="a link that opens the same example with the same settings",
        )  # fmt: skip
    copy.click(
        fn=partial(_link, shared),
        inputs=[evidence.job, shared.key, shared.model, shared.start, shared.offset],
        outputs=[address, words],
        **QUICK,
    ).success(
        fn=None,
        inputs=[address],
        outputs=[address],
        js="(query) => query ? location.origin + location.pathname + query : query",
    )


def fed_tab(shared: Shared) -> None:
    """Lay out and connect "what the model was fed"."""
    with gr.Row(elem_classes="bar-row"):
        show = gr.Button("Show", variant="primary", elem_id="fed", size="md")
        words = gr.HTML(value=FED, elem_id="fed-words")
    with gr.Row():
        film = gr.Video(
            show_label=False, interactive=False, height=300, buttons=["download"], elem_id="fed-film", visible=False
        )
        sheet = gr.Image(
            show_label=False, interactive=False, height=300, buttons=["download", "fullscreen"], elem_id="fed-sheet",
            visible=False, type="filepath",
        )  # fmt: skip
    show.click(
        fn=partial(_fed, shared),
        inputs=[shared.key, shared.model, shared.start, shared.offset],
        outputs=[film, sheet, words],
        show_progress_on=[words],
        **JOB,
    )


def _make(shared: Shared, name: str, job: Job | None, measure: str) -> Made:
    """One of the files; a movie says how far it is."""
    try:
        if job is None:
            raise PageError("There is nothing to take away yet: attribute a clip first.")
        found = shared.models.workspace.kept(job.token)
        clip = shared.models.get(job.model).clip(job.key, job.start, job.offset)
        with sentences(clip.path.name):
            yield from MAKERS[name](shared, job, clip, found, measure)
    except PageError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _figure(suffix: str, shared: Shared, job: Job, clip: Crop, found: Attribution, measure: str) -> Made:
    figure_data = explained(base_figure_data(clip, truth_of(clip.path, shared.examples)), found, measure=measure)
    path = save_figure(figure_data, shared.models.workspace.file(f"attribution{suffix}"))
    yield _ready(path), _told(path)


def _data(suffix: str, shared: Shared, job: Job, clip: Crop, found: Attribution, measure: str) -> Made:
    folder = found.save(shared.models.workspace.file("data"))
    path = folder / f"attribution{suffix}"
    if suffix == ".json":  # where the file lies on this computer is nobody's business
        values = found.as_json() | {"path": clip.path.name}
        path.write_text(json.dumps(values, indent=1))
    yield _ready(path), _told(path)


def _report(shared: Shared, job: Job, clip: Crop, found: Attribution, measure: str) -> Made:
    session = shared.models.get(job.model)
    truth = base_figure_data(clip, truth_of(clip.path, shared.examples))
    place = (job.key, job.start, job.offset)
    judged = session.synchronizability(*place) if shared.models.judge_ready(session) else None
    path = shared.models.workspace.file("report.html")
    findings = report.Findings(
        name=clip.path.name,
        model=job.model,
        clip=clip,
        prediction=session.predict(*place),
        attribution=found,
        sweep=tuple(session.sweep(job.key, job.start)),
        synchronizability=judged,
        notes=notes_on_clip(clip),
        measure=measure,
        seen=truth.seen,
        heard=truth.heard,
    )
    report.write_report(findings, path)
    yield _ready(path), _told(path)


def _movie(shared: Shared, job: Job, clip: Crop, found: Attribution, measure: str) -> Made:
    truth = base_figure_data(clip, truth_of(clip.path, shared.examples))
    path = shared.models.workspace.file("attribution.mp4")
    for share in movie.write_movie(clip, found, path, measure=measure, seen=truth.seen, heard=truth.heard):
        yield gr.skip(), f'<p class="note">Drawing the movie: {share:.0%} …</p>'
    yield _ready(path), _told(path)


Maker = Callable[[Shared, Job, Crop, Attribution, str], Made]
MAKERS: dict[str, Maker] = {
    "figure-png": partial(_figure, ".png"),
    "figure-svg": partial(_figure, ".svg"),
    "data-csv": partial(_data, ".csv"),
    "data-json": partial(_data, ".json"),
    "data-npz": partial(_data, ".npz"),
    "report": _report,
    "movie": _movie,
}


def _link(shared: Shared, job: Job | None, key: str | None, model: str, start: float, offset: float) -> tuple[str, Any]:
    """The query string of the present example; a visitor's own video has no link, for nobody else has it."""
    try:
        if key is None:
            raise PageError("Choose one of the examples first.")
        clip = shared.models.get(model).opened(key)
        if clip.path not in shared.examples:
            raise PageError("Only our own examples have links: nobody else has your video.")
        name = None if model == shared.models.first.name or model.startswith(OWN) else model
        settings = job.settings if job else link.USUAL
        settings = replace(settings, samples=min(settings.samples, int(limits.MASKS.high)))  # more where it went on
        place = link.Place(clip.path.stem, round(start, 2), round(offset, 2), name, settings)
    except PageError as error:
        return "", sorry(str(error))
    return f"?{link.write(place)}", ABOUT


def _fed(shared: Shared, key: str | None, model: str, start: float, offset: float) -> tuple[Any, Any, str]:
    try:
        if key is None:
            raise PageError("Choose a video first.")
        clip = shared.models.get(model).clip(key, start, offset)
        with sentences(clip.path.name):
            film = model_input.write_fed(clip, shared.models.workspace.file("model_input.mp4"))
            sheet = shared.models.workspace.file("model_input.png")
            model_input.contact_sheet(clip).save(sheet)
    except PageError as error:
        return gr.skip(), gr.skip(), sorry(str(error))
    return gr.update(value=str(film), visible=True), gr.update(value=str(sheet), visible=True), FED


def _ready(path: Path) -> Any:
    return gr.update(value=str(path))


def _told(path: Path) -> str:
    size = path.stat().st_size
    told = f"{size / 1e6:.1f} MB" if size > 1e6 else f"{size / 1e3:.0f} kB"
    return f'<p class="note">Saved by your browser: {path.suffix.lstrip(".").upper()}, {told}.</p>'
