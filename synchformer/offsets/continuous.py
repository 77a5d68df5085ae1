"""One clip's offset, finer than a class: a continuous estimate and its interval (`synchformer.offsets.posterior`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from synchformer.config import Precision, SynchformerConfig
from synchformer.inference.condition import MediaCondition
from synchformer.inference.coverage import Coverage, Unmeasured
from synchformer.inference.engine import check_model
from synchformer.inference.sliding_windows import Plan, Progress, Window, read_windows
from synchformer.media.probe import MediaError
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets.broadcast_tolerances import Verdict, check_tolerances
from synchformer.offsets.calibration import EVERY, LEVEL, Calibration, Constants, calibration_of
from synchformer.offsets.posterior import Floats, Posterior, evidence, mixed, offset_grid, to_posterior

HOP = 21  # frames between windows: no multiple of the segments' stride of 8, so that every phase between them occurs
SECONDS = 10.0  # s that are read by default; longer parts are measured like films
WIDEST = 0.4  # s: an interval wider than two classes is no measurement


@dataclass(frozen=True)
class FineEstimate:
    """A continuous offset in seconds (above zero: the sound is early) and the interval that covers it.

    `interval` claims to hold the true offset of `level` of like clips. `start` and `stop` are the part that was
    read, in seconds; `windows` counts what was asked about it.
    """

    offset: float
    interval: tuple[float, float]
    level: float
    start: float
    stop: float
    windows: int
    calibration_note: str
    calibrated: bool
    posterior: Posterior = field(repr=False, compare=False)
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> float:
        """Width of the interval in seconds."""
        return self.interval[1] - self.interval[0]

    @property
    def is_conclusive(self) -> bool:
        """Whether the interval is at most `WIDEST` wide."""
        return self.width <= WIDEST

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What broadcast recommendations say."""
        return check_tolerances(self.interval)

    @property
    def sentence(self) -> str:
        """The result in words."""
        span = f"{self.level:.0%} interval: {_ms(self.interval[0])} to {_ms(self.interval[1])}".replace("%", " %")
        if not self.is_conclusive:
            return f"cannot tell: the best guess is {in_milliseconds(self.offset)}, but the {span}"
        return f"the sound is {in_milliseconds(self.offset)} ({span})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; times in seconds."""
        names = ("offset", "interval", "level", "start", "stop", "windows", "calibrated")
        return {name: getattr(self, name) for name in names} | {
            "telling": self.is_conclusive,
            "sentence": self.sentence,
            "notes": self.notes,
            "calibration": self.calibration_note,
            "verdicts": {verdict.tolerance.name: verdict.judgment for verdict in self.verdicts},
        }


def fine(
    model: Synchformer,
    path: str | Path,
    *,
    start: float = 0.0,
    seconds: float = SECONDS,
    precision: Precision = "auto",
    progress: Progress | None = None,
    calibration: Calibration | None = None,
) -> FineEstimate:
    """Measure the offset of a part of a file, finer than the model's classes.

    Args:
        start: first second of the part.
        seconds: its length.
        model, path, precision, progress, calibration: as in `scan`.

    Raises:
        MediaError: as `read_media`, or the part is shorter than one window of the model.
        ValueError: a model that cannot tell offsets.
    """
    check_model(model, "offset")
    config = model.config
    plan = fine_plan(config, start, seconds)
    notes: list[str] = []
    condition, coverage = MediaCondition(config.sample_rate), Coverage(config, plan.start)
    windows = list(
        read_windows(
            model, path, plan, precision=precision, progress=progress, notes=notes, watch=condition.add,
            coverage=coverage,
        )
    )  # fmt: skip
    if not windows:
        raise too_short(Path(path), config, start, coverage.unmeasured)
    known = calibration or calibration_of(model)
    posterior, interval = combine(windows, known.of(condition.bandwidth, condition.fps))
    return FineEstimate(
        offset=posterior.median,
        interval=interval,
        level=LEVEL,
        start=windows[0].start,
        stop=windows[-1].stop,
        windows=len(windows),
        calibration_note=known.note,
        calibrated=bool(known.measured),
        posterior=posterior,
        notes=(*notes, *(part.sentence for part in coverage.unmeasured)),
    )


def too_short(path: Path, config: SynchformerConfig, start: float, unmeasured: tuple[Unmeasured, ...]) -> MediaError:
    """The error for a part without a single window."""
    need = config.span_frames / config.video_fps
    why = "".join(f"; {part.sentence}" for part in unmeasured)
    return MediaError(
        f"{path.name} has no {need:.1f} s of picture and sound together from {start:.2f} s on, which one window of the "
        f"model needs{why}; choose another start or a longer file"
    )


def fine_plan(config: SynchformerConfig, start: float = 0.0, seconds: float = SECONDS) -> Plan:
    """Windows under shifts by whole strides over the model's range; in short parts, at every phase of the segments.

    Raises:
        ValueError: when the part is empty or begins before the file.
    """
    stride = config.segment_stride
    reach = round(config.max_offset * config.video_fps) // stride * stride
    first = round(start * config.video_fps)
    return Plan(
        hop=HOP if seconds <= SECONDS else round(EVERY * config.video_fps),
        shifts=tuple(range(-reach, reach + 1, stride)),
        start=first,
        stop=first + round(seconds * config.video_fps),
    )


def combine(windows: Sequence[Window], constants: Constants) -> tuple[Posterior, tuple[float, float]]:
    """The density over the offset that all windows of a clip share, within the model's range, and its interval."""
    offsets = offset_grid(constants.response.reach)
    sums = np.array([window_evidence(offsets, window, constants) for window in windows])  # (W, K)
    seconds = windows[-1].stop - windows[0].start
    if len(windows) == 1:
        kind, total = constants.window, constants.window.weight * sums[0]
    elif seconds <= SECONDS:
        kind, total = constants.clip, constants.clip.weight * sums.sum(0)
    else:
        kind, total = constants.film, film_densities(sums, constants, EVERY).sum(0)
    posterior = to_posterior(offsets, total, kind.uniform)
    return posterior, posterior.interval(kind.q_of(seconds))


def window_evidence(offsets: Floats, window: Window, constants: Constants) -> Floats:
    """The untempered evidence of one window over the grid (K,), its pictures in their true place."""
    return evidence(offsets, window.shifts - constants.lead, window.probabilities, constants.response)


def film_densities(sums: Floats, constants: Constants, every: float) -> Floats:
    """What each window of a film adds to the log density (W, K), from their evidence (W, K), `every` seconds apart.

    Each may be sure and wrong, and neighbors say the same in part.
    """
    weight = min(1.0, constants.film.weight * every / EVERY)
    return weight * mixed(constants.window.weight * sums, constants.window.uniform)


def in_milliseconds(offset: float) -> str:
    """An offset in seconds as words: `132 ms early`, `40 ms late` or `0 ms off`."""
    size = round(abs(offset) * 1000)
    return f"{size} ms {'early' if offset > 0 else 'late'}" if size else "0 ms off"


def _ms(offset: float) -> str:
    return f"{offset * 1000:+.0f} ms"
