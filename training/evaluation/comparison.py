"""Several trained models side by side: what they are, what they have seen, how well they tell the offset."""

from __future__ import annotations

from dataclasses import dataclass

from training.evaluation.metrics import chance
from training.evaluation.report import percent

ALIKE = 1.05  # parameters or crops that differ by no more are called equal


COLUMNS = (
    "model", "parameters", "trained", "clips", "crops seen", "hours seen", "Acc@1", "within ±1 class", "CPU s/step",
    "CPU min",
)  # fmt: skip


Course = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Entry:
    """A model of the table.

    `crops` is how many crops it was asked the offset of in training, `hours` the length of all samples of all stages,
    `clips` how many different clips they were cut from; steps after the one whose weights were kept count too, for they
    were part of the choice. `seconds` and `cpu_seconds` are medians per step of the last stage, by the clock and of all
    processor cores together, `cpu_minutes` those of all steps of all stages, without what encoding features for a cache
    and other processes took; None where the log does not tell.
    """

    name: str
    model: str
    parameters: int
    stages: str
    clips: int
    crops: int
    hours: float
    acc1: float
    acc1_interval: tuple[float, float]
    acc1_tol1: float
    acc1_tol1_interval: tuple[float, float]
    evaluated: int
    seconds: float | None
    cpu_seconds: float | None
    cpu_minutes: float | None


@dataclass(frozen=True)
class Comparison:
    """Entries that were measured on the same clips, and how.

    `measured` is a sentence; `courses` are the entries' validations: after how many crops, and the share of held-out
    crops within a class of the truth.
    """

    entries: tuple[Entry, ...]
    measured: str
    classes: int
    courses: tuple[Course, ...] = ()

    @property
    def markdown(self) -> str:
        """Table 1 of the paper for these models, with chance, and what is not equal in words."""
        head = f"| {' | '.join(COLUMNS)} |"
        guess = chance(self.classes)
        last = f"| chance | | | | | | {percent(guess['acc1'], None)} | {percent(guess['acc1_tol1'], None)} | | |"
        rows = [_line(entry) for entry in self.entries]
        return "\n".join([head, "|---" * len(COLUMNS) + "|", *rows, last, "", self.measured, "", *self.differences])

    @property
    def differences(self) -> list[str]:
        """A sentence about each thing that should be equal and is not, or one that all are."""
        counted = {
            "parameters": [entry.parameters for entry in self.entries],
            "crops seen": [entry.crops for entry in self.entries],
            "clips": [entry.clips for entry in self.entries],
        }
        unequal = {name: counts for name, counts in counted.items() if max(counts) > ALIKE * max(min(counts), 1)}
        if not unequal:
            return ["Parameters, clips and crops seen are equal to within 5 %."]
        return [
            f"Not equal: {name} differ by a factor of {max(counts) / max(min(counts), 1):.2f}."
            for name, counts in unequal.items()
        ]


def _line(entry: Entry) -> str:
    exact, near = percent(entry.acc1, entry.acc1_interval), percent(entry.acc1_tol1, entry.acc1_tol1_interval)
    pace, whole = entry.cpu_seconds, entry.cpu_minutes
    paces = ["" if pace is None else f"{pace:.2f}", "" if whole is None else f"{whole:.1f}"]
    cells = [
        f"{entry.name}: {entry.model}",
        f"{entry.parameters / 1e6:.2f} M",
        entry.stages,
        f"{entry.clips:,}",
        f"{entry.crops:,}",
        f"{entry.hours:.1f}",
        exact,
        near,
        *paces,
    ]
    return f"| {' | '.join(cells)} |"
