"""How often clips are drawn when kinds and sources are balanced."""

import numpy as np
import pytest

from training.sampling.balance import balanced_weights

ROWS = [("speech", "court")] * 8 + [("speech", "studio")] * 1 + [("impact", "lab")] * 3


def shares(power):
    weights = balanced_weights(ROWS, power)
    assert weights.sum() == pytest.approx(1)
    return weights[:8].sum(), weights[8], weights[9:].sum()


def test_weights_by_hand():
    assert shares(1.0) == pytest.approx((8 / 12, 1 / 12, 3 / 12)), "all clips alike"
    assert shares(0.0) == pytest.approx((0.25, 0.25, 0.5)), "kinds alike, and sources within a kind"
    speech, impact = 3.0, np.sqrt(3)
    court, studio = np.sqrt(8), 1.0
    speech_share = speech / (speech + impact)
    wanted = (speech_share * court / (court + studio), speech_share * studio / (court + studio), 1 - speech_share)
    assert shares(0.5) == pytest.approx(wanted)


def test_clips_of_one_value_are_alike_and_no_columns_mean_no_balance():
    weights = balanced_weights(ROWS, 0.0)
    assert np.ptp(weights[:8]) == np.ptp(weights[9:]) == 0
    assert balanced_weights([()] * 4, 0.0) == pytest.approx(0.25)
    assert len(balanced_weights([], 0.5)) == 0
