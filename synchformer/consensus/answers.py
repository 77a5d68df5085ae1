"""A model's answers about a clip under known shifts of its sound, at one start or several.

The picture of each start is encoded once, and every segment of the sound once for all starts and shifts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from synchformer.config import Precision, SynchformerConfig
from synchformer.inference.crop_checks import is_still, lacks
from synchformer.inference.prediction import Prediction, decide, encode
from synchformer.inference.sliding_windows import Window
from synchformer.inference.sweep import Sounds
from synchformer.media.crop import SPARE, Crop, check_place, check_present, cut_crop, possible_offsets, possible_starts
from synchformer.media.decode import open_media
from synchformer.media.probe import Media, MediaInfo
from synchformer.modeling.synchformer import Synchformer

STEP = 0.08  # s between the shifts of a quick model: two frames
MAX_QUICK = 30_000_000  # parameters of a model on a CPU: a larger one is asked at the classes' steps only
TOGETHER = 16  # shifts in one pass
STARTS = 3
APART = 1.0  # s that starts lie apart at least
AROUND = 10.0  # s around the first start within which others lie: one offset for the clip is what is asked

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class ShiftedAnswers:
    """What a model says of a clip: `first` at the first start without a shift, and a window for every start.

    `crop` is that of the first start. Shifts at which nothing can be heard, and starts at which nothing moves, are left
    out of `windows`.
    """

    first: Prediction
    crop: Crop
    windows: tuple[Window, ...]


def is_quick(model: Synchformer) -> bool:
    """Whether the model answers many shifts in seconds: on an accelerator, or small."""
    parameters = list(model.parameters())
    return parameters[0].device.type != "cpu" or sum(each.numel() for each in parameters) <= MAX_QUICK


def usual_shifts(model: Synchformer) -> tuple[float, ...]:
    """Shifts over the model's range in seconds: `STEP` apart for a quick model, a class apart for others."""
    if not is_quick(model):
        return model.config.grid
    return shifts_within(model.config.max_offset)


def shifts_within(reach: float, step: float = STEP) -> tuple[float, ...]:
    """Shifts from -reach to reach seconds, `step` apart, 0 among them."""
    count = int(reach / step + 1e-6)
    return tuple(round(index * step, 6) for index in range(-count, count + 1))


def starts_around(info: MediaInfo, config: SynchformerConfig, start: float) -> tuple[float, ...]:
    """The start itself, and up to two others far from it and from each other, where the file is long enough.

    Others lie whole shift steps from the first, so that they share its segments of sound.

    Raises:
        MediaError: as `possible_starts`.
    """
    earliest, latest = possible_starts(info, config)
    begun = max(info.video.start, info.audio.start) - config.crop_seconds / 2  # before it, most of a crop has nothing
    low, high = max(earliest, min(start, begun), start - AROUND), min(latest, start + AROUND)
    chosen = [start]
    for wanted in ((low + high) / 2, low, high):
        steps = (wanted - start) / STEP
        place = round(start + STEP * (np.floor(steps + 1e-6) if steps > 0 else np.ceil(steps - 1e-6)), 6)
        if len(chosen) < STARTS and all(abs(place - other) >= APART for other in chosen):
            chosen.append(float(place))
    return tuple(chosen)


@dataclass(frozen=True)
class Surroundings:
    """What was decoded of a file around its `starts`, in seconds: enough for every shift that it has sound for."""

    media: Media
    starts: tuple[float, ...]


def read_surroundings(
    path: str | Path, config: SynchformerConfig, start: float, reach: float, starts: int = STARTS
) -> Surroundings:
    """Decode what crops at `start`, and at up to `starts` starts in all, need when the sound moves by up to `reach`.

    Raises:
        MediaError: as `load_clip`.
    """
    with open_media(path) as file:
        check_place(file.info, start, 0.0, config)
        places = starts_around(file.info, config, start)[:starts]
        stop = max(places) + config.crop_seconds + reach + SPARE
        media = file.read_for_model(config, max(0.0, min(places) - reach), stop)
    check_present(media, cut_crop(media, places[0], config=config))
    return Surroundings(media, places)


def ask_shifted(
    model: Synchformer,
    around: Surroundings,
    shifts: Sequence[float],
    *,
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> ShiftedAnswers:
    """Ask a model about a clip under every one of `shifts` for which it has sound.

    Args:
        model: a Synchformer with the offset head, in evaluation mode.
        around: the decoded clip.
        shifts: seconds, above zero: the sound is made early.
        precision: as in `predict`.
        progress: called with the answers that are there and their number.

    Raises:
        MediaError: as `load_clip`.
        ValueError: as `predict`.
    """
    config, media = model.config, around.media
    crops = [cut_crop(media, place, config=config) for place in around.starts]
    plans = [[each for each in shifts if _fits(media.info, config, crop.start, each)] for crop in crops]
    total, done = sum(map(len, plans)), 0
    segments: dict[int, Tensor] = {}
    firsts: list[Prediction] = []
    windows = []
    for crop, plan in zip(crops, plans, strict=True):
        encoding = encode(model, crop, precision=precision)
        sounds = Sounds.of(crop, encoding)
        sounds.segments = segments = segments | sounds.segments
        if not firsts:
            firsts.append(decide(model, encoding, precision=precision))
        answers: list[Prediction] = []
        for part in _shifted(model, media, crop, plan, sounds, precision):
            answers += part
            if progress:
                progress(done + len(answers), total)
        segments, done = sounds.segments, done + len(plan)
        if answers:
            windows.append(window_of(crop, answers))
    return ShiftedAnswers(firsts[0], crops[0], tuple(windows))


def window_of(crop: Crop, answers: Sequence[Prediction]) -> Window:
    """Predictions of one crop under several shifts, as a window."""
    shifts = np.array([each.applied_offset for each in answers])
    return Window(*crop.video_times, shifts, np.array([each.probabilities for each in answers]))


def _fits(info: MediaInfo, config: SynchformerConfig, start: float, shift: float) -> bool:
    low, high = possible_offsets(info, config, start)
    return low - 1e-6 <= shift <= high + 1e-6


def _shifted(
    model: Synchformer, media: Media, crop: Crop, plan: Sequence[float], sounds: Sounds, precision: Precision
) -> Iterator[list[Prediction]]:
    """Answers of the shifts at which something can be heard, some at a time; none where the picture is still."""
    if is_still(crop.video):
        return
    for first in range(0, len(plan), TOGETHER):
        cuts = [cut_crop(media, crop.start, shift, config=model.config) for shift in plan[first : first + TOGETHER]]
        heard = [cut for cut in cuts if not lacks(cut, still=False)]
        yield sounds.ask(model, heard, precision=precision) if heard else []
