"""How well scores rank what is true above what is not: area under the ROC curve, average precision.

scikit-learn works both out; it is imported when first needed.

Shape legend: N scores, P of them of what is true, Q of what is not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from synchformer.stats.bootstrap import percentile_interval
from synchformer.stats.intervals import wilson_of


def area(scores: ArrayLike, truth: ArrayLike) -> float:
    """Area under the ROC curve of scores (N,) for truth (N,) of 0 and 1; NaN when all or none is true.

    It is the share of pairs, one true and one not, in which the true one has the higher score; ties count half.
    """
    from sklearn.metrics import roc_auc_score

    known = np.asarray(truth, dtype=bool)
    return float(roc_auc_score(known, np.asarray(scores))) if 0 < known.sum() < len(known) else float("nan")


def area_interval(scores: ArrayLike, truth: ArrayLike, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the area under the ROC curve; NaN when all or none is true, 0 to 1 when one or all but one is.

    What is true and what is not are resampled each by itself, so that their numbers stay; the ends are percentiles of
    the resampled areas, for near an area of 1 BCa's corrections are undefined. Where no score is out of order (or every
    one is) a bootstrap would claim certainty; Wilson's interval for as many trials as the rarer kind has stands in.
    """
    values, known = np.asarray(scores), np.asarray(truth, dtype=bool)
    fewest = min(known.sum(), (~known).sum())
    if fewest < 2:
        return (0.0, 1.0) if fewest else (float("nan"), float("nan"))
    whole = area(values, known)
    if whole in (0.0, 1.0):
        return wilson_of(int(whole) * int(fewest), int(fewest))
    return percentile_interval((values[known], values[~known]), _rank_area, seed=seed)


def average_precision(scores: ArrayLike, truth: ArrayLike) -> float:
    """Mean precision at each true one of scores (N,) from the highest down, for truth (N,); 0 when none is true."""
    from sklearn.metrics import average_precision_score

    known = np.asarray(truth, dtype=bool)
    return float(average_precision_score(known, np.asarray(scores))) if known.any() else 0.0


def _rank_area(true: NDArray[np.floating], other: NDArray[np.floating], axis: int = -1) -> NDArray[np.floating]:
    """The area by ranks (Mann and Whitney 1947) along the last axis, for many resamples (..., P) and (..., Q)."""
    assert axis in (-1, true.ndim - 1)
    count, rest = true.shape[-1], other.shape[-1]
    ranks = rankdata(np.concatenate([true, other], axis=-1), axis=-1)[..., :count].sum(-1)
    return np.asarray((ranks - count * (count + 1) / 2) / (count * rest))
