"""Take away: the figure, the data, a report, a movie, a link."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import gradio as gr

from attribution.figures.figure_data import explained
from attribution.figures.matplotlib_figure import save_figure
from attribution.result import Attribution
from interface.export import link, movie, report
from interface.session import limits
from interface.session.attribution_job import AttributionJob
from interface.session.consensus import clip_consensus
from interface.session.errors import PageError, page_errors
from interface.session.examples import truth_of
from interface.session.model_registry import OWN
from interface.session.upload_checks import notes_on_clip
from interface.tabs.components import JOB, QUICK, Changes, PageContext, gradio_errors
from interface.views.messages import error_as_html, note_as_html
from interface.views.timeline import base_figure_data
from synchformer.media.crop import Crop
from synchformer.storage.json_text import to_json

FILES = (
    ("figure-png", "Figure (PNG)"),
    ("figure-svg", "Figure (SVG)"),
    ("data-csv", "Data (CSV)"),
    ("data-json", "Data (JSON)"),
    ("data-npz", "Data (NPZ)"),
    ("report", "Report (HTML)"),
    ("movie", "Movie (MP4)"),
)
ABOUT = note_as_html("What the last attribution found, as files. Nothing is sent anywhere.")
# The browser saves a file as soon as its address has arrived.
SAVE = "() => setTimeout(() => document.querySelector('#take-file')?.click(), 250)"


@dataclass
class ExportOutputs:
    """Components of this tab that are filled: the file that is saved, words about it, and the link."""

    file: gr.DownloadButton
    words: gr.HTML
    address: gr.Textbox


@dataclass(frozen=True)
class Source:
    """What a file is made of: the job with its result and its crop, and the measure that the curves show."""

    context: PageContext
    job: AttributionJob
    crop: Crop
    attribution: Attribution
    measure: str

    def new_file(self, ending: str) -> Path:
        """A name in the workspace that nobody can guess."""
        return self.context.models.workspace.file(ending)


def tab(context: PageContext) -> None:
    """Lay out and connect the files and the link."""
    words = gr.HTML(value=ABOUT, elem_id="take-words")
    file = gr.DownloadButton(elem_id="take-file", visible="hidden")
    buttons = {}
    with gr.Row(elem_classes="bar-row"):
        for name, caption in FILES:
            buttons[name] = gr.Button(caption, elem_id=f"take-{name}", size="md")
    with gr.Row(elem_classes="bar-row"):
        copy = gr.Button("Link to this example", elem_id="take-link", size="md")
        address = gr.Textbox(
            label="Link", show_label=False, container=False, interactive=False, buttons=["copy"],
            elem_id="take-address", placeholder="a link that opens the same example with the same settings",
        )  # fmt: skip
    outputs = ExportOutputs(file, words, address)
    for name, button in buttons.items():
        button.click(
            fn=partial(_export, context, outputs, name),
            inputs=[context.attribution.job, context.attribution.measure],
            outputs=[file, words],
            show_progress_on=[words],
            **JOB,
        ).success(fn=None, js=SAVE)
    copy.click(
        fn=partial(_link, context, outputs),
        inputs=[context.attribution.job, *context.place],
        outputs=[address, words],
        **QUICK,
    ).success(
        fn=None,
        inputs=[address],
        outputs=[address],
        js="(query) => query ? location.origin + location.pathname + query : query",
    )


def _export(
    context: PageContext, outputs: ExportOutputs, name: str, job: AttributionJob | None, measure: str
) -> Iterator[Changes]:
    """One of the files; a movie says how far it is."""
    with gradio_errors():
        if job is None:
            raise PageError("There is nothing to take away yet: attribute a clip first.")
        attribution = context.models.workspace.kept(job.token)
        crop = context.models.get(job.model).crop(*job.place)
        with page_errors(crop.path.name):
            for step in WRITERS[name](Source(context, job, crop, attribution, measure)):
                if isinstance(step, Path):
                    yield {outputs.file: gr.update(value=str(step)), outputs.words: _saved(step)}
                else:
                    yield {outputs.words: note_as_html(f"Drawing the movie: {step:.0%} …")}


def _figure(suffix: str, source: Source) -> Iterator[Path]:
    truth = truth_of(source.crop.path, source.context.examples)
    figure_data = explained(base_figure_data(source.crop, truth), source.attribution, measure=source.measure)
    yield save_figure(figure_data, source.new_file(f"attribution{suffix}"))


def _data(suffix: str, source: Source) -> Iterator[Path]:
    path = source.attribution.save(source.new_file("data")) / f"attribution{suffix}"
    if suffix == ".json":  # where the file lies on this computer is nobody's business
        values = source.attribution.as_json() | {"path": source.crop.path.name}
        path.write_text(to_json(values, indent=1), encoding="utf-8")
    yield path


def _report(source: Source) -> Iterator[Path]:
    models, job, crop = source.context.models, source.job, source.crop
    session = models.get(job.model)
    events = base_figure_data(crop, truth_of(crop.path, source.context.examples))
    ready = models.synchronizability_ready(session)
    findings = report.Findings(
        name=crop.path.name,
        model=job.model,
        clip=crop,
        prediction=session.predict(*job.place),
        attribution=source.attribution,
        sweep=tuple(session.sweep(job.key, job.start)),
        synchronizability=session.synchronizability(*job.place) if ready else None,
        consensus=clip_consensus(session, job.key, job.start) if session.is_quick else None,
        notes=notes_on_clip(crop),
        measure=source.measure,
        seen=events.seen,
        heard=events.heard,
    )
    yield report.write_report(findings, source.new_file("report.html"))


def _movie(source: Source) -> Iterator[Path | float]:
    """The share that is done, again and again, then the file."""
    events = base_figure_data(source.crop, truth_of(source.crop.path, source.context.examples))
    path = source.new_file("attribution.mp4")
    yield from movie.write_movie(
        source.crop, source.attribution, path, measure=source.measure, seen=events.seen, heard=events.heard
    )
    yield path


Writer = Callable[[Source], Iterator[Path | float]]
WRITERS: dict[str, Writer] = {
    "figure-png": partial(_figure, ".png"),
    "figure-svg": partial(_figure, ".svg"),
    "data-csv": partial(_data, ".csv"),
    "data-json": partial(_data, ".json"),
    "data-npz": partial(_data, ".npz"),
    "report": _report,
    "movie": _movie,
}


def _link(
    context: PageContext,
    outputs: ExportOutputs,
    job: AttributionJob | None,
    key: str | None,
    model: str,
    start: float,
    offset: float,
) -> Changes:
    """The query string of the present example; a visitor's own video has no link, for nobody else has it."""
    try:
        if key is None:
            raise PageError("Choose one of the examples first.")
        clip = context.models.get(model).opened(key)
        if clip.path not in context.examples:
            raise PageError("Only our own examples have links: nobody else has your video.")
        name = None if model == context.models.first.name or model.startswith(OWN) else model
        settings = job.settings if job else link.USUAL
        settings = replace(settings, samples=min(settings.samples, int(limits.MASKS.high)))  # more where it went on
        place = link.Place(clip.path.stem, round(start, 2), round(offset, 2), name, settings)
    except PageError as error:
        return {outputs.address: "", outputs.words: error_as_html(str(error))}
    return {outputs.address: f"?{link.write(place)}", outputs.words: ABOUT}


def _saved(path: Path) -> str:
    size = path.stat().st_size
    amount = f"{size / 1e6:.1f} MB" if size > 1e6 else f"{size / 1e3:.0f} kB"
    return note_as_html(f"Saved by your browser: {path.suffix.lstrip('.').upper()}, {amount}.")
