"""The command line: what it prints, what it returns, and that one bad file does not stop the others."""

import json
from dataclasses import replace

import pytest

from synchformer import cli
from synchformer.checkpoints import registry
from synchformer.inference import prediction
from tests.support.flash_click import write_flash_click
from tests.support.page import TINY, FlashAndClick
from tests.support.predictions import GRID, some_prediction


@pytest.fixture
def answers(monkeypatch):
    """A shell whose model gives known answers: names starting with `bad` fail."""
    asked = []

    def predict_file(model, path, **options):
        asked.append((path.name, options))
        if path.name.startswith("bad"):
            raise ValueError(f"{path.name} is not a media file")
        return replace(some_prediction(), applied_offset=options["offset"])

    monkeypatch.setattr(registry, "load_model", lambda name, device="auto": FlashAndClick())
    monkeypatch.setattr(prediction, "predict_file", predict_file)
    return asked


def test_table(answers, capsys):
    assert cli.main(["predict", "clip.mp4", "--single", "--top", "3"]) == 0
    out = capsys.readouterr().out
    assert "the sound is 0.4 s early (58 % sure)" in out
    rows = [line for line in out.splitlines() if "%  " in line]
    assert len(rows) == 3
    assert rows[0].split()[:3] == ["+0.4", "s", "58.0%"]
    assert rows[0].count("█") == 17  # 58 % of 30 characters


def test_json_has_one_object_per_video_and_goes_on_after_a_bad_file(answers, capsys):
    assert cli.main(["predict", "a.mp4", "bad.mp4", "b.mp4", "--json", "--offset", "-0.52", "--start", "1.5"]) == 1
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["video"] for record in records] == ["a.mp4", "bad.mp4", "b.mp4"]
    assert records[1] == {"video": "bad.mp4", "error": "bad.mp4 is not a media file"}
    names = (
        "video",
        "model",
        "start",
        "applied_offset",
        "offset",
        "confidence",
        "grid",
        "probabilities",
        "sentence",
        "notes",
    )
    assert tuple(records[0]) == names
    assert (records[0]["start"], records[0]["applied_offset"], records[0]["offset"]) == (1.5, -0.52, 0.4)
    assert records[0]["grid"] == list(GRID)
    assert sum(records[0]["probabilities"]) == pytest.approx(1)


def test_options_reach_the_prediction(answers):
    cli.main(["predict", "a.mp4", "--precision", "bf16", "--as-published", "--start", "2"])
    assert answers == [("a.mp4", {"start": 2.0, "offset": 0.0, "precision": "bf16", "as_published": True})]


def test_errors_go_to_stderr(answers, capsys):
    assert cli.main(["predict", "bad.mp4", "--single"]) == 1
    captured = capsys.readouterr()
    assert "bad.mp4 is not a media file" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [[], ["predict"], ["predict", "a.mp4", "--precision", "fp8"], ["predict", "a.mp4", "--start", "nan"], ["guess"]],
)
def test_usage_errors_are_status_2(arguments, capsys):
    assert cli.main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


def test_unknown_model_is_a_usage_error_that_names_the_known_ones(capsys):
    assert cli.main(["predict", "a.mp4", "--model", "nosuchmodel"]) == 2
    message = capsys.readouterr().err
    assert "nosuchmodel" in message
    assert "audioset" in message


def test_synchronizability_is_printed_instead(monkeypatch, capsys):
    answer = prediction.Synchronizability(probability=0.83, logits=(-0.8, 0.8))
    monkeypatch.setattr(
        registry, "load_model", lambda name, device="auto": FlashAndClick(TINY.with_head("synchronizability"))
    )
    monkeypatch.setattr(prediction, "predict_file", lambda model, path, **options: answer)
    assert cli.main(["predict", "a.mp4", "--model", "synchronizability", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["synchronizability"] == 0.83
    assert cli.main(["predict", "a.mp4", "--model", "synchronizability"]) == 0
    assert "this model finds something that picture and sound share (83 % sure)" in capsys.readouterr().out


def test_models_are_listed(capsys):
    assert cli.main(["models"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"mini", "audioset", "vggsound", "lrs3", "synchronizability"} <= set(names)


def test_the_tested_answer_comes_first_and_the_single_one_is_named(monkeypatch, tmp_path, capsys):
    clip = str(write_flash_click(tmp_path / "a.mp4", seconds=10, event=5.0, noise=0.01))
    monkeypatch.setattr(registry, "load_model", lambda name, device="auto": FlashAndClick())
    assert cli.main(["predict", clip]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("  no offset found at this 0.2 s resolution (the answer followed the sound in ")
    assert "  one answer, not tested (0 s, the sound where it is):" in lines
    assert lines[-2] == "  mini has only ever seen generated clips: of recorded video it may understand little."
    assert cli.main(["predict", clip, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["stated"], abs(record["stated_offset"]) <= 0.1) == (True, True)
    assert {"supported", "answerable", "probability_right", "sentence", "seen", "notes"} <= set(record)
    assert set(record["single"]) == {"offset", "confidence", "grid", "probabilities", "sentence"}
    assert "offset" not in record
    assert cli.main(["predict", clip, "--single", "--fine"]) == 2
