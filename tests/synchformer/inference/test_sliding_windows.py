"""Sliding windows give what single predictions give, whatever the chunks, and every segment is encoded once."""

import numpy as np
import pytest
import torch

from synchformer.inference.prediction import predict
from synchformer.inference.sliding_windows import Plan, read_windows
from synchformer.media.crop import load_clip
from synchformer.media.probe import MediaError
from synchformer.modeling.synchformer import Synchformer
from tests.support.flash_click import write_flash_click
from tests.support.page import TINY


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("windows") / "a.mp4", seconds=10, event=5.0, noise=0.01)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Synchformer(TINY).eval()


@pytest.mark.parametrize(("hop", "shifts", "chunk"), [(24, (-8, 0, 16), 128), (21, (0, 5), 4), (16, (-3, 8), 1)])
def test_a_window_is_a_prediction(model, path, hop, shifts, chunk):
    windows = list(read_windows(model, path, Plan(hop=hop, shifts=shifts, chunk=chunk)))
    assert [round(window.start * 25) for window in windows] == list(range(0, 250 - 120 + 1, hop))
    window = windows[2]
    assert list(window.shifts) == pytest.approx([shift / 25 for shift in shifts])
    for shift, shares in zip(window.shifts, window.probabilities, strict=True):
        # The crop of a prediction begins 2 frames before its first segment.
        alone = predict(model, load_clip(path, window.start - 0.08, shift, config=TINY))
        assert shares == pytest.approx(alone.probabilities, abs=1e-6)


def test_shifts_without_sound_are_left_out(model, path):
    windows = list(read_windows(model, path, Plan(hop=8, shifts=(-48, -16, 0, 48))))
    assert list(windows[0].shifts) == pytest.approx([0.0, 1.92])
    assert list(windows[-1].shifts) == pytest.approx([-1.92, -0.64, 0.0])


def test_segments_are_encoded_once_and_forgotten(model, path, monkeypatch):
    counts, kept = {"video": 0, "audio": 0}, []
    for name in counts:
        encode = getattr(model, f"encode_{name}")

        def counted(segments, name=name, encode=encode):
            counts[name] += segments.shape[1]
            return encode(segments)

        monkeypatch.setattr(model, f"encode_{name}", counted)
    from synchformer.inference import sliding_windows as module

    forget = module.Store.forget
    monkeypatch.setattr(module.Store, "forget", lambda self, *ends: (forget(self, *ends), kept.append(len(self))))
    list(read_windows(model, path, Plan(hop=16, shifts=(-8, 0, 8), chunk=4)))
    # Windows begin at 0, 16, ..., 128: segments at 0, 8, ..., 232, and the sound's as far as the file goes.
    assert counts == {"video": 30, "audio": 30}
    assert max(kept) <= 2 * (15 + 4 + 2)


def test_progress_and_part(model, path):
    seen = []
    plan = Plan(hop=8, shifts=(0,), start=50, stop=200, chunk=4)
    windows = list(read_windows(model, path, plan, progress=lambda done, total: seen.append((done, total))))
    assert [windows[0].start, windows[-1].stop] == pytest.approx([2.0, 8.0 - 6 / 25])
    assert seen[-1] == pytest.approx((6.0, 6.0))
    assert np.all(np.diff([done for done, _ in seen]) > 0)


@pytest.mark.parametrize(("plan", "words"), [
    (Plan(hop=0, shifts=(0,)), "hop must be at least 1"),
    (Plan(hop=8, shifts=()), "at least one shift"),
    (Plan(hop=8, shifts=(0,), start=10, stop=10), "is empty"),
])  # fmt: skip
def test_plans_are_checked(model, path, plan, words):
    with pytest.raises(ValueError, match=words):
        list(read_windows(model, path, plan))


def test_a_file_that_is_no_video(model, tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(MediaError, match="not a media file"):
        list(read_windows(model, tmp_path / "a.mp4", Plan(hop=8, shifts=(0,))))
