"""Augmentations: what each changes and what it must leave alone, against hand-made signals."""

import numpy as np
import pytest
import torch

from training import inspect
from training.augmentation.published import (
    AUGMENTATIONS,
    PITCH,
    Augmentation,
    augment,
    change_sound,
    crop,
    draw_jitter,
    picture_changes,
    raise_pitch,
    seeded,
    sound_effects,
)
from training.augmentation.reverb import COMBS, impulse_response, reverberate

NONE = AUGMENTATIONS["none"]
RATE = 16_000


def rng(seed=0):
    return np.random.default_rng(seed)


def coordinates():
    """Frames (2, 3, 3, 40, 50) whose red is the row and whose green is the column."""
    row, column = torch.meshgrid(torch.arange(40), torch.arange(50), indexing="ij")
    picture = torch.stack([row, column, torch.zeros_like(row)]).to(torch.uint8)
    return picture.expand(2, 3, 3, 40, 50).clone()


def only(**changes):
    return Augmentation(**{"random_crop": False, "flip": 0.0, "jitter": 0.0, **changes})


def tone(hertz, seconds=0.64):
    return torch.sin(2 * torch.pi * hertz * torch.arange(round(seconds * RATE)) / RATE)


def test_no_augmentation_is_the_center_crop():
    waves = torch.randn(2, 10_240)
    frames, heard = augment(coordinates(), waves, 32, NONE, rng())
    assert torch.equal(heard, waves)
    assert frames[0, 0, 0, 0, 0] == 4, "first row"
    assert frames[0, 0, 1, 0, 0] == 9, "first column"


def test_crop_is_the_same_in_all_frames_and_random_between_clips():
    places = set()
    for seed in range(20):
        with seeded(rng(seed)):
            frames = crop(coordinates(), 32, only(random_crop=True))
        assert (frames == frames[:1, :1]).all()
        assert (frames[0, 0, 0, :, 0].diff() == 1).all(), "rows stay in order"
        places.add((int(frames[0, 0, 0, 0, 0]), int(frames[0, 0, 1, 0, 0])))
    assert len(places) > 10


def test_enlarged_crop_spans_192_of_224_pixels():
    with seeded(rng()):
        frames = crop(coordinates(), 28, only(random_crop=True, upscale=1.0)).float()
    assert frames.shape[-2:] == (28, 28)
    span = frames[0, 0, 0, -1, 0] - frames[0, 0, 0, 0, 0] + 1
    assert span == pytest.approx(28 * 192 / 224, abs=1.01)


def test_segments_are_mirrored_by_themselves():
    frames = torch.cat([coordinates()] * 20)
    changed, _ = augment(frames, torch.zeros(40, 100), 32, only(flip=0.5), rng())
    mirrored = changed[:, 0, 1, 0, 0] > changed[:, 0, 1, 0, -1]
    assert 10 < int(mirrored.sum()) < 30
    assert (changed == changed[:, :1]).all(), "the same for all frames of a segment"


def test_grayscale_and_color():
    frames = torch.randint(0, 255, (3, 3, 32, 32), dtype=torch.uint8)
    with seeded(rng()):
        gray = picture_changes(only(grayscale=1.0))(frames)
        color = picture_changes(only(color=1.0))(frames)
    assert (gray[:, 0] == gray[:, 1]).all()
    assert not torch.equal(color, frames)
    assert color.dtype == torch.uint8


@pytest.mark.parametrize("name", ["avclip", "sync"])
def test_result_depends_on_the_generator_alone(name):
    waves = torch.randn(2, 10_240)
    state = torch.random.get_rng_state()
    first = augment(coordinates(), waves, 32, AUGMENTATIONS[name], rng(3))
    torch.rand(5)
    second = augment(coordinates(), waves, 32, AUGMENTATIONS[name], rng(3))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    torch.random.set_rng_state(state)
    augment(coordinates(), waves, 32, AUGMENTATIONS[name], rng(4))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_effects_are_drawn_as_often_as_asked():
    wave, changed = tone(440), 0
    for seed in range(200):
        generator = rng(seed)
        effects = [generator.random() < 0.2 for _ in range(5)]
        with seeded(rng()):
            heard = change_sound(wave, Augmentation(audio=0.2), rng(seed), RATE)
        assert torch.equal(heard, wave) == (not any(effects))
        changed += any(effects)
    assert changed / 200 == pytest.approx(1 - 0.8**5, abs=0.1)


def test_pitch_rises_by_sixteen_ninths():
    higher = raise_pitch(tone(900))
    assert len(higher) == 10_240
    peak = torch.fft.rfft(higher).abs().argmax() * RATE / len(higher)
    assert float(peak) == pytest.approx(900 * PITCH[0] / PITCH[1], rel=0.01)


def test_pitch_keeps_the_time_of_an_impact():
    click = torch.zeros(10_240)
    click[5000:5080] = tone(1000, 0.005)
    assert raise_pitch(click).abs().argmax() / RATE == pytest.approx(5000 / RATE, abs=0.015)


def test_effects_by_hand():
    effects = sound_effects(RATE)
    assert torch.equal(effects["volume"](tone(440) / 4), tone(440) / 2)
    high = effects["low-pass"](tone(1600))[2000:].square().mean() / tone(1600).square().mean()
    assert float(high.sqrt()) == pytest.approx((100 / 1600) ** 2, rel=0.2), "12 dB per octave above 100 Hz"
    with seeded(rng()):
        noise = effects["noise"](torch.zeros(10_240))
    assert float(noise.std()) == pytest.approx(0.01, rel=0.05)


def test_reverberation_by_its_delays():
    response = impulse_response(44_100)
    assert not response[: COMBS[0]].any()
    assert response[COMBS[0]] == pytest.approx(1.0), "the shortest comb, through four inverting all-passes"
    early, late = (float(np.square(response[first : first + 8820]).sum()) for first in (0, 30_000))
    assert late < 0.1 * early
    wet = reverberate(tone(440), RATE)
    assert float(wet.square().mean()) == pytest.approx(float(tone(440).square().mean()), rel=1e-3)
    assert torch.equal(reverberate(torch.zeros(2, 100), RATE), torch.zeros(2, 100))


def test_jitter_stays_where_sound_is():
    drawn = [draw_jitter(AUGMENTATIONS["sync"], rng(seed), room=(100, 10_000)) for seed in range(300)]
    assert min(drawn) >= -100
    assert 700 < max(drawn) <= 800, "0.05 s are 800 samples"
    assert draw_jitter(NONE, rng(), room=(100, 100)) == 0


@pytest.mark.parametrize("wrong", [{"flip": 1.5}, {"jitter": 0.2}])
def test_impossible_settings_are_a_sentence(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} is"):
        Augmentation(**wrong)


def test_inspect_draws_every_change(tmp_path, capsys):
    out = tmp_path / "look.png"
    assert inspect.main(["synthetic:0", "--clip", "4", "--preset", "mini", "--out", str(out)]) == 0
    assert out.stat().st_size > 50_000
    with pytest.raises(SystemExit):
        inspect.main(["synthetic:0", "--clip", "1000", "--out", str(out)])
    assert "--clip must be below 1000" in capsys.readouterr().err
