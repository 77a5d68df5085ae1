"""Colors and fonts of the page, as gradio takes them; the colors themselves stand in `static/page.css`."""

from __future__ import annotations

import gradio as gr

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
