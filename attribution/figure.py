"""One description of the attribution figure, drawn by matplotlib (files) and by plotly (the page).

Like figure 3 of the paper: frames, the video curve below them, the spectrogram, the audio curve below it, all on the
time of the crop as it is played.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.intervals import Array
from attribution.result import Attribution
from attribution.settings import MODALITIES, Modality
from synchformer.clip import Clip
from synchformer.prediction import offset_in_words
from synchformer.preprocess import log_mel

FRAMES = 15  # pictures in the strip
COLORS: dict[Modality, str] = {"video": "#3d52d5", "audio": "#c2410c"}  # told apart by colour-blind readers, too
LABELS = {
    "score": "kept in correct masks",
    "effect": "effect on being correct",
    "margin": "effect on the log odds",
}


@dataclass(frozen=True)
class Line:
    """A curve with the band of its intervals; `neutral` is the value of a unit that does not matter."""

    modality: Modality
    times: Array
    value: Array
    low: Array
    high: Array
    neutral: float | None


@dataclass(frozen=True)
class Sketch:
    """Everything a figure of an attribution shows.

    Attributes:
        title: what was decided, and on what grounds.
        note: level, masks and settings in words.
        seconds: length of the time axis.
        frames: pictures uint8 (n, h, w, 3), side by side over the whole time axis.
        spectrogram: log-mel values (M, T), the lowest band first, over the whole time axis.
        lines: a curve for each explained stream.
        label: what the curves measure.
        offset: seconds between what is seen and what is heard of it; above zero the sound comes first.
        seen: times of known events in the picture; `heard`: in the sound.
    """

    title: str
    note: str
    seconds: float
    frames: NDArray[np.uint8]
    spectrogram: NDArray[np.float32]
    lines: tuple[Line, ...]
    label: str
    offset: float | None
    seen: tuple[float, ...] = ()
    heard: tuple[float, ...] = ()


def make_sketch(
    clip: Clip,
    attribution: Attribution,
    *,
    measure: str = "score",
    scaled: bool = False,
    seen: Sequence[float] = (),
    heard: Sequence[float] = (),
) -> Sketch:
    """Describe the figure of an attribution.

    Args:
        clip: the crop that was explained.
        attribution: what was found.
        measure: `score` (the paper's), `effect` or `margin`.
        scaled: stretch every curve to [0, 1], as the paper's figure does; the band is stretched alike.
        seen: seconds of the crop at which known events are seen.
        heard: seconds of the crop at which known events are heard.

    Raises:
        ValueError: for an unknown measure.
    """
    neutral = attribution.settings.keep if measure == "score" else 0.0
    lines = []
    for curve in attribution.curves:
        found = curve.measure(measure)
        line = Line(curve.modality, np.array(curve.middles), found.value, found.low, found.high, neutral)
        lines.append(_stretched(line) if scaled else line)
    settings = attribution.settings
    note = (
        f"{settings.level}-level replacement, {attribution.masks} masks, {settings.chunk:g} s chunks, "
        f"keep probability {settings.keep:g}, 95 % intervals, model {attribution.model}"
    )
    return Sketch(
        title=attribution.headline,
        note=note,
        seconds=attribution.crop_seconds,
        frames=_frames(clip),
        spectrogram=_spectrogram(clip),
        lines=tuple(sorted(lines, key=lambda line: MODALITIES.index(line.modality), reverse=True)),
        label=f"{LABELS[measure]}, stretched" if scaled else LABELS[measure],
        offset=attribution.target.reference,
        seen=tuple(seen),
        heard=tuple(heard),
    )


def offset_note(offset: float) -> str:
    """What the arrow says."""
    return "seen and heard at once" if abs(offset) < 0.05 else f"sound {offset_in_words(offset)}"


def _stretched(line: Line) -> Line:
    """Smallest value to 0, largest to 1; a flat curve lies in the middle."""
    low, high = np.nanmin(line.value), np.nanmax(line.value)
    if not high > low:
        half = np.full_like(line.value, 0.5)
        return Line(line.modality, line.times, half, half, half, None)
    value, below, above = ((part - low) / (high - low) for part in (line.value, line.low, line.high))
    return Line(line.modality, line.times, value, below, above, None)


def _frames(clip: Clip) -> NDArray[np.uint8]:
    """The frame in the middle of each of `FRAMES` equal parts, (n, h, w, 3)."""
    count = len(clip.video)
    middles = [round((index + 0.5) * count / FRAMES) for index in range(FRAMES)]
    frames: NDArray[np.uint8] = clip.video[middles].permute(0, 2, 3, 1).contiguous().numpy()
    return frames


def _spectrogram(clip: Clip) -> NDArray[np.float32]:
    """Log-mel columns of the whole crop, (M, T): the model's own spectrogram, not cut into segments."""
    columns = clip.config.crop_samples // clip.config.hop_length
    values: NDArray[np.float32] = log_mel(clip.audio, clip.config)[:, :columns].numpy()
    return values
