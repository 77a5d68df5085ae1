"""Checks of data sets: every defect that is planted is found, named and answered."""

from fractions import Fraction

import pytest

from synchformer.config import BASE, MINI
from tests.support.media import MediaSpec, write
from training import check
from training.datasets.generated import GeneratedSource
from training.datasets.source import FileSource, Place, Sample
from training.datasets.validation import check_source, require_usable, spread, table

SMALL = {"size": (96, 128), "video": "mpeg4", "color": (90, 90, 90), "click": 0.5}


@pytest.fixture(scope="module")
def flawed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flawed")
    files = {
        "fine": MediaSpec(seconds=9.0, **SMALL),
        "short": MediaSpec(seconds=3.0, **SMALL),
        "shorter": MediaSpec(seconds=6.0, **SMALL),
        "rate": MediaSpec(seconds=9.0, fps=Fraction(5), rate=44_100, **SMALL),
        "late": MediaSpec(seconds=9.4, audio_delay=0.3, **SMALL),
        "mute": MediaSpec(seconds=1.0, audio=None, **SMALL),
    }
    paths = {name: write(folder / f"{name}.mp4", sample) for name, sample in files.items()}
    samples = [Sample(name, "train", name, path) for name, path in paths.items()]
    samples += [
        Sample("copy", "valid", "fine", paths["fine"]),
        Sample("outside", "test", "outside", paths["fine"], fixed=Place(start=1.0, offset=-2.0)),
        Sample("inside", "test", "inside", paths["fine"], fixed=Place(start=2.0, offset=-2.0)),
    ]
    return FileSource("folder:flawed", tuple(samples))


def test_planted_defects_are_found(flawed):
    found = {finding.what: finding for finding in check_source(flawed, MINI)}
    assert {what.split(":")[0]: (item.level, item.examples) for what, item in found.items()} == {
        "recordings with clips in several splits": ("error", ("fine",)),
        "cannot be read": ("error", ("mute (mute.mp4 has no sound; synchronization needs picture and sound)",)),
        "too short for any offset": ("warning", ("short",)),
        "fixed start and offset lie outside the clip": ("error", ("outside",)),
        "too short for every offset of the grid": ("warning", ("shorter",)),
        "picture and sound start more than 0.04 s apart": ("warning", ("late",)),
        "not 25 fps and 16 kHz": ("note", ("rate",)),
    }
    assert all(item.remedy for item in found.values())


def test_clips_that_are_all_too_short_are_an_error(flawed):
    short = FileSource("folder:short", tuple(sample for sample in flawed.entries if sample.id == "short"))
    levels = {finding.what: finding.level for finding in check_source(short, MINI)}
    assert levels["too short for any offset"] == "error"


def test_errors_stop_a_training(flawed):
    with pytest.raises(ValueError, match="folder:flawed cannot be trained on as it is"):
        require_usable(flawed, MINI)


def test_generated_clips_have_nothing_wrong():
    source = GeneratedSource(train=5, valid=2, test=0)
    assert table(check_source(source, BASE)) == "Nothing is wrong with it."


def test_small_pictures_depend_on_the_model(flawed):
    whats = [finding.what for finding in check_source(flawed, BASE)]
    assert "smaller than the model's input: enlarged" in whats


def test_command(tmp_path, capsys):
    write(tmp_path / "short.mp4", MediaSpec(seconds=1.0, **SMALL))
    assert check.main([f"folder:{tmp_path}"]) == 1
    assert "| error | too short for any offset | 1 | short |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        check.main(["nothing:here"])


def test_sample_is_spread_evenly():
    samples = [Sample(str(index), "train", str(index)) for index in range(10)]
    assert [sample.id for sample in spread(samples, 4)] == ["0", "2", "5", "7"]
    assert spread(samples, None) == samples
