"""Confidence intervals for shares, for differences of shares, and for means; all two-sided at 95 %.

Sources: E. B. Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22;
R. G. Newcombe (1998), "Interval estimation for the difference between independent proportions: comparison of eleven
methods", Statistics in Medicine 17, 873-890 (method 10), and "Improved confidence intervals for the difference between
binomial proportions based on paired data", ibid. 2635-2650 (method 10).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054  # 97.5 % point of the standard normal distribution
Array = NDArray[np.float64]


def wilson(share: Array, count: Array, z: float = Z) -> tuple[Array, Array]:
    """Wilson's interval for shares seen in `count` trials; (0, 1) where there were none. `count` may be fractional."""
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = z * z / count
        middle = (share + spread / 2) / (1 + spread)
        half = z * np.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    none = (count == 0) | np.isnan(share)
    return np.where(none, 0.0, np.maximum(middle - half, 0)), np.where(none, 1.0, np.minimum(middle + half, 1))


def wilson_of(successes: int, count: int) -> tuple[float, float]:
    """Wilson's interval for one share; (0, 1) when there was no trial."""
    low, high = wilson(np.array(successes / max(count, 1)), np.array(count))
    return float(low), float(high)


def newcombe(first: Array, first_count: Array, second: Array, second_count: Array) -> tuple[Array, Array]:
    """Interval for the difference `first - second` of shares in independent trials; (-1, 1) where one has none."""
    low1, high1 = wilson(first, first_count)
    low2, high2 = wilson(second, second_count)
    difference = first - second
    low = difference - np.sqrt((first - low1) ** 2 + (high2 - second) ** 2)
    high = difference + np.sqrt((high1 - first) ** 2 + (second - low2) ** 2)
    none = (first_count == 0) | (second_count == 0)
    return np.where(none, -1.0, low), np.where(none, 1.0, high)


def newcombe_paired(both: Array, first_only: Array, second_only: Array, neither: Array) -> tuple[Array, Array]:
    """Interval for the difference of two shares seen in the same trials, from the four counts of their outcomes."""
    count = both + first_only + second_only + neither
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = (both + first_only) / count, (both + second_only) / count
    low1, high1 = wilson(first, count)
    low2, high2 = wilson(second, count)
    link = _correlation(both, first_only, second_only, neither)
    difference = first - second
    low = difference - np.sqrt(_square(first - low1, high2 - second, link))
    high = difference + np.sqrt(_square(high1 - first, second - low2, link))
    none = count == 0
    return np.where(none, -1.0, low), np.where(none, 1.0, high)


def _square(one: Array, other: Array, link: Array) -> Array:
    return np.maximum(one * one - 2 * link * one * other + other * other, 0)


def _correlation(both: Array, first_only: Array, second_only: Array, neither: Array) -> Array:
    """Newcombe's corrected phi: a positive excess is shortened by half the count, down to zero; 0 when undefined."""
    count = both + first_only + second_only + neither
    excess = both * neither - first_only * second_only
    excess = np.where(excess > 0, np.maximum(excess - count / 2, 0), excess)
    scale = (both + first_only) * (second_only + neither) * (both + second_only) * (first_only + neither)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0, excess / np.sqrt(scale), 0.0)


def normal(mean: Array, variance: Array) -> tuple[Array, Array]:
    """Interval for a mean whose own variance was estimated; infinite where that is not a number."""
    half = Z * np.sqrt(np.where(np.isnan(variance), np.inf, np.maximum(variance, 0)))
    middle = np.where(np.isnan(mean), 0.0, mean)
    return middle - half, middle + half
