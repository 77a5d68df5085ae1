"""Where crops are drawn from, what their labels mean, and how a synchronizability module begins."""

import math

import numpy as np
import pytest
import torch

from synchformer.config import BASE, MINI
from synchformer.modeling.synchronizer import SynchronizationModule
from synthetic import sample_scene
from training.evaluation.synchronizability_by_cause import Trial, area, draw_trial, table
from training.sampling.clips import Clips, SceneClips
from training.sampling.crops import (
    CropError,
    draw_far,
    draw_foreign,
    draw_offset,
    draw_sound,
    draw_synchronizability,
    shared_events,
)
from training.stages.synchronizability import adapt

CONFIG = MINI.with_head("synchronizability")
SCENES = SceneClips([sample_scene(seed) for seed in range(40)], 25)


def crops(draw, count=200, **choices):
    rng = np.random.Generator(np.random.PCG64(0))
    return [draw(SCENES, CONFIG, rng, **choices) for _ in range(count)]


def inside(crop):
    return all(0 <= first <= 250 - CONFIG.span_frames for first in (crop.start, crop.sound))


def test_offset_crops_lie_inside_and_carry_their_class():
    found = crops(draw_offset)
    assert all(inside(crop) for crop in found)
    assert all(crop.sound - crop.start == 5 * (crop.target - 10) for crop in found), "0.2 s are five frames"
    assert {crop.target for crop in found} == set(range(21))


@pytest.mark.parametrize("has_shared_event", [True, False])
def test_an_event_is_shared_as_asked_for(has_shared_event):
    for crop in crops(draw_offset, has_shared_event=has_shared_event):
        picture, sound = crop.start / 25, crop.sound / 25
        both = [
            e
            for e in SCENES.scenes[crop.clip].events
            if e.seen and e.heard and picture <= e.time < picture + 4.48 and sound <= e.time < sound + 4.48
        ]
        assert bool(both) == has_shared_event


def test_far_sound_is_exactly_one_crop_away():
    found = crops(draw_far)
    assert {crop.sound - crop.start for crop in found} == {-112, 112}
    assert all(inside(crop) and crop.target == 0 and crop.clip == crop.sound_clip for crop in found)


def test_foreign_sound_is_of_another_clip():
    assert all(crop.clip != crop.sound_clip and inside(crop) and crop.target == 0 for crop in crops(draw_foreign))


def test_true_labels_say_whether_an_event_is_shared():
    found = crops(draw_synchronizability, labels="truth")
    assert all((shared_events(SCENES, CONFIG, crop) > 0) == crop.target for crop in found)
    assert 70 < sum(crop.target for crop in found) < 130
    assert {crop.clip != crop.sound_clip for crop in found if not crop.target} == {True, False}


def test_published_labels_say_how_far_the_sound_was_moved():
    found = crops(draw_synchronizability, labels="published")
    assert all((abs(crop.sound - crop.start) != 112) == crop.target for crop in found)
    without_event = [crop for crop in found if crop.target and not shared_events(SCENES, CONFIG, crop)]
    assert without_event, "the label noise that the docstring speaks of"


def test_clips_that_are_too_short_are_a_sentence():
    short = SceneClips([sample_scene(0, duration=6.0)], 25)
    with pytest.raises(CropError, match=r"two crops, 8\.96 s"):
        draw_far(short, CONFIG, np.random.Generator(np.random.PCG64(0)))


@pytest.mark.parametrize("config", [MINI, BASE], ids=["mini", "base"])
def test_position_tables_by_hand(config):
    module = SynchronizationModule(MINI)
    table = module.position
    kept = [*range(105), *range(113, 198 - 6)]  # class, 13 x 8; separator and 13 x 6
    assert torch.equal(adapt(module, MINI).position, table[:, kept])
    published = adapt(module, MINI, as_published=True)
    assert torch.equal(published.position, table[:, :184])
    assert published.head.out_features == 2
    assert torch.equal(published.blocks[2].attn.qkv.weight, module.blocks[2].attn.qkv.weight)
    assert config.with_head("synchronizability").sequence_length == 184


def test_trials_are_what_their_kind_says():
    found = [draw_trial(number, CONFIG) for number in range(30)]
    assert [kind for kind, *_ in found].count("shared") == 15
    for kind, crop, scenes in found:
        assert (shared_events(SceneClips(scenes, 25), CONFIG, crop) > 0) == (kind == "shared")
        assert (crop.clip != crop.sound_clip) == (kind == "foreign")
        assert (abs(crop.sound - crop.start) == 112) == (kind == "far") or kind == "foreign"


def test_area_by_counting_pairs():
    trials = [Trial(0, "shared", p) for p in (0.9, 0.6, 0.4)] + [Trial(0, "far", p) for p in (0.7, 0.3)]
    value, (low, high) = area(trials)
    assert value == pytest.approx(4 / 6)
    assert 0 <= low <= 4 / 6 <= high <= 1
    lines = table([*trials, Trial(0, "foreign", 0.1), Trial(0, "unshared", 0.2)]).splitlines()
    assert "| far | 2 + 3 | 0.667" in lines[3]
    assert math.isclose(float(lines[4].split("|")[3].split()[0]), 1.0)


class Lengths(Clips):
    """Clips of which only the lengths are known."""

    scenes = None

    def __init__(self, frames, weights=None):
        self.frames, self.weights = frames, weights

    def __len__(self):
        return len(self.frames)

    def frames_of(self, clip):
        return self.frames[clip]


def drawn(clips, count=6000):
    rng = np.random.Generator(np.random.PCG64(5))
    return [draw_offset(clips, MINI, rng) for _ in range(count)]


def test_short_clips_do_not_make_large_offsets_rare():
    clips = Lengths([130] * 30 + [250])  # the short ones hold 10 spare frames: two classes to either side
    crops = drawn(clips)
    assert all(0 <= crop.sound <= clips.frames_of(crop.clip) - MINI.span_frames for crop in crops)
    counts = np.bincount([crop.target for crop in crops], minlength=21)
    assert np.abs(counts / len(crops) - 1 / 21).max() < 0.012, "every class is drawn alike"
    short = [crop.target for crop in crops if crop.clip < 30]
    assert set(short) == set(range(8, 13)), "a short clip is drawn for the offsets that it allows"


def test_offsets_that_no_clip_holds_are_never_drawn():
    counts = np.bincount([crop.target for crop in drawn(Lengths([130, 131]), 2000)], minlength=21)
    assert set(np.flatnonzero(counts)) == set(range(8, 13))
    assert np.abs(counts[8:13] / 2000 - 0.2).max() < 0.04


def test_clips_too_short_for_any_offset_are_refused():
    with pytest.raises(CropError, match="longer clips"):
        draw_offset(Lengths([100]), MINI, np.random.Generator(np.random.PCG64(0)))


def test_clips_are_drawn_as_often_as_their_weights_say():
    weights = np.array([0.7, 0.2, 0.1])
    counts = np.bincount([crop.clip for crop in drawn(Lengths([250, 130, 250], weights))], minlength=3) / 6000
    room = 5 / 21  # of the classes, the second clip has room for five; the others share what it cannot hold
    assert counts[1] == pytest.approx(0.2 * room, abs=0.015)
    assert counts[0] / counts[2] == pytest.approx(7, rel=0.15)


def test_further_sounds_of_a_picture_keep_every_class_alike():
    clips, rng = Lengths([150, 200, 250]), np.random.Generator(np.random.PCG64(6))
    targets = [draw_sound(clips, MINI, rng, draw_offset(clips, MINI, rng), False).target for _ in range(8000)]
    assert np.abs(np.bincount(targets, minlength=21) / 8000 - 1 / 21).max() < 0.012
