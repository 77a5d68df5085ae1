"""Resampling against formulas that hold for many clips, and by hand for few."""

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from synchformer.stats.bootstrap import RESAMPLES, mean_of, share_interval, sign_flip_p
from synchformer.stats.intervals import wilson_of


def test_a_mean_of_many_clips_has_students_interval():
    values = np.random.default_rng(0).normal(0.3, 0.1, 400)
    mean = mean_of(values)
    expected = t.interval(0.95, 399, values.mean(), values.std(ddof=1) / 20)
    assert (mean.value, mean.count) == (pytest.approx(values.mean()), 400)
    assert mean.interval == pytest.approx(expected, abs=0.03 * np.ptp(expected))


def test_means_of_clips_that_do_not_differ():
    assert mean_of(np.full(5, 0.2)).interval == (pytest.approx(0.2), pytest.approx(0.2))
    assert mean_of(np.array([0.4])).interval == (0.4, 0.4)
    with pytest.raises(ValueError, match="no clip to take the mean of"):
        mean_of(np.array([]))


def test_a_share_in_single_trials_has_wilsons_interval():
    right = (np.arange(500) < 310).astype(float)
    found = share_interval(right, np.ones(500))
    assert found == pytest.approx(wilson_of(310, 500), abs=0.005)


def test_a_share_in_clips_of_several_trials_by_its_linearization():
    """The variance of a ratio of sums: of (successes - share * count) over clips, divided by the squared sum."""
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 9, 300).astype(float)
    right = rng.binomial(counts.astype(int), rng.beta(2, 2, 300)).astype(float)
    share = right.sum() / counts.sum()
    error = np.sqrt(((right - share * counts) ** 2).sum()) / counts.sum()
    assert share_interval(right, counts) == pytest.approx((share - 1.96 * error, share + 1.96 * error), abs=0.2 * error)


@pytest.mark.parametrize("right", [0.0, 4.0])
def test_a_share_that_all_clips_have_is_not_certain(right):
    assert share_interval(np.full(20, right), np.full(20, 4.0)) == wilson_of(20 if right else 0, 20)
    assert share_interval(np.array([]), np.array([])) == (0.0, 1.0)


def test_signs_by_hand():
    assert sign_flip_p(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / 8), "only all three signs reach as far"
    assert sign_flip_p(np.zeros(4)) == 1.0
    with pytest.raises(ValueError, match="no pair to compare"):
        sign_flip_p(np.array([]))


def test_signs_of_many_clips_agree_with_the_t_test():
    differences = np.random.default_rng(2).normal(0.02, 0.2, 200)
    assert sign_flip_p(differences) == pytest.approx(ttest_1samp(differences, 0).pvalue, abs=0.02)


def test_one_number_of_resamples(monkeypatch):
    """Every interval is asked of scipy with it."""
    from synchformer.stats import bootstrap as module
    from synchformer.stats import roc

    asked = []

    def counted(*arguments, n_resamples, **options):
        asked.append(n_resamples)
        return original(*arguments, n_resamples=n_resamples, **options)

    original = module.bootstrap
    monkeypatch.setattr(module, "bootstrap", counted)
    values = np.arange(6.0)
    module.mean_of(values)
    module.share_interval(values, np.full(6, 9.0))
    roc.area_interval(values, [0, 1, 0, 1, 0, 1])
    assert asked == [RESAMPLES] * 3
