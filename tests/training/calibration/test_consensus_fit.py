"""When an offset may be stated: thresholds by hand, sources that count alike, and one run of the whole command."""

import csv
import json

import numpy as np
import pytest

from synchformer.consensus import constants
from synchformer.consensus.constants import statement_from
from tests.support.flash_click import write_flash_click
from tests.support.page import TINY, FlashAndClick
from tests.support.predictions import window
from training.calibration import consensus
from training.calibration.planted import planted_clips
from training.calibration.risk_coverage import risk_coverage
from training.calibration.shifted_trials import Item, ShiftedTrial, read_manifest
from training.calibration.statement import threshold_of, weights_of

GRID = TINY.grid


def trial(name, source, kind="speech", follows=True):
    """A clip in sync whose answers follow the sound, or are 0 and 2 s in turn."""
    shifts = np.arange(-30, 31) * 0.08
    answers = np.clip(shifts, -2, 2) if follows else np.arange(len(shifts)) % 2 * 2.0
    return ShiftedTrial(Item(name, "train", kind, source), (window(shifts, answers),), 0.9)


def test_planted_offsets_are_found_where_answers_follow():
    clips = planted_clips([trial("a", "x")], GRID)
    assert len(clips) == 8
    assert len({clip.truth for clip in clips}) > 4
    assert all(clip.right for clip in clips)
    assert not all(clip.permuted for clip in clips)
    assert planted_clips([trial("a", "x")], GRID, in_sync=True)[0].evidence.offset == 0.0
    assert [clip.truth for clip in clips] == [clip.truth for clip in planted_clips([trial("a", "x")], GRID)]


def test_sources_count_alike():
    clips = planted_clips([trial(name, "x") for name in "abc"] + [trial("d", "y")], GRID)
    weights = weights_of(clips)
    assert weights.sum() == pytest.approx(4)
    of_x = sum(weight for weight, clip in zip(weights, clips, strict=True) if clip.item.source == "x")
    assert of_x == pytest.approx(2)
    mixed = planted_clips([trial("a", "x"), trial("b", "s1", "generated"), trial("c", "s2", "generated")], GRID)
    recorded = sum(weight for weight, clip in zip(weights_of(mixed), mixed, strict=True) if clip.item.kind == "speech")
    assert recorded == pytest.approx(1.5)


def test_thresholds_by_hand():
    said = np.array([0.99, 0.97, 0.95, 0.93, 0.91, 0.89, 0.87, 0.85])
    ones = np.ones(8)
    right = np.array([1, 1, 1, 1, 1, 0, 0, 1], dtype=bool)
    assert threshold_of(said, right, ones) == 0.89  # 5 of 6 are right; 5 of 7 are not enough
    assert threshold_of(said, np.zeros(8, bool), ones) == 0.93  # fewer than four would be stated
    assert threshold_of(said - 0.5, ~np.zeros(8, bool), ones) == 0.8  # never below what is promised
    coverage, risk = risk_coverage(said, right, ones)
    assert coverage == pytest.approx(np.arange(1, 9) / 8)
    assert risk[[4, 5, 7]] == pytest.approx([0, 1 / 6, 2 / 8])


def test_a_manifest_gives_few_clips_of_every_source(tmp_path):
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "split", "kind", "source"])
        writer.writerows([[f"{index}.mp4", "train", "speech", "abc"[index % 3]] for index in range(12)])
    assert len(read_manifest(tmp_path, 2)) == 6
    with pytest.raises(ValueError, match=r"no manifest\.csv"):
        read_manifest(tmp_path / "none", 2)


def test_the_command_fits_writes_and_goes_on(tmp_path, monkeypatch, capsys):
    """Clips that the model understands, and clips with a click and a flash that have nothing to do with each other."""
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "split", "kind", "source"])
        for index in range(4):
            name = f"{index}.mp4"
            write_flash_click(tmp_path / name, seconds=8, event=4.0, noise=0.01)
            writer.writerow([name, ("train", "valid")[index % 2], "impact", f"source {index}"])
    monkeypatch.setattr(consensus, "load_model", lambda name, device: MODELS[name])
    monkeypatch.setattr(consensus, "generated", lambda seeds: [])
    monkeypatch.setattr(consensus, "collect_shifted", mixed(consensus.collect_shifted))
    command = [str(tmp_path / "run"), "--footage", str(tmp_path), "--to", str(tmp_path / "consensus.json"),
               "--picture", str(tmp_path / "risk.png"), "--count", "0",
               "--model", "known", "--synchronizability", "other"]  # fmt: skip
    assert consensus.main(command) == 0
    out = capsys.readouterr().out
    assert "| train, up to three starts | 4 |" in out
    assert "| valid, up to three starts | 2 |" in out
    kept = json.loads((tmp_path / "consensus.json").read_text())
    statement = statement_from(kept[constants.fingerprint(MODELS["known"])]["statement"])
    assert statement.measured.startswith("4 recorded clips of 4 sources")
    assert (tmp_path / "risk.png").stat().st_size > 1000
    MODELS["known"].encode_video = None  # nothing is measured twice
    assert consensus.main(command) == 0


def mixed(collect):
    """Two clips more that no answer follows."""
    return lambda model, items, folder, other: [
        *collect(model, items, folder, other),
        *(trial(f"odd {index}", f"odd {index}", "impact", follows=False) for index in range(2)),
    ]


class Matched(FlashAndClick):
    """Finds that everything belongs together, more or less by how loud it is."""

    def __init__(self):
        super().__init__(TINY.with_head("synchronizability"))
        self.weight.data += 1  # other weights

    def synchronize(self, video, audio):
        level = audio.flatten(1).mean(1, keepdim=True)
        return level * level.new_tensor([[0.0, 1.0]])


MODELS = {"known": FlashAndClick(), "other": Matched()}
