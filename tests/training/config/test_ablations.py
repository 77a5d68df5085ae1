"""Every ablation gives sizes that fit together and a stage II that learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synchformer.config import BASE, MINI
from synchformer.modeling.audio_spectrogram_transformer import AudioEncoder
from synchformer.modeling.encoders import audio_encoder, video_encoder
from synchformer.modeling.motionformer import VideoEncoder
from synthetic.recipe import Recipe
from training.config.ablations import NAMES, SEGMENTS, ablate
from training.readers.rendered import RenderedClips
from training.stages.offset import Extractors, SyncTask, stage2

TINY = replace(
    MINI, name="tiny", dim=16, heads=2, video_depth=1, audio_depth=1, sync_dim=16, sync_heads=2, sync_depth=1,
    image_size=32, short_side=36, max_offset=1.0, offset_classes=11,
)  # fmt: skip


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return RenderedClips(tmp_path_factory.mktemp("clips"), Recipe(seed=0, count=2), TINY, workers=0)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("no-unimodal", "no-stage-1")])
def test_every_ablation_runs_and_its_loss_moves(pool, name):
    torch.manual_seed(0)
    config, _ = ablate(TINY, [name])
    extractors = Extractors(config, video_encoder(config), audio_encoder(config), trained=True)
    task = SyncTask(config, stage2(config, extractors, timed=True), pool, pool, batch=2)
    optimizer = torch.optim.Adam(task.module.parameters(), 3e-3)
    losses = []
    for _ in range(4):
        loss = task.module(task.batch(np.random.Generator(np.random.PCG64(0))))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(parameter.grad is not None for parameter in extractors.audio_encoder.aggregator.parameters())


@pytest.mark.parametrize(("seconds", "count"), SEGMENTS.items())
def test_table_3_by_hand(seconds, count):
    config, _ = ablate(BASE, [f"segment-{seconds:.2f}"])
    assert (config.segment_seconds, config.segments) == (pytest.approx(seconds), count)
    assert config.span_frames / 25 == pytest.approx(5.12)
    assert config.segment_frames == 2 * config.segment_stride


def test_choices():
    config, choices = ablate(BASE, ["no-stage-1", "no-unimodal"])
    assert (config, choices) == (BASE, {"stage_one": False, "trained_extractors": True, "unimodal": False})
    flat, _ = ablate(BASE, ["no-overlap"])
    assert (flat.segments, flat.span_frames) == (7, 112)
    with pytest.raises(ValueError, match="change the segments twice"):
        ablate(BASE, ["no-overlap", "segment-0.32"])


def test_frozen_extractors_stay_as_they_are(pool):
    torch.manual_seed(0)
    extractors = Extractors(TINY, VideoEncoder(TINY), AudioEncoder(TINY), trained=False)
    task = SyncTask(TINY, stage2(TINY, extractors), pool, pool, batch=2)
    task.module.train()
    assert not extractors.training
    task.module(task.batch(np.random.Generator(np.random.PCG64(0))))["loss"].backward()
    assert all(parameter.grad is None for parameter in extractors.parameters())
