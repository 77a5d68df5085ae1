"""Ranks against torchmetrics, counting pairs, and DeLong's formula."""

import re

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from synchformer.stats.roc import area, area_interval, average_precision
from tests.support.paths import ROOT


@pytest.fixture
def ranked():
    rng = np.random.default_rng(0)
    truth = rng.random(600) < 0.4
    return np.round(1 / (1 + np.exp(-rng.normal(truth * 1.0, 1))), 2), truth  # with ties


def test_no_other_module_works_out_an_area_or_a_bootstrap():
    folders = ("attribution", "benchmarks", "interface", "synchformer", "synthetic", "training")
    pattern = (
        r"roc_auc_score|binary_auroc|average_precision_score|binary_average_precision|scipy\.stats import.*bootstrap"
    )
    owners = [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if re.search(pattern, path.read_text())
    ]
    assert sorted(owners) == ["synchformer/stats/bootstrap.py", "synchformer/stats/roc.py"]


def test_area_by_counting_pairs():
    assert area([0.95, 0.3, 0.6, 0.1, 0.8], [1, 1, 0, 0, 1]) == pytest.approx(5 / 6)
    assert area([0.5, 0.5], [0, 1]) == 0.5, "a tie counts half"
    assert np.isnan(area([0.1, 0.2], [1, 1]))
    assert np.isnan(area([0.1, 0.2], [False, False]))


def test_area_is_torchmetrics(ranked):
    scores, truth = map(torch.from_numpy, ranked)
    assert area(scores, truth) == pytest.approx(float(binary_auroc(scores, truth)))


def test_the_interval_is_delongs_for_many_scores(ranked):
    """DeLong et al. 1988: the variance of each true one's share of others below it, and the reverse."""
    scores, truth = ranked
    true, other = scores[truth], scores[~truth]
    wins = (true[:, None] > other) + 0.5 * (true[:, None] == other)
    error = np.sqrt(wins.mean(1).var(ddof=1) / len(true) + wins.mean(0).var(ddof=1) / len(other))
    expected = (area(*ranked) - 1.96 * error, area(*ranked) + 1.96 * error)
    assert wins.mean() == pytest.approx(area(*ranked))
    assert area_interval(*ranked) == pytest.approx(expected, abs=0.15 * error)


def test_the_interval_of_few_scores():
    assert area_interval([0.9, 0.8, 0.1], [1, 0, 0]) == (0.0, 1.0), "one true score says nothing about others"
    assert np.isnan(area_interval([0.9, 0.8], [1, 1])).all()
    assert area_interval([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]) == pytest.approx((2 / (2 + 1.959964**2), 1.0)), (
        "Wilson, two of two"
    )
    low, high = area_interval([0.9, 0.6, 0.4, 0.7, 0.3], [1, 1, 1, 0, 0])
    assert 0 <= low <= 4 / 6 <= high <= 1


def test_average_precision_by_hand_and_by_torchmetrics(ranked):
    assert average_precision([0.9, 0.8, 0.7, 0.6], [True, False, True, False]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([0.9, 0.8], [False, False]) == 0.0
    scores, truth = map(torch.from_numpy, ranked)
    assert average_precision(scores, truth) == pytest.approx(float(binary_average_precision(scores, truth.long())))
