"""Mixtures of generated and recorded clips: what is drawn, what is read, and that every stage trains on them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from synthetic.recipe import Recipe
from tests.support.media import MediaSpec, click_in, number_in, write
from tests.support.runs import TINY
from training import run
from training.datasets.inventory import ClipPart
from training.datasets.registry import open_source
from training.readers.feature_cache import FeatureCache
from training.readers.mixture import MixedFeatures, MixedPixels
from training.readers.rendered import RenderedClips, Renderer
from training.readers.video_files import VideoFiles
from training.sampling.crops import CropPlace, draw_foreign, draw_offset, shared_events
from training.stages.offset import event_times, known_binary_cross_entropy
from training.stages.segment_avclip import _pieces, clip_batch
from training.stages.unimodal import EventHeads

FILM = {"size": (48, 64), "video": "mpeg4", "rate": 16_000}
ROWS = {"a": ("train", "speech", "s1"), "b": ("train", "speech", "s1"), "c": ("train", "impact", "s2")}
CLICKS = {"a": 2.0, "b": 4.5, "c": 3.0, "d": 2.5}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    lines = ["file,split,kind,source"]
    for name, (split, kind, source) in {**ROWS, "d": ("valid", "impact", "s3")}.items():
        write(folder / f"{name}.mp4", MediaSpec(seconds=9.0, click=CLICKS[name], **FILM))
        lines.append(f"{name}.mp4,{split},{kind},{source}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return f"manifest:{folder / 'manifest.csv'}"


@pytest.fixture(scope="module")
def readers(table, tmp_path_factory):
    source = open_source(table)
    parts = [ClipPart(sample, 0, 225) for sample in source.samples("train")]
    made = RenderedClips(tmp_path_factory.mktemp("clips"), Recipe(3, 2), TINY, workers=0)
    return made, VideoFiles(source, parts, TINY)


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def test_shares_hold_whatever_the_numbers_of_clips(readers):
    mixed = MixedPixels(readers, (0.3, 0.7), ("kind", "source"), 0.0)
    assert len(mixed) == 5
    picked = np.bincount([mixed.pick(random) for random in [rng()] for _ in range(4000)], minlength=5) / 4000
    assert picked == pytest.approx([0.15, 0.15, 0.175, 0.175, 0.35], abs=0.03), "two kinds alike, two clips of speech"


def test_pixels_come_from_the_clip_that_is_named(readers):
    mixed = MixedPixels(readers, (0.5, 0.5))
    own = CropPlace(1, 10, 1, 15, 11)
    for got, wanted in zip(mixed.cut(own, 120), readers[0].cut(own, 120), strict=True):
        assert torch.equal(got, wanted)
    frames, wave = mixed.cut(CropPlace(3, 13, 3, 28, 0), 120)
    assert [number_in(frames[place].numpy()) for place in (0, 119)] == [13, 132]
    assert click_in(wave.numpy(), 16_000) == pytest.approx(CLICKS["b"] - 28 / 25, abs=0.003)
    batch = mixed.read([own, CropPlace(4, 0, 2, 5, 3)], TINY)
    assert batch["frames"].shape == (2, 14, 16, 3, 32, 32) and batch["waves"].shape == (2, 14, 10_240)


def test_events_are_known_of_generated_clips_alone(readers):
    mixed = MixedPixels(readers, (0.5, 0.5))
    assert mixed.scenes is None and mixed.scene(0) == readers[0].scenes[0] and mixed.scene(2) is None
    assert shared_events(mixed, TINY, CropPlace(2, 0, 2, 5, 11)) is None
    assert shared_events(mixed, TINY, CropPlace(0, 0, 2, 5, 11)) == 0
    random = rng(1)
    drawn = [draw_offset(mixed, TINY, random, True) for _ in range(60)]
    assert all(shared_events(mixed, TINY, crop) != 0 for crop in drawn)
    times = event_times(mixed, [CropPlace(0, 0, 0, 5, 11), CropPlace(2, 0, 2, 5, 11)], TINY)
    assert not times[0].isnan().any() and times[1].isnan().all()
    alone = torch.nn.functional.binary_cross_entropy_with_logits(torch.zeros(1, times.shape[1]), times[:1])
    assert known_binary_cross_entropy(torch.zeros(times.shape), times) == pytest.approx(float(alone))
    assert float(known_binary_cross_entropy(torch.zeros(1, times.shape[1]), times[1:])) == 0


def test_features_come_from_the_clip_that_is_named(readers, tmp_path):
    torch.manual_seed(0)
    heads = EventHeads(TINY)
    encoders = heads.video_encoder, heads.audio_encoder
    made = FeatureCache(tmp_path / "made", Renderer(Recipe(3, 2), TINY), TINY, *encoders, workers=0)
    real = FeatureCache(tmp_path / "real", readers[1], TINY, *encoders, workers=0, min_frames=120)
    mixed = MixedFeatures((made, real), (0.4, 0.6), ("kind",), 0.5)
    assert len(mixed) == 5 and mixed.values(4, ("kind", "source")) == ("impact", "s2")
    random = rng(2)
    crops = [draw_offset(mixed, TINY, random) for _ in range(12)]
    batch = mixed.read(crops, TINY)
    for row, crop in enumerate(crops):
        part, number = mixed.place(crop.clip)
        wanted = (made, real)[part].read([replace(crop, clip=number, sound_clip=number)], TINY)
        assert all(torch.equal(batch[name][row], wanted[name][0]) for name in ("video", "audio"))
    foreign = next(
        c for c in (draw_foreign(mixed, TINY, random) for _ in range(99)) if (c.clip < 2) != (c.sound_clip < 2)
    )
    assert mixed.read([foreign], TINY)["audio"].shape == (1, 14, TINY.audio_steps, TINY.dim)
    video, audio = mixed.features_of(1)
    assert len(video) == len(made.features_of(1)[0]) + len(real.features_of(1)[0]) and len(audio) > len(video)


@pytest.mark.parametrize("cached", [True, False])
def test_every_stage_trains_on_a_mixture(table, tmp_path, monkeypatch, cached):
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    mixture = ["--data", f"synthetic:5=0.4,{table}=0.6", "--balance", "kind", "source", "--count", "3"]
    sizes = ["--out", str(tmp_path), "--held-out", "2", "--steps", "2", "--batch", "2", "--workers", "0"]
    pixels = [] if cached else ["--no-cache"]
    crops = [*sizes, "--valid-crops", "4"]
    assert run.main(["avclip", *mixture, *sizes, "--valid-crops", "2"]) == 0
    assert run.main(["sync", *mixture, *crops, *pixels]) == 0
    assert run.main(["synchronizability", *mixture, *crops, *pixels]) == 0
    rows = [json.loads(line) for line in (tmp_path / "sync" / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(value) for row in rows for value in row.values())
    kept = sorted(path.name for path in (tmp_path / ("features" if cached else "clips")).iterdir())
    assert "synthetic-5" in kept


def test_a_column_that_is_not_there_is_a_sentence(table, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    command = ["avclip", "--out", str(tmp_path), "--data", table, "--balance", "mood", "--workers", "0", "--steps", "1"]
    assert run.main(command) == 1
    assert "--balance mood: no clip of" in capsys.readouterr().err


def test_stage_one_fills_rows_with_short_clips(table):
    source = open_source(table)
    samples = source.samples("train")
    lengths = (40, 225, 50)  # 2, 14 and 3 segments
    clips = VideoFiles(source, [ClipPart(s, 0, n) for s, n in zip(samples, lengths, strict=True)], TINY)
    random, seen = rng(7), set()
    for _ in range(12):
        pieces = _pieces(clips, random, 14)
        assert sum(count for _, count in pieces) == 14
        seen.add(len(pieces))
        for crop, count in pieces:
            assert crop.start == crop.sound and crop.start + 16 * count <= lengths[crop.clip]
    assert 1 in seen and max(seen) > 2
    batch = clip_batch(clips, rng(1), 3)
    assert batch["frames"].shape == (3, 14, 16, 3, 32, 32) and batch["waves"].shape == (3, 14, 10_240)
    short = VideoFiles(source, [ClipPart(samples[0], 0, 40)], TINY)
    wanted = [short.segments([crop], count, 16)["frames"][0] for crop, count in _pieces(short, rng(2), 14)]
    assert [len(piece) for piece in wanted] == [2] * 7
    assert torch.equal(clip_batch(short, rng(2), 1)["frames"][0], torch.cat(wanted))
