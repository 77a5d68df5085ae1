"""The strip of example clips: a small picture and a name each; and what is known to happen in them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import av

POSTER_WIDTH = 240  # pixels
TRUTH = "truth.json"


@dataclass(frozen=True)
class Truth:
    """Seconds of the file at which known events are seen, and at which they are heard."""

    seen: tuple[float, ...] = ()
    heard: tuple[float, ...] = ()


UNKNOWN = Truth()


def find_examples(folder: Path) -> tuple[Path, ...]:
    """The MP4 files of a folder, by name; none when there is no such folder."""
    return tuple(sorted(folder.glob("*.mp4"))) if folder.is_dir() else ()


def truth_of(clip: Path, examples: Sequence[Path]) -> Truth:
    """What happens in one of our examples, by the `truth.json` beside it; nothing is known of other files."""
    table = clip.parent / TRUTH
    if clip not in examples or not table.is_file():
        return UNKNOWN
    events = json.loads(table.read_text()).get(clip.name, {}).get("events", [])
    seen, heard = (tuple(event["time"] for event in events if event[sense]) for sense in ("seen", "heard"))
    return Truth(seen, heard)


def strip(clips: Sequence[Path]) -> str:
    """HTML with one button per clip; the button's `data-index` is the clip's place in `clips`."""
    if not clips:
        return ""
    buttons = "".join(
        f'<button type="button" data-index="{index}" title="{escape(name)}"><img src="{poster(clip)}" alt="">'
        f"<span>{escape(name)}</span></button>"
        for index, (clip, name) in enumerate((clip, spoken(clip)) for clip in clips)
    )
    return f'<p class="title">Or try one of ours</p>' \
           f'<div class="strip">{buttons}</div>'  # fmt: skip


def spoken(clip: Path) -> str:
    """An example's name in words."""
    return clip.stem.replace("_", " ").replace("-", " ")


def poster(clip: Path) -> str:
    """A frame from the clip's middle as a WEBP data address."""
    with av.open(str(clip)) as container:
        container.seek((container.duration or 0) // 2)
        image = next(container.decode(video=0)).to_image()
    image.thumbnail((POSTER_WIDTH, POSTER_WIDTH))
    store = io.BytesIO()
    image.save(store, format="WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(store.getvalue()).decode()
