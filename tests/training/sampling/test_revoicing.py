"""Sound of another clip in stage II: one event of it is heard exactly when the picture's should be."""

from dataclasses import replace

import numpy as np
import pytest

from synchformer.config import MINI
from synthetic import sample_scene
from training.sampling.clips import SceneClips
from training.sampling.crops import CropError, CropPlace
from training.sampling.revoicing import anchors, draw_revoiced

SCENES = SceneClips([sample_scene(seed) for seed in range(40)], 25)


def at(*times, seen=True, heard=True):
    """A scene of 10 s with events at these times."""
    scene = sample_scene(0, (1, 1))
    event = replace(scene.events[0], seen=seen, heard=heard)
    return replace(scene, events=tuple(replace(event, time=time) for time in times))


@pytest.fixture(scope="module")
def crops():
    rng = np.random.Generator(np.random.PCG64(0))
    return [draw_revoiced(SCENES, SCENES.scenes, MINI, rng) for _ in range(100)]


def inside(events, begin):
    """Events of the crop that begins at a frame, with their seconds in it."""
    return [(e.time - begin / 25, e.kind) for e in events if 0 <= e.time - begin / 25 < MINI.span_frames / 25]


def test_one_offset_is_spoken_for_most(crops):
    """By sound of another clip, of any kind, that is heard to half a frame when something seen should be."""
    same_kind = set()
    for crop in crops:
        assert crop.clip != crop.sound_clip
        assert 0 <= crop.sound <= 250 - MINI.span_frames
        seen = inside([e for e in SCENES.scenes[crop.clip].events if e.seen], crop.start)
        heard = inside([e for e in SCENES.scenes[crop.sound_clip].events if e.heard], crop.sound)
        pairs = [(s - h, look == sound) for s, look in seen for h, sound in heard]
        votes = [sum(abs(lag - offset) <= 0.1 for lag, _ in pairs) for offset in MINI.grid]
        assert max(votes[: crop.target] + votes[crop.target + 1 :]) < votes[crop.target]
        lag, alike = min(pairs, key=lambda pair: abs(pair[0] - MINI.grid[crop.target]))
        assert lag == pytest.approx(MINI.grid[crop.target], abs=0.02 + 1e-9)
        same_kind.add(alike)
    assert same_kind == {False, True}


def test_anchors_by_hand():
    """Picture from 1 s: seen at 2.0 (in the crop) and 4.0; sound from 2 s: heard at 1.6 and 3.1; 0.4 s early, once."""
    scenes = [at(3.0, 5.0), at(3.6, 5.1)]
    seen, heard = anchors(CropPlace(0, 25, 1, 50, 12), scenes, MINI)
    assert (seen, heard) == (pytest.approx([2.0]), pytest.approx([1.6]))
    assert anchors(CropPlace(0, 25, 1, 50, 10), scenes, MINI) == ([], [])
    own = anchors(CropPlace(0, 25, 0, 35, 12), scenes, MINI)
    assert own == (pytest.approx([2.0, 4.0]), pytest.approx([1.6, 3.6]))


def test_one_clip_has_no_other():
    with pytest.raises(CropError, match="from 1 clips"):
        draw_revoiced(SceneClips([at(5.0)], 25), [at(5.0)], MINI, np.random.default_rng(0))
