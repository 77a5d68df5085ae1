"""What broadcast recommendations say about an offset that is known within an interval.

| recommendation | early at most | late at most |
|---|---|---|
| ITU-R BT.1359-1, detectability threshold | 45 ms | 125 ms |
| ITU-R BT.1359-1, acceptability threshold | 90 ms | 185 ms |
| EBU R37 | 40 ms | 60 ms |
| ATSC IS-191 | 15 ms | 45 ms |

A verdict is given only when the whole interval lies on one side of a limit; otherwise it is "cannot tell".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Judgment = Literal["within", "cannot tell", "outside"]
SEVERITY: tuple[Judgment, ...] = ("within", "cannot tell", "outside")


@dataclass(frozen=True)
class Tolerance:
    """A recommendation: how many seconds the sound may be `early` and `late` (both above zero)."""

    name: str
    early: float
    late: float

    def check(self, interval: tuple[float, float]) -> Judgment:
        """Whether an interval of offsets, in seconds, lies within the tolerance or outside it."""
        low, high = interval
        if -self.late <= low and high <= self.early:
            return "within"
        return "outside" if low > self.early or high < -self.late else "cannot tell"

    @property
    def words(self) -> str:
        """The name with its limits: `EBU R37 (40 ms early to 60 ms late)`."""
        return f"{self.name} ({self.early * 1000:.0f} ms early to {self.late * 1000:.0f} ms late)"


TOLERANCES = (
    Tolerance("ITU-R BT.1359 detectability", 0.045, 0.125),
    Tolerance("ITU-R BT.1359 acceptability", 0.090, 0.185),
    Tolerance("EBU R37", 0.040, 0.060),
    Tolerance("ATSC IS-191", 0.015, 0.045),
)


@dataclass(frozen=True)
class Verdict:
    """One recommendation's judgment about one measurement."""

    tolerance: Tolerance
    judgment: Judgment
    interval: tuple[float, float]

    @property
    def sentence(self) -> str:
        """The judgment in words, with the limits."""
        if self.judgment == "cannot tell":
            width = (self.interval[1] - self.interval[0]) * 1000
            return f"{self.tolerance.words}: cannot tell, the interval of {width:.0f} ms reaches across a limit"
        return f"{self.tolerance.words}: {self.judgment}"


def check_tolerances(*intervals: tuple[float, float]) -> tuple[Verdict, ...]:
    """Every recommendation's verdict about an interval of offsets in seconds, or about several parts of one video.

    A video is outside when one of its parts is, and within when all are.

    Raises:
        ValueError: when there is no interval.
    """
    if not intervals:
        raise ValueError("there is no interval to judge")
    return tuple(_worst(tolerance, intervals) for tolerance in TOLERANCES)


def _worst(tolerance: Tolerance, intervals: tuple[tuple[float, float], ...]) -> Verdict:
    verdicts = [Verdict(tolerance, tolerance.check(interval), interval) for interval in intervals]
    return max(verdicts, key=lambda verdict: SEVERITY.index(verdict.judgment))
