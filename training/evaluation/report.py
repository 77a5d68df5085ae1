"""From trials to figures: accuracies with intervals, tables by offset and by class of sound, the confusion matrix.

Shape legend: N trials, C offset classes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_confusion_matrix

from synchformer.stats.bootstrap import share_interval
from synchformer.stats.calibration_error import expected_calibration_error
from synchformer.storage.atomic import write_json
from synchformer.storage.csv_rows import write_csv
from synchformer.storage.json_text import undefined_as_none
from training.datasets.source import LeftOut, count_reasons
from training.evaluation.metrics import chance, chance_at, permuted
from training.evaluation.trials import Trial


@dataclass(frozen=True)
class Setting:
    """What was measured: model, data, protocol. Every file of an evaluation says it."""

    model: str
    data: str
    protocol: str
    rounds: int
    clips: int
    seed: int
    classes: int
    step: float  # s between classes
    by: tuple[str, ...] = ()  # columns of the data set's table by which the trials are divided
    cluster: str = ""  # column whose values are drawn anew for intervals; clips where it is empty

    @property
    def sentence(self) -> str:
        """All of it in words."""
        times = "" if self.rounds == 1 else f" ({self.rounds} rounds)"
        drawn = f"; intervals by {self.cluster}" if self.cluster else ""
        return f"{self.model} on {self.data}; {self.protocol}{times}; {self.clips} clips, seed {self.seed}{drawn}"


@dataclass(frozen=True)
class Row:
    """Accuracy over a group of clips, each share with its 95 % interval; chance has neither a count nor intervals."""

    clips: str
    acc1: float
    acc1_tol1: float
    count: int | None = None
    acc1_interval: tuple[float, float] | None = None
    acc1_tol1_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Report:
    """An evaluation: its setting, its figures, and what it could not use."""

    setting: Setting
    trials: tuple[Trial, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def summary(self) -> list[Row]:
        """Chance, all trials, and groups by the number of shared events where that is known."""
        return summarize(list(self.trials), self.setting.classes)

    @property
    def by_offset(self) -> list[Row]:
        """Accuracy for every offset that was applied, in order of the classes."""
        middle, step = (self.setting.classes - 1) // 2, self.setting.step
        groups = {c: [t for t in self.trials if t.target == c] for c in range(self.setting.classes)}
        return [count_row(f"{(c - middle) * step:+.1f} s", group) for c, group in groups.items() if group]

    @property
    def by_label(self) -> list[Row]:
        """Accuracy for every class of sound, the commonest first; a clip of several classes counts in each."""
        labels = {label for trial in self.trials for label in trial.labels}
        groups = {label: [t for t in self.trials if label in t.labels] for label in sorted(labels)}
        return [count_row(name, group) for name, group in sorted(groups.items(), key=lambda item: -len(item[1]))]

    @property
    def by_column(self) -> list[Row]:
        """Accuracy for every value of each column that was asked for, beside levels that tell nothing.

        They are a uniform guess at the offsets of these trials, and the answers themselves dealt out at random.
        """
        if not self.setting.by:
            return []
        targets, predicted = ([getattr(t, name) for t in self.trials] for name in ("target", "predicted"))
        guess, dealt = chance_at(targets, self.setting.classes), permuted(predicted, targets, self.setting.classes)
        rows = [
            Row("chance at these offsets", guess["acc1"], guess["acc1_tol1"]),
            Row("answers permuted", dealt["acc1"], dealt["acc1_tol1"]),
            count_row("all clips", self.trials),
            count_row("surest fifth", surest(self.trials)),
        ]
        for place, column in enumerate(self.setting.by):
            groups = {value: [t for t in self.trials if t.values[place] == value] for value in self._values(place)}
            ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
            rows += [count_row(f"{column}: {value or 'not said'}", group) for value, group in ordered]
        return rows

    def _values(self, place: int) -> list[str]:
        return sorted({trial.values[place] for trial in self.trials})

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How often each class (row) was taken for each (column): (C, C)."""
        predicted, target = (torch.tensor([getattr(t, name) for t in self.trials]) for name in ("predicted", "target"))
        return np.asarray(multiclass_confusion_matrix(predicted, target, self.setting.classes))

    @property
    def calibration_error(self) -> float:
        """Mean distance between confidence and accuracy, in ten bins of confidence."""
        right = [trial.distance == 0 for trial in self.trials]
        return expected_calibration_error([trial.confidence for trial in self.trials], right)

    @property
    def mean_error(self) -> float:
        """Mean distance between the true and the predicted offset in seconds."""
        return self.setting.step * float(np.mean([trial.distance for trial in self.trials]))

    def as_dict(self) -> dict[str, Any]:
        """Everything, for `write_json`."""
        return {
            "setting": asdict(self.setting),
            "said": self.setting.sentence,
            "markdown": table(self.summary),
            "left_out": count_reasons(self.left_out),
            "summary": self.summary,
            "by_offset": self.by_offset,
            "by_label": self.by_label,
            "by_column": self.by_column,
            "confusion": self.confusion.tolist(),
            "calibration_error": self.calibration_error,
            "mean_error_seconds": self.mean_error,
            "left_out_clips": self.left_out,
            "trials": self.trials,
        }

    def write(self, path: Path) -> list[Path]:
        """Write `path` (JSON), and beside it the tables and the trials as CSV; returns the files."""
        write_json(path, undefined_as_none(self.as_dict()))
        tables: dict[str, Sequence[Row | Trial]] = {
            "summary": self.summary,
            "offsets": self.by_offset,
            "labels": self.by_label,
            "columns": self.by_column,
            "trials": self.trials,
        }
        files = [path]
        for name, rows in tables.items():
            if rows:
                files.append(path.with_name(f"{path.stem}-{name}.csv"))
                write_csv(files[-1], rows)
        return files


def read_report(path: Path) -> dict[str, Any]:
    """The JSON of an evaluation.

    Raises:
        ValueError: when the file is missing or holds no evaluation.
    """
    try:
        report: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}; write it with training.evaluate --out") from error
    if not isinstance(report, dict) or "markdown" not in report or "said" not in report:
        raise ValueError(f"{path} holds no evaluation; write it with training.evaluate --out")
    return report


def summarize(trials: list[Trial], classes: int) -> list[Row]:
    """Accuracy over all trials, and over groups by the number of events that both crops share, where it is known."""
    known = [trial for trial in trials if trial.shared is not None]
    groups = {"at least one event in both crops": [t for t in known if t.shared]} if known else {}
    groups["all clips"] = trials
    groups |= {f"{n} shared": [t for t in known if t.shared == n] for n in sorted({t.shared or 0 for t in known})}
    guessing = chance(classes)
    return [
        Row("chance", guessing["acc1"], guessing["acc1_tol1"]),
        *(count_row(name, group) for name, group in groups.items()),
    ]


def count_row(name: str, trials: Sequence[Trial]) -> Row:
    """Shares of exact and near answers among trials."""
    count = len(trials)
    exact, near = sum(t.distance == 0 for t in trials), sum(t.distance <= 1 for t in trials)
    intervals = [interval(trials, tolerance) for tolerance in (0, 1)]
    return Row(name, exact / max(count, 1), near / max(count, 1), count, *intervals)


def surest(trials: Sequence[Trial], share: float = 0.2) -> list[Trial]:
    """The trials with the highest confidence, a `share` of all and at least one."""
    ordered = sorted(trials, key=lambda trial: -trial.confidence)
    return ordered[: max(1, round(share * len(trials)))]


def interval(trials: Sequence[Trial], tolerance: int) -> tuple[float, float]:
    """95 % interval of the share of answers within `tolerance` classes; crops of a clip, or cluster, stay together."""
    clips: dict[str, list[bool]] = {}
    for trial in trials:
        clips.setdefault(trial.unit, []).append(trial.distance <= tolerance)
    right = np.array([sum(answers) for answers in clips.values()], dtype=float)
    all_of = np.array([len(answers) for answers in clips.values()], dtype=float)
    return share_interval(right, all_of)


def table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table."""
    lines = ["| clips | count | Acc@1 | within ±1 class |", "|---|---|---|---|"]
    for row in rows:
        exact, near = percent(row.acc1, row.acc1_interval), percent(row.acc1_tol1, row.acc1_tol1_interval)
        lines.append(f"| {row.clips} | {'' if row.count is None else row.count} | {exact} | {near} |")
    return "\n".join(lines)


def percent(share: float, interval: tuple[float, float] | None) -> str:
    """A share and its interval, such as `54.8 % (50.4–59.1)`."""
    text = f"{100 * share:.1f} %"
    return text if interval is None else f"{text} ({100 * interval[0]:.1f}–{100 * interval[1]:.1f})"
