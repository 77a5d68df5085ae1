"""Table: single answers, the consensus, permuted answers, and what of it is stated, by kind of clip.

Every source counts alike; intervals are of whole sources drawn anew.

Shape legend: N clips, S sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from synchformer.consensus.consensus import weigh
from synchformer.consensus.constants import Statement
from synchformer.stats.bootstrap import share_interval
from training.calibration.planted import PlantedClip
from training.calibration.shifted_trials import ShiftedTrial

HEAD = (
    "clips", "sources", "clips ", "one answer", "consensus", "permuted", "stated", "of these right", "in sync: doubted",
)  # fmt: skip
STEP_GRID = (0.0, 0.2)  # two neighboring classes: all that a consensus takes from the grid is their distance


@dataclass(frozen=True)
class Scored:
    """A planted clip and the probability that its consensus is right, under constants of other sources."""

    clip: PlantedClip
    said: float

    def is_stated(self, statement: Statement) -> bool:
        """Whether its offset would be stated."""
        consensus = weigh(self.clip.evidence, STEP_GRID, statement)
        return self.said >= statement.threshold and not consensus.is_contradictory and consensus.exceeds_chance


def table(
    scored: Sequence[Scored],
    in_sync: Sequence[PlantedClip],
    trials: Sequence[ShiftedTrial],
    statement: Statement,
    doubt: float | None,
) -> str:
    """Shares in percent with 95 % intervals, as Markdown: for every split, all its clips and each kind.

    The last column is the share of clips in sync of which the synchronizability model is said to find nothing shared;
    the last row of a split those clips in sync as they are.
    """
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for split in dict.fromkeys(each.clip.item.split for each in scored):
        part = [each for each in scored if each.clip.item.split == split]
        whole = [each for each in part if each.clip.part == "all starts"]
        doubted = [trial for trial in trials if trial.item.split == split and trial.matched is not None]
        groups = {f"{split}, up to three starts": whole}
        groups[f"{split}, one start"] = [each for each in part if each.clip.part == "one start"]
        kinds = sorted({each.clip.item.kind for each in whole})
        if len(kinds) > 1:
            groups |= {f"{split}: {kind}": [each for each in whole if each.clip.item.kind == kind] for kind in kinds}
        for name, rows in groups.items():
            if rows:
                names = {each.clip.item.name for each in rows}
                lines.append(_line(name, rows, [each for each in doubted if each.item.name in names], statement, doubt))
        same = [Scored(clip, statement.probability(clip.features)) for clip in in_sync
                if clip.item.split == split and clip.part == "all starts"]  # fmt: skip
        if same:
            lines.append(_line(f"{split}, in sync", same, doubted, statement, doubt))
    return "\n".join(lines)


def _line(
    name: str, rows: Sequence[Scored], trials: Sequence[ShiftedTrial], statement: Statement, doubt: float | None
) -> str:
    sources = {each.clip.item.source for each in rows}
    cells = [name, str(len(sources)), str(len({each.clip.item.name for each in rows}))]
    cells += [_share(rows, lambda each: each.clip.single), _share(rows, lambda each: each.clip.right)]
    cells += [_share(rows, lambda each: each.clip.permuted), _share(rows, lambda each: each.is_stated(statement))]
    cells.append(_share(rows, lambda each: each.clip.right, lambda each: each.is_stated(statement)))
    matched = [trial.matched or 0.0 for trial in trials]
    cells.append("" if doubt is None or not matched else f"{np.mean(np.array(matched) < doubt) * 100:.1f}")
    return f"| {' | '.join(cells)} |"


def _share(
    rows: Sequence[Scored], value: Callable[[Scored], float], among: Callable[[Scored], bool] = lambda each: True
) -> str:
    """A share of those among the rows, over sources that weigh alike, with the interval of sources drawn anew."""
    by_source: dict[str, list[tuple[float, float]]] = {}
    for each in rows:
        counts = among(each)
        by_source.setdefault(each.clip.item.source, []).append((float(value(each) * counts), float(counts)))
    means = np.array([np.mean(pairs, axis=0) for pairs in by_source.values()])  # (S, 2)
    means = means[means[:, 1] > 0]
    if not len(means):
        return "none"
    low, high = share_interval(means[:, 0], means[:, 1])
    return f"{means[:, 0].sum() / means[:, 1].sum() * 100:.1f} ({low * 100:.0f} to {high * 100:.0f})"
