"""Replacement of moments in stage II: what decides stays, and what comes in is told to the time head."""

import numpy as np
import pytest
import torch

from synchformer.config import MINI
from synthetic import sample_scene
from training.sampling.clips import SceneClips
from training.sampling.crops import draw_offset
from training.sampling.event_targets import TIME_BINS, audio_centers, video_centers
from training.sampling.revoicing import anchors
from training.sampling.token_replacement import REACH, replace_moments
from training.stages.offset import event_times

COUNT = 12
SCENES = SceneClips([sample_scene(seed) for seed in range(COUNT)], 25)
CENTERS = {"video": video_centers(MINI), "audio": audio_centers(MINI)}


@pytest.fixture(scope="module")
def case():
    """Crops whose features are the number of the crop, before and after all but the necessary was replaced."""
    rng = np.random.Generator(np.random.PCG64(1))
    crops = [draw_offset(SCENES, MINI, rng, True) for _ in range(COUNT)]
    number = torch.arange(COUNT).float()[:, None, None, None]
    batch = {name: number.expand(COUNT, MINI.segments, len(centers), 1) for name, centers in CENTERS.items()}
    batch["when"] = event_times(SCENES, crops, MINI)
    return crops, batch, replace_moments(batch, crops, SCENES.scenes, MINI, rng, 1.0)


@pytest.mark.parametrize(("name", "ahead"), [("video", 1), ("audio", 2)])
def test_moments_come_from_one_other_crop_and_shared_events_stay(case, name, ahead):
    crops, _, filled = case
    steps = np.arange(MINI.segments)[:, None] * 0.32
    replaced = 0
    for number, crop in enumerate(crops):
        found = filled[name][number, ..., 0].numpy()
        assert set(np.unique(found)) <= {number, (number - ahead) % COUNT}
        near = np.zeros(found.shape, bool)
        for moment in anchors(crop, SCENES.scenes, MINI)[name == "audio"]:
            near |= np.abs(steps + CENTERS[name] - moment) < REACH - 0.05
        assert near.any()
        assert (found[near] == number).all()
        replaced += (found != number).mean() / COUNT
    assert 0.2 < replaced < 0.6, "shares are uniform between 0 and 1, less what stays"


def test_time_head_is_asked_for_what_is_there_now(case):
    _, batch, filled = case
    steps = np.arange(MINI.segments)[:, None] * 0.32
    for half, (name, ahead) in enumerate((("video", 1), ("audio", 2))):
        bins = ((steps + CENTERS[name]) * 10 + 1e-6).astype(int)
        before, after = (each["when"].unflatten(1, (2, TIME_BINS))[:, half].numpy() for each in (batch, filled))
        for number in range(COUNT):
            source = filled[name][number, ..., 0].numpy().astype(int)
            assert set(np.unique(source)) <= {number, (number - ahead) % COUNT}
            assert (after[number][bins] == before[source, bins]).all()
    assert not torch.equal(batch["when"], filled["when"])


def test_nothing_is_replaced_when_no_share_may(case):
    crops, batch, _ = case
    rng = np.random.Generator(np.random.PCG64(1))
    same = replace_moments(batch, crops, SCENES.scenes, MINI, rng, 0.0)
    assert all(torch.equal(same[name], batch[name]) for name in batch)
