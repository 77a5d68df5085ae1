"""From coarse answers to a continuous offset: worked out by hand, on an ideal staircase, and on a real file."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from synchformer import cli
from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.checkpoints.registry import load_model
from synchformer.config import MINI
from synchformer.media.probe import MediaError
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets import check_tolerances
from synchformer.offsets.calibration import assumed, calibration_of
from synchformer.offsets.continuous import fine
from synchformer.offsets.posterior import Posterior, evidence, offset_grid, to_posterior
from synchformer.offsets.response import Response, distance_grid, measure_profile
from synchformer.stats.calibration_error import expected_calibration_error
from synthetic import write_film
from tests.support.page import TINY
from training.calibration.fit import fit_temperature
from training.calibration.outcomes import Answers

GRID = MINI.grid
STRIDE = 0.32  # s between shifts


def staircase(truth, shifts):
    """The answers of a perfect quantizer: all on the class nearest to the total offset."""
    totals = truth + shifts
    answers = np.zeros((len(totals), len(GRID)))
    answers[np.arange(len(totals)), np.abs(totals[:, None] - np.array(GRID)).argmin(1)] = 1
    return answers


def ideal():
    """The response of that quantizer."""
    profile = np.where(np.abs(distance_grid()) < 0.1 - 1e-9, 1.0, 0.0)
    profile[np.isclose(np.abs(distance_grid()), 0.1)] = 0.5
    return Response(GRID, tuple(profile), chance=0.02)


@pytest.mark.parametrize("truth", [-1.234, -0.5, 0.0, 0.071, 0.333, 1.87])
def test_known_shifts_cut_the_steps_finely(truth):
    shifts = np.arange(-6, 7) * STRIDE
    offsets = offset_grid(2.1)
    found = to_posterior(offsets, evidence(offsets, shifts, staircase(truth, shifts), ideal()), 0.0)
    # The steps of all shifts lie 40 ms apart, so that the truth is known to within that.
    assert found.median == pytest.approx(truth, abs=0.03)
    low, high = found.interval(0.9)
    assert high - low < 0.07
    alone = to_posterior(offsets, evidence(offsets, np.zeros(1), staircase(truth, np.zeros(1)), ideal()), 0.0)
    assert np.ptp(alone.interval(0.9)) > 0.15


def test_a_flat_answer_says_nothing():
    offsets, shifts = offset_grid(4.0), np.array([-1.0, 0.5])
    response = assumed(GRID).ordinary.response
    flat = evidence(offsets, shifts, np.full((2, 21), 1 / 21), response)
    sharp = evidence(offsets, shifts, staircase(0.3, shifts), response)
    assert np.ptp(flat) < 0.05 * np.ptp(sharp)


def test_density_by_hand():
    found = Posterior(np.array([-0.1, 0.0, 0.1]), np.array([0.25, 0.5, 0.25]))
    assert found.median == pytest.approx(0.0)
    assert found.below(-0.05) == pytest.approx(0.25)
    assert found.interval(0.5) == pytest.approx((-0.05, 0.05))
    assert found.near(0.0, 0.05) == pytest.approx(0.5)


def test_the_profile_is_measured():
    shifts = np.linspace(-1.5, 1.5, 601)
    profile = measure_profile(shifts, staircase(0.0, shifts), GRID)
    distances = np.abs(distance_grid())
    assert np.array(profile)[distances < 0.07] == pytest.approx(1.0)
    assert np.array(profile)[distances > 0.13] == pytest.approx(0.0)


def test_the_temperature_that_was_put_in_comes_out():
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.full(21, 0.3), size=4000)
    targets = np.array([rng.choice(21, p=shares) for shares in true])
    sharpened = true**2 / (true**2).sum(1, keepdims=True)
    assert fit_temperature(Answers(np.array(GRID)[targets], sharpened), GRID) == pytest.approx(2.0, abs=0.15)


def test_calibration_error_by_hand():
    said, happened = np.array([0.05, 0.05, 0.95, 0.95]), np.array([False, False, True, False])
    assert expected_calibration_error(said, happened) == pytest.approx(0.5 * 0.05 + 0.5 * 0.45)


@pytest.mark.parametrize(("interval", "judgments"), [
    ((-0.010, 0.010), ["within"] * 4),
    ((0.020, 0.030), ["within", "within", "within", "outside"]),
    ((0.050, 0.080), ["outside", "within", "outside", "outside"]),
    ((-0.180, -0.130), ["outside", "within", "outside", "outside"]),
    ((-0.2, 0.2), ["cannot tell"] * 4),
    ((0.3, 0.4), ["outside"] * 4),
])  # fmt: skip
def test_recommendations(interval, judgments):
    assert [verdict.judgment for verdict in check_tolerances(interval)] == judgments


def test_the_worst_part_counts():
    assert [verdict.judgment for verdict in check_tolerances((-0.01, 0.01), (0.3, 0.4))] == ["outside"] * 4
    assert "cannot tell, the interval of 400 ms" in check_tolerances((-0.2, 0.2))[0].sentence


def test_constants_belong_to_weights():
    model = load_model("mini", "cpu")
    assert calibration_of(model).measured
    before = fingerprint(model)
    with torch.no_grad():
        next(model.parameters()).mul_(1.001)
    assert fingerprint(model) != before
    assert calibration_of(model) == assumed(GRID)
    assert "no calibration exists" in assumed(GRID).note


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("fine") / "clip.mp4", 10.0, lambda _: 0.33)


def test_a_file_is_measured(clip, capsys):
    assert cli.main(["predict", str(clip), "--fine", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["interval"][0] <= 0.33 <= found["interval"][1]
    assert found["calibrated"]
    assert set(found["verdicts"].values()) <= {"within", "outside", "cannot tell"}
    assert cli.main(["predict", str(clip), "--fine"]) == 0
    out = capsys.readouterr().out
    assert "90 % interval" in out
    assert "EBU R37 (40 ms early to 60 ms late)" in out


def test_what_cannot_be_measured(clip):
    model = Synchformer(TINY).eval()
    with pytest.raises(MediaError, match=r"4\.8 s of picture and sound together from 6\.00 s on"):
        fine(model, clip, start=6.0)
    with pytest.raises(ValueError, match="offset head"):
        fine(Synchformer(replace(TINY).with_head("synchronizability")).eval(), clip)
    assert "no calibration exists" in fine(model, clip).calibration_note


def test_options_that_contradict(capsys):
    assert cli.main(["predict", "a.mp4", "--fine", "--offset", "0.4"]) == 2
    assert "--fine measures the file as it is" in capsys.readouterr().err
    assert cli.main(["predict", "a", "--recursive"]) == 2
