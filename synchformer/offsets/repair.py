"""A corrected file, measured before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from synchformer.config import Precision
from synchformer.copies.comparison import Comparison
from synchformer.copies.remux import check_copy, write_moved
from synchformer.copies.resample import pitch_change, write_stretched
from synchformer.inference.engine import Run, run_locally
from synchformer.media.container import MediaError
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets.continuous import in_milliseconds
from synchformer.offsets.scan import REACH, scan
from synchformer.offsets.timeline import SURE, Timeline

Stage = Literal["before", "writing", "after"]
StageProgress = Callable[[Stage, float, float], None]


class RefusedError(ValueError):
    """A correction that the evidence does not carry; says why and what would."""


@dataclass(frozen=True)
class Correction:
    """What is taken out of the sound: `offset` seconds at time zero and `slope` seconds per second more of it.

    With a slope the sound is encoded anew; without one only its timestamps change.
    """

    offset: float
    slope: float = 0.0

    @property
    def sentence(self) -> str:
        """What is done, in words."""
        if not self.slope:
            moved = "later" if self.offset > 0 else "earlier"
            return f"the sound is moved {abs(self.offset) * 1000:.0f} ms {moved}; nothing is encoded again"
        grows = f"{in_milliseconds(self.offset)} at the start and {self.slope * 60_000:+.1f} ms more each minute"
        pitch = f"its pitch changes by {-pitch_change(self.slope):+.2f} cents"
        return f"the sound, {grows}, is resampled and encoded again ({pitch})"


@dataclass(frozen=True)
class Repair:
    """A corrected file and its proof: the timelines of the input (None when it was not measured) and of the output."""

    path: Path
    out: Path
    correction: Correction
    before: Timeline | None
    after: Timeline | None
    forced: str | None
    left_out: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What was done and what it led to."""
        parts = [f"{self.out.name}: {self.correction.sentence}"]
        if self.before:
            parts.append(f"before: {self.before.sentence}")
        if self.after:
            parts.append(f"after: {self.after.sentence}")
        if self.forced:
            parts.append(f"forced although {self.forced}")
        if self.left_out:
            parts.append(f"not kept: {', '.join(self.left_out)}")
        return "\n".join([*parts, *self.notes])

    @property
    def notes(self) -> tuple[str, ...]:
        """What both measurements met, such as damage; each sentence once."""
        timelines = [timeline for timeline in (self.before, self.after) if timeline]
        return tuple(dict.fromkeys(note for timeline in timelines for note in timeline.notes))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "video": str(self.path),
            "out": str(self.out),
            "offset": self.correction.offset,
            "slope": self.correction.slope,
            "sentence": self.sentence,
            "forced": self.forced,
            "left_out": self.left_out,
            "notes": self.notes,
            "before": self.before.as_dict() if self.before else None,
            "after": self.after.as_dict() if self.after else None,
        }


def fix(
    model: Synchformer | None,
    path: str | Path,
    out: str | Path,
    *,
    offset: float | None = None,
    resample: bool = False,
    force: bool = False,
    reach: float = REACH,
    precision: Precision = "auto",
    progress: StageProgress | None = None,
    before: Timeline | None = None,
    run: Run = run_locally,
) -> Repair:
    """Write a copy of a video whose sound is in sync, and measure it again.

    Args:
        model: a Synchformer with the offset head; None to move the sound by `offset` without measuring anything.
        path: the video; it is never changed.
        out: where to write; the suffix names the container.
        offset: seconds by which the sound is known to be early (above zero) or late; None to measure it.
        resample: undo a drift by resampling the sound; without it, a drift is refused.
        force: write even where the evidence is weak.
        reach: as in `scan`.
        precision: as in `predict`.
        progress: called with the stage, the seconds that are done and their total; what it raises ends the work.
        before: what a scan of the whole video found already, so that it is not measured once more.
        run: where the model is called; see `scan`.

    Raises:
        RefusedError: the evidence is too weak, says that nothing is wrong, or says that one shift cannot repair it.
        MediaError: as `scan`; or a container that cannot hold the file, said before anything is measured.
        ValueError: an unusable `out`, or neither a model nor an offset.
    """
    path, out = Path(path), Path(out)
    check_copy(path, out)
    look = None if model is None else partial(scan, model, reach=reach, precision=precision, run=run)
    why = None
    if offset is None:
        if before is None:
            if look is None:
                raise ValueError("give a model to measure with, or the offset")
            before = look(path, progress=_stage(progress, "before"))
        correction, why = decide(before, resample)
        if why and not force:
            raise RefusedError("; ".join((f"nothing was written: {why}", *before.notes)))
    else:
        correction = Correction(offset)
    comparison = _write(path, out, correction, _stage(progress, "writing"))
    try:
        after = None if look is None else look(out, progress=_stage(progress, "after"))
    except MediaError:
        out.unlink(missing_ok=True)  # a copy that cannot be read is none
        raise
    return Repair(path, out, correction, before, after, why, comparison.not_kept)


def decide(timeline: Timeline, resample: bool) -> tuple[Correction, str | None]:
    """The correction that a timeline asks for, and why it should not be made (None: it should)."""
    if timeline.kind == "drift":
        drift = timeline.drift
        if not resample:
            return Correction(timeline.whole.offset), (
                f"{timeline.sentence}; moving the sound cannot undo a drift: allow resampling, or force one shift "
                "for all"
            )
        start = drift.at_start - drift.slope * timeline.moments[0].start
        return Correction(start, drift.slope), _doubt(timeline, drift.per_minute_interval)
    correction = Correction(timeline.whole.offset)
    if timeline.kind == "jumps":
        return correction, (
            f"{timeline.sentence}; one shift cannot repair that: cut the video there and fix the parts, or force one "
            "shift for all"
        )
    return correction, _doubt(timeline, timeline.whole.interval)


def _doubt(timeline: Timeline, interval: tuple[float, float]) -> str | None:
    if timeline.lacks_relevant_part:
        return f"{timeline.sentence}; too much of the video was not measured for moving the sound of all of it"
    if not timeline.is_conclusive:
        return f"{timeline.sentence}; the evidence is too weak"
    if timeline.probability[timeline.kind] < SURE:
        return f"{timeline.sentence}; too little speaks for one of the two"
    if interval[0] <= 0 <= interval[1]:
        return f"{timeline.sentence}; that is no offset within what can be measured, so there is nothing to correct"
    return None


def _write(
    path: Path, out: Path, correction: Correction, progress: Callable[[float, float], None] | None
) -> Comparison:
    if correction.slope:
        return write_stretched(path, correction.offset, correction.slope, out, progress)
    report = progress or (lambda done, total: None)
    report(0.0, 1.0)
    comparison = write_moved(path, -correction.offset, out)
    report(1.0, 1.0)
    return comparison


def _stage(progress: StageProgress | None, stage: Stage) -> Callable[[float, float], None] | None:
    return None if progress is None else lambda done, total: progress(stage, done, total)
