"""A whole video: its offset over time, from sliding windows in bounded memory."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synchformer.config import SynchformerConfig
from synchformer.media import MediaError, probe
from synchformer.model import Synchformer
from synchformer.prediction import Precision
from synchformer.tools.calibration import LEVEL, Calibration, calibration_of
from synchformer.tools.posterior import evidence, offset_grid, to_posterior
from synchformer.tools.timeline import MINUTE, Drift, Moment, Piece, Timeline
from synchformer.tools.track import Explanations, Line, explain, mixed
from synchformer.tools.windows import Plan, Progress, Window, check_model, read_windows

EVERY = 1.92  # s between windows
REACH = 2.0  # s that the sound is shifted either way
STEP = 0.02  # s between the offsets in question
NEAR = 0.1  # s around an offset that its confidence counts

Floats = NDArray[np.float64]


def scan(
    model: Synchformer,
    path: str | Path,
    *,
    every: float = EVERY,
    reach: float = REACH,
    start: float = 0.0,
    stop: float | None = None,
    synchronizability: Synchformer | None = None,
    precision: Precision = "auto",
    progress: Progress | None = None,
    calibration: Calibration | None = None,
) -> Timeline:
    """Measure the offset over a whole video.

    Args:
        model: a Synchformer with the offset head, in evaluation mode.
        path: a video file with sound.
        every: seconds between windows, rounded to the segments' stride of 0.32 s so that windows share segments.
        reach: seconds by which the sound is shifted either way; offsets up to `reach` plus the model's own range are
            found, 4 s by default.
        start: first second.
        stop: last second; None for the end.
        synchronizability: a model with that head, asked about every window in a second pass.
        precision: as in `predict`.
        progress: called with the seconds that are done and their total.
        calibration: constants; those of the model when None.

    Raises:
        MediaError: as `read_media`, or the part is shorter than one window.
        ValueError: a model with another head, or a plan that is none.
    """
    check_model(model)
    if synchronizability is not None:
        check_model(synchronizability, "synchronizability")
    begin, info, notes = time.perf_counter(), probe(path), []  # type: ignore[var-annotated]
    constants = calibration or calibration_of(model)
    plan = scan_plan(model.config, every, reach, start, stop)
    offsets = offset_grid(reach + constants.response.reach, STEP)
    spans, densities = [], []
    for window in read_windows(model, path, plan, precision=precision, progress=progress, notes=notes):
        spans.append((window.start, window.stop))
        densities.append(window_density(offsets, window, constants))
    if not spans:
        need = model.config.span_frames / model.config.video_fps
        raise MediaError(f"{info.path.name} has no {need:.1f} s of picture and sound from {start:.2f} s on, which "
                         " one window of the model needs; choose an earlier start or a longer file")  # fmt: skip
    matched = _matched(synchronizability, path, plan, precision, notes)
    log_densities = np.array(densities)
    moments = tuple(
        _moment(offsets, span, density, constants, matched.get(round(span[0], 2)))
        for span, density in zip(spans, log_densities, strict=True)
    )
    return _timeline(
        path=Path(path),
        model=model.config.name,
        seconds=info.seconds,
        moments=moments,
        offsets=offsets,
        log_densities=_thinned(log_densities, plan, model.config, constants),
        constants=constants,
        took=time.perf_counter() - begin,
        notes=tuple(notes),
    )


def scan_plan(config: SynchformerConfig, every: float, reach: float, start: float, stop: float | None) -> Plan:
    """Windows and shifts at whole strides, so that every segment is encoded once.

    Raises:
        ValueError: times that are below zero or no window.
    """
    if every <= 0 or reach < 0 or start < 0:
        raise ValueError(f"every must be above zero, reach and start at least zero, not {every}, {reach} and {start}")
    stride, fps = config.segment_stride, config.video_fps
    shift = round(reach * fps) // stride * stride
    return Plan(
        hop=max(1, round(every * fps / stride)) * stride,
        shifts=tuple(range(-shift, shift + 1, stride)),
        start=round(start * fps),
        stop=None if stop is None else round(stop * fps),
    )


def window_density(offsets: Floats, window: Window, constants: Calibration) -> Floats:
    """One window's tempered log density over the grid (K,), up to a constant."""
    found: Floats = constants.window.weight * evidence(offsets, window.shifts, window.probabilities, constants.response)
    return found


def _thinned(log_densities: Floats, plan: Plan, config: SynchformerConfig, constants: Calibration) -> Floats:
    """Mixed log densities (W, K), weighted so that what several windows see counts once."""
    overlap = min(1.0, plan.hop / config.span_frames)
    return overlap * mixed(log_densities, constants.window.uniform)


def _matched(
    model: Synchformer | None, path: str | Path, plan: Plan, precision: Precision, notes: list[str]
) -> dict[float, float]:
    """The probability of class 1 by the window's first second."""
    if model is None:
        return {}
    plain = Plan(plan.hop, (0,), plan.start, plan.stop, plan.chunk)
    windows = read_windows(model, path, plain, precision=precision, notes=notes)
    return {round(window.start, 2): float(window.probabilities[0, 1]) for window in windows}


def _moment(
    offsets: Floats, span: tuple[float, float], density: Floats, constants: Calibration, matched: float | None
) -> Moment:
    found = to_posterior(offsets, density, constants.window.uniform)
    best = float(offsets[found.mass.argmax()])
    return Moment(*span, best, found.interval(constants.window.q), found.near(best, NEAR), matched)


def _timeline(
    *,
    path: Path,
    model: str,
    seconds: float,
    moments: tuple[Moment, ...],
    offsets: Floats,
    log_densities: Floats,
    constants: Calibration,
    took: float,
    notes: tuple[str, ...],
) -> Timeline:
    times = np.array([moment.centre for moment in moments])
    found = explain(offsets, times, log_densities, LEVEL)
    stop = moments[-1].stop
    whole = Piece(moments[0].start, stop, found.constant.median, found.constant.interval(LEVEL))
    pieces = _pieces(offsets, moments, log_densities, found)
    kind = max(found.probability, key=lambda each: found.probability[each])
    return Timeline(
        path=path,
        model=model,
        seconds=seconds,
        moments=moments,
        kind=kind,
        probability=found.probability,
        whole=whole,
        drift=_drift(found.line, moments[0].start, stop),
        pieces=pieces,
        level=LEVEL,
        calibrated=bool(constants.measured),
        calibration_note=constants.note,
        took=took,
        notes=notes,
    )


def _drift(line: Line, start: float, stop: float) -> Drift:
    low, high = line.slope_interval
    scale = 1000 * MINUTE
    return Drift(
        at_start=line.at(start),
        at_stop=line.at(stop),
        per_minute=line.slope * scale,
        per_minute_interval=(low * scale, high * scale),
        at_middle_interval=line.offset_interval,
    )


def _pieces(
    offsets: Floats, moments: tuple[Moment, ...], log_densities: Floats, found: Explanations
) -> tuple[Piece, ...]:
    """Stretches of windows in one state; a border lies halfway between the centres of its windows."""
    borders = [0, *(np.flatnonzero(np.diff(found.states)) + 1).tolist(), len(moments)]
    pieces = []
    for first, last in pairwise(borders):
        own = to_posterior(offsets, log_densities[first:last].sum(0), 0.0)
        start = moments[0].start if first == 0 else (moments[first - 1].centre + moments[first].centre) / 2
        stop = moments[-1].stop if last == len(moments) else (moments[last - 1].centre + moments[last].centre) / 2
        pieces.append(Piece(start, stop, own.median, own.interval(LEVEL)))
    return tuple(pieces)
