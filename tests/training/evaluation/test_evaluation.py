"""Evaluation: protocols and figures against hand-made trials, and whole runs of the commands on small models."""

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from synchformer.checkpoints.registry import save_model
from synchformer.config import MINI
from synchformer.media.probe import MediaError, MediaInfo, Span
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from synchformer.modeling.synchformer import Synchformer
from synchformer.stats.intervals import wilson_of
from tests.support.media import MediaSpec, write
from tests.support.paths import ROOT
from training import card, evaluate
from training.datasets.source import FileSource, LeftOut, Place, Sample
from training.evaluation import segments, synchronizability
from training.evaluation.metrics import chance_at, permuted
from training.evaluation.plots import report_figure
from training.evaluation.protocols import LONGEST, PROTOCOLS, generator, random_place, repeated, usual_protocol
from training.evaluation.report import Report, Setting, count_row, interval, read_report
from training.evaluation.synchronizability import SyncReport, SyncTrial, draw_crops
from training.evaluation.trials import Trial, crops_of, read_places, source_trials

TINY = replace(
    MINI, name="tiny", dim=32, heads=2, video_depth=1, audio_depth=1, sync_dim=32, sync_heads=2,
    image_size=32, short_side=36,
)  # fmt: skip
SETTING = Setting("mini", "clips", "once", 1, 3, 0, 21, 0.2)


def info_of(seconds=10.0):
    span = Span(0.0, seconds, "x")
    return MediaInfo(Path("clip"), "x", span, span, 25.0, 64, 64, 16_000, 1)


def trial(target, predicted, clip="a", **more):
    return Trial(0, 0.0, target, predicted, more.pop("confidence", 0.9), more.pop("shared", None), clip, **more)


# Protocols


@pytest.mark.parametrize("seconds", [8.3, 10.0, 60.0])
def test_random_places_fit_and_cover_the_grid(seconds):
    offsets, starts = set(), []
    for number in range(600):
        place = random_place(info_of(seconds), MINI, generator("clip", number, 0))
        assert 0 <= place.start <= 5 + 1e-9
        assert 0 <= place.start + place.offset <= min(seconds, LONGEST) - 5 + 1e-9
        assert place.start * 25 == pytest.approx(round(place.start * 25), abs=1e-6), "on a frame"
        offsets.add(place.offset)
        starts.append(place.start)
    assert offsets == set(MINI.grid)
    assert len(set(starts)) > 60


def test_rounds_differ_and_can_be_repeated():
    sample = Sample("a", "test", "a")
    places = PROTOCOLS["x25"].places(sample, info_of(), MINI)
    assert len(set(places)) > 20
    assert places == PROTOCOLS["x25"].places(sample, info_of(), MINI)
    assert places[:2] == PROTOCOLS["x2"].places(sample, info_of(), MINI)
    assert places != PROTOCOLS["x25"].places(sample, info_of(), MINI, seed=1)


def test_published_protocols():
    assert usual_protocol("vggsound-sparse:/x").rounds == 25
    assert usual_protocol("lrs3:/x").rounds == 2
    assert usual_protocol("vggsound-sparse-clean:/x").fixed
    assert usual_protocol("folder:/x").name == "once"
    assert repeated(7).name == "x7"
    place = Place(1.0, 0.4)
    assert PROTOCOLS["fixed"].places(Sample("a", "test", "a", fixed=place), info_of(), MINI) == [place]
    with pytest.raises(MediaError, match="no fixed start"):
        PROTOCOLS["fixed"].places(Sample("a", "test", "a"), info_of(), MINI)
    with pytest.raises(MediaError, match="too short"):
        PROTOCOLS["x25"].places(Sample("a", "test", "a"), info_of(5.1), MINI)


def test_synchronizability_moves_half_of_the_crops_by_their_length():
    sync = MINI.with_head("synchronizability")
    draw = partial(draw_crops, 400, 0, 5.0)
    places = draw(Sample("a", "test", "a"), info_of(), sync)
    far = [place for place in places if abs(place.offset) > 2]
    assert len(far) / 400 == pytest.approx(0.5, abs=0.08)
    assert {round(place.offset, 2) for place in far} == {-4.48, 4.48}
    assert all(min(p.start, p.start + p.offset) >= 0 and max(p.start, p.start + p.offset) <= 5.0001 for p in places)


# Figures


def test_counts_and_intervals_by_hand():
    row = count_row("all", [trial(10, 10, "a"), trial(10, 11, "b"), trial(10, 3, "c"), trial(0, 20, "d")])
    assert (row.acc1, row.acc1_tol1, row.count) == (0.25, 0.5, 4)
    trials = [trial(10, 10 if number < 60 else 0, str(number)) for number in range(100)]
    low, high = interval(trials, 0)
    assert (low, high) == pytest.approx((0.6 - 1.96 * 0.049, 0.6 + 1.96 * 0.049), abs=0.015), "normal approximation"


def test_crops_of_one_clip_are_not_independent():
    once = [trial(10, 10 if number % 2 else 0, str(number)) for number in range(40)]
    again = [replace(item, round=number) for item in once for number in range(25)]
    assert interval(again, 0) == pytest.approx(interval(once, 0), abs=0.02)
    spread_out = [replace(item, id=f"{item.id}-{item.round}") for item in again]
    assert np.ptp(interval(spread_out, 0)) < 0.3 * np.ptp(interval(again, 0))


def test_a_bootstrap_of_equal_answers_claims_nothing():
    assert interval([trial(1, 1, str(number)) for number in range(3)], 0) == pytest.approx((0.44, 1.0), abs=0.01)


def test_report_tables():
    trials = (
        trial(10, 10, "a", labels=("clap",), shared=1),
        trial(12, 11, "b", labels=("clap", "drop"), shared=0),
        trial(12, 20, "c", shared=2),
    )
    report = Report(SETTING, trials, (LeftOut("d", "test", "too short"),))
    assert [(row.clips, row.count, row.acc1) for row in report.by_offset] == [("+0.0 s", 1, 1.0), ("+0.4 s", 2, 0.0)]
    assert [(row.clips, row.count) for row in report.by_label] == [("clap", 2), ("drop", 1)]
    assert [row.clips for row in report.summary][1:3] == ["at least one event in both crops", "all clips"]
    assert report.confusion[12, [11, 20]].tolist() == [1, 1]
    assert report.confusion.sum() == 3
    assert report.mean_error == pytest.approx(0.2 * 9 / 3)
    assert report.calibration_error == pytest.approx(0.9 - 1 / 3)
    assert report.as_dict()["left_out"] == {"too short": 1}


def test_synchronizability_figures_by_hand():
    trials = tuple(
        SyncTrial(str(number), 0, 0.0, 0.0 if can else 4.48, can, sure, shared, 10, 10)
        for number, (can, sure, shared) in enumerate(
            [(True, 0.95, 1), (True, 0.3, 0), (False, 0.6, 0), (False, 0.1, 0), (True, 0.8, 1)]
        )
    )
    report = SyncReport("x", trials)
    assert report.area()[0] == pytest.approx(5 / 6), "one of six pairs is in the wrong order"
    assert report.area(report.answerable)[0] == 1.0
    row = count_row("", report.passed(0.5))
    assert (row.count, row.acc1, row.acc1_tol1) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3))


# Whole runs


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    sync = TINY.with_head("synchronizability")
    return {
        "offset": save_model(Synchformer(TINY), folder / "tiny.safetensors"),
        "sync": save_model(Synchformer(sync), folder / "sync.safetensors"),
        "avclip": save_model(SegmentAVCLIP(TINY), folder / "avclip.safetensors"),
    }


def test_trials_name_what_they_leave_out(tmp_path):
    small = {"size": (36, 40), "video": "mpeg4", "color": (9, 9, 9), "click": 0.5}
    paths = {
        name: write(tmp_path / f"{name}.mp4", MediaSpec(seconds=s, **small)) for name, s in (("a", 9.0), ("b", 3.0))
    }
    samples = [Sample(name, "test", name, path) for name, path in paths.items()]
    source = FileSource("folder:x", tuple(samples))
    left_out: list[LeftOut] = []
    found = list(source_trials(Synchformer(TINY).eval(), source, samples, repeated(3), left_out))
    assert [(item.id, item.round) for item in found] == [("a", 0), ("a", 1), ("a", 2)]
    assert [item.id for item in left_out] == ["b"]
    assert "too short" in left_out[0].reason
    (_, clips), = crops_of(source, samples[:1], lambda *_: [Place(1.0, 0.4)], TINY, left_out)  # fmt: skip
    assert [(clip.video_start, clip.audio_start) for clip in clips] == [(1.0, 1.4)]


def test_a_clip_is_opened_once_for_all_of_its_crops(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", MediaSpec(seconds=10.0, size=(36, 40), click=0.5))
    sample, names, whole = Sample("a", "test", "a", path), [], av.open
    source = FileSource("folder:x", (sample,))

    def counted(file, **options):
        names.append(file.removeprefix("file:"))
        return whole(file, **options)

    monkeypatch.setattr(av, "open", counted)
    places = [Place(1.0, 0.4), Place(3.0, -0.4), Place(4.0, 0.0)]
    reading = read_places(source, lambda *_: places, TINY, sample)
    assert [part[1] for part in reading.parts] == [tuple(places)]
    assert names == [str(path)]
    assert len(segments.read_middle(source, TINY, sample).video) == 14 * 16
    assert names == [str(path)] * 2
    monkeypatch.setattr("training.evaluation.trials.TOGETHER", 0.0)  # each is then a reading of its own
    apart = read_places(source, lambda *_: places, TINY, sample)
    assert names == [str(path)] * 5
    for (media, (place,)), begin in zip(apart.parts, (0.96, 2.56, 3.96), strict=True):
        assert (media.start, place.start - media.start) == pytest.approx((begin, place.start - begin))


def test_generated_clips_go_through_files(models, tmp_path, capsys):
    out = tmp_path / "found" / "tiny.json"
    assert evaluate.main([str(models["offset"]), "--count", "1", "--workers", "0", "--out", str(out)]) == 0
    report = read_report(out)
    assert "1 clips" in report["said"] and "through MP4 files" in report["said"]
    assert [item["seed"] for item in report["trials"]] == [2_000_000]
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "tiny-labels.csv", "tiny-offsets.csv", "tiny-summary.csv", "tiny-trials.csv", "tiny.json", "tiny.png",
    ]  # fmt: skip
    with (out.parent / "tiny-trials.csv").open() as file:
        assert [int(row["target"]) for row in csv.DictReader(file)] == [item["target"] for item in report["trials"]]
    assert "1 clips, seed 0; 0 left out" in capsys.readouterr().out


def test_card_keeps_its_prose(models, tmp_path):
    trials = (trial(10, 10, labels=("clap",)), trial(10, 12, "b"))
    report = tmp_path / "report.json"
    Report(SETTING, trials, (LeftOut("d", "test", "too short"),)).write(report)
    out = tmp_path / "card.md"
    assert card.main([str(models["offset"]), str(report), "--out", str(out)]) == 0
    parameters = sum(p.numel() for p in Synchformer(TINY).parameters()) / 1e6
    text = out.read_text()
    assert f"{parameters:.2f} million" in text
    assert "| all clips | 2 | 50.0 %" in text
    assert "Left out: 1 (too short)." in text
    out.write_text(text.replace("The commands, the data", "My own words"))
    card.main([str(models["offset"]), str(report), "--out", str(out)])
    assert out.read_text() == text.replace("The commands, the data", "My own words")
    out.write_text("# no places")
    with pytest.raises(SystemExit):
        card.main([str(models["offset"]), str(report), "--out", str(out)])


@pytest.mark.parametrize("name", ["mini", "small"])
def test_the_embedded_models_card_has_its_places(name):
    text = (ROOT / "assets" / f"{name}.md").read_text()
    assert card.fill(text, {"sizes": "S", "measured": "M"}).count("<!-- end -->") == 2


def test_figure_four_from_the_command(models, tmp_path):
    out = tmp_path / "four.json"
    arguments = [str(models["sync"]), "--offset-model", str(models["offset"]), "--count", "6", "--workers", "0"]
    assert synchronizability.main([*arguments, "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    assert len(report["trials"]) == 6
    assert {abs(item["offset"]) <= 2 for item in report["trials"]} == {True, False}
    assert all((abs(item["offset"]) <= 2) == item["synchronizable"] for item in report["trials"])
    assert out.with_suffix(".png").stat().st_size > 20_000
    with pytest.raises(SystemExit):
        synchronizability.main([str(models["offset"])])


def test_segments_from_the_command(models, tmp_path, capsys):
    out = tmp_path / "segments.json"
    assert segments.main([str(models["avclip"]), "--count", "2", "--workers", "0", "--out", str(out)]) == 0
    report = read_report(out)
    values = [item["precision"] for item in report["clips"]]
    assert report["precision"] == pytest.approx(np.mean(values))
    assert all(value * 14 == pytest.approx(round(value * 14)) for value in values), "7 windows, two directions"
    assert "| chance | 14.3 % |" in capsys.readouterr().out


def test_picture_of_few_trials():
    assert report_figure(Report(SETTING, (trial(3, 3), trial(4, 4, "b")))).axes


def test_wrong_usage_is_a_sentence(capsys, tmp_path):
    for arguments, said in [
        (["--events", "x"], "--events must be a range"),
        (["--rounds", "-1"], "--rounds must be at least 1"),
        (["--data", "vggsound:/nowhere"], "--annotations DIR"),
        (["--seed", "5"], "test clips have seeds from 2000000"),
    ]:
        with pytest.raises(SystemExit):
            evaluate.main(["mini", *arguments])
        assert said in capsys.readouterr().err
    with pytest.raises(ValueError, match="write it with training"):
        read_report(tmp_path / "none.json")


# Divided by columns of a table


def test_every_offset_that_fits_is_cropped():
    places = PROTOCOLS["every"].places(Sample("a", "test", "a"), info_of(10.0), MINI)
    assert [place.offset for place in places] == list(MINI.grid)
    assert all(place.start >= 0 and place.start + max(0, place.offset) <= 5 for place in places)
    short = PROTOCOLS["every3"].places(Sample("a", "test", "a"), info_of(5.4), MINI)
    assert sorted({place.offset for place in short}) == [-0.4, -0.2, 0.0, 0.2, 0.4]
    assert len({place.start for place in short if place.offset == 0}) == 3
    with pytest.raises(MediaError, match="too short"):
        PROTOCOLS["every"].places(Sample("a", "test", "a"), info_of(4.0), MINI)


def test_chance_and_permuted_answers_by_counting():
    targets, answers = [0, 5, 10, 10, 20], [10, 10, 11, 3, 20]
    within = [2, 3, 3, 3, 2]
    assert chance_at(targets, 21) == pytest.approx({"acc1": 1 / 21, "acc1_tol1": sum(within) / 5 / 21})
    pairs = [abs(answer - target) for answer in answers for target in targets]
    wanted = {"acc1": pairs.count(0) / 25, "acc1_tol1": (pairs.count(0) + pairs.count(1)) / 25}
    assert permuted(answers, targets, 21) == pytest.approx(wanted)


def test_figures_by_column_and_intervals_by_cluster():
    rows = [("speech", "s1", 10), ("speech", "s1", 11), ("speech", "s2", 3), ("impact", "s3", 10), ("impact", "s3", 4)]
    trials = [
        trial(10, guess, clip=str(n), confidence=0.9 - n / 10, values=(kind, source), cluster=source)
        for n, (kind, source, guess) in enumerate(rows)
    ]
    report = Report(replace(SETTING, by=("kind", "source"), cluster="source"), tuple(trials))
    figures = {row.clips: (row.count, row.acc1, row.acc1_tol1) for row in report.by_column}
    assert figures["kind: speech"] == pytest.approx((3, 1 / 3, 2 / 3))
    assert figures["source: s3"] == pytest.approx((2, 1 / 2, 1 / 2))
    assert figures["surest fifth"] == (1, 1.0, 1.0)
    assert figures["answers permuted"][1] == pytest.approx(2 / 5)
    one_source = next(row for row in report.by_column if row.clips == "source: s1")
    assert one_source.acc1_tol1_interval == pytest.approx(wilson_of(1, 1)), (
        "two clips of one source are one observation"
    )
    assert "intervals by source" in report.setting.sentence
    assert Report(SETTING, tuple(trials)).by_column == []


def test_evaluation_of_a_manifest_is_divided_by_its_columns(tmp_path, capsys):
    torch.manual_seed(0)
    save_model(Synchformer(TINY), tmp_path / "tiny.safetensors", {})
    for name in ("a", "b"):
        write(tmp_path / f"{name}.mp4", MediaSpec(seconds=5.3, size=(48, 64), video="mpeg4", rate=16_000))
    (tmp_path / "m.csv").write_text("file,split,kind\na.mp4,valid,speech\nb.mp4,valid,impact\n")
    command = [str(tmp_path / "tiny.safetensors"), "--data", f"manifest:{tmp_path / 'm.csv'}", "--split", "valid"]
    out = tmp_path / "result.json"
    more = ["--protocol", "every", "--by", "kind", "--cluster", "kind", "--workers", "0", "--out", str(out)]
    assert evaluate.main([*command, *more]) == 0
    said = capsys.readouterr().out
    assert "| kind: speech |" in said and "| answers permuted |" in said
    report = json.loads(out.read_text())
    assert {row["clips"] for row in report["by_column"]} >= {"kind: speech", "kind: impact", "surest fifth"}
    assert report["trials"][0]["values"] == ["speech"]
    with pytest.raises(SystemExit):
        evaluate.main([*command, "--by", "mood"])
    assert "has no column mood to divide by; its columns are file, kind, split" in capsys.readouterr().err
