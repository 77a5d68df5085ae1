"""Training on files in which every frame spells its number and one click sounds at a known time."""

import csv
import json
import signal
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from synchformer.checkpoints.registry import load_model
from synchformer.media.crop import center_crop
from synchformer.media.preprocess import mel_spectrogram, normalize_frames
from synchformer.modeling.audio_spectrogram_transformer import AudioEncoder
from synchformer.modeling.motionformer import VideoEncoder
from synthetic.recipe import Recipe
from tests.support.media import MediaSpec, click_in, number_in, write
from tests.support.processes import run_apart
from tests.support.runs import TINY, run_until
from training import evaluate, run
from training.augmentation.policy import Change
from training.augmentation.published import Augmentation
from training.config.optimization import OptimConfig
from training.config.stage_config import StageConfig
from training.datasets.inventory import ClipPart, Inventory, InventoryEntry, build_inventory
from training.datasets.registry import open_source
from training.datasets.source import FileSource, Sample
from training.readers.base import UnreadableError, read_readable
from training.readers.feature_cache import FeatureCache, require_room
from training.readers.pixel_reader import model_frames
from training.readers.rendered import Renderer
from training.readers.stage_data import StageData
from training.readers.video_files import VideoFiles
from training.sampling.crops import CropError, CropPlace, draw_foreign, draw_offset
from training.stages.input_preview import GAP, WIDTH, input_picture
from training.trainer.checkpoint import load_state

FILM = {"size": (48, 64), "video": "mpeg4", "rate": 16_000}
CLICKS = {"train/a": 2.0, "train/b": 4.5, "train/c": 3.0, "valid/d": 2.5, "valid/e": 5.0, "test/f": 4.0}
LENGTHS = {"train/a": 9.0, "train/b": 9.6, "train/c": 9.4, "valid/d": 9.0, "valid/e": 9.2, "test/f": 9.0}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    for name, click in CLICKS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write(folder / f"{name}.mp4", MediaSpec(seconds=LENGTHS[name], click=click, **FILM))
    return folder


@pytest.fixture(scope="module")
def source(films):
    return open_source(f"folder:{films}")


def footage_of(source, split="train", **more):
    parts = [ClipPart(sample, 0, round(LENGTHS[sample.id] * 25)) for sample in source.samples(split)]
    return VideoFiles(source, parts, TINY, **more)


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


# Which clips


def test_roll_by_hand():
    samples = [Sample(str(number), "train", str(number)) for number in range(4)]
    seconds = (5.0, 0.0, 19.9, 31.0)
    entries = [
        InventoryEntry("x", sample.id, 0, 0, each, "" if each else "no sound")
        for sample, each in zip(samples, seconds, strict=True)
    ]
    roll = Inventory(tuple(zip(samples, entries, strict=True)), 25)
    found = [(part.sample.id, part.first, part.frames) for part in roll.parts(224)]
    assert found == [("2", 0, 497), ("3", 0, 258), ("3", 258, 258), ("3", 516, 258)]
    reasons = {item.id: item.reason for item in roll.left_out(224)}
    assert reasons == {"0": "picture and sound share 5.00 s, 8.96 s are needed", "1": "no sound"}


def test_roll_is_called_once(source, tmp_path, monkeypatch):
    first = build_inventory(source, "train", TINY, tmp_path)
    (tmp_path / "train.jsonl").open("a").write('{"half')
    monkeypatch.setattr("training.datasets.inventory.probe_sample", lambda *_: pytest.fail("it was looked into before"))
    assert build_inventory(source, "train", TINY, tmp_path) == first
    assert [part.frames for part in first.parts(120)] == [225, 240, 235]


# Pixels


def test_cut_shows_the_frames_and_the_sound_of_their_times(source):
    clips = footage_of(source)
    for crop, later in (
        (CropPlace(0, 13, 0, 28, 0), 0),
        (CropPlace(1, 40, 2, 7, 0), 320),
        (CropPlace(2, 100, 2, 0, 0), -0),
    ):
        frames, wave = clips.cut(crop, 120, later)
        assert [number_in(frames[place].numpy()) for place in (0, 60, 119)] == [crop.start + n for n in (0, 60, 119)]
        click = list(CLICKS.values())[crop.sound_clip] - crop.sound / 25 - later / 16_000
        assert click_in(wave.numpy(), 16_000) == pytest.approx(click, abs=0.003)
        assert wave.shape == (120 * 640,)


def test_parts_begin_where_they_say(source):
    sample = source.samples("train")[0]
    clips = VideoFiles(source, [ClipPart(sample, 0, 90), ClipPart(sample, 50, 90)], TINY)
    frames, wave = clips.cut(CropPlace(1, 5, 1, -0, 0), 20)
    assert number_in(frames[0].numpy()) == 55
    assert click_in(wave.numpy(), 16_000) == pytest.approx(0.0, abs=0.003), "2 s are frame 50"
    assert list(clips.starts(1, 88)) == [0, 1, 2]
    assert clips.last_sound(1, 88) == 2


def test_segments_read_like_the_files(source):
    batch = footage_of(source).read([CropPlace(0, 8, 0, 8, 3)], TINY)
    assert batch["frames"].shape == (1, 14, 16, 3, 32, 32)
    whole = source.read(source.samples("train")[0], TINY)
    expected = center_crop(whole.video[8 + 5 * 8 : 8 + 5 * 8 + 16], 32)
    assert torch.equal(batch["frames"][0, 5], expected)
    assert torch.equal(batch["waves"][0, 5], whole.audio[48 * 640 : 64 * 640])


def test_changes_are_a_function_of_the_random_numbers_alone(source):
    crop = [CropPlace(0, 8, 0, 8, 3)]
    plain = footage_of(source).read(crop, TINY, rng())
    assert torch.equal(plain["frames"], footage_of(source).read(crop, TINY)["frames"]), "none"
    for kind in ("light", "published"):
        clips = footage_of(source, change=Change.named(kind, "avclip"))
        one, two, other = (clips.read(crop, TINY, rng(seed)) for seed in (0, 0, 1))
        assert all(torch.equal(one[name], two[name]) for name in one)
        assert not torch.equal(one["waves"], other["waves"])
        assert model_frames(one["frames"]).abs().max() <= 1
        assert torch.equal(clips.read(crop, TINY)["frames"], plain["frames"]), "nothing is changed in validation"


def test_jitter_moves_the_sound_within_its_bound_and_the_clip(source):
    change = Change("published", Augmentation(random_crop=False, flip=0.0, jitter=0.05))
    clips = footage_of(source, change=change)
    clicks = []
    for seed in range(8):
        wave = clips.segments([CropPlace(0, 40, 0, 40, 0)], 1, 16, rng(seed))["waves"][0, 0]
        clicks.append(click_in(wave.numpy(), 16_000) - 0.4)
        clips.segments(
            [CropPlace(0, 0, 0, 0, 0), CropPlace(0, 225 - 16, 0, 225 - 16, 0)], 1, 16, rng(seed)
        )  # at both ends
    assert max(np.abs(clicks)) <= 0.05 + 0.003
    assert np.ptp(clicks) > 0.02


def test_another_crop_takes_the_place_of_one_that_cannot_be_read(source, tmp_path):
    broken = Sample("broken", "train", "broken", tmp_path / "broken.mp4")
    broken.path.write_bytes(b"no film")
    parts = [ClipPart(broken, 0, 225), ClipPart(source.samples("train")[0], 0, 225)]
    clips = VideoFiles(FileSource("x", ()), parts, TINY, damaged=tmp_path / "damaged.jsonl")
    crops = [CropPlace(1, 3, 1, 3, 0), CropPlace(0, 3, 0, 3, 0)]
    with pytest.raises(UnreadableError) as caught:
        clips.read(crops, TINY)
    assert caught.value.place == 1
    batch = read_readable(crops, lambda _: CropPlace(1, 9, 1, 9, 0), lambda wanted: clips.read(wanted, TINY))
    assert crops[1].start == 9
    assert torch.equal(batch["frames"][1], clips.read(crops[1:], TINY)["frames"][0])
    told = [json.loads(line) for line in (tmp_path / "damaged.jsonl").read_text().splitlines()]
    assert told[0]["id"] == "broken"
    assert "not a media file" in told[0]["reason"]
    with pytest.raises(CropError, match=r"in a row cannot be read.*not a media file"):
        read_readable(
            [CropPlace(0, 3, 0, 3, 0)], lambda _: CropPlace(0, 3, 0, 3, 0), lambda wanted: clips.read(wanted, TINY)
        )


def test_sound_of_another_clip_is_found_beside_short_ones(source):
    samples = source.samples("train")
    clips = VideoFiles(
        source, [ClipPart(samples[0], 0, 60), ClipPart(samples[1], 0, 225), ClipPart(samples[2], 0, 225)], TINY
    )
    for seed in range(6):
        crop = draw_foreign(clips, TINY, rng(seed))
        assert {crop.clip, crop.sound_clip} == {1, 2}
    with pytest.raises(CropError, match="no two of 2 clips"):
        draw_foreign(VideoFiles(source, clips.parts[:2], TINY), TINY, rng())


# Features


@pytest.fixture(scope="module")
def encoders():
    torch.manual_seed(0)
    return VideoEncoder(TINY).eval(), AudioEncoder(TINY).eval()


@pytest.fixture(scope="module")
def cache(source, encoders, tmp_path_factory):
    """Two whole films and one of which half is missing, in two views."""
    folder = tmp_path_factory.mktemp("cache")
    cut = write(folder / "cut.mkv", MediaSpec(seconds=9.6, click=2.0, **FILM))
    cut.write_bytes(cut.read_bytes()[: round(0.6 * cut.stat().st_size)])
    mute = write(folder / "mute.mp4", MediaSpec(seconds=9.0, audio=None, **FILM))
    whole = [ClipPart(sample, 0, round(LENGTHS[sample.id] * 25)) for sample in source.samples("train")[:2]]
    more = [ClipPart(Sample(path.stem, "train", path.stem, path), 0, 240) for path in (mute, cut)]
    clips = VideoFiles(source, [whole[0], *more, whole[1]], TINY)
    return FeatureCache(folder / "features", clips, TINY, *encoders, workers=0, views=2, seed=7, jitter=1)


def test_cached_features_of_files_are_those_of_their_frames(cache, encoders):
    crop = CropPlace(2, 3 + 16, 2, 30, 0)  # the last film is number 3 of the list: its segments begin at frame 3
    batch = cache.read([crop], TINY)
    frames, wave = cache.clips.read_clip(3)
    with torch.inference_mode():
        expected = encoders[0](normalize_frames(center_crop(frames[19 + 8 : 19 + 24], 32))[None])
        assert torch.allclose(batch["video"][0, 1], expected[0], atol=2e-3)
        sound = wave[(30 + 8) * 640 : (30 + 24) * 640][None]
        assert torch.allclose(batch["audio"][0, 1], encoders[1](mel_spectrogram(sound, TINY))[0], atol=2e-3)
        looked = cache.preview(crop, TINY, rng())
        assert torch.equal(looked["frames"][0, 1], center_crop(frames[27:43], 32))
        assert torch.equal(looked["waves"][0, 1], sound[0])


def test_views_and_jitter_are_drawn_in_training_alone(cache):
    crop = [CropPlace(0, 8, 0, 30, 0)]
    still = cache.read(crop, TINY)
    drawn = [cache.read(crop, TINY, rng(seed)) for seed in range(12)]
    seen = {bool(torch.equal(batch["video"], still["video"])) for batch in drawn}
    assert seen == {True, False}, "the center crop, and the other view"
    neighbors = [cache.read([replace(crop[0], sound=30 + later)], TINY)["audio"] for later in (-1, 0, 1)]
    found = [[torch.equal(batch["audio"], each) for each in neighbors].index(True) for batch in drawn]
    assert set(found) == {0, 1, 2}


def test_damaged_files_are_listed_and_never_drawn(cache, source, encoders):
    assert len(cache) == 3
    assert "no sound" in cache.lost[1]
    assert cache.lost[2].startswith("damaged: ends after 5.")
    last = {clip: int(cache.starts(clip, 120).max()) for clip in range(3)}
    assert last[0] == 96, "the last of every eighth frame, whatever the phase"
    assert 0 <= last[1] < 30, "what is left of the film that is cut off"
    for seed in range(40):
        crop = draw_offset(cache, TINY, rng(seed))
        batch = cache.read([crop], TINY, rng(seed))
        assert batch["video"].shape == (1, 14, 8, 16)
        assert batch["video"].abs().sum(-1).min() > 0, "nothing that was not encoded"
        assert batch["audio"].abs().sum(-1).min() > 0
    again = FeatureCache(
        cache._lost_file.parent, cache.clips, TINY, *encoders, workers=0, views=2, seed=7, min_frames=224
    )
    assert (len(again), again.lost) == (2, cache.lost), "not encoded again; long enough for synchronizability"


def test_full_disk_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"take 20000\.0 GB.*--no-cache"):
        require_room(tmp_path, {"video": (10**10, 10, 100)})


# Pictures


def test_picture_of_what_was_fed():
    frames = torch.full((3, 16, 3, 32, 32), 51, dtype=torch.uint8)
    waves = torch.zeros(3, 10_240)
    waves[1] = 0.5 * torch.sin(torch.arange(10_240) * 2 * torch.pi * 7000 / 16_000)
    picture = input_picture(frames, waves, TINY)
    assert picture.shape == (3, 3 * WIDTH + 128, 3 * (WIDTH + GAP))
    assert (picture[:, : 3 * WIDTH, :WIDTH] - 0.2).abs().max() < 1e-6
    heard = picture[:, 3 * WIDTH :].mean(0)
    assert heard[:, 5 : WIDTH - 5].max() < 0.01, "silence is black"
    bright = heard[:, WIDTH + GAP + 56]
    assert bright.argmax() < 20, "a high tone is at the top"
    assert bright.max() > 0.6


# Commands


SIZES = ["--workers", "0", "--steps", "3", "--batch", "2", "--valid-crops", "6", "--save-every", "2"]


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(run.PRESETS, "mini", TINY)


def rows_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_folder_from_training_to_evaluation(films, tmp_path, tiny, capsys):
    """Every stage on a folder of files, features and pixels, then the exported model on its test split."""
    common = ["--out", str(tmp_path / "run"), "--data", f"folder:{films}", *SIZES]
    assert run.main(["avclip", *common, "--augment", "published", "--images-every", "1"]) == 0
    assert "folder:" in capsys.readouterr().out
    assert run.main(["sync", *common, "--augment", "published", "--views", "2"]) == 0
    assert run.main(["synchronizability", *common, "--no-cache"]) == 0
    assert 0 <= rows_of(tmp_path / "run" / "avclip")[-1]["valid/window_precision"] <= 1
    assert rows_of(tmp_path / "run" / "synchronizability")[-1]["step"] == 3
    state = load_state(tmp_path / "run" / "sync" / "state.pt")
    assert state["about"]["data"] == f"folder:{films}"
    assert not any(name.startswith("time_head") for name in state["model"]), "no truth, no time head"
    model = tmp_path / "tiny.safetensors"
    assert run.main(["export", "--out", str(tmp_path / "run"), "--to", str(model)]) == 0
    assert load_model(model, "cpu").config == TINY
    out = tmp_path / "results.json"
    assert evaluate.main([str(model), "--data", f"folder:{films}", "--workers", "0", "--out", str(out)]) == 0
    assert json.loads(out.read_text())["setting"]["clips"] == 1


def test_shards_train_like_files(films, tmp_path, tiny):
    """The same clips in the same order inside shards give the same bits."""
    for split in ("train", "valid"):
        with tarfile.open(tmp_path / f"{split}-000000.tar", "w") as shard:
            for path in sorted((films / split).glob("*.mp4")):
                shard.add(path, path.name)
    for name, data in (("files", f"folder:{films}"), ("shards", f"shards:{tmp_path}/*.tar")):
        assert run.main(["avclip", "--out", str(tmp_path / name), "--data", data, *SIZES]) == 0
    files, shards = (load_state(tmp_path / name / "avclip" / "state.pt")["model"] for name in ("files", "shards"))
    assert all(torch.equal(files[name], shards[name]) for name in files)


@pytest.mark.slow
def test_run_on_files_killed_and_resumed_ends_with_the_same_bits(films, tmp_path, tiny):
    """SIGKILL in the third step, with a process that makes batches ahead, against a run that nobody killed."""
    command = ["avclip", "--data", f"folder:{films}", *SIZES, "--augment", "published", "--loaders", "1"]
    assert run.main([*command, "--out", str(tmp_path / "whole")]) == 0
    assert run_apart(run_until, 3, [*command, "--out", str(tmp_path / "killed")]) == -signal.SIGKILL
    assert load_state(tmp_path / "killed" / "avclip" / "state.pt")["step"] == 2
    assert run.main([*command, "--out", str(tmp_path / "killed")]) == 0
    whole, resumed = (load_state(tmp_path / name / "avclip" / "state.pt") for name in ("whole", "killed"))
    assert all(torch.equal(whole["model"][name], resumed["model"][name]) for name in whole["model"])
    assert whole["figures"] == resumed["figures"]


def test_data_with_errors_stop_a_training_unless_told_otherwise(films, tmp_path, tiny, capsys):
    folder = tmp_path / "films"
    for split in ("train", "valid"):
        (folder / split).mkdir(parents=True)
        for path in (films / split).glob("*.mp4"):
            (folder / split / path.name).symlink_to(path)
    (folder / "valid" / "a.mp4").symlink_to(films / "train" / "a.mp4")  # a leak
    write(folder / "train" / "mute.mp4", MediaSpec(seconds=9.0, audio=None, **FILM))
    command = ["sync", "--out", str(tmp_path / "run"), "--data", f"folder:{folder}", *SIZES]
    assert run.main(command) == 1
    said = capsys.readouterr().err
    assert "recordings with clips in several splits" in said
    assert "mute.mp4 has no sound" in said
    assert "--unchecked" in said
    assert not (tmp_path / "run" / "sync" / "state.pt").exists()
    assert run.main([*command, "--unchecked"]) == 1, "the check is passed; stage I is missing"
    assert "run the stage avclip" in capsys.readouterr().err
    rows = list(csv.DictReader((tmp_path / "run" / "sync" / "left-out.csv").open()))
    assert [(row["id"], row["split"]) for row in rows] == [("train/mute", "train")]


@pytest.mark.parametrize(
    ("stage", "more", "said"),
    [
        ("unimodal", [], "only generated clips do"),
        ("synchronizability", ["--labels", "truth"], "only generated clips tell; use published"),
        ("sync", ["--without", "clap"], "kinds of events"),
        ("sync", ["--resident"], "keeps generated clips in memory"),
        ("sync", ["--views", "0"], "--views must be at least 1"),
    ],
)
def test_what_files_cannot_do_is_a_sentence(films, tmp_path, tiny, capsys, stage, more, said):
    sizes = [each for each in SIZES if stage != "unimodal" or each not in ("--valid-crops", "6")]
    assert run.main([stage, "--out", str(tmp_path), "--data", f"folder:{films}", *sizes, *more]) == 1
    assert said in capsys.readouterr().err


def test_folder_without_clips_to_validate_on_is_a_sentence(films, tmp_path, tiny, capsys):
    command = ["avclip", "--out", str(tmp_path), "--data", f"folder:{films / 'test'}", *SIZES]
    assert run.main(command) == 1
    assert "there is nothing to" in capsys.readouterr().err


def test_kinds_are_held_out_of_training_and_kept_in_the_state(tmp_path):
    request = StageConfig(
        "sync", tmp_path, TINY, OptimConfig(), data="synthetic:5", count=30, held_out=4, without=("clap", "snap")
    )
    data = StageData(request)
    assert "30 clips to train on, 4 to validate on" in data.check()
    for split, first, count in (("train", 5, 30), ("valid", 1_000_000, 4)):
        recipe = data.sources[0]._recipe(split)
        assert (recipe.seed, recipe.count) == (first, count)
        kinds = {event.kind for index in range(count) for event in recipe.scene(index).events}
        assert not kinds & {"clap", "snap"}
    assert request.about()["without"] == ("clap", "snap")
    plain = {event.kind for index in range(30) for event in Recipe(5, 30).scene(index).events}
    assert "clap" in plain


def test_rendered_squares_hold_the_center_crop():
    recipe = Recipe(seed=3, count=1)
    (small, sound), (whole, same) = (Renderer(recipe, TINY, full_frame=full).read_clip(0) for full in (False, True))
    assert torch.equal(sound, same)
    assert (center_crop(whole, 32).float() - small.float()).abs().mean() < 2
