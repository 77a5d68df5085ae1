"""Estimators: what thousands of masked decisions say about each unit, from sums that never grow with their number.

Three measures of a unit u, from masks M and decisions, "correct" being decisions near the reference:

score   P(u kept | correct), the paper's measure (section 4.1): 1 necessary, the keep probability indifferent.
effect  P(correct | u kept) - P(correct | u replaced).
margin  E[margin | u kept] - E[margin | u replaced], the margin being the log odds of a correct decision.

At keep probability 0.5 the last two are Banzhaf values (Banzhaf 1965, "Weighted voting doesn't work") of the games
whose players are the units and whose worth is the chance to be correct, or the mean margin, over the distractors.
Estimating all of them from one set of masks is the "maximum sample reuse" of Wang & Jia 2023, "Data Banzhaf"; the
masking itself is that of RISE (Petsiuk, Das & Saenko 2018).

Intervals. Independent masks: Wilson for the score, Newcombe for the effect, Welch's variance for the margin. With
complementary pairs the two masks of a pair are no independent trials, but the pairs are independent of one another:

- Score. Write N for correct masks, a for pairs with both masks correct; each such pair gives exactly one kept and one
  replaced. The ratio estimator's variance (Cochran 1977, "Sampling techniques", section 6.3) is that of N independent
  trials times 1 - 2a / N, the same for every unit, so Wilson's interval is taken at a larger effective count. With few
  pairs the share of pairs that agree is itself uncertain: its lower Wilson bound is used, which is the safe side.
- Effect. Each pair is one trial in which u is once kept and once replaced: Newcombe's interval for paired data.
- Margin. The mean over pairs of the difference, with its variance over pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synchformer.stats.intervals import Array, newcombe, newcombe_paired, normal, wilson


@dataclass(frozen=True)
class Measure:
    """A value per unit with the ends of its 95 % interval, arrays (U,). A value that is undefined is NaN."""

    value: Array
    low: Array
    high: Array

    @property
    def width(self) -> float:
        """Width of the widest interval."""
        return float(np.max(self.high - self.low))


@dataclass(frozen=True)
class Estimates:
    """All measures after `masks` masks, of which `correct` led to a correct decision; `kept` counts per unit."""

    masks: int
    correct: int
    kept: Array
    score: Measure
    effect: Measure
    margin: Measure

    @property
    def width(self) -> float:
        """Widest interval among scores and effects on accuracy, which the stop rule looks at."""
        return max(self.score.width, self.effect.width)

    def expected_left(self, tolerance: float | None, max_masks: int) -> int:
        """Masks still to come: widths shrink as one over the square root of the number of masks.

        Args:
            tolerance: largest width wanted; None means all `max_masks`.
            max_masks: masks at which sampling ends in any case.
        """
        left = max(max_masks - self.masks, 0)
        if tolerance is None or not self.masks:
            return left
        needed = self.masks * (self.width / tolerance) ** 2
        return min(left, max(0, int(np.ceil(needed - self.masks))))


@dataclass(frozen=True)
class Sums:
    """What a `Tally` holds, as plain arrays: units (U, 4), whole (4,), pair (2,); enough to count on from there."""

    units: Array
    whole: Array
    pair: Array

    @property
    def masks(self) -> int:
        """Masks counted."""
        return int(self.whole[0])


class Tally:
    """Sums over masks, on the device where decisions are made; memory does not depend on the number of masks.

    Args:
        units: number of units U.
        pairs: whether masks 2i and 2i + 1 are complements.
        device: where `add` finds its arguments.
    """

    def __init__(self, units: int, pairs: bool, device: torch.device | str = "cpu") -> None:
        self.pairs = pairs
        self._units = torch.zeros(units, 4, dtype=torch.float64, device=device)  # kept: 1, correct, margin, margin^2
        self._whole = torch.zeros(4, dtype=torch.float64, device=device)  # the same over all masks
        self._pair = torch.zeros(2, dtype=torch.float64, device=device)  # pairs both correct, squared differences

    def add(self, keep: Tensor, correct: Tensor, margin: Tensor) -> None:
        """Count a batch: masks, bool (N, U), decisions, bool (N,), margins (N,). Pairs must not be torn apart."""
        margin = margin.double()
        columns = torch.stack([torch.ones_like(margin), correct.double(), margin, margin * margin], dim=1)  # (N, 4)
        self._units += keep.double().T @ columns
        self._whole += columns.sum(0)
        if self.pairs:
            both = (correct[::2] & correct[1::2]).double().sum()
            self._pair += torch.stack([both, ((margin[::2] - margin[1::2]) ** 2).sum()])

    def merge(self, other: Tally) -> None:
        """Count everything that `other` has counted; it must be of the same kind."""
        self.resume(other.sums())

    def sums(self) -> Sums:
        """What was counted so far; one transfer from the device."""
        return Sums(*(part.cpu().numpy().copy() for part in (self._units, self._whole, self._pair)))

    def resume(self, sums: Sums) -> None:
        """Count what was counted before; `sums` must be of the same units and of the same kind."""
        self._units += torch.from_numpy(sums.units).to(self._units.device)
        self._whole += torch.from_numpy(sums.whole).to(self._whole.device)
        self._pair += torch.from_numpy(sums.pair).to(self._pair.device)

    def estimate(self) -> Estimates:
        """The measures so far."""
        sums = self.sums()
        units, whole, pair = sums.units, sums.whole, sums.pair
        kept = units[:, 0]
        score = self._score(units, whole, pair)
        effect = self._paired_effect(units, whole, pair) if self.pairs else _effect(units, whole)
        margin = self._paired_margin(units, whole, pair) if self.pairs else _margin(units, whole)
        return Estimates(int(whole[0]), int(whole[1]), kept, score, effect, margin)

    def _score(self, units: Array, whole: Array, pair: Array) -> Measure:
        correct = whole[1]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = units[:, 1] / correct
        count = np.full(len(units), correct / (1 - self._agreement(correct, pair[0])))
        return Measure(share, *wilson(share, count))

    def _agreement(self, correct: float, both: float) -> float:
        """Share of correct masks whose complement is correct too, on the safe side; 0 without pairs."""
        pairs = correct - both  # with at least one correct mask
        if not self.pairs or not pairs:
            return 0.0
        low = float(wilson(np.array(both / pairs), np.array(pairs))[0])
        return 2 * low / (1 + low)

    @staticmethod
    def _paired_effect(units: Array, whole: Array, pair: Array) -> Measure:
        count, both = whole[0] / 2, pair[0]
        once = whole[1] - 2 * both  # pairs with one correct mask
        kept_only = units[:, 1] - both
        fill = np.ones(len(units))
        interval = newcombe_paired(both * fill, kept_only, once - kept_only, (count - both - once) * fill)
        with np.errstate(invalid="ignore", divide="ignore"):
            return Measure((2 * kept_only - once) / count, *interval)

    @staticmethod
    def _paired_margin(units: Array, whole: Array, pair: Array) -> Measure:
        count = whole[0] / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (2 * units[:, 2] - whole[2]) / count
            variance = (pair[1] / count - mean * mean) / (count - 1)
        return Measure(mean, *normal(mean, variance if count > 1 else np.full_like(mean, np.nan)))


def _effect(units: Array, whole: Array) -> Measure:
    kept, replaced = units[:, 0], whole[0] - units[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = units[:, 1] / kept, (whole[1] - units[:, 1]) / replaced
    return Measure(first - second, *newcombe(first, kept, second, replaced))


def _margin(units: Array, whole: Array) -> Measure:
    rest = whole - units
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [part[:, 2] / part[:, 0] for part in (units, rest)]
        spreads = [
            (part[:, 3] / part[:, 0] - mean**2) / (part[:, 0] - 1)
            for part, mean in zip((units, rest), means, strict=True)
        ]
    variance = np.where((units[:, 0] > 1) & (rest[:, 0] > 1), spreads[0] + spreads[1], np.nan)
    difference = means[0] - means[1]
    return Measure(difference, *normal(difference, variance))
