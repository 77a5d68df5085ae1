"""One picture under many offsets, and accuracy on files that are in sync."""

import pytest
import torch

from synchformer.inference.prediction import predict
from synchformer.inference.sweep import read_around, sweep
from synchformer.media.crop import load_clip
from synchformer.modeling.synchformer import Synchformer
from tests.support.flash_click import write_flash_click
from tests.support.page import TINY, FlashAndClick
from training.evaluation import in_sync_files


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("sweep") / "a.mp4", seconds=10, event=5.0)


def test_the_answer_follows_the_offset_and_the_picture_is_encoded_once(path):
    model = FlashAndClick()
    grid = model.config.grid
    found = [prediction.offset for prediction in sweep(model, read_around(model, path, 2.5), 2.5, grid)]
    assert found == list(grid)
    assert model.videos_encoded == 1


def test_a_sweep_gives_what_single_predictions_give(path):
    torch.manual_seed(0)
    model = Synchformer(TINY).eval()
    offsets = (-1.2, 0.0, 0.52)
    swept = list(sweep(model, read_around(model, path, 2.5), 2.5, offsets))
    for offset, prediction in zip(offsets, swept, strict=True):
        alone = predict(model, load_clip(path, 2.5, offset, config=TINY))
        assert prediction.logits == pytest.approx(alone.logits, abs=1e-5)
        assert prediction.applied_offset == offset


def test_segments_that_offsets_share_are_encoded_once(path):
    torch.manual_seed(0)
    model = Synchformer(TINY).eval()
    counted, encode_audio = [], model.encode_audio
    model.encode_audio = lambda mel: counted.append(mel.shape[1]) or encode_audio(mel)
    offsets = [round(0.04 * step, 2) for step in range(-10, 11)]
    swept = list(sweep(model, read_around(model, path, 2.5), 2.5, offsets))
    assert sum(counted) == 20 + 13 * 8 + 1  # first frames -10 to 10 of the first segment, then one every eight frames
    for index in (0, 7, 20):
        alone = predict(model, load_clip(path, 2.5, offsets[index], config=TINY))
        assert swept[index].logits == pytest.approx(alone.logits, abs=1e-5)


def test_files_in_sync_are_counted_over_starts_and_classes(path, tmp_path, monkeypatch, capsys):
    model = FlashAndClick()
    monkeypatch.setattr(in_sync_files, "load_any", lambda name, device: model)
    trials = list(in_sync_files.trials_of(model, path))
    # Starts 0 to 5 s; at 0 s only offsets from 0 on have sound, at 2 s and 3 s all have.
    assert {t.target for t in trials if t.seed == 0} == set(range(10, 21))
    assert {t.target for t in trials if t.seed == 2} == set(range(21))
    inside = [t for t in trials if 0.5 < 5.0 - t.start < 4.5 and 0.3 < 5.0 - t.start - (t.target - 10) / 5 < 4.7]
    assert len(inside) > 20
    assert all(t.distance == 0 for t in inside)
    (tmp_path / "text.mp4").write_text("no video")
    assert in_sync_files.main(["fake", str(path), str(tmp_path / "text.mp4")]) == 1
    out, err = capsys.readouterr()
    assert f"| a.mp4 | {len(trials)} |" in out
    assert "text.mp4 is not a media file" in err
