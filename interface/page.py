"""The page: layout first, wiring last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gradio as gr
import plotly

from interface.api.clips import add_api
from interface.session.model_registry import Models
from interface.tabs import answer, attribute, compare, export, film, model_input, probe, sweep, synchronizability
from interface.tabs.components import QUICK, PageContext, script
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
            names, weights, description = probe.chooser(models)
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=5, min_width=300, elem_id="left"):
                upload, player, file, caption, another = probe.clip_column()
            with gr.Column(scale=4, min_width=300, elem_id="middle"):
                start, offset, picks = probe.controls_column(models, examples)
            with gr.Column(scale=6, min_width=320, elem_id="right"):
                result = answer.card(models, PLOTLY)
                download = synchronizability.download_row()
        with gr.Column(elem_id="evidence"):
            controls = attribute.controls()
            timeline = gr.HTML(
                value="{}",
                html_template=script("timeline.html"),
                js_on_load=script("shared.js", "timeline.js"),
                plotly=str(PLOTLY),
                elem_id="timeline",
            )
        context = PageContext(models, examples, key, model, start, offset, result, timeline, controls)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("How to read this"):
                gr.HTML(value=GUIDE)
            with gr.Tab("Settings of the attribution"):
                attribute.settings_form(controls.fields)
            with gr.Tab("Sweep"):
                sweep.tab(context, PLOTLY)
            with gr.Tab("Compare"):
                compare.tab(context, PLOTLY)
            with gr.Tab("Whole film"):
                film.tab(context, PLOTLY)
            with gr.Tab("What the model was fed"):
                model_input.tab(context)
            with gr.Tab("Take away"):
                export.tab(context)
        parts = probe.ProbeComponents(
            upload, player, file, caption, another, picks, names, weights, description, download
        )
        probe.wire(context, parts)
        page.load(
            fn=probe.link_follower(context, parts),
            inputs=None,
            outputs=[*probe.opened(context, parts), model, names, *controls.fields.values()],
            **QUICK,
        ).then(**synchronizability.after_answer(context, download))
        attribute.wire(context)
        add_api(models)
    built: gr.Blocks = page
    return built
