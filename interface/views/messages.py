"""Sentences as HTML: a note, an error, and how far work is. Words may hold foreign text and are escaped."""

from __future__ import annotations

from html import escape


def note_as_html(words: str) -> str:
    """A remark in small type."""
    return f'<p class="note">{escape(words, quote=False)}</p>'


def error_as_html(sentence: str) -> str:
    """What went wrong; screen readers say it at once."""
    return f'<p class="sorry" role="alert">{escape(sentence)}</p>'


def progress_as_html(share: float, *parts: str, **data: object) -> str:
    """A bar that is full at a `share` of 1, and words below it of which the first are bold; `data` is for scripts."""
    first, *others = map(escape, parts)
    words = " · ".join([f"<b>{first}</b>", *others])
    attributes = "".join(f' data-{name}="{escape(str(value))}"' for name, value in data.items())
    bar = f'<div class="bar"><div style="width:{100 * share:.1f}%"></div></div>'
    return f'<div class="run"{attributes}>{bar}<p class="note">{words}</p></div>'


WAITING = note_as_html("Waiting for the turn …")
