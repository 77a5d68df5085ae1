"""Clips that a device holds: batches name frames of them, and become what they would have been without."""

import json

import numpy as np
import pytest
import torch

from synchformer.media.preprocess import normalize_frames
from synthetic.recipe import Recipe
from tests.support.runs import TINY
from training import run
from training.augmentation.light import apply_look
from training.augmentation.policy import Change
from training.readers.rendered import RenderedClips
from training.sampling.crops import CropPlace
from training.stages.segment_avclip import AVCLIPTask
from training.stages.unimodal import EventHeads, UnimodalTask

CPU = torch.device("cpu")


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """The same four clips, on disk only and held."""
    folder = tmp_path_factory.mktemp("clips")
    disk, held = (RenderedClips(folder, Recipe(seed=3, count=4), TINY, 0, Change("light")) for _ in range(2))
    held.keep_on_device(CPU)
    return disk, held


def equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_unimodal_batches(pools):
    disk, held = (UnimodalTask(TINY, pool, pool, 6) for pool in pools)
    drawn = [held.batch(rng(seed)) for seed in range(8)]
    assert any("waves" in batch for batch in drawn)
    assert all("rows" in batch and "frames" not in batch for batch in drawn)
    for seed, batch in enumerate(drawn):
        equal(held.ready(batch), disk.ready(disk.batch(rng(seed))))


def test_stage_1_batches(pools):
    disk, held = (AVCLIPTask(TINY, pool, pool, 2, EventHeads(TINY)) for pool in pools)
    batch = held.batch(rng())
    assert batch["rows"].shape == (2, 14, 16)
    assert batch["seen_rows"].shape == (8, 16)
    done = held.ready(batch)
    assert done["frames"].shape == (2, 14, 16, 3, 32, 32)
    equal(done, disk.ready(disk.batch(rng())))


@pytest.mark.parametrize("kind", ["none", "light"])
def test_crops(pools, kind, monkeypatch):
    crops = [CropPlace(1, 8, 1, 21, 0), CropPlace(3, 0, 2, 60, 0)]
    for pool in pools:
        monkeypatch.setattr(pool, "change", Change(kind))
    disk, held = (pool.ready(pool.read(crops, TINY, rng())) for pool in pools)
    equal(held, disk)
    still = pools[1].read(crops, TINY)
    assert still["frames"].dtype == torch.uint8, "in validation frames come from the disk"
    assert torch.equal(still["frames"], disk["frames"]) == (kind == "none")


def test_look_by_hand():
    frames = torch.arange(2 * 3 * 2, dtype=torch.uint8).view(1, 2, 3, 1, 2) * 20
    plain = apply_look(frames, torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]]))
    assert torch.allclose(plain, normalize_frames(frames), atol=1e-6)
    assert frames.flatten().tolist() == list(range(0, 240, 20)), "the pool's own frames stay"
    changed = apply_look(frames, torch.tensor([[0.5, 0.1, 0.0, -0.2, 1.0]]))
    assert changed[0, 0, 0, 0].tolist() == pytest.approx([0.5 * (20 / 127.5 - 1) + 0.1, -0.5 + 0.1], abs=1e-6), "red"
    assert changed[0, 1, 2, 0].tolist() == pytest.approx(
        [0.5 * x - 0.2 for x in (220 / 127.5 - 1, 200 / 127.5 - 1)], abs=1e-6
    )
    assert apply_look(frames, torch.tensor([[9.0, 0.0, 0.0, 0.0, 0.0]])).abs().max() == 1


def test_a_run_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    found = []
    for name, more in (("disk", []), ("held", ["--resident", "--loaders", "1"])):
        out = tmp_path / name
        sizes = ["--count", "3", "--held-out", "2", "--workers", "0", "--device", "cpu", "--steps", "3", "--batch", "4"]
        assert run.main(["unimodal", "--out", str(out), *sizes, "--log-every", "1", "--precision", "fp32", *more]) == 0
        rows = [json.loads(line) for line in (out / "unimodal" / "log.jsonl").read_text().splitlines()]
        found.append([(row.get("loss"), row.get("valid/video_any")) for row in rows])
    assert found[0] == found[1]


def test_what_cannot_be_held_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10, 20))
    whole = RenderedClips(tmp_path / "pool", Recipe(seed=3, count=1), TINY, 0)
    with pytest.raises(ValueError, match="take fewer"):
        whole.keep_on_device(torch.device("cuda"))
