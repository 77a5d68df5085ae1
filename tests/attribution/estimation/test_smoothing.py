"""Averaging over neighboring units: weights by hand, intervals against simulation."""

import numpy as np
import pytest

from attribution.estimation.estimators import Measure
from attribution.estimation.smoothing import smoothed, triangle

MIDDLES = [0.05, 0.15, 0.25, 0.35, 0.45]


def test_weights_by_hand():
    assert triangle(MIDDLES, 0.2)[2] == pytest.approx([0, 0.25, 0.5, 0.25, 0])
    assert triangle(MIDDLES, 0.2)[0] == pytest.approx([2 / 3, 1 / 3, 0, 0, 0]), "what is missing at the edge has no say"
    assert (triangle(MIDDLES, 0) == np.eye(5)).all()


def test_nothing_to_average_leaves_the_measure_alone():
    measure = Measure(*(np.arange(5.0) + shift for shift in (0, -1, 1)))
    assert smoothed(measure, MIDDLES, 0) is measure


def test_flat_curve_stays_flat_with_narrower_intervals():
    found = smoothed(Measure(*(np.full(5, value) for value in (0.5, 0.4, 0.7))), MIDDLES, 0.2)
    assert found.value == pytest.approx(np.full(5, 0.5))
    assert found.low[2] == pytest.approx(0.5 - 0.1 * np.sqrt(0.375)), "sqrt(1/16 + 1/4 + 1/16) of one interval"
    assert found.high[2] == pytest.approx(0.5 + 0.2 * np.sqrt(0.375))


def test_intervals_of_averages_hold_the_truth_as_often_as_single_ones():
    rng = np.random.Generator(np.random.PCG64(0))
    truth = np.array([0.0, 0.2, 1.0, 0.2, 0.0])
    inside = []
    for _ in range(2000):
        value = truth + rng.standard_normal(5)
        found = smoothed(Measure(value, value - 1.96, value + 1.96), MIDDLES, 0.2)
        wanted = triangle(MIDDLES, 0.2) @ truth
        inside.append((found.low <= wanted) & (wanted <= found.high))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)
