"""One description of the attribution figure, drawn by matplotlib (files) and by plotly (the page).

Like figure 3 of the paper: frames, the video curve below them, the spectrogram, the audio curve below it, all on one
clock: that of the file's picture, as a player shows it. Sound stands where it is heard, moved or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attribution.result import Attribution
from attribution.settings import MODALITIES, Modality
from synchformer.inference.prediction import offset_in_words
from synchformer.media.crop import Crop
from synchformer.media.preprocess import log_mel
from synchformer.stats.intervals import Array
from synchformer.storage.file_names import printable

FRAMES = 15  # pictures in the strip
COLORS: dict[Modality, str] = {"video": "#3d52d5", "audio": "#c2410c"}  # told apart by color-blind readers, too
LABELS = {
    "score": "kept in correct masks",
    "effect": "effect on being correct",
    "margin": "effect on the log odds",
}


@dataclass(frozen=True)
class Line:
    """A curve with the band of its intervals; `neutral` is the value of a unit that does not matter.

    `times` are seconds of the crop, the middles of units that are `width` seconds long.
    """

    modality: Modality
    times: Array
    value: Array
    low: Array
    high: Array
    neutral: float | None
    width: float = 0.1


@dataclass(frozen=True)
class FigureData:
    """Everything a figure of an attribution shows. Times are seconds of the crop.

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
        begin: what the clock shows at the start of the crop.
        segments: begin and end of each segment of the model.
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
    begin: float = 0.0
    segments: tuple[tuple[float, float], ...] = ()


def make_figure_data(
    clip: Crop,
    attribution: Attribution | None,
    *,
    measure: str = "score",
    scaled: bool = False,
    seen: Sequence[float] = (),
    heard: Sequence[float] = (),
) -> FigureData:
    """Describe the figure of an attribution, or of a clip that is not explained yet.

    Args:
        clip: the crop that was explained.
        attribution: what was found; None for pictures without curves.
        measure: `score` (the paper's), `effect` or `margin`.
        scaled: stretch every curve to [0, 1], as the paper's figure does; the band is stretched alike.
        seen: seconds of the crop at which known events are seen.
        heard: seconds of the crop at which known events are heard.

    Raises:
        ValueError: for an unknown measure.
    """
    config = clip.config
    figure_data = FigureData(
        title=printable(clip.path.name),
        note="",
        seconds=config.crop_seconds,
        frames=_frames(clip),
        spectrogram=_spectrogram(clip),
        lines=(),
        label="",
        offset=None,
        seen=tuple(seen),
        heard=tuple(heard),
        begin=clip.video_start,
        segments=tuple((first / config.video_fps, first / config.video_fps + config.segment_seconds)
                       for first in config.segment_starts),
    )  # fmt: skip
    return figure_data if attribution is None else explained(figure_data, attribution, measure=measure, scaled=scaled)


def explained(
    figure_data: FigureData, attribution: Attribution, *, measure: str = "score", scaled: bool = False
) -> FigureData:
    """Figure data with the curves of an attribution; arguments and errors are those of `make_figure_data`."""
    settings = attribution.settings
    neutral = settings.keep if measure == "score" else 0.0
    lines = []
    for curve in attribution.curves:
        shown = curve.measure(measure)
        values = (np.array(curve.middles), shown.value, shown.low, shown.high)
        line = Line(curve.modality, *values, neutral, settings.unit_seconds)
        lines.append(_stretched(line) if scaled else line)
    note = (
        f"{settings.level}-level replacement, {attribution.masks} masks, {settings.unit_seconds:g} s chunks, "
        f"keep probability {settings.keep:g}, {_averaged(settings.smooth)}95 % intervals, model {attribution.model}"
    )
    return replace(
        figure_data,
        title=attribution.headline,
        note=note,
        lines=tuple(sorted(lines, key=lambda line: MODALITIES.index(line.modality), reverse=True)),
        label=f"{LABELS[measure]}, stretched" if scaled else LABELS[measure],
        offset=attribution.target.reference,
    )


def _averaged(smooth: float) -> str:
    return f"averaged over ±{smooth:g} s, " if smooth else ""


def offset_note(offset: float) -> str:
    """What the arrow says."""
    return "seen and heard at once" if abs(offset) < 0.05 else f"sound {offset_in_words(offset)}"


def _stretched(line: Line) -> Line:
    """Smallest value to 0, largest to 1; a flat curve lies in the middle."""
    low, high = np.nanmin(line.value), np.nanmax(line.value)
    if not high > low:
        half = np.full_like(line.value, 0.5)
        return replace(line, value=half, low=half, high=half, neutral=None)
    value, below, above = ((part - low) / (high - low) for part in (line.value, line.low, line.high))
    return replace(line, value=value, low=below, high=above, neutral=None)


def _frames(clip: Crop) -> NDArray[np.uint8]:
    """The frame in the middle of each of `FRAMES` equal parts, (n, h, w, 3)."""
    count = len(clip.video)
    middles = [round((index + 0.5) * count / FRAMES) for index in range(FRAMES)]
    frames: NDArray[np.uint8] = clip.video[middles].permute(0, 2, 3, 1).contiguous().numpy()
    return frames


def _spectrogram(clip: Crop) -> NDArray[np.float32]:
    """Log-mel columns of the whole crop, (M, T): the model's own spectrogram, not cut into segments."""
    columns = clip.config.crop_samples // clip.config.hop_length
    values: NDArray[np.float32] = log_mel(clip.audio, clip.config)[:, :columns].numpy()
    return values
