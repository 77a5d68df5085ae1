"""What a scan found: the offset over time, and which explanation fits it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synchformer.inference.coverage import Unmeasured, union_seconds
from synchformer.offsets.broadcast_tolerances import Verdict, check_tolerances
from synchformer.offsets.continuous import in_milliseconds
from synchformer.offsets.drift_or_jumps import Kind
from synchformer.storage.csv_rows import as_csv

SURE = 0.9  # an explanation with less probability is named with its rival
WIDEST = 0.4  # s: an interval wider than two classes is no measurement
MINUTE = 60.0  # s
RELEVANT_SHARE, RELEVANT_SECONDS = 0.1, 10.0  # of a film, or in one piece: what must not be left unmeasured silently
NAMED_PARTS = 3  # unmeasured parts that a sentence names; of more it tells the sum


@dataclass(frozen=True)
class Moment:
    """One window: seconds of its picture, its own offset with an interval, and the probability within 0.1 s of it.

    `synchronizability` is the probability that picture and sound can be matched at all, where a model for it was given.
    """

    start: float
    stop: float
    offset: float
    interval: tuple[float, float]
    confidence: float
    synchronizability: float | None = None

    @property
    def center(self) -> float:
        """The middle of the window in seconds."""
        return (self.start + self.stop) / 2


@dataclass(frozen=True)
class Piece:
    """A stretch of the film, in seconds, with one offset and its interval."""

    start: float
    stop: float
    offset: float
    interval: tuple[float, float]

    @property
    def is_conclusive(self) -> bool:
        """Whether the interval is at most `WIDEST` wide."""
        return self.interval[1] - self.interval[0] <= WIDEST


@dataclass(frozen=True)
class Drift:
    """A line: the offset in seconds at time zero and at the end, milliseconds per minute, and their intervals."""

    at_start: float
    at_stop: float
    per_minute: float
    per_minute_interval: tuple[float, float]
    at_middle_interval: tuple[float, float]

    @property
    def slope(self) -> float:
        """Seconds per second."""
        return self.per_minute / 1000 / MINUTE


@dataclass(frozen=True)
class Timeline:
    """Offsets over a whole video; times in seconds, offsets above zero mean that the sound is early.

    `kind` is the likeliest explanation and `probability` that of each. `whole` is the offset when it is constant,
    `drift` the line when it drifts, `pieces` the stretches when it jumps; all three are there whatever the kind.
    `unmeasured` are the parts in which picture or sound is missing.
    """

    path: Path
    model: str
    seconds: float
    moments: tuple[Moment, ...]
    kind: Kind
    probability: dict[Kind, float]
    whole: Piece
    drift: Drift
    pieces: tuple[Piece, ...]
    level: float
    calibrated: bool
    calibration_note: str
    took: float
    notes: tuple[str, ...] = field(default=())
    unmeasured: tuple[Unmeasured, ...] = ()

    @property
    def is_conclusive(self) -> bool:
        """Whether what the likeliest explanation says is known well enough to act on."""
        if self.kind == "drift":
            low, high = self.drift.at_middle_interval
            return high - low <= WIDEST
        if self.kind == "jumps":
            return len(self.pieces) > 1 and all(piece.is_conclusive for piece in self.pieces)
        return self.whole.is_conclusive

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What recommendations say about what the likeliest explanation allows, the worst part counting."""
        return check_tolerances(*self.intervals)

    @property
    def intervals(self) -> tuple[tuple[float, float], ...]:
        """Intervals of the offset, in seconds: one for the whole, or one per stretch, or at both ends of a drift."""
        if self.kind == "constant":
            return (self.whole.interval,)
        if self.kind == "jumps":
            return tuple(piece.interval for piece in self.pieces)
        low, high = self.drift.at_middle_interval
        half = (high - low) / 2
        return tuple((end - half, end + half) for end in (self.drift.at_start, self.drift.at_stop))

    @property
    def span(self) -> tuple[float, float]:
        """The part of the video, in seconds, that was scanned, measured or not."""
        starts = [self.moments[0].start, *(part.start for part in self.unmeasured)]
        stops = [self.moments[-1].stop, *(part.stop for part in self.unmeasured)]
        return min(starts), max(stops)

    @property
    def lacks_relevant_part(self) -> bool:
        """Whether so much was not measured that the result may not hold for the whole video."""
        whole = union_seconds(self.unmeasured) > RELEVANT_SHARE * self.seconds
        return whole or any(part.seconds > RELEVANT_SECONDS for part in self.unmeasured)

    @property
    def unmeasured_in_words(self) -> str:
        """The parts that were not measured and why; empty when there is none."""
        if len(self.unmeasured) <= NAMED_PARTS:
            return "; ".join(part.sentence for part in self.unmeasured)
        total = union_seconds(self.unmeasured)
        reasons = " or ".join(dict.fromkeys(part.reason for part in self.unmeasured))
        return f"{len(self.unmeasured)} parts, {total:.1f} s together, were not measured: {reasons}"

    @property
    def sentence(self) -> str:
        """The result in words, with what was not measured."""
        return "; ".join(part for part in (self._explanation(), self.unmeasured_in_words) if part)

    def _explanation(self) -> str:
        explanation = {"constant": self._constant, "drift": self._drifting, "jumps": self._jumping}[self.kind]()
        if self.kind != "constant" and not self.is_conclusive:
            return f"cannot tell: the best guess is that {explanation}"
        rival = max((kind for kind in self.probability if kind != self.kind), key=lambda kind: self.probability[kind])
        if self.probability[self.kind] >= SURE or not self.is_conclusive:
            return explanation
        return (
            f"cannot tell {_NAMES[self.kind]} from {_NAMES[rival]}: the best guess is that {explanation}, but "
            f"{self._possible(rival)} is possible too ({_percent(self.probability[rival])})"
        )

    def _possible(self, kind: Kind) -> str:
        """A rival of the likeliest explanation, in words."""
        if kind == "drift":
            low, high = self.drift.per_minute_interval
            return f"a drift between {low:+.1f} and {high:+.1f} ms per minute"
        return _NAMES[kind]

    def _constant(self) -> str:
        span = f"{_percent(self.level)} interval: {_span(self.whole.interval)}"
        if not self.is_conclusive:
            guess = in_milliseconds(self.whole.offset)
            return f"cannot tell: the best guess for the whole video is {guess}, but the {span}"
        return f"the sound is {in_milliseconds(self.whole.offset)} throughout ({span})"

    def _drifting(self) -> str:
        low, high = self.drift.per_minute_interval
        ends = f"from {in_milliseconds(self.drift.at_start)} to {in_milliseconds(self.drift.at_stop)}"
        return (
            f"the sound drifts by {self.drift.per_minute:+.1f} ms per minute ({_percent(self.level)} interval: "
            f"{low:+.1f} to {high:+.1f}), {ends}"
        )

    def _jumping(self) -> str:
        jumps = len(self.pieces) - 1
        if not jumps:
            return (
                f"the offset jumps, but where is not clear; over all, the sound is {in_milliseconds(self.whole.offset)}"
            )
        parts = [f"{in_milliseconds(piece.offset)} from {clock(piece.start)}" for piece in self.pieces]
        return f"the offset jumps {'once' if jumps == 1 else f'{jumps} times'}: the sound is {', '.join(parts)}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        kept = ("model", "seconds", "kind", "probability", "level", "calibrated", "calibration_note", "took", "notes")
        return {
            "video": str(self.path),
            "sentence": self.sentence,
            "telling": self.is_conclusive,
            **{name: getattr(self, name) for name in kept},
            "whole": asdict(self.whole),
            "drift": asdict(self.drift),
            "pieces": [asdict(piece) for piece in self.pieces],
            "verdicts": {verdict.tolerance.name: verdict.judgment for verdict in self.verdicts},
            "moments": [asdict(moment) for moment in self.moments],
            "unmeasured": [asdict(part) for part in self.unmeasured],
        }

    def as_csv(self) -> str:
        """A row per window and per part that was not measured, which has no offset but says why, in order of time."""
        columns = ("start", "stop", "offset", "low", "high", "confidence", "synchronizability", "not_measured")
        rows = [(moment.start, [*_cells(moment), None]) for moment in self.moments]
        for part in self.unmeasured:
            rows.append((part.start, [f"{part.start:.4f}", f"{part.stop:.4f}", *[None] * 5, part.reason]))
        return as_csv([cells for _, cells in sorted(rows, key=lambda row: row[0])], columns, line_end="\n")


def _cells(moment: Moment) -> list[str | None]:
    values = (moment.start, moment.stop, moment.offset, *moment.interval, moment.confidence, moment.synchronizability)
    return [None if value is None else f"{value:.4f}" for value in values]


_NAMES: dict[Kind, str] = {"constant": "a constant offset", "drift": "a drift", "jumps": "a jump"}


def clock(seconds: float) -> str:
    """A time or a length, in seconds, as players write it: `1:02:03` or `2:03`."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _span(interval: tuple[float, float]) -> str:
    return f"{interval[0] * 1000:+.0f} to {interval[1] * 1000:+.0f} ms"
