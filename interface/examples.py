"""The strip of example clips: a small picture and a name each."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import av

POSTER_WIDTH = 240  # pixels


def find_examples(folder: Path) -> tuple[Path, ...]:
    """The MP4 files of a folder, by name; none when there is no such folder."""
    return tuple(sorted(folder.glob("*.mp4"))) if folder.is_dir() else ()


def strip(clips: Sequence[Path]) -> str:
    """HTML with one button per clip; the button's `data-index` is the clip's place in `clips`."""
    if not clips:
        return ""
    buttons = "".join(
        f'<button type="button" data-index="{index}"><img src="{poster(clip)}" alt="">'
        f"<span>{escape(clip.stem.replace('_', ' ').replace('-', ' '))}</span></button>"
        for index, clip in enumerate(clips)
    )
    return f'<p class="title">Or try one of these</p><div class="strip">{buttons}</div>'


def poster(clip: Path) -> str:
    """A frame from the clip's middle as a WEBP data address."""
    with av.open(str(clip)) as container:
        container.seek((container.duration or 0) // 2)
        image = next(container.decode(video=0)).to_image()
    image.thumbnail((POSTER_WIDTH, POSTER_WIDTH))
    store = io.BytesIO()
    image.save(store, format="WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(store.getvalue()).decode()
