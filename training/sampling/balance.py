"""How often each clip is drawn, so that what there is most of does not decide what is learnt.

Shape legend: N clips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def balanced_weights(values: Sequence[Sequence[str]], power: float) -> NDArray[np.float64]:
    """Weights (N,) of clips, with the sum 1, that are balanced over the values of each column in turn.

    The clips are divided by their first value; each group gets a share that grows with its number of clips to the power
    of `power`, and is divided within by the second value likewise, and so on. Clips with the same values are alike.

    Args:
        values: of every clip, one for each column (kind, then source, ...).
        power: 1 draws all clips alike, 0 all values of a column, one half lies between.
    """
    weights = np.zeros(len(values))
    _share(np.arange(len(values)), values, 0, power, 1.0, weights)
    return weights


def _share(
    clips: NDArray[np.int64],
    values: Sequence[Sequence[str]],
    column: int,
    power: float,
    whole: float,
    weights: NDArray[np.float64],
) -> None:
    """Divide `whole` among `clips`, from a column on."""
    if not len(clips) or column == len(values[0]):
        weights[clips] = whole / max(len(clips), 1)
        return
    groups: dict[str, list[int]] = defaultdict(list)
    for clip in clips:
        groups[values[clip][column]].append(int(clip))
    shares = {value: len(members) ** power for value, members in groups.items()}
    for value, members in groups.items():
        part = whole * shares[value] / sum(shares.values())
        _share(np.array(members, np.int64), values, column + 1, power, part, weights)
