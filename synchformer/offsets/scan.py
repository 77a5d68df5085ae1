"""A whole video: its offset over time, from sliding windows in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synchformer.config import Precision, SynchformerConfig
from synchformer.inference.condition import MediaCondition
from synchformer.inference.coverage import Coverage, Unmeasured
from synchformer.inference.engine import Run, check_model, run_locally
from synchformer.inference.sliding_windows import Plan, Progress, Window, read_windows
from synchformer.media.probe import Media, MediaError, probe
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets.calibration import EVERY, LEVEL, Calibration, Constants, calibration_of
from synchformer.offsets.continuous import film_densities, too_short, window_evidence
from synchformer.offsets.drift_or_jumps import Explanations, Line, explain
from synchformer.offsets.posterior import offset_grid, to_posterior
from synchformer.offsets.timeline import MINUTE, Drift, Moment, Piece, Timeline

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
    run: Run = run_locally,
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
        progress: called with the seconds that are done and their total; what it raises ends the work.
        calibration: constants; those of the model when None.
        run: where the model is called; see `read_windows`.

    Raises:
        MediaError: as `read_media`, or the part is shorter than one window.
        ValueError: a model with another head, or a plan that is none.
    """
    plan = scan_plan(model.config, every, reach, start, stop)
    constants = calibration or calibration_of(model)
    survey = Survey(model, Path(path), plan, reach, constants, synchronizability, precision, run)
    survey.run(progress)
    return survey.timeline()


@dataclass
class Survey:
    """A scan under way: `run` asks window after window, `timeline` tells what those that were asked amount to.

    A run that is ended by its `progress` leaves the windows before it, and `timeline` tells of these. The constants
    depend on what the sound is like, which is learned on the way: `moments` rest on what was heard so far, `timeline`
    on all of it.

    Args:
        model: as in `scan`, like the others.
        path: the video.
        plan: which windows and shifts, from `scan_plan`.
        reach: as in `scan`.
        constants: the model's calibration.
        synchronizability: as in `scan`.
        precision: as in `scan`.
        place: where the model is called, `run` of `scan`.

    Raises:
        ValueError: a model with another head.
        MediaError: as `probe`.
    """

    model: Synchformer
    path: Path
    plan: Plan
    reach: float
    constants: Calibration
    synchronizability: Synchformer | None = None
    precision: Precision = "auto"
    place: Run = run_locally
    moments: list[Moment] = field(default_factory=list, init=False)
    _measured: list[Window] = field(default_factory=list, init=False)
    _notes: list[str] = field(default_factory=list, init=False)
    _took: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        check_model(self.model, "offset")
        if self.synchronizability is not None:
            check_model(self.synchronizability, "synchronizability")
        self.seconds = probe(self.path).seconds
        self.offsets = offset_grid(self.reach + self.constants.ordinary.response.reach, STEP)
        self._coverage = Coverage(self.model.config, self.plan.start)
        self._condition = MediaCondition(self.model.config.sample_rate)

    @property
    def windows(self) -> int:
        """How many windows the plan has in this file."""
        config = self.model.config
        end = int(self.seconds * config.video_fps + 1e-6)
        last = end if self.plan.stop is None else min(end, self.plan.stop)
        return max(0, (last - self.plan.start - config.span_frames) // self.plan.hop + 1)

    def run(self, progress: Progress | None = None) -> None:
        """Ask every window; with a model for synchronizability, the second half of the progress is its pass.

        Raises:
            MediaError: as `scan`.
        """
        begin, passes = time.perf_counter(), 1 if self.synchronizability is None else 2
        try:
            move = _part(progress, 0, passes)
            for window in self._windows(self.model, self.plan, move, self._condition.add, self._coverage):
                self._measured.append(window)
                self.moments.append(_moment(self.offsets, window, self._own_constants))
            if not self.moments:
                raise self._too_short()
            if self.synchronizability is not None:
                self._ask_synchronizability(self.synchronizability, _part(progress, 1, passes))
        finally:
            self._took += time.perf_counter() - begin

    def timeline(self) -> Timeline:
        """The explanation of the windows so far.

        Raises:
            MediaError: when there is none yet.
        """
        if not self.moments:
            raise self._too_short()
        constants = self._own_constants
        self.moments = [
            replace(_moment(self.offsets, window, constants), synchronizability=moment.synchronizability)
            for window, moment in zip(self._measured, self.moments, strict=True)
        ]
        sums = np.array([window_evidence(self.offsets, window, constants) for window in self._measured])
        every = self.plan.hop / self.model.config.video_fps
        return _timeline(
            path=self.path,
            model=self.model.config.name,
            seconds=self.seconds,
            moments=tuple(self.moments),
            offsets=self.offsets,
            log_densities=film_densities(sums, constants, every),
            constants=constants,
            calibration=self.constants,
            took=self._took,
            notes=tuple(self._notes),
            unmeasured=self._coverage.unmeasured,
        )

    @property
    def _own_constants(self) -> Constants:
        """The constants for what was heard so far."""
        return self.constants.of(self._condition.bandwidth, self._condition.fps)

    def _windows(
        self,
        model: Synchformer,
        plan: Plan,
        progress: Progress | None,
        watch: Callable[[Media], None] | None = None,
        coverage: Coverage | None = None,
    ) -> Iterator[Window]:
        return read_windows(
            model, self.path, plan, precision=self.precision, progress=progress, notes=self._notes, run=self.place,
            watch=watch, coverage=coverage,
        )  # fmt: skip

    def _ask_synchronizability(self, model: Synchformer, progress: Progress | None) -> None:
        """Add the probability of class 1 to every moment."""
        places = {round(moment.start, 2): index for index, moment in enumerate(self.moments)}
        for window in self._windows(model, replace(self.plan, shifts=(0,)), progress):
            index = places.get(round(window.start, 2))
            if index is not None:
                matched = float(window.probabilities[0, 1])
                self.moments[index] = replace(self.moments[index], synchronizability=matched)

    def _too_short(self) -> MediaError:
        config = self.model.config
        return too_short(self.path, config, self.plan.start / config.video_fps, self._coverage.unmeasured)


def _part(progress: Progress | None, index: int, passes: int) -> Progress | None:
    """The progress of one of several passes over the same seconds."""
    if progress is None:
        return None
    return lambda done, total: progress((index * total + done) / passes, total)


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


def _moment(offsets: Floats, window: Window, constants: Constants) -> Moment:
    kind = constants.window
    posterior = to_posterior(offsets, kind.weight * window_evidence(offsets, window, constants), kind.uniform)
    best = float(offsets[posterior.mass.argmax()])
    interval = posterior.interval(kind.q_of(window.stop - window.start))
    return Moment(window.start, window.stop, best, interval, posterior.near(best, NEAR))


def _timeline(
    *,
    path: Path,
    model: str,
    seconds: float,
    moments: tuple[Moment, ...],
    offsets: Floats,
    log_densities: Floats,
    constants: Constants,
    calibration: Calibration,
    took: float,
    notes: tuple[str, ...],
    unmeasured: tuple[Unmeasured, ...],
) -> Timeline:
    times = np.array([moment.center for moment in moments])
    stop = moments[-1].stop
    level = max(LEVEL, constants.film.q_of(stop - moments[0].start))  # slopes have none of their own
    explanations = explain(offsets, times, log_densities, level)
    whole = _piece(offsets, log_densities, constants, moments[0].start, stop)
    pieces = _pieces(offsets, moments, log_densities, explanations, constants)
    kind = max(explanations.probability, key=lambda each: explanations.probability[each])
    return Timeline(
        path=path,
        model=model,
        seconds=seconds,
        moments=moments,
        kind=kind,
        probability=explanations.probability,
        whole=whole,
        drift=_drift(explanations.line, moments[0].start, stop),
        pieces=pieces,
        level=LEVEL,
        calibrated=bool(calibration.measured),
        calibration_note=calibration.note,
        took=took,
        notes=notes,
        unmeasured=unmeasured,
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
    offsets: Floats,
    moments: tuple[Moment, ...],
    log_densities: Floats,
    explanations: Explanations,
    constants: Constants,
) -> tuple[Piece, ...]:
    """Stretches of windows in one state; a border lies halfway between the centers of its windows."""
    borders = [0, *(np.flatnonzero(np.diff(explanations.states)) + 1).tolist(), len(moments)]
    pieces = []
    for first, last in pairwise(borders):
        start = moments[0].start if first == 0 else (moments[first - 1].center + moments[first].center) / 2
        stop = moments[-1].stop if last == len(moments) else (moments[last - 1].center + moments[last].center) / 2
        pieces.append(_piece(offsets, log_densities[first:last], constants, start, stop))
    return tuple(pieces)


def _piece(offsets: Floats, log_densities: Floats, constants: Constants, start: float, stop: float) -> Piece:
    """A stretch with one offset, from the densities of its windows (W, K)."""
    posterior = to_posterior(offsets, log_densities.sum(0), constants.film.uniform)
    return Piece(start, stop, posterior.median, posterior.interval(constants.film.q_of(stop - start)))
