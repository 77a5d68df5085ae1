"""Changes of recorded clips: picture and sound stay in sync, and each is made where it is asked for."""

import numpy as np
import pytest
import torch

from synchformer.media.crop import center_crop
from tests.support.media import MediaSpec, click_in, number_in, write
from tests.support.runs import TINY
from training.augmentation import recorded
from training.augmentation.policy import Change
from training.datasets.inventory import ClipPart
from training.datasets.registry import open_source
from training.readers.video_files import VideoFiles
from training.sampling.crops import CropPlace, draw_offset

CLICK = 4.0  # s
OF_SOUND = ("background", "room", "microphone", "band", "level", "noise")
OF_PICTURE = ("zoom", "mirror", "color", "blur", "hidden", "grain")


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    for split in ("train", "valid"):
        (folder / split).mkdir()
        write(
            folder / split / "a.mp4",
            MediaSpec(seconds=9.0, click=CLICK, size=(48, 64), video="mpeg4", rate=16_000),
        )
    return open_source(f"folder:{folder}")


def clips_of(film, *names):
    parts = [ClipPart(sample, 0, 225) for sample in film.samples("train")]
    return VideoFiles(film, parts, TINY, Change.named("recorded", "none", names))


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("tempo",), marks=SLOW),
        pytest.param(("tempo", "frame-rate"), marks=SLOW),
        ("tempo", "microphone", "level"),
    ],
)
def test_picture_and_sound_stay_as_far_apart_as_the_label_says(film, monkeypatch, names):
    monkeypatch.setattr(recorded, "change_picture", lambda frames, *_: frames)  # which spell numbers when whole
    clips, random, tempos, compared = clips_of(film, *names), rng(3), set(), 0
    for _ in range(40):
        crop = draw_offset(clips, TINY, random)
        frames, wave = clips._recorded(crop, TINY.span_frames, random)
        assert len(frames) == 120 and wave.shape == (76_800,)
        numbers = [number_in(frame.numpy()) for frame in frames]
        tempos.add(round((numbers[100] - numbers[0]) / 100, 1))
        seen = click_in(wave.numpy(), 16_000) + TINY.grid[crop.target]  # s of the crop: above 0 the sound is early
        if float(wave.abs().max()) > 0.05 and 0 <= seen < 4.7:
            compared += 1
            held = 3 if "frame-rate" in names else 1
            assert abs(numbers[round(seen * 25)] - CLICK * 25) <= held, "the click belongs to the frame of its time"
    assert len(tempos) > 2, "some crops are slower, some faster"
    assert compared > 15


def test_a_crop_never_leaves_its_clip():
    class Long(VideoFiles):
        def __init__(self):
            pass

        def frames_of(self, clip):
            return 200

    clips, random = Long(), rng(1)
    for _ in range(300):
        shift = int(random.integers(-50, 51))
        start = int(random.integers(max(0, -shift), 200 - 120 - max(0, shift) + 1))
        fastest = clips._fastest(CropPlace(0, start, 0, start + shift, 0), 120)
        assert fastest >= 1
        tempo = min(1.25, fastest)
        assert start + 120 * tempo <= 200 + 1e-6
        assert start + shift * tempo >= -1e-6 and start + (shift + 120) * tempo <= 200 + 1e-6


@pytest.mark.parametrize("name", OF_SOUND)
def test_each_change_of_sound_leaves_the_click_where_it_was(name):
    wave = torch.zeros(16_000)
    wave[8000:8040] = 0.5
    behind = torch.from_numpy(rng(9).normal(0, 0.01, 16_000)).float()
    changed, moved = 0, 0.0
    for seed in range(12):
        after = recorded.change_sound(wave, behind, 16_000, (name,), rng(seed))
        assert after.shape == wave.shape and float(after.abs().max()) <= 1
        changed += not torch.equal(after, wave)
        moved = max(moved, abs(int(after.abs().argmax()) - 8020) / 16_000)
    assert changed and moved < 0.003
    assert torch.equal(recorded.change_sound(wave, behind, 16_000, (), rng()), wave)


@pytest.mark.parametrize("name", OF_PICTURE)
def test_each_change_of_the_picture_is_the_same_in_all_frames(name):
    still = torch.randint(0, 256, (1, 3, 36, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    frames = still.expand(6, -1, -1, -1)
    changed = 0
    for seed in range(12):
        after = recorded.change_picture(frames, 32, (name,), rng(seed))
        assert after.shape == (6, 3, 32, 32) and after.dtype == torch.uint8
        changed += not torch.equal(after, center_crop(frames, 32))
        if name != "grain":
            assert torch.equal(after, after[:1].expand(6, -1, -1, -1))
    assert changed
    assert torch.equal(recorded.change_picture(frames, 32, (), rng()), center_crop(frames, 32))


def test_frames_are_held_and_none_is_shown_early_or_late():
    for seed in range(60):
        places = recorded.frame_places(120, 1.0, ("frame-rate",), rng(seed))
        assert np.abs(places - np.arange(120)).max() <= 1 and (np.diff(places) >= 0).all()
    assert np.array_equal(recorded.frame_places(5, 1.0, (), rng()), np.arange(5))
    assert np.array_equal(recorded.frame_places(4, 1.25, (), rng()), [0, 1, 3, 4])


def test_changed_tempo_reads_between_samples():
    wave = torch.arange(100, dtype=torch.float32)
    assert torch.allclose(recorded.change_tempo(wave, 1.25, 60), torch.arange(60) * 1.25)
    assert torch.equal(recorded.change_tempo(wave[:50], 1.0, 60), torch.nn.functional.pad(wave[:50], (0, 10)))


def test_crops_are_a_function_of_the_random_numbers(film):
    clips = clips_of(film, *recorded.CHANGES)
    crops = [CropPlace(0, 10, 0, 30, 14), CropPlace(0, 60, 0, 40, 6)]
    first, second = (clips.read(crops, TINY, rng(4)) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in ("frames", "waves"))
    assert first["frames"].shape == (2, 14, 16, 3, 32, 32) and first["waves"].shape == (2, 14, 10_240)
    assert not torch.equal(first["frames"], clips.read(crops, TINY, rng(5))["frames"])
    assert torch.equal(clips.read(crops, TINY)["frames"], clips.read(crops, TINY)["frames"]), "unchanged without them"
