"""Several sounds for one picture in training: drawn as single crops are, read and learnt from as single crops are."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from synchformer.checkpoints.registry import save_model
from synchformer.config import MINI
from synchformer.modeling.synchformer import Synchformer
from synthetic import sample_scene
from synthetic.recipe import Recipe
from tests.support.runs import TINY
from training import run
from training.readers.base import UnreadableError
from training.readers.rendered import RenderedClips
from training.sampling.clips import SceneClips
from training.sampling.crops import CropPlace, draw_offset, draw_sound
from training.stages.baseline import baseline_task
from training.stages.shared_pictures import read_sounds
from training.trainer.checkpoint import load_state

SCENES = SceneClips([sample_scene(seed) for seed in range(40)], 25)
SHORT = replace(TINY, image_size=32, segments=2, segment_frames=20, segment_stride=20)


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize("has_shared_event", [True, None])
def test_another_sound_is_as_likely_as_the_first(has_shared_event):
    """Classes of first and second sounds are counted alike; small offsets, which fit anywhere, are not favored."""
    draws, count = rng(), 6000
    firsts = [draw_offset(SCENES, MINI, draws, has_shared_event) for _ in range(count)]
    others = [draw_sound(SCENES, MINI, draws, crop, bool(has_shared_event)) for crop in firsts]
    first, other = (Counter(crop.target for crop in crops) for crops in (firsts, others))
    for target in range(MINI.offset_classes):
        assert other[target] == pytest.approx(first[target], abs=5 * np.sqrt(count / MINI.offset_classes))
    for one, two in zip(firsts, others, strict=True):
        assert (two.clip, two.start, two.sound_clip) == (one.clip, one.start, one.clip)
        assert two.sound - two.start == round(MINI.grid[two.target] * 25)
        assert 0 <= two.sound <= 250 - MINI.span_frames


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return RenderedClips(tmp_path_factory.mktemp("clips"), Recipe(seed=0, count=2), SHORT, workers=0)


def read(pool, sounds, config=SHORT):
    draws = rng()
    return read_sounds(
        pool,
        lambda: draw_offset(pool, config, draws),
        lambda crop: draw_sound(pool, config, draws, crop, False),
        6,
        sounds,
        config,
        rng(1),
    )


def test_every_picture_has_its_sounds_beside_it(pool):
    crops, batch = read(pool, 3)
    assert (batch["frames"].shape[0], batch["waves"].shape[0]) == (2, 6)
    assert batch["target"].tolist() == [crop.target for crop in crops]
    assert len({(crop.clip, crop.start) for crop in crops[:3]}) == 1
    for place, crop in enumerate(crops):
        plain = pool.read([crop], SHORT)
        if place % 3 == 0:
            look = pool.ready({name: batch[name][place // 3] for name in batch if name in ("frames", "look")})
            assert look["frames"].shape == plain["frames"][0].shape
        heard, own = batch["waves"][place].flatten(), plain["waves"][0].flatten()
        assert abs(np.corrcoef(heard, own)[0, 1]) > 0.7, "changed at random, but the sound of that place"


@pytest.mark.parametrize("kind", ["avst", "sparsesync"])
def test_loss_and_gradients_are_those_of_single_crops(pool, kind):
    torch.manual_seed(0)
    task = baseline_task(SHORT, kind, (pool, pool), batch=6, timed=False)
    _, batch = read(pool, 3, task.config)
    together = task.ready(batch)
    apart = {**together, "frames": together["frames"].repeat_interleave(3, dim=0)}
    task.module.eval()  # statistics of a batch would know of repeated pictures
    found = []
    for each in (together, apart):
        task.module.zero_grad()
        loss = task.module(each)["loss"]
        loss.backward()
        found.append(
            (loss.item(), torch.cat([p.grad.flatten() for p in task.module.parameters() if p.grad is not None]))
        )
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-5 * found[1][1].abs().max().item())


def test_a_sound_that_cannot_be_read_is_replaced_by_the_first(pool):
    class Damaged:
        """The pool, but for sounds of class 0."""

        def read(self, crops, config, rng):
            for place, crop in enumerate(crops):
                if crop.target == 0:
                    raise UnreadableError(place, "damaged")
            return pool.read(crops, config, rng)

    first = CropPlace(0, 30, 0, 35, 3)
    crops, batch = read_sounds(Damaged(), lambda: first, lambda _: CropPlace(0, 30, 0, 20, 0), 4, 2, SHORT, rng())
    assert crops == [first] * 4
    assert batch["target"].tolist() == [3] * 4


def test_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    sizes = ["--count", "2", "--held-out", "1", "--workers", "0", "--steps", "1", "--valid-crops", "2"]
    own = ["baseline", "--model", "avst", "--out", str(tmp_path / "avst"), *sizes, "--precision", "fp32"]
    assert run.main([*own, "--batch", "4", "--sounds", "2"]) == 0
    assert load_state(tmp_path / "avst" / "baseline" / "state.pt")["about"]["sounds"] == 2


@pytest.mark.parametrize(
    ("stage", "given", "message"),
    [
        ("baseline", ["--model", "avst", "--batch", "3", "--sounds", "2"], "make it a multiple"),
        ("sync", ["--init", "tiny.safetensors", "--sounds", "2"], "cached features are encoded already"),
        ("sync", ["--init", "tiny.safetensors", "--no-cache", "--sounds", "2", "--revoice", "0.5"], "one of them"),
        ("sync", ["--init", "tiny.safetensors", "--sounds", "0"], "must be at least 1"),
        ("avclip", ["--sounds", "2"], "not of avclip"),
        ("baseline", ["--model", "avst", "--revoice", "0.5"], "of sync, not of baseline"),
    ],
)
def test_wrong_commands_are_sentences(tmp_path, monkeypatch, capsys, stage, given, message):
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    monkeypatch.chdir(tmp_path)
    save_model(Synchformer(TINY), tmp_path / "tiny.safetensors")
    sizes = ["--count", "2", "--held-out", "1", "--workers", "0"]
    assert run.main([stage, "--out", str(tmp_path / "run"), *sizes, *given]) == 1
    assert message in capsys.readouterr().err
