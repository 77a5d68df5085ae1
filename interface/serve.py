"""Start the page's server, closed to everything the page does not need."""

from __future__ import annotations

import os
from html import escape

import gradio as gr

from interface.api.clips import mcp_available
from interface.page import PLOTLY
from interface.session.limits import MAX_UPLOAD_BYTES
from interface.tabs.components import STATIC
from interface.theme import theme

MAX_WAITING = 32  # requests in the queue before a visitor is told to come back


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
