"""Intervals for shares and differences against scipy and published examples."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from synchformer.stats.intervals import Z, newcombe, newcombe_paired, normal, wilson, wilson_of


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (3, 10), (97, 100), (100, 100)])
def test_wilson_is_scipys(hits, count):
    low, high = wilson(np.array(hits / count), np.array(count))
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_newcombe_by_the_published_example():
    """Newcombe 1998, table II, method 10: 56/70 against 48/80 gives 0.0524 to 0.3339."""
    low, high = newcombe(np.array(56 / 70), np.array(70), np.array(48 / 80), np.array(80))
    assert (float(low), float(high)) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_one_share_from_its_counts():
    assert wilson_of(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-4)
    assert wilson_of(0, 0) == (0.0, 1.0)


def test_where_there_were_no_trials():
    low, high = wilson(np.array([np.nan, 0.5]), np.array([0.0, 4.0]))
    assert (low[0], high[0]) == (0.0, 1.0)
    assert low[1] < 0.5 < high[1]
    assert newcombe(np.array(0.0), np.array(0), np.array(0.5), np.array(2)) == (-1.0, 1.0)
    assert newcombe_paired(*(np.array(0.0),) * 4) == (-1.0, 1.0)


def test_newcombe_paired_by_the_published_example():
    """Newcombe 1998, ibid. 2635-2650, table III, method 10: outcomes 36, 12, 2, 0 give 0.0569 to 0.3404."""
    low, high = newcombe_paired(*(np.array(float(count)) for count in (36, 12, 2, 0)))
    assert (float(low), float(high)) == pytest.approx((0.0569, 0.3404), abs=1e-4)


def test_normal_interval_is_scipys():
    low, high = normal(np.array([1.0, np.nan]), np.array([4.0, np.nan]))
    assert (low[0], high[0]) == pytest.approx(norm.interval(0.95, 1.0, 2.0))
    assert (low[1], high[1]) == (-np.inf, np.inf)
    assert pytest.approx(norm.ppf(0.975)) == Z
