"""The clip generator against what its truth table promises."""

import hashlib
import itertools
import json
import subprocess
import sys
from dataclasses import replace

import av
import numpy as np
import pytest
import torch

from synthetic import KINDS, frame_times, render_batch, render_frames, render_sound, sample_scene, write_clip
from synthetic.examples import PICTURE, SOUND, UNRELATED_EVENTS, example_scenes, with_sound_of
from synthetic.scene import EDGE, GAP, Room
from synthetic.shapes import actor_shapes
from tests.support.paths import EXAMPLES

SILENT_ROOM = Room(0.1, 0.0, 0.0, 0.0, 0.0, 50.0, 0.8)


def scene_with(kind, seed=0, **changes):
    """The first scene without distractors whose single event is of `kind`."""
    for candidate in range(seed, seed + 400):
        scene = sample_scene(candidate, (1, 1), distractors=False)
        if scene.events[0].kind == kind:
            return replace(scene, **changes)
    raise AssertionError(kind)


def test_same_seed_same_pixels_and_samples():
    first, second = sample_scene(11), sample_scene(11)
    assert first == second
    times = torch.tensor([0.0, 3.3, 7.12])
    assert torch.equal(render_frames(first, times, (48, 64)), render_frames(second, times, (48, 64)))
    assert np.array_equal(render_sound(first), render_sound(second))
    assert not np.array_equal(render_sound(first), render_sound(sample_scene(12)))


def test_truth_keeps_its_promises():
    kinds = set()
    for seed in range(200):
        scene = sample_scene(seed, (1, 4))
        times = [event.time for event in scene.events]
        assert times == sorted(times)
        assert min(times) >= EDGE
        assert max(times) <= scene.duration - EDGE
        assert all(later - earlier >= GAP - 1e-9 for earlier, later in itertools.pairwise(times))
        shared = [event for event in scene.events if event.seen and event.heard]
        assert 1 <= len(shared) <= 4
        single = {event.kind for event in scene.events if event.seen != event.heard}
        assert not single & {event.kind for event in shared}, "a lone sound or sight must be told apart by its kind"
        kinds |= {event.kind for event in scene.events}
    assert kinds == set(KINDS)


def test_no_shared_event_can_be_asked_for():
    for seed in range(20):
        assert not sample_scene(seed, (0, 0)).shared_events((0, 10), (0, 10))


def test_shared_events_need_both_intervals():
    scene = scene_with("flash")
    time = scene.events[0].time
    assert scene.shared_events((time - 1, time + 1), (time - 1, time + 1))
    assert not scene.shared_events((time + 0.01, time + 1), (time - 1, time + 1))
    assert not scene.shared_events((time - 1, time + 1), (time - 1, time))


@pytest.mark.parametrize("kind", KINDS)
def test_sound_starts_with_its_event(kind):
    scene = scene_with(kind, room=SILENT_ROOM)
    wave = np.abs(render_sound(scene))
    onset = np.flatnonzero(wave > 0.02 * wave.max())[0] / 16_000
    assert onset == pytest.approx(scene.events[0].time, abs=0.004)
    before = wave[: int(scene.events[0].time * 16_000)]
    assert before.max() < 1e-6, "nothing is heard before the contact"


def test_flash_is_seen_from_its_moment_on():
    scene = scene_with("flash")
    time = scene.events[0].time
    around = torch.tensor([time - 0.04, time - 0.001, time + 0.001, time + 0.04])
    light = render_frames(scene, around, (64, 64)).float().mean((1, 2, 3))
    assert light[2] > light[1] + 1
    assert abs(light[1] - light[0]) < 0.3 * (light[2] - light[1])


@pytest.mark.parametrize("kind", ["bounce", "drop", "strike", "clap", "snap"])
def test_motion_is_fastest_at_contact(kind):
    scene = scene_with(kind)
    actor, time = scene.actors[0], scene.events[0].time
    times = torch.arange(-30, 31, dtype=torch.float64) / 100 + time

    def speed(shape):
        return (shape.x.diff().abs() + shape.y.diff().abs() + shape.angle.diff().abs()).numpy()

    fastest = max(actor_shapes(actor, times), key=lambda shape: speed(shape).max())
    change = np.abs(np.diff(speed(fastest)))  # the sharpest change of speed
    assert times[1 + int(change.argmax())].item() == pytest.approx(time, abs=0.021)


def test_clapping_hands_touch_at_the_event():
    scene = scene_with("clap")
    left, right = actor_shapes(scene.actors[0], torch.tensor([scene.events[0].time], dtype=torch.float64))
    distance = torch.hypot(left.x - right.x, left.y - right.y).item()
    assert distance == pytest.approx(2 * (left.half[0] + left.radius), abs=0.03)


def test_batch_equals_single_scenes():
    scenes = [sample_scene(1), sample_scene(2)]
    times = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    batch = render_batch(scenes, times, (32, 48), field=0.9)
    assert batch.shape == (2, 2, 3, 32, 48)
    assert batch.dtype == torch.uint8
    for scene, moments, frames in zip(scenes, times, batch, strict=True):
        assert torch.equal(frames, render_frames(scene, moments, (32, 48), field=0.9))


def test_moments_do_not_depend_on_their_neighbors():
    scene = sample_scene(5)
    times = frame_times(scene)
    whole = render_frames(scene, times, (32, 32))
    alone = render_frames(scene, times[100:101], (32, 32))
    assert (whole[100].int() - alone[0].int()).abs().max() <= 1


def test_file_holds_the_scene(tmp_path):
    scene = scene_with("strike")
    path = write_clip(scene, tmp_path / "clip.mp4", size=(64, 96))
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, video.average_rate, audio.rate) == (96, 64, 25, 16_000)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video)]
    assert len(frames) == 250
    truth = render_frames(scene, frame_times(scene)[125:126], (64, 96))[0].permute(1, 2, 0).numpy()
    assert np.abs(frames[125].astype(int) - truth).mean() < 6


def test_odd_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="even"):
        write_clip(sample_scene(0), tmp_path / "clip.mp4", size=(65, 96))


def test_too_many_events_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        sample_scene(0, (30, 30), duration=5.0)


def test_command_writes_clips_and_truth(tmp_path):
    command = [sys.executable, "-m", "synthetic", "--count", "2", "--seed", "3", "--out", str(tmp_path)]
    subprocess.run([*command, "--height", "48", "--width", "64", "--duration", "6"], check=True, capture_output=True)
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert sorted(truth) == ["clip_000003.mp4", "clip_000004.mp4"]
    assert truth["clip_000003.mp4"] == json.loads(json.dumps(sample_scene(3, duration=6.0).truth()))


def test_scenes_of_every_seed_stay_what_they_were():
    """Weights, example clips and published figures refer to seeds."""
    digest = hashlib.sha256()
    for seed in [*range(40), 1_000_003, 2_000_017, 3_000_024]:
        for events in ((1, 4), (0, 0), (2, 6)):
            digest.update(repr(sample_scene(seed, events)).encode())
    assert digest.hexdigest() == "672b6e8d36b6dd8e09cd28b0dc75332e253ffdcf424d3987a8f00666b4258599"


@pytest.mark.parametrize("without", [("snap",), ("snap", "drop"), ("bounce", "strike", "clap", "flash")])
def test_left_out_kinds_appear_nowhere(without):
    for seed in range(150):
        scene = sample_scene(seed, without=without)
        assert not {thing.kind for thing in (*scene.events, *scene.actors)} & set(without)
        shared = {event.kind for event in scene.events if event.seen and event.heard}
        assert not shared & {event.kind for event in scene.events if not (event.seen and event.heard)}


def test_only_left_out_kinds_are_shared():
    kinds = set()
    for seed in range(60):
        scene = sample_scene(seed, only=("snap", "drop"))
        kinds |= {event.kind for event in scene.events if event.seen and event.heard}
    assert kinds == {"snap", "drop"}


@pytest.mark.parametrize(
    "arguments", [{"without": KINDS[1:]}, {"without": ("bell",)}, {"only": ("snap",), "without": ("snap",)}]
)
def test_too_few_kinds_are_a_sentence(arguments):
    with pytest.raises(ValueError, match="at least two of the kinds"):
        sample_scene(0, **arguments)


def test_an_example_has_the_sound_of_another_scene():
    picture, sound = sample_scene(PICTURE, UNRELATED_EVENTS), sample_scene(SOUND, UNRELATED_EVENTS)
    mixed = with_sound_of(picture, sound)
    assert not mixed.shared_events((0, 10), (0, 10))
    assert [e.time for e in mixed.events if e.seen] == [e.time for e in picture.events if e.seen]
    assert [e.time for e in mixed.events if e.heard] == [e.time for e in sound.events if e.heard]
    wave = render_sound(replace(mixed, room=SILENT_ROOM))
    for event in picture.events:  # where something is seen, nothing begins to sound
        assert np.abs(wave[round(event.time * 16_000) :][:800]).max() < 0.01


def test_the_examples_are_what_their_command_makes():
    truths = json.loads((EXAMPLES / "truth.json").read_text())
    assert truths == json.loads(json.dumps({name: scene.truth() for name, scene in example_scenes().items()}))
    assert {path.name for path in EXAMPLES.glob("*.mp4")} == set(truths)
    assert max(path.stat().st_size for path in EXAMPLES.glob("*.mp4")) <= 500_000
