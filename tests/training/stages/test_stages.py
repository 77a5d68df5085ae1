"""The training code: targets by hand, resuming to the same bits, learning something, figures of merit."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from synchformer.config import BASE, MINI
from synthetic import SEEDS, Event
from synthetic.recipe import Recipe
from training import run
from training.evaluation.metrics import accuracy, chance
from training.evaluation.report import summarize
from training.evaluation.trials import draw_trial
from training.readers.feature_cache import FeatureCache
from training.readers.rendered import RenderedClips, Renderer
from training.sampling.crops import CropPlace, draw_offset
from training.sampling.event_targets import AUDIO_WIDTH, audio_centers, time_bins, token_targets, video_centers
from training.stages.export import export_model
from training.stages.offset import SyncTask, event_times, stage2
from training.stages.unimodal import UnimodalTask
from training.trainer.checkpoint import load_state

SMALL_INPUT = {"image_size": 32, "short_side": 36}
TINY = replace(
    MINI, name="tiny", dim=32, heads=2, video_depth=1, audio_depth=1, sync_dim=32, sync_heads=2, **SMALL_INPUT
)


def clap(time, seen=True, heard=True):
    return Event(time, "clap", seen, heard, 0.0, 0.0, 1.0)


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
    found = accuracy(logits, torch.tensor([0, 2, 2, 2]))
    assert {name: float(value) for name, value in found.items()} == {"acc1": 0.5, "acc1_tol1": 0.75}


def test_chance_by_counting():
    pairs = [abs(a - b) for a in range(21) for b in range(21)]
    assert chance(21)["acc1"] == pytest.approx(pairs.count(0) / 441)
    assert chance(21)["acc1_tol1"] == pytest.approx((pairs.count(0) + pairs.count(1)) / 441)


def test_trials_stay_inside_their_clip():
    classes = set()
    for seed in range(300):
        scene = Recipe(seed=SEEDS["valid"][0] + seed).scene(0)
        start, target, _ = draw_trial(scene, MINI)
        classes.add(target)
        assert 0 <= start <= 5
        assert 0 <= start + MINI.grid[target] <= 5 + 1e-9
    assert classes == set(range(21))


def test_summary_counts_by_hand():
    from training.evaluation.trials import Trial

    trials = [Trial(0, 0.0, 10, 10, 0.9, 1), Trial(1, 0.0, 10, 11, 0.9, 1), Trial(2, 0.0, 10, 3, 0.2, 0)]
    rows = {row.clips: row for row in summarize(trials, 21)}
    assert rows["all clips"].acc1 == pytest.approx(1 / 3)
    assert rows["at least one event in both crops"].acc1_tol1 == 1.0
    assert rows["chance"].acc1 == pytest.approx(1 / 21)


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    train_pool = RenderedClips(folder / "train", Recipe(seed=0, count=6), TINY, workers=0)
    return train_pool, RenderedClips(folder / "held-out", Recipe(seed=SEEDS["valid"][0], count=3), TINY, workers=0)


def test_pool_goes_on_and_refuses_other_clips(tmp_path):
    first = RenderedClips(tmp_path, Recipe(seed=5, count=2), TINY, workers=0)
    kept = np.array(first.frames[1])
    longer = RenderedClips(tmp_path, Recipe(seed=5, count=3), TINY, workers=1)
    assert np.array_equal(longer.frames[1], kept)
    assert longer.frames[2].any()
    with pytest.raises(ValueError, match="other clips, weights or precision"):
        RenderedClips(tmp_path, Recipe(seed=6, count=3), TINY, workers=0)


def test_unimodal_loss_falls_on_one_batch(pools):
    torch.manual_seed(0)
    task = UnimodalTask(TINY, *pools, batch=4)
    optimizer = torch.optim.Adam(task.module.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = task.module(task.ready(task.batch(np.random.Generator(np.random.PCG64(0)))))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.fixture(scope="module")
def cache(tmp_path_factory, pools):
    torch.manual_seed(0)
    heads = UnimodalTask(TINY, *pools, batch=1).heads
    clips, folder = Renderer(Recipe(seed=0, count=10), TINY), tmp_path_factory.mktemp("features")
    return FeatureCache(folder, clips, TINY, heads.video_encoder, heads.audio_encoder, workers=0), heads


def test_cached_features_equal_encoded_ones(cache):
    """A crop read from the cache is what the encoders make of its frames and samples."""
    from synchformer.media.preprocess import mel_spectrogram, normalize_frames

    features, heads = cache
    clip, first, shift = 9, 1 + 2 * 8, 15  # the phase of clip 9 is 1
    batch = features.read([CropPlace(clip, first, clip, first + shift, 0)], TINY)
    frames, wave = features.clips.read_clip(clip)
    with torch.inference_mode():
        segment = normalize_frames(frames[first + 24 : first + 40])[None]
        assert torch.allclose(heads.video_encoder(segment)[0], batch["video"][0, 3], atol=2e-3)
        begin = (first + shift + 24) * 640
        sound = wave[begin : begin + 10_240].float()[None] / 32767
        expected = heads.audio_encoder(mel_spectrogram(sound, TINY))[0]
        assert torch.allclose(expected, batch["audio"][0, 3], atol=2e-3)


def test_cache_of_other_weights_is_refused(tmp_path, cache):
    _, heads = cache
    clips = Renderer(Recipe(count=1), TINY)
    FeatureCache(tmp_path, clips, TINY, heads.video_encoder, heads.audio_encoder, workers=0)
    torch.manual_seed(1)
    other = type(heads)(TINY)
    with pytest.raises(ValueError, match="other clips, weights or precision"):
        FeatureCache(tmp_path, clips, TINY, other.video_encoder, other.audio_encoder, workers=0)


def test_features_in_half_precision_are_near_and_kept_apart(tmp_path, cache):
    exact, heads = cache
    encoders = heads.video_encoder, heads.audio_encoder
    clips = Renderer(Recipe(seed=0, count=1), TINY)
    half = FeatureCache(tmp_path, clips, TINY, *encoders, workers=0, precision="bf16")
    one, other = (np.concatenate([part[:20].ravel() for part in each.features_of(1)]) for each in (exact, half))
    assert not np.array_equal(one, other)
    assert np.abs(one - other).mean() < 0.02 * np.abs(one).mean()
    with pytest.raises(ValueError, match="other clips, weights or precision"):
        FeatureCache(tmp_path, clips, TINY, *encoders, workers=0)


def test_crops_hold_a_shared_event(cache):
    features, _ = cache
    rng = np.random.Generator(np.random.PCG64(0))
    crops = [draw_offset(features, TINY, rng, True) for _ in range(50)]
    times = event_times(features, crops, TINY)
    assert (times[:, :48].sum(1) > 0).all()
    assert (times[:, 48:].sum(1) > 0).all()
    assert len({crop.target for crop in crops}) > 12


def test_sync_loss_starts_at_chance(cache):
    torch.manual_seed(0)
    features, _ = cache
    task = SyncTask(TINY, stage2(TINY, timed=True), features, features, batch=32)
    figures = task.module(task.batch(np.random.Generator(np.random.PCG64(0))))
    assert figures["cross_entropy"].item() == pytest.approx(math.log(21), abs=0.6)


def test_whole_pipeline_from_commands(tmp_path, monkeypatch):
    """Every stage runs from the command line, finds its predecessor, and exports a model that predicts."""
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    sizes = ["--count", "4", "--held-out", "2", "--workers", "0", "--steps", "2", "--batch", "2"]
    common = ["--out", str(tmp_path / "run"), *sizes]
    assert run.main(["sync", *common]) == 1, "stage II needs stage I"
    for stage in ("unimodal", "avclip", "sync", "synchronizability"):
        assert run.main([stage, *common]) == 0
        rows = [json.loads(line) for line in (tmp_path / "run" / stage / "log.jsonl").read_text().splitlines()]
        assert rows[-1]["step"] == 2
    assert " MB" in export_model(tmp_path / "run", TINY, tmp_path / "tiny.safetensors")

    from synchformer.checkpoints.registry import load_model

    model = load_model(tmp_path / "tiny.safetensors", "cpu")
    assert model.config == TINY
    trained = load_state(tmp_path / "run" / "sync" / "best.pt")["model"]
    name = next(name for name in trained if name.startswith("synchronizer.") and trained[name].ndim == 2)
    assert torch.allclose(model.state_dict()[name], trained[name], atol=2e-3)
    export_model(tmp_path / "run", TINY, tmp_path / "second.safetensors", "synchronizability")
    second = load_model(tmp_path / "second.safetensors", "cpu")
    assert second.config == TINY.with_head("synchronizability")
    assert torch.equal(second.video_encoder.norm.weight, model.video_encoder.norm.weight), "frozen"


@pytest.mark.parametrize(
    ("stage", "data", "said"),
    [
        ("avclip", "folder:clips", "there is no folder clips"),
        ("unimodal", "synthetic:x", "needs a seed"),
        ("unimodal", f"synthetic:{SEEDS['valid'][0]}", "train clips have seeds from 0"),
        ("unimodal", "tape:0", "is no data set; give one of synthetic:SEED"),
    ],
)
def test_unknown_data_is_a_sentence(tmp_path, stage, data, said, capsys):
    assert run.main([stage, "--out", str(tmp_path), "--data", data]) == 1
    assert said in capsys.readouterr().err
