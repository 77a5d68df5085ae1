"""A file is opened once for a reading, and what is read does not depend on what was read before."""

import av
import numpy as np
import pytest
import torch

from synchformer.inference.prediction import predict_file
from synchformer.inference.sliding_windows import Plan, read_windows
from synchformer.inference.sweep import read_around, sweep
from synchformer.media.crop import load_clip
from synchformer.media.decode import open_media, read_media
from synchformer.media.probe import MediaError
from synchformer.offsets.calibration import assumed
from synchformer.offsets.continuous import fine
from tests.support.flash_click import write_flash_click
from tests.support.media import MediaSpec, write
from tests.support.models import tiny


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("once") / "a.mp4", seconds=10, event=5.0)


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture
def opened(monkeypatch):
    """The names of the files that were opened, in order."""
    names, whole = [], av.open

    def counted(file, *others, **options):
        names.append(file.removeprefix("file:"))
        return whole(file, *others, **options)

    monkeypatch.setattr(av, "open", counted)
    return names


def test_a_prediction_opens_its_file_once(model, path, opened):
    predict_file(model, path, start=1.0, offset=0.4)
    assert opened == [str(path)]


def test_a_sweep_opens_its_file_once(model, path, opened):
    assert len(list(sweep(model, read_around(model, path, 2.5), 2.5, (-0.4, 0.0, 0.4)))) == 3
    assert opened == [str(path)]


def test_each_chunk_of_a_scan_opens_the_file_once(model, path, opened):
    whole = list(read_windows(model, path, Plan(hop=8, shifts=(0,))))
    assert opened == [str(path)]
    opened.clear()
    parts = list(read_windows(model, path, Plan(hop=8, shifts=(0,), chunk=8)))  # 64 frames a chunk, 250 in all
    assert opened == [str(path)] * 4
    assert [each.start for each in parts] == [each.start for each in whole]


def test_a_fine_estimate_opens_its_file_once(model, path, opened):
    fine(model, path, calibration=assumed(model.config.grid))
    assert opened == [str(path)]


def test_a_place_outside_is_refused_before_anything_is_decoded(model, path, opened, monkeypatch):
    monkeypatch.setattr("synchformer.media.decode._read", lambda *_: pytest.fail("decoded"))
    with pytest.raises(MediaError, match="outside"):
        load_clip(path, 90.0, config=model.config)
    assert opened == [str(path)]


def test_a_second_reading_is_as_new(tmp_path, monkeypatch):
    """AAC fills bands with noise of its own: a decoder that was used before would draw other noise."""
    noise = np.random.default_rng(0).standard_normal((1, 6 * 44_100)).astype(np.float32) * 0.2
    monkeypatch.setattr("tests.support.media.samples_of", lambda sample: noise)
    path = write(tmp_path / "noise.mp4", MediaSpec(seconds=6, rate=44_100))
    with open_media(path) as file:
        parts = [file.read(begin, begin + 2) for begin in (0.0, 2.0, 3.0)]
    for begin, part in zip((0.0, 2.0, 3.0), parts, strict=True):
        fresh = read_media(path, begin, begin + 2)
        assert torch.equal(part.video, fresh.video)
        assert torch.equal(part.audio, fresh.audio)
