"""Start the page's server, closed to everything the page does not need."""

from __future__ import annotations

import os
from html import escape

import gradio as gr

from interface.api.clips import mcp_available
from interface.page import PLOTLY
from interface.session.limits import MAX_UPLOAD_BYTES
from interface.tabs.components import STATIC

MAX_WAITING = 32  # requests in the queue before a visitor is told to come back
SYSTEM_FONTS = ["system-ui", "sans-serif"]


def theme() -> gr.themes.Base:
    """Colors and fonts; no font comes from the network."""
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=SYSTEM_FONTS,
        font_mono=["ui-monospace", "monospace"],
    )
    card, line, ink = "var(--card)", "var(--line)", "var(--ink)"
    colors = {
        "body_background_fill": "var(--ground)",
        "body_text_color": ink,
        "body_text_color_subdued": "var(--ink-soft)",
        "block_background_fill": card,
        "block_border_color": line,
        "block_title_text_color": ink,
        "border_color_primary": line,
        "input_background_fill": "var(--ground)",
        "input_border_color": line,
        "slider_color": "var(--accent)",
        "button_secondary_background_fill": card,
        "button_secondary_border_color": line,
        "button_secondary_text_color": ink,
        "button_primary_background_fill": "var(--accent)",
        "button_primary_background_fill_hover": "var(--accent-strong)",
        "button_primary_text_color": "var(--on-accent)",
        "checkbox_background_color_selected": "var(--accent)",
        "checkbox_border_color_selected": "var(--accent)",
    }
    both = colors | {f"{name}_dark": value for name, value in colors.items()}
    return base.set(**both, block_shadow="none", button_secondary_shadow="none")


def serve(page: gr.Blocks, *, host: str, port: int | None, share: bool = False, wait: bool = True) -> str:
    """Serve the page; makes no outside request unless `share` asks for a public address.

    Args:
        page: what `build_interface` gave.
        host: address to listen on.
        port: port to listen on; None takes a free one.
        share: also open a public tunnel.
        wait: return only when the server stops.

    Returns:
        the page's local address.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # exactly this word, or gradio looks up outside hosts
    page.queue(max_size=MAX_WAITING, api_open=False, default_concurrency_limit=1)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=share,
        prevent_thread_lock=True,
        quiet=not wait,
        show_error=False,
        max_file_size=MAX_UPLOAD_BYTES,
        state_session_capacity=100,
        enable_monitoring=False,
        mcp_server=mcp_available(),
        run_history=False,
        ssr_mode=False,
        footer_links=[],
        theme=theme(),
        css_paths=[STATIC / name for name in ("page.css", "answer.css", "timeline.css", "tabs.css")],
        head=f'<link rel="preload" as="script" href="/gradio_api/file={escape(str(PLOTLY))}">',
    )
    if wait:
        page.block_thread()
    return address
