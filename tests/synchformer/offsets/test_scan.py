"""The offset over time: on densities whose truth is known, and on films with a planted offset, drift and cut."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from synchformer import cli
from synchformer.checkpoints.registry import load_model
from synchformer.copies.remux import write_moved
from synchformer.inference.prediction import predict_synchronizability
from synchformer.media.crop import cut_crop
from synchformer.media.decode import read_media
from synchformer.media.probe import MediaError
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets import scan
from synchformer.offsets.calibration import calibration_of
from synchformer.offsets.drift_or_jumps import explain, slope_grid, slope_prior
from synchformer.offsets.posterior import mixed, offset_grid
from synchformer.offsets.scan import Survey, scan_plan
from synthetic import write_film
from tests.support.flash_click import write_flash_click
from tests.support.page import TINY

OFFSETS = offset_grid(4.0, 0.02)


def densities(truths, spread=0.08, wrong=0.3, seed=0):
    """Bell curves about noisy truths; a share of them about nothing."""
    rng = np.random.default_rng(seed)
    centers = np.where(rng.random(len(truths)) < wrong, rng.uniform(-4, 4, len(truths)), truths)
    centers = centers + spread * rng.standard_normal(len(truths))
    return mixed(-0.5 * ((OFFSETS - centers[:, None]) / spread) ** 2, 0.3)


TIMES = np.arange(0, 600, 4.8)


def test_constant_in_spite_of_outliers():
    found = explain(OFFSETS, TIMES, densities(np.full(len(TIMES), 0.234)), 0.9)
    assert max(found.probability, key=found.probability.get) == "constant"
    low, high = found.constant.interval(0.9)
    assert low <= 0.234 <= high
    assert high - low < 0.08
    assert set(found.states) == {found.states[0]}


@pytest.mark.parametrize("per_minute", [-60.0, 30.0, 150.0])
def test_drift_in_spite_of_outliers(per_minute):
    slope = per_minute / 60_000
    found = explain(OFFSETS, TIMES, densities(0.1 + slope * (TIMES - 300)), 0.9)
    assert found.probability["drift"] > 0.9
    assert found.line.slope_interval[0] <= slope <= found.line.slope_interval[1]
    assert np.ptp(found.line.slope_interval) * 60_000 < 15
    assert found.line.at(300) == pytest.approx(0.1, abs=0.05)


def test_jumps_are_placed():
    truths = np.where(TIMES < 200, 0.4, np.where(TIMES < 430, -0.3, 1.5))
    found = explain(OFFSETS, TIMES, densities(truths), 0.9)
    assert found.probability["jumps"] > 0.99
    places = np.flatnonzero(np.diff(found.states))
    assert TIMES[places] == pytest.approx([200, 430], abs=10)


def test_the_line_that_fits_best_is_that_of_a_plain_search():
    logs = densities(0.2 + 1e-3 * (TIMES - 300), wrong=0.1)
    found = explain(OFFSETS, TIMES, logs, 0.9)
    step = OFFSETS[1] - OFFSETS[0]
    best = max(

            (sum(row[round((a + b * (t - TIMES.mean()) - OFFSETS[0]) / step)]
                 for row, t in zip(logs, TIMES, strict=True)), a, b)
            for a in OFFSETS[190:232] for b in np.linspace(0.6e-3, 1.4e-3, 17)

    )  # fmt: skip
    assert (found.line.offset, found.line.slope) == pytest.approx(best[1:], abs=5e-4, rel=0.1)


def test_slopes_are_fine_enough():
    slopes = slope_grid(OFFSETS, TIMES)
    assert np.diff(slopes).max() * np.ptp(TIMES) / 2 <= 0.02 + 1e-9
    assert slopes[len(slopes) // 2] == pytest.approx(0.0, abs=1e-15)


@pytest.fixture(scope="module")
def mini():
    return load_model("mini", "cpu")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    return {
        "constant": write_film(folder / "constant.webm", 30, lambda _: 0.33),
        "drift": write_film(folder / "drift.mkv", 60, lambda t: -0.4 + 0.015 * t),
        "jumps": write_film(folder / "jumps.mov", 60, lambda t: 0.5 if t < 30 else -0.7),
    }


def test_constant_film(mini, films):
    found = scan(mini, films["constant"])
    assert found.kind == "constant"
    assert found.whole.offset == pytest.approx(0.33, abs=0.08)
    assert "ms early throughout" in found.sentence
    assert {verdict.judgment for verdict in found.verdicts} == {"outside"}


def test_synchronizability_of_every_window(tmp_path):
    """The second pass says what a prediction about the same five seconds says, beside the same windows."""
    out, clip = tmp_path / "clip.csv", write_flash_click(tmp_path / "clip.mp4", seconds=10, event=5.0, noise=0.01)
    asked = ["scan", str(clip), "--reach", "0", "--csv", str(out), "--synchronizability"]
    assert cli.main([*asked, "mini-synchronizability"]) == 0
    rows = list(csv.DictReader(out.open()))
    model = load_model("mini-synchronizability", "cpu")
    media = read_media(clip, short_side=model.config.short_side)
    assert [float(row["start"]) for row in rows] == pytest.approx([0.0, 1.92, 3.84])
    before = (model.config.crop_frames - model.config.span_frames) // 2 / 25  # s of a crop before its first segment
    for row in rows[1:]:
        alone = predict_synchronizability(model, cut_crop(media, float(row["start"]) - before, config=model.config))
        assert float(row["synchronizability"]) == pytest.approx(alone.probability, abs=2e-4)
    assert cli.main([*asked, "mini"]) == 1  # tells offsets, and not whether there is one


def test_a_survey_that_is_left_tells_what_it_has(films):
    class LeftError(Exception):
        pass

    def leave(done, total):
        if done > 12:
            raise LeftError

    torch.manual_seed(0)
    model = Synchformer(TINY).eval()
    plan = scan_plan(TINY, 1.92, 0.0, 0.0, None)
    survey = Survey(model, films["constant"], replace(plan, chunk=16), 0.0, calibration_of(model))
    assert survey.windows == 14
    with pytest.raises(MediaError, match=r"no 4\.8 s"):
        survey.timeline()
    with pytest.raises(LeftError):
        survey.run(leave)
    found = survey.timeline()
    assert 2 <= len(found.moments) < survey.windows
    assert found.moments[-1].stop <= 12
    survey = Survey(model, films["constant"], plan, 0.0, calibration_of(model))
    survey.run()
    assert len(survey.moments) == survey.windows
    for one, other in zip(found.moments, survey.moments, strict=False):
        assert (one.start, one.offset) == (other.start, other.offset)
        assert one.interval == pytest.approx(other.interval, abs=1e-5)


@pytest.mark.slow
def test_drifting_film(mini, films):
    found = scan(mini, films["drift"])
    assert found.kind == "drift"
    assert found.drift.per_minute == pytest.approx(900, abs=150)
    assert found.drift.per_minute_interval[0] <= 900 <= found.drift.per_minute_interval[1]
    assert "drifts by +" in found.sentence


@pytest.mark.slow
def test_film_with_a_cut(mini, films, tmp_path, capsys):
    out = {name: tmp_path / f"film.{name}" for name in ("json", "csv", "png")}
    command = ["scan", str(films["jumps"]), "--json", str(out["json"]), "--csv", str(out["csv"])]
    assert cli.main([*command, "--picture", str(out["png"])]) == 0
    found = json.loads(out["json"].read_text())
    assert found["kind"] == "jumps"
    assert [piece["offset"] for piece in found["pieces"]] == pytest.approx([0.5, -0.7], abs=0.1)
    assert found["pieces"][1]["start"] == pytest.approx(30, abs=4)
    assert len(out["csv"].read_text().splitlines()) == 1 + len(found["moments"])
    assert out["png"].read_bytes().startswith(b"\x89PNG")
    assert "the offset jumps once" in capsys.readouterr().out


def test_beyond_the_models_range_and_in_the_container(mini, films, tmp_path):
    """The timestamps say 2.4 s late where the sound itself is 0.33 s early: together beyond the last class."""
    late = tmp_path / "late.mkv"
    write_moved(films["constant"], -2.73, late)
    found = scan(mini, late)
    assert found.whole.offset == pytest.approx(-2.4, abs=0.1)


def test_what_cannot_be_scanned(mini, tmp_path, capsys):
    short = write_flash_click(tmp_path / "short.mp4", seconds=3, event=1)
    with pytest.raises(MediaError, match=r"no 4\.8 s of picture"):
        scan(mini, short)
    assert cli.main(["scan", str(short)]) == 1
    assert cli.main(["scan", str(short), "--picture", "a.gif"]) == 2
    assert "a picture ends in .png" in capsys.readouterr().err
    with pytest.raises(ValueError, match="every must be above zero"):
        scan(mini, short, every=0)


def test_no_slope_is_forgotten_beforehand():
    """Slopes of equal ratio are equally likely beforehand, on fine grids and coarse ones alike."""
    for step in (1e-4, 2e-3):
        slopes = np.arange(-round(0.05 / step), round(0.05 / step) + 1) * step
        prior = slope_prior(slopes)
        assert prior.sum() == pytest.approx(1.0)
        assert prior == pytest.approx(prior[::-1])
        assert prior[np.abs(slopes) > 0.0091].sum() == pytest.approx(0.27, abs=0.03)  # ln(501 / 91) / ln 501


@pytest.mark.parametrize(("slope", "kinds"), [
    (0.0, {"constant"}),
    (0.0003, {"constant"}),  # 37 ms over the film: no harm
    (0.001, {"drift"}),
    (-0.001, {"drift"}),
])  # fmt: skip
def test_a_slow_drift_over_two_minutes(slope, kinds):
    times = np.arange(0, 125, 1.92)
    found = explain(OFFSETS, times, densities(0.05 + slope * times, spread=0.05, wrong=0.1), 0.9)
    assert max(found.probability, key=found.probability.get) in kinds
    if slope:
        assert found.line.slope_interval[0] <= slope <= found.line.slope_interval[1]


def test_a_short_clip_is_not_called_a_drift():
    times = np.arange(0, 6, 1.92)
    found = explain(OFFSETS, times, densities(np.full(len(times), 0.3), spread=0.04, wrong=0.0), 0.9)
    assert found.probability["constant"] > 0.8
