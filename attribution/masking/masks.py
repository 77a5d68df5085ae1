"""Random masks over units, from an explicit generator.

Two generators, one for the masks and one for the distractors, are read value by value, so that a sequence of masks
does not depend on the sizes of the batches that it was drawn in.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor


class MaskSource:
    """An endless sequence of masks and of distractors to fill them with.

    Args:
        units: number of units U; each is kept independently of the others.
        distractors: number of distractors to choose from, uniformly, another choice for every mask.
        keep: probability that a unit is kept.
        pairs: draw each mask together with its complement; they stand at places 2i and 2i + 1.
        seed: numbers that fix the sequence.

    Raises:
        ValueError: for pairs with a keep probability other than 0.5.
    """

    def __init__(self, units: int, distractors: int, keep: float, pairs: bool, seed: tuple[int, ...]) -> None:
        if pairs and keep != 0.5:
            raise ValueError(f"complementary masks follow one law only at keep probability 0.5, not {keep}")
        self.units, self.distractors, self.keep, self.pairs = units, distractors, keep, pairs
        self._bits = np.random.PCG64([*seed, 0]), np.random.PCG64([*seed, 1])
        self._masks, self._choices = map(np.random.Generator, self._bits)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """The next `count` masks, True for kept, bool (count, U), and their distractors, int64 (count,).

        Raises:
            ValueError: for an odd count of paired masks.
        """
        if self.pairs and count % 2:
            raise ValueError(f"paired masks come in even numbers, not {count}")
        drawn = self._masks.random((count // 2 if self.pairs else count, self.units)) < self.keep
        masks = np.stack([drawn, ~drawn], axis=1).reshape(count, self.units) if self.pairs else drawn
        choices = (self._choices.random(count) * self.distractors).astype(np.int64)
        return torch.from_numpy(masks), torch.from_numpy(choices)

    def skip(self, count: int) -> None:
        """Pass over the next `count` masks, as if they had been drawn: one 64-bit number is drawn per value.

        Raises:
            ValueError: for an odd count of paired masks.
        """
        if self.pairs and count % 2:
            raise ValueError(f"paired masks come in even numbers, not {count}")
        self._bits[0].advance((count // 2 if self.pairs else count) * self.units)
        self._bits[1].advance(count)


def every_mask(units: int, distractors: int) -> tuple[Tensor, Tensor]:
    """Every mask with every distractor, each once, a mask beside its complement: the exact answer for few units.

    Returns:
        Masks, bool (2 ** units * distractors, U), and distractors, int64. With `keep` 0.5 these stand in the
        proportions that `MaskSource` draws them in.
    """
    half = np.array(list(product([True], *[[True, False]] * (units - 1))), dtype=bool)
    pairs = np.stack([half, ~half], axis=1).reshape(-1, units)
    choices = np.arange(distractors).repeat(len(pairs))
    return torch.from_numpy(np.tile(pairs, (distractors, 1))), torch.from_numpy(choices)
