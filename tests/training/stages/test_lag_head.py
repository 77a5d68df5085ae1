"""The head that compares tokens by their lags: what it answers to features whose lag is known."""

import numpy as np
import pytest
import torch

from synchformer.config import MINI
from training import run
from training.stages.lag_head import WIDTH, LagHead, lag_kernel
from training.stages.offset import stage2


def marked(times, centers, moments):
    """Features (1, S, t, D): moment k, where a token is near it, is direction k; elsewhere there is nothing."""
    starts = np.array(MINI.segment_starts)[:, None] / MINI.video_fps
    places = starts + np.array(centers)
    features = torch.zeros(1, *places.shape, MINI.dim)
    for direction, moment in enumerate(moments):
        features[0, ..., direction] = torch.from_numpy(np.abs(places - moment) < times).float()
    return features


@pytest.mark.parametrize("target", [2, 8, 10, 13, 18])
def test_the_lag_of_what_is_seen_and_heard_is_found(target):
    head = LagHead(MINI)
    for part in (head.video, head.audio):
        part[0] = torch.nn.Identity()
        torch.nn.init.zeros_(part[1].bias)
        with torch.no_grad():
            part[1].weight.copy_(torch.eye(MINI.dim)[:WIDTH])
    offset = MINI.grid[target]  # above 0 the sound is early: heard so much before it is seen
    seen = [2.15, 2.45, 3.05] if offset >= 0 else [1.55, 1.95, 2.65]
    logits = head(marked(0.06, MINI.video_centers, seen), marked(0.06, MINI.audio_centers, [t - offset for t in seen]))
    assert logits.shape == (1, 21) and int(logits.argmax()) == target


def test_every_class_collects_the_pairs_of_its_lag():
    kernel = lag_kernel(MINI)
    assert kernel.shape == (21, 14 * 8, 14 * 6) and (kernel >= 0).all()
    assert kernel.sum((1, 2)).mean() == pytest.approx(1, rel=1e-4)
    starts = np.array(MINI.segment_starts)[:, None] / 25
    seen = (starts + MINI.video_centers).ravel()
    heard = (starts + MINI.audio_centers).ravel()
    for target in (0, 10, 20):
        v, a = np.nonzero(kernel[target])
        assert np.abs(seen[v] - heard[a] - MINI.grid[target]).max() < 0.14


def test_its_loss_is_added_and_it_is_not_part_of_a_model():
    torch.manual_seed(0)
    plain, with_head = (stage2(MINI, lag_weight=weight) for weight in (0.0, 0.5))
    with_head.synchronizer.load_state_dict(plain.synchronizer.state_dict())
    batch = {
        "video": torch.randn(2, 14, 8, MINI.dim),
        "audio": torch.randn(2, 14, 6, MINI.dim),
        "target": torch.tensor([3, 17]),
    }
    one, other = plain(batch), with_head(batch)
    assert float(other["loss"].detach()) == pytest.approx(float((one["loss"] + 0.5 * other["lags"]).detach()), rel=1e-5)
    assert plain.lag_head is None and not any("lag" in name for name in with_head.synchronizer.state_dict())


def test_only_stage_two_has_it(tmp_path, capsys):
    assert run.main(["avclip", "--out", str(tmp_path), "--lag-weight", "1"]) == 1
    assert "--lag-weight is an option of sync" in capsys.readouterr().err
