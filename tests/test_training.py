"""The training code: targets by hand, resuming to the same bits, learning something, figures of merit."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from synchformer.config import BASE, MINI
from synthetic import Event
from training import run
from training.clips import HELD_OUT, ClipPool, Recipe
from training.evaluate import draw_trial, summarise, wilson
from training.events import AUDIO_WIDTH, audio_centers, time_bins, token_targets, video_centers
from training.export import export_model
from training.features import FeatureCache
from training.loop import DivergedError, learning_rate, train
from training.metrics import accuracy, chance
from training.options import Options
from training.state import load_state
from training.sync import SyncTask, draw_crop, gather
from training.unimodal import UnimodalTask, average_precision

SMALL_INPUT = {"image_size": 32, "short_side": 36}
TINY = replace(
    MINI, name="tiny", dim=32, heads=2, video_depth=1, audio_depth=1, sync_dim=32, sync_heads=2, **SMALL_INPUT
)


def clap(time, seen=True, heard=True):
    return Event(time, "clap", seen, heard, 0.0, 0.0, 1.0)


class Quadratic:
    """A task whose minimum is known: every batch pulls the weight towards the batch's random target around 3."""

    name = "quadratic"
    chance = 0.0

    def __init__(self, poison_at=None):
        self.layer = nn.Linear(1, 1)
        self.calls, self.poison_at = 0, poison_at

    @property
    def module(self):
        return self.layer

    def loss(self, rng):
        self.calls += 1
        target = 3.0 + 0.1 * float(rng.standard_normal())
        loss = (self.layer(torch.ones(4, 1)) - target).square().mean()
        return (loss * math.nan if self.calls == self.poison_at else loss), {}

    def validate(self):
        return {"value": float(self.layer(torch.ones(1, 1)))}


def quadratic(seed=0, **changes):
    torch.manual_seed(seed)
    return Quadratic(**changes)


OPTIONS = Options(steps=60, batch=1, lr=0.3, valid_every=60, save_every=7, log_every=20)


def test_training_reaches_the_minimum(tmp_path):
    assert train(quadratic(), OPTIONS, tmp_path)["value"] == pytest.approx(3.0, abs=0.15)


def test_resumed_run_ends_with_the_same_bits(tmp_path):
    whole = quadratic()
    train(whole, OPTIONS, tmp_path / "whole")

    class KilledError(Exception):
        pass

    class Killed(Quadratic):
        def loss(self, rng):
            if self.calls == 40:
                raise KilledError
            return super().loss(rng)

    torch.manual_seed(0)
    with pytest.raises(KilledError):
        train(Killed(), OPTIONS, tmp_path / "killed")
    assert load_state(tmp_path / "killed" / "state.pt")["step"] == 35
    resumed = quadratic(seed=99)
    train(resumed, OPTIONS, tmp_path / "killed")
    for first, second in zip(whole.layer.parameters(), resumed.layer.parameters(), strict=True):
        assert torch.equal(first, second)


def test_loss_that_is_not_a_number_stops_and_keeps_the_last_state(tmp_path):
    with pytest.raises(DivergedError, match="step 19"):
        train(quadratic(poison_at=20), OPTIONS, tmp_path)
    assert load_state(tmp_path / "state.pt")["step"] == 14


def test_damaged_state_is_a_sentence(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(ValueError, match="cannot resume"):
        train(quadratic(), OPTIONS, tmp_path)


def test_learning_rate_rises_and_falls():
    options = Options(steps=100, lr=1.0, warmup=0.1)
    rates = [learning_rate(step, options) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5, abs=0.01)
    assert rates[99] < 0.001


def test_token_centers_by_hand():
    assert video_centers(BASE) == pytest.approx([0.04 + 0.08 * index for index in range(8)])
    assert audio_centers(BASE) == pytest.approx([0.075 + 0.1 * index for index in range(6)])


def test_token_targets_by_hand():
    targets = token_targets([clap(1.0 + 0.275)], 1.0, audio_centers(BASE), AUDIO_WIDTH)
    assert targets.shape == (6, 7)
    assert targets[:, 2] == pytest.approx([0, 0, 1, 0, 0, 0], abs=1e-6)
    assert targets[:, 6] == pytest.approx(targets[:, 2]), "any kind"
    assert targets[:, [0, 1, 3, 4, 5]].sum() == 0
    between = token_targets([clap(1.0 + 0.325)], 1.0, audio_centers(BASE), AUDIO_WIDTH)
    assert between[:, 2] == pytest.approx([0, 0, 0.5, 0.5, 0, 0], abs=1e-6)


def test_time_bins_by_hand():
    assert time_bins([clap(2.05), clap(6.79), clap(6.81), clap(1.99)], 2.0, 4.8, 48).nonzero()[0].tolist() == [0, 47]


def test_accuracy_by_hand():
    logits = torch.eye(5)[[0, 1, 2, 4]]
    assert accuracy(logits, torch.tensor([0, 2, 2, 2])) == {"acc1": 0.5, "acc1_tol1": 0.75}


def test_chance_by_counting():
    pairs = [abs(a - b) for a in range(21) for b in range(21)]
    assert chance(21)["acc1"] == pytest.approx(pairs.count(0) / 441)
    assert chance(21)["acc1_tol1"] == pytest.approx((pairs.count(0) + pairs.count(1)) / 441)


def test_average_precision_by_hand():
    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([True, False, True, False])
    assert average_precision(scores, labels) == pytest.approx((1 + 2 / 3) / 2)


def test_wilson_interval_against_known_values():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_trials_stay_inside_their_clip():
    classes = set()
    for seed in range(300):
        scene = Recipe(seed=HELD_OUT + seed).scene(0)
        start, target, _ = draw_trial(scene, MINI)
        classes.add(target)
        assert 0 <= start <= 5
        assert 0 <= start + MINI.grid[target] <= 5 + 1e-9
    assert classes == set(range(21))


def test_summary_counts_by_hand():
    from training.evaluate import Trial

    trials = [Trial(0, 0.0, 10, 10, 0.9, 1), Trial(1, 0.0, 10, 11, 0.9, 1), Trial(2, 0.0, 10, 3, 0.2, 0)]
    rows = {row.clips: row for row in summarise(trials, 21)}
    assert rows["all clips"].acc1 == pytest.approx(1 / 3)
    assert rows["at least one event in both crops"].acc1_tol1 == 1.0
    assert rows["chance"].acc1 == pytest.approx(1 / 21)


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    train_pool = ClipPool(folder / "train", Recipe(seed=0, count=6), TINY, workers=0)
    return train_pool, ClipPool(folder / "held-out", Recipe(seed=HELD_OUT, count=3), TINY, workers=0)


def test_pool_goes_on_and_refuses_other_clips(tmp_path):
    first = ClipPool(tmp_path, Recipe(seed=5, count=2), TINY, workers=0)
    kept = np.array(first.frames[1])
    longer = ClipPool(tmp_path, Recipe(seed=5, count=3), TINY, workers=1)
    assert np.array_equal(longer.frames[1], kept)
    assert longer.frames[2].any()
    with pytest.raises(ValueError, match="other clips or weights"):
        ClipPool(tmp_path, Recipe(seed=6, count=3), TINY, workers=0)


def test_unimodal_loss_falls_on_one_batch(pools):
    torch.manual_seed(0)
    task = UnimodalTask(TINY, *pools, batch=4)
    optimizer = torch.optim.Adam(task.module.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss, _ = task.loss(np.random.Generator(np.random.PCG64(0)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.fixture(scope="module")
def cache(tmp_path_factory, pools):
    torch.manual_seed(0)
    heads = UnimodalTask(TINY, *pools, batch=1).heads
    recipe = Recipe(seed=0, count=10)
    folder = tmp_path_factory.mktemp("features")
    return FeatureCache(folder, recipe, TINY, heads.video_encoder, heads.audio_encoder, workers=0), heads


def test_cached_features_equal_encoded_ones(cache):
    """A crop read from the cache is what the encoders make of its frames and samples."""
    from synchformer.preprocess import mel_spectrogram, normalise_frames
    from training.clips import Renderer

    features, heads = cache
    clip, position, shift = 9, 2, 15
    video, audio, start = features.crop(clip, position, shift)
    frames, wave = Renderer(features.recipe, TINY)(clip)
    first = 1 + 2 * 8  # the phase of clip 9 is 1
    assert start == pytest.approx(first / 25)
    with torch.inference_mode():
        segment = normalise_frames(torch.from_numpy(frames[first + 24 : first + 40]))[None]
        assert torch.allclose(heads.video_encoder(segment)[0], torch.from_numpy(video[3]).float(), atol=2e-3)
        begin = (first + shift + 24) * 640
        sound = torch.from_numpy(wave[begin : begin + 10_240].astype(np.float32) / 32767)[None]
        expected = heads.audio_encoder(mel_spectrogram(sound, TINY))[0]
        assert torch.allclose(expected, torch.from_numpy(audio[3]).float(), atol=2e-3)


def test_cache_of_other_weights_is_refused(tmp_path, cache):
    _, heads = cache
    FeatureCache(tmp_path, Recipe(count=1), TINY, heads.video_encoder, heads.audio_encoder, workers=0)
    torch.manual_seed(1)
    other = type(heads)(TINY)
    with pytest.raises(ValueError, match="other clips or weights"):
        FeatureCache(tmp_path, Recipe(count=1), TINY, other.video_encoder, other.audio_encoder, workers=0)


def test_provable_crops_hold_a_shared_event(cache):
    features, _ = cache
    rng = np.random.Generator(np.random.PCG64(0))
    crops = [draw_crop(features, rng, True) for _ in range(50)]
    _, _, times = gather(features, crops)
    assert (times[:, :48].sum(1) > 0).all()
    assert (times[:, 48:].sum(1) > 0).all()
    assert len({crop.target for crop in crops}) > 12


def test_sync_loss_starts_at_chance(cache):
    torch.manual_seed(0)
    features, _ = cache
    task = SyncTask(TINY, features, features, batch=32)
    _, figures = task.loss(np.random.Generator(np.random.PCG64(0)))
    assert figures["offset"] == pytest.approx(math.log(21), abs=0.6)


def test_whole_pipeline_from_commands(tmp_path, monkeypatch):
    """Every stage runs from the command line, finds its predecessor, and exports a model that predicts."""
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    sizes = ["--count", "4", "--held-out", "2", "--workers", "0", "--steps", "2", "--batch", "2"]
    common = ["--out", str(tmp_path / "run"), *sizes]
    assert run.main(["sync", *common]) == 1, "stage II needs stage I"
    for stage in ("unimodal", "avclip", "sync"):
        assert run.main([stage, *common]) == 0
        rows = [json.loads(line) for line in (tmp_path / "run" / stage / "log.jsonl").read_text().splitlines()]
        assert rows[-1]["step"] == 2
    assert " MB" in export_model(tmp_path / "run", TINY, tmp_path / "tiny.safetensors")

    from synchformer.checkpoint import load_model

    model = load_model(tmp_path / "tiny.safetensors", "cpu")
    assert model.config == TINY
    trained = load_state(tmp_path / "run" / "sync" / "state.pt")["model"]
    name = next(name for name in trained if name.startswith("synchronizer.") and trained[name].ndim == 2)
    assert torch.allclose(model.state_dict()[name], trained[name], atol=2e-3)


@pytest.mark.parametrize("data", ["folder:clips", "synthetic:x", f"synthetic:{HELD_OUT}"])
def test_unknown_data_is_a_sentence(tmp_path, data, capsys):
    assert run.main(["unimodal", "--out", str(tmp_path), "--data", data]) == 1
    assert "synthetic:SEED" in capsys.readouterr().err
