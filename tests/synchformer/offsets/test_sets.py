"""Folders of clips: DeSync against its definition worked out apart, tables that go on, nothing left unnamed."""

import csv
import json

import numpy as np
import pyarrow.parquet
import pytest
import torch

from synchformer import cli
from synchformer.checkpoints import registry
from synchformer.consensus.batch import calibrated, with_prior
from synchformer.inference.prediction import predict
from synchformer.media.crop import center_crop, load_clip
from synchformer.media.decode import read_media
from synchformer.media.preprocess import mel_spectrogram, normalize_frames
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets import desync, pair_by_name, read_pairs
from synchformer.stats.bootstrap import mean_of, sign_flip_p
from synchformer.storage.results_table import Table
from synthetic import write_film
from tests.support.flash_click import write_flash_click
from tests.support.page import TINY


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Synchformer(TINY).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two clips of 9 s, one that is too short, one that is no video, and a note."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(2):
        write_film(folder / f"{number}.mp4", 9, lambda _: 0.0, seed=3_950_000 + number)
    write_flash_click(folder / "short.mp4", seconds=3, event=1)
    (folder / "text.mp4").write_text("no video")
    (folder / "notes.txt").write_text("a note")
    return folder


@pytest.fixture
def shell(model, monkeypatch):
    monkeypatch.setattr(registry, "load_model", lambda name, device="auto": model)
    return cli.main


def by_definition(model, path):
    """av-benchmark's score of a clip, from its definition: segments in plain loops."""
    media = read_media(path, 0.0, 8.0, short_side=TINY.image_size)
    video, audio = normalize_frames(center_crop(media.video, TINY.image_size)), media.audio
    pictures = torch.stack([video[k * 8 : k * 8 + 16] for k in range(24)])[None]
    sounds = torch.stack([audio[k * 5120 : k * 5120 + 10_240] for k in range(24)])
    mel = mel_spectrogram(sounds, TINY)[None]
    with torch.inference_mode():
        answers = [model(pictures[:, part], mel[:, part]).argmax().item() for part in (slice(0, 14), slice(10, 24))]
    return [abs(TINY.grid[best]) for best in answers]


def test_avbench_by_its_definition(model, folder):
    report = desync(model, pair_by_name(folder), "avbench", model_name="tiny")
    values = {clip.pairing.name: list(clip.values) for clip in report.clips}
    expected = [by_definition(model, folder / f"{number}.mp4") for number in range(2)]
    assert [values["0"], values["1"]] == expected
    assert report.systems[0].mean.value == pytest.approx(np.mean(expected))
    assert report.systems[0].counts == {"ok": 2, "unpaired": 0, "unreadable": 1, "too short": 1}


def test_synchformers_own_mode_is_a_prediction(model, folder):
    report = desync(model, pair_by_name(folder), "synchformer", model_name="tiny")
    found = {clip.pairing.name: clip.desync for clip in report.clips}
    for number in range(2):
        alone = predict(model, load_clip(folder / f"{number}.mp4", config=TINY))
        assert found[str(number)] == abs(alone.offset)


def test_two_systems_and_everything_named(shell, folder, tmp_path, capsys):
    for system in ("mine", "theirs"):
        (tmp_path / system).mkdir()
        write_flash_click(tmp_path / system / "0.mp4", seconds=9, event=4)
    write_flash_click(tmp_path / "mine" / "1.mp4", seconds=9, event=6)
    write_flash_click(tmp_path / "theirs" / "extra.mp4", seconds=9, event=6)
    command = ["desync", str(folder), "--audio", str(tmp_path / "mine"), "--audio", str(tmp_path / "theirs")]
    out = tmp_path / "rows.csv"
    assert shell([*command, "--out", str(out), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    statuses = {(clip["system"], clip["clip"]): clip["status"] for clip in report["clips"]}
    assert statuses[("mine", "0")] == statuses[("theirs", "0")] == "ok"
    assert statuses[("theirs", "1")] == statuses[("theirs", "extra")] == statuses[("mine", "text")] == "unpaired"
    assert report["comparison"]["difference"]["count"] == 1
    again = shell([*command, "--out", str(out)])
    assert again == 1
    assert "extra: unpaired; no picture of this name" in capsys.readouterr().out
    assert len(list(csv.DictReader(out.open()))) == len(statuses)
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"video,mine\n0.mp4,{tmp_path / 'mine' / '0.mp4'}\n1.mp4,\n")
    assert shell(["desync", str(folder), "--pairs", str(pairs)]) == 1
    assert "(1 ok, 1 unpaired)" in capsys.readouterr().out
    with pytest.raises(ValueError, match="needed are video and one for each system"):
        pairs.write_text("a,b\n")
        read_pairs(pairs, folder)


def test_resampling_by_hand():
    # Of the 8 ways to flip the signs of 1, 2, 3, two give a mean as far from 0 as 2.
    assert sign_flip_p(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / 8)
    assert sign_flip_p(np.zeros(4)) == 1.0
    rng = np.random.default_rng(1)
    found = mean_of(rng.normal(0.5, 0.1, 100))
    assert found.interval == pytest.approx((found.value - 0.0196, found.value + 0.0196), abs=0.004)


def test_a_folder_becomes_a_table_that_goes_on(shell, folder, tmp_path, capsys):
    out = tmp_path / "table.csv"
    command = ["predict", str(folder), "--recursive", "--out", str(out), "--workers", "2"]
    assert shell(command) == 1
    assert "2 measured, 2 failed, 0 from before; 1 other files" in capsys.readouterr().out
    rows = list(csv.DictReader(out.open()))
    assert [row["status"] for row in rows] == ["ok", "ok", "failed", "failed"]
    assert "is not a media file" in rows[3]["note"]
    assert all(0 <= float(row["in_sync"]) <= 1 for row in rows if row["status"] == "ok")
    torn = out.read_text().rstrip("\n")[:-5]
    out.write_text(torn)
    assert shell(command) == 1
    assert "3 from before" in capsys.readouterr().out
    assert len(list(csv.DictReader(out.open()))) == len(rows)
    assert shell([*command[:-2], "--prior", "0.9"]) == 2
    assert "choose another name" in capsys.readouterr().err


def test_parquet(tmp_path):
    with Table(tmp_path / "a.parquet", ("file", "offset"), {"model": "tiny"}) as table:
        table.add({"file": "a", "offset": 0.25})
        table.add({"file": "b"})
    found = pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pydict()
    assert found == {"file": ["a", "b"], "offset": [0.25, None], "model": ["tiny", "tiny"]}
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]
    with pytest.raises(ValueError, match=r"a table ends in \.csv or \.parquet"):
        Table(tmp_path / "a.xlsx", ("file",), {})


def test_probabilities_by_hand():
    assert calibrated(np.array([[0.8, 0.2]]), 2.0)[0] == pytest.approx([2 / 3, 1 / 3])
    assert with_prior(np.array([0.5, 0.3, 0.2]), 0, 0.5) == pytest.approx([2 / 3, 0.2, 2 / 15])
