"""The expected calibration error, against torchmetrics and a hand-computed value."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from synchformer.stats.calibration_error import expected_calibration_error


def test_two_bins_by_hand():
    said = [0.2, 0.2, 0.9, 0.9]  # one in two came true where 0.2 was said, both where 0.9 was
    assert expected_calibration_error(said, [True, False, True, True]) == pytest.approx(0.5 * 0.3 + 0.5 * 0.1)


@pytest.mark.parametrize("bins", [5, 10])
def test_as_torchmetrics_has_it(bins):
    rng = np.random.default_rng(0)
    said = rng.random(400)
    happened = rng.random(400) < said**2
    theirs = binary_calibration_error(torch.from_numpy(said), torch.from_numpy(happened.astype(int)), n_bins=bins)
    assert expected_calibration_error(said, happened, bins) == pytest.approx(float(theirs), abs=1e-6)


def test_certain_and_right():
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0
