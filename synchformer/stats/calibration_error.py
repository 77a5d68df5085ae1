"""Do probabilities mean shares? The expected calibration error of Guo et al.

"On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

BINS = 10  # of equal width


def expected_calibration_error(probabilities: ArrayLike, happened: ArrayLike, bins: int = BINS) -> float:
    """The mean gap between what was said and how often it happened, over bins of the probability, weighted by count.

    Args:
        probabilities: (N,), of events.
        happened: (N,), whether each of them came true.
        bins: of equal width, from 0 to 1.
    """
    said, true = np.asarray(probabilities, dtype=float), np.asarray(happened, dtype=float)
    place = np.minimum((said * bins).astype(int), bins - 1)
    gaps = [abs(said[place == k].mean() - true[place == k].mean()) * (place == k).mean() for k in set(place)]
    return float(sum(gaps))
