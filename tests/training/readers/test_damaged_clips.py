"""Clips that turn out to be damaged in a training: another is drawn, they are named once, and too many end the run."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from synchformer.media.decode import OpenMedia
from synchformer.media.probe import MediaError
from tests.support.media import MediaSpec, write
from tests.support.runs import TINY
from training import run
from training.datasets.inventory import ClipPart
from training.datasets.registry import open_source
from training.readers.damaged_clips import DamagedClips, TooManyDamagedError
from training.readers.video_files import VideoFiles
from training.sampling.crops import draw_offset
from training.stages.offset import read_drawn

FILM = {"size": (48, 64), "video": "mpeg4", "rate": 16_000}
STEPS = ["--workers", "0", "--steps", "3", "--batch", "2", "--valid-crops", "6", "--save-every", "2"]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write(tmp_path_factory.mktemp("film") / "film.mp4", MediaSpec(seconds=9.4, click=4.0, **FILM))


@pytest.fixture
def damage(monkeypatch):
    """Clips are damaged by their names: what is decoded of them holds NaN, or nothing can be."""
    read = OpenMedia.read_for_model

    def reading(self, *arguments, **named):
        media = read(self, *arguments, **named)
        if "broken" in self.path.stem:
            raise MediaError(f"{self.path.name} is damaged: nothing can be decoded")
        if "nan" in self.path.stem:
            return replace(media, audio=torch.full_like(media.audio, math.nan))
        return media

    monkeypatch.setattr(OpenMedia, "read_for_model", reading)


def folder_of(film, root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(film, root / f"{name}.mp4")
    return root


def test_processes_name_a_clip_once_and_count_together(tmp_path, capsys):
    ids = [f"clip{number}" for number in range(30)]
    first, second = (DamagedClips(ids, tmp_path / "damaged.jsonl") for _ in range(2))
    for clips in (first, second, first):
        clips.add("clip1", "no sound")
    second.add("clip2", "no picture")
    first.add("of another split", "no picture")
    second.add("clip3", "no picture")
    assert capsys.readouterr().out.count("another clip is taken instead of clip1: no sound") == 1
    with pytest.raises(
        TooManyDamagedError, match=r"4 of 30 clips cannot be read, more than 10 %: clip1, clip2, clip3, "
    ):
        first.add("clip4", "no picture")
    listed = [json.loads(line)["id"] for line in (tmp_path / "damaged.jsonl").read_text().splitlines()]
    assert listed == ["clip1", "clip2", "of another split", "clip3", "clip4"]


def test_a_few_clips_never_end_a_small_run():
    clips = DamagedClips(["a", "b", "c", "d"])
    clips.add("a", "no sound")
    clips.add("b", "no sound")
    with pytest.raises(TooManyDamagedError, match=r"3 of 4 clips cannot be read, more than 10 %: a, b, c; repair"):
        clips.add("c", "no sound")


@pytest.mark.parametrize("bad", ["nan", pytest.param("broken", marks=pytest.mark.slow)])
def test_another_draw_takes_its_place_every_time_the_same(film, tmp_path, damage, bad):
    root = folder_of(film, tmp_path / "films", "train/a", f"train/{bad}", "train/c")
    source = open_source(f"folder:{root}")
    parts = [ClipPart(sample, 0, 235) for sample in source.samples("train")]
    batches = []
    for number in range(2):
        clips = VideoFiles(source, parts, TINY, damaged=tmp_path / f"damaged{number}.jsonl")
        rng = np.random.default_rng(0)
        crops, batch = read_drawn(clips, lambda: draw_offset(clips, TINY, rng), 8, TINY)  # noqa: B023
        assert {clips.parts[crop.clip].sample.id for crop in crops} == {"train/a", "train/c"}
        assert torch.isfinite(batch["waves"]).all()
        batches.append((crops, batch))
    assert batches[0][0] == batches[1][0]
    assert torch.equal(batches[0][1]["waves"], batches[1][1]["waves"])


@pytest.mark.parametrize(("bad", "loaders"), [("nan", 0), pytest.param("broken", 1, marks=pytest.mark.slow)])
def test_a_run_goes_on_without_a_damaged_clip(film, tmp_path, damage, monkeypatch, bad, loaders):
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    root = folder_of(film, tmp_path / "films", "train/a", f"train/{bad}", "train/c", f"valid/{bad}2", "valid/e")
    out = tmp_path / "run"
    options = ["--out", str(out), "--data", f"folder:{root}", *STEPS, "--loaders", str(loaders)]
    assert run.main(["avclip", *options]) == 0
    rows = [json.loads(line) for line in (out / "avclip" / "log.jsonl").read_text().splitlines()]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    listed = [json.loads(line)["id"] for line in (out / "avclip" / "damaged.jsonl").read_text().splitlines()]
    assert len(listed) == len(set(listed))
    assert set(listed) <= {f"train/{bad}", f"valid/{bad}2"}


@pytest.mark.parametrize("loaders", [0, 1])
def test_a_run_ends_with_a_sentence_where_many_are(film, tmp_path, damage, monkeypatch, capfd, loaders):
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    names = ["train/a", "train/nan1", "train/broken2", "train/nan3", "train/broken4", "valid/e"]
    root, out = folder_of(film, tmp_path / "films", *names), tmp_path / "run"
    options = ["--out", str(out), "--data", f"folder:{root}", *STEPS, "--loaders", str(loaders)]
    assert run.main(["avclip", *options]) == 1
    error = capfd.readouterr().err.strip().splitlines()[-1]
    assert "3 of 5 clips cannot be read, more than 10 %: train/" in error
    assert "damaged.jsonl" in error
    assert "Traceback" not in error


def test_features_of_many_damaged_clips_end_the_run_too(film, tmp_path, damage, monkeypatch, capfd):
    monkeypatch.setitem(run.PRESETS, "mini", TINY)
    names = ["train/a", "train/nan1", "train/broken2", "train/nan3", "valid/e", "valid/f"]
    root = folder_of(film, tmp_path / "films", *names)
    common = ["--out", str(tmp_path / "run"), *STEPS]
    good = folder_of(film, tmp_path / "good", "train/a", "train/b", "valid/e")
    assert run.main(["avclip", *common, "--data", f"folder:{good}"]) == 0
    assert run.main(["sync", *common, "--data", f"folder:{root}"]) == 1
    assert "3 of 4 clips cannot be read, more than 10 %: clip" in capfd.readouterr().err
