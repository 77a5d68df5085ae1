"""The page: layout first, wiring last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gradio as gr
import plotly

from interface.api.clips import add_api
from interface.session.model_registry import Models
from interface.tabs import attribute, compare, export, film, probe, sweep, synchronizability
from interface.tabs.components import QUICK, Shared, script
from interface.tabs.guide import GUIDE

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
CACHE_AGE = (600, 3600)  # seconds: every ten minutes, files older than an hour go

HEADING = """<header><h1>Is this video in sync?</h1>
<p>How far the sound is off, how sure that is, and which moments prove it. Everything stays on this computer.</p>
</header>"""


def build_interface(models: Models, examples: Sequence[Path] = ()) -> gr.Blocks:
    """Lay out the page and connect it.

    Args:
        models: what visitors may choose from, and what they opened.
        examples: clips of ours to offer below the controls.
    """
    gr.set_static_paths([PLOTLY])
    examples = tuple(examples)
    with gr.Blocks(title="Synchformer", delete_cache=CACHE_AGE, analytics_enabled=False) as page:
        key = gr.State(value=None, time_to_live=3600, delete_callback=models.workspace.forget)
        model = gr.State(value=models.first.name, time_to_live=3600)
        with gr.Row(elem_id="top"):
            gr.HTML(value=HEADING, elem_id="heading")
            names, weights, told = probe.chooser(models)
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=5, min_width=300, elem_id="left"):
                upload, player, file, caption, another = probe.clip_column()
            with gr.Column(scale=4, min_width=300, elem_id="middle"):
                start, offset, picks = probe.controls_column(models, examples)
            with gr.Column(scale=6, min_width=320, elem_id="right"):
                result = probe.answer(models, PLOTLY)
                judged = synchronizability.bar()
        with gr.Column(elem_id="evidence"):
            found, actions = attribute.buttons()
            timeline = gr.HTML(
                value="{}",
                html_template=script("timeline.html"),
                js_on_load=script("shared.js", "timeline.js"),
                plotly=str(PLOTLY),
                elem_id="timeline",
            )
        shared = Shared(models, examples, key, model, start, offset, result, timeline, actions)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("How to read this"):
                gr.HTML(value=GUIDE)
            with gr.Tab("Settings of the attribution"):
                attribute.settings_form(found)
            with gr.Tab("Sweep"):
                sweep.tab(shared, PLOTLY)
            with gr.Tab("Compare"):
                compare.tab(shared, found, PLOTLY)
            with gr.Tab("Whole film"):
                film.tab(shared, PLOTLY)
            with gr.Tab("What the model was fed"):
                export.fed_tab(shared)
            with gr.Tab("Take away"):
                export.tab(shared, found)
        parts = probe.Probe(
            upload, player, file, caption, another, start, offset, picks, result, names, weights, told, judged
        )  # fmt: skip
        probe.wire(shared, parts, found.progress)
        page.load(
            fn=probe.link_follower(shared, tuple(found.fields)),
            inputs=None,
            outputs=[*probe.opened(shared, parts, found.progress), model, names, *found.fields.values()],
            **QUICK,
        ).then(**synchronizability.told(shared, judged))
        attribute.wire(shared, found)
        add_api(models)
    built: gr.Blocks = page
    return built
