"""Constants measured on answers whose law is known: levels cover what they claim, for clips and films of any length."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synchformer.config import MINI
from synchformer.inference.engine import encode_pictures, encode_sounds
from synchformer.inference.sliding_windows import Window
from synchformer.offsets.calibration import (
    Calibration,
    Combination,
    Constants,
    as_dict,
    assumed,
    calibration_of,
    from_dict,
)
from synchformer.offsets.posterior import Posterior
from training.calibration.drifts import weigh
from training.calibration.films import film_seconds, fit_film
from training.calibration.fit import cross_fit, fit, table
from training.calibration.outcomes import conformal, outcome_of
from training.calibration.trials import Recipe, RememberedPictures, Trial, read_trial, save_trial

GRID = np.array(MINI.grid)
SHIFTS = np.arange(-6, 7) * 0.32


def trial(seed, spread, bandwidth=8000.0):
    """Answers about a clip as of a model that errs by `spread` seconds, as a whole, and is unsure by a class or so."""
    rng = np.random.default_rng([7, seed])
    truth = float(rng.uniform(-2, 2))
    seen = truth + spread * rng.standard_normal()
    windows = []
    for index in range(7):
        totals = seen + SHIFTS + 0.02 * rng.standard_normal(len(SHIFTS))
        shares = np.exp(-0.5 * ((totals[:, None] - GRID) / 0.12) ** 2) + 0.01
        windows.append(Window(0.84 * index, 0.84 * index + 4.8, SHIFTS, shares / shares.sum(1, keepdims=True)))
    return Trial(seed, truth, tuple(windows), bandwidth)


@pytest.fixture(scope="module")
def kinds():
    return [[trial(seed, 0.06, 4500.0) for seed in range(60)], [trial(seed, 0.02) for seed in range(60)]]


@pytest.fixture(scope="module")
def constants(kinds):
    return fit(kinds, MINI.grid, "60 clips")


def test_bands_rise_and_survive_json(constants):
    assert [band.hertz for band in constants.kinds] == [4500.0, 8000.0]
    assert from_dict(as_dict(constants)) == constants
    assert constants.ordinary == constants.kinds[-1]


def test_levels_cover_clips_that_were_left_out(constants):
    for spread, bandwidth in ((0.06, 4500.0), (0.02, 8000.0)):
        others = [trial(seed, spread, bandwidth) for seed in range(1000, 1150)]
        outcomes = [outcome_of(each, constants) for each in others]
        assert np.mean([each.covered for each in outcomes]) == pytest.approx(0.9, abs=0.08)
    assert "150" in table(outcomes, Recipe())


def test_narrow_sound_gets_wider_intervals(constants):
    narrow, wide = (
        np.median([outcome_of(trial(seed, 0.02, hertz), constants).width for seed in range(2000, 2020)])
        for hertz in (4500.0, 8000.0)
    )
    assert narrow > 1.3 * wide


def test_between_two_bandwidths(constants):
    low, high = constants.kinds
    assert constants.of(3000.0) == low
    assert constants.of(9000.0) == high
    middle = constants.of(6250.0)
    assert middle.clip.weight == pytest.approx((low.clip.weight + high.clip.weight) / 2)
    assert np.array(middle.response.profile) == pytest.approx(
        (np.array(low.response.profile) + np.array(high.response.profile)) / 2
    )
    assert middle.film.q_of(60.0) == pytest.approx((low.film.q_of(60.0) + high.film.q_of(60.0)) / 2)


def test_films_of_every_length_have_a_level(constants):
    film = constants.ordinary.film
    assert list(film.seconds) == sorted(film.seconds)
    assert film.seconds[0] == pytest.approx(film_seconds(1), abs=0.1)
    assert film.seconds[-1] == pytest.approx(300, abs=5)
    assert all(0 < q < 1 for q in film.q)


def test_levels_of_lengths_are_interpolated():
    kind = Combination(1.0, 0.0, (10.0, 1000.0), (0.8, 0.9))
    assert kind.q_of(100.0) == pytest.approx(0.85)
    assert (kind.q_of(1.0), kind.q_of(1e5)) == (0.8, 0.9)


def test_conformal_level_by_hand():
    """A flat density over 0 to 1: the level is the rank of the distance from the middle."""
    offsets = (np.arange(100) + 0.5) / 100
    flat = Posterior(offsets, np.full(100, 0.01))
    truths = 0.5 + np.arange(1, 20) / 40  # distances 0.05, 0.10, ..., 0.95 of the half
    assert conformal([flat] * 19, truths) == pytest.approx(0.90, abs=1e-6)  # the 18th of 19


def test_a_drift_is_seen_and_a_constant_is_not_one(constants):
    clips = [trial(seed, 0.01) for seed in range(3000, 3017)]  # 133 s
    for slope in (0.004, -0.004):
        assert weigh(clips, slope, constants.ordinary).words == "drift"
    assert weigh(clips, 0.0, constants.ordinary).words in ("constant", "cannot tell")


def test_films_are_weighed_less_where_scenes_err_as_a_whole(kinds, constants):
    steady = fit_film([trial(seed, 0.0) for seed in range(60)], constants.ordinary)
    erring = fit_film([trial(seed, 0.15) for seed in range(60)], constants.ordinary)
    assert erring.weight < steady.weight


def test_cross_fit_leaves_every_clip_out_once(kinds):
    held = cross_fit([kind[:20] for kind in kinds], MINI.grid, 2)
    assert sorted(each.seed for one in held for each in one.kinds[1]) == list(range(20))


def test_a_trial_is_read_as_it_was_saved(tmp_path):
    before = replace(trial(1, 0.02, 4750.0), fps=12.5)
    save_trial(before, tmp_path / "1.npz")
    after = read_trial(tmp_path / "1.npz")
    assert (after.seed, after.truth, after.bandwidth, after.fps) == (1, before.truth, 4750.0, 12.5)
    assert after.windows[3].probabilities == pytest.approx(before.windows[3].probabilities, abs=1e-3)


def test_pictures_are_encoded_once():
    counts = {"pictures": 0, "sounds": 0}

    class Model:
        def __init__(self):
            from tests.support.page import TINY

            self.config = TINY

    def pictures(model, frames, precision):
        counts["pictures"] += len(frames)
        return frames.float().mean((1, 2, 3, 4))[:, None, None]

    import training.calibration.trials as module

    run, frames = RememberedPictures(), torch.arange(4 * 3 * 4, dtype=torch.uint8).view(2, 2, 3, 2, 2)
    kept = module.run_locally
    module.run_locally = lambda work, model, *arguments: pictures(model, *arguments)
    try:
        first, second = (run(encode_pictures, Model(), frames, "fp32") for _ in range(2))
        assert torch.equal(first, second)
        assert counts["pictures"] == 2
        run(encode_sounds, Model(), frames, "fp32")
        assert counts["pictures"] == 4  # sounds are not remembered
    finally:
        module.run_locally = kept


def test_what_is_assumed_has_no_lead():
    """The mean of a model's training footage is not known, so nothing is taken off."""
    assert assumed(MINI.grid).of(8000.0, 12.5).lead == 0.0
    assert isinstance(assumed(MINI.grid).of(4000.0), Constants)


def test_embedded_constants_are_for_several_bandwidths():
    from synchformer.checkpoints.registry import load_model

    known: Calibration = calibration_of(load_model("mini", "cpu"))
    assert known.measured
    assert len(known.kinds) >= 2
    assert known.kinds[0].hertz < 6000 < known.ordinary.hertz


def test_fewer_frames_are_a_kind_of_their_own(constants):
    """Between 12.5 and 25 frames per second constants are interpolated, and beyond 25 they stay."""
    usual = constants.ordinary
    slow = replace(usual, fps=12.5, clip=replace(usual.clip, weight=usual.clip.weight / 4))
    known = Calibration((*constants.kinds, slow), 1.0, "clips")
    assert known.ordinary == usual
    assert known.of(8000.0, 12.5).clip.weight == pytest.approx(usual.clip.weight / 4)
    assert known.of(8000.0, 18.75).clip.weight == pytest.approx(usual.clip.weight * 5 / 8)
    for fps in (25.0, 60.0, 0.0):
        assert known.of(8000.0, fps).clip == usual.clip
    assert known.of(8000.0, 12.5).lead == pytest.approx(-0.02, abs=1e-4)
