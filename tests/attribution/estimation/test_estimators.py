"""Estimators against exhaustive enumeration, numbers worked out by hand, and simulated coverage."""

import numpy as np
import pytest
import torch

from attribution.estimation.estimators import Tally
from attribution.masking.masks import MaskSource, every_mask


def estimate(masks, correct, margin, pairs):
    tally = Tally(masks.shape[1], pairs)
    tally.add(masks, correct, margin.float())
    return tally.estimate()


@pytest.mark.parametrize("pairs", [True, False])
def test_every_mask_gives_the_closed_form(pairs):
    """Correct when unit 0 and at least one of units 1 and 2 are kept; unit 3 never matters; the margin is linear."""
    masks, _ = every_mask(4, 1)
    correct = masks[:, 0] & (masks[:, 1] | masks[:, 2])
    weights = torch.tensor([3.0, 1.0, 0.5, 0.0])
    found = estimate(masks, correct, masks.float() @ weights, pairs)
    assert found.masks == 16
    assert found.correct == 6
    assert found.score.value == pytest.approx([1, 4 / 6, 4 / 6, 0.5])
    assert found.effect.value == pytest.approx([6 / 8, 4 / 8 - 2 / 8, 4 / 8 - 2 / 8, 0])
    assert found.margin.value == pytest.approx(weights.numpy())


def test_by_hand():
    masks = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0], [1, 0]], dtype=torch.bool)
    correct = torch.tensor([1, 1, 0, 0, 1], dtype=torch.bool)
    found = estimate(masks, correct, torch.tensor([2.0, 1.0, 0.0, -1.0, 3.0]), pairs=False)
    assert found.kept.tolist() == [3, 2]
    assert found.score.value == pytest.approx([1, 1 / 3])
    assert found.effect.value == pytest.approx([1, 1 / 2 - 2 / 3])
    assert found.margin.value == pytest.approx([2 - -0.5, 1 - 1])


@pytest.mark.parametrize("pairs", [True, False])
def test_intervals_cover_the_truth_as_often_as_they_say(pairs):
    """A noisy game of 6 units whose exact values come from all 64 masks; 300 estimates of 400 masks each."""
    weights = torch.tensor([2.0, 1.0, 0.5, 0.0, 0.0, -0.5])

    def chance(masks):
        return torch.sigmoid((masks.float() - 0.5) @ weights)

    everything, _ = every_mask(6, 1)
    share = chance(everything)
    kept = everything.float()
    truth = (kept * share[:, None]).sum(0) / share.sum()
    effect = (kept * share[:, None]).sum(0) / 32 - ((1 - kept) * share[:, None]).sum(0) / 32
    generator = torch.Generator().manual_seed(0)
    inside = np.zeros((3, 6))
    for seed in range(300):
        masks, _ = MaskSource(6, 2, 0.5, pairs, (seed,)).draw(400)
        odds = chance(masks)
        correct = torch.rand(400, generator=generator) < odds
        found = estimate(masks, correct, odds, pairs)
        margin = (kept * share[:, None]).sum(0) / 32 - ((1 - kept) * share[:, None]).sum(0) / 32
        for row, (measure, exact) in enumerate([(found.score, truth), (found.effect, effect), (found.margin, margin)]):
            inside[row] += (measure.low <= exact.numpy()) & (exact.numpy() <= measure.high)
    coverage = inside / 300
    assert coverage.min() > 0.90, coverage
    assert coverage[:2].mean() < 0.99, "intervals are not wider than they need to be"


def test_masks_do_not_depend_on_how_they_are_drawn():
    whole = MaskSource(7, 5, 0.5, True, (3,)).draw(100)
    source = MaskSource(7, 5, 0.5, True, (3,))
    parts = [source.draw(count) for count in (10, 60, 30)]
    for index in (0, 1):
        assert torch.equal(whole[index], torch.cat([part[index] for part in parts]))
    assert torch.equal(whole[0][::2], ~whole[0][1::2])


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.8])
def test_units_are_kept_as_often_as_asked(keep):
    masks, choices = MaskSource(20, 3, keep, False, (0,)).draw(5000)
    assert masks.float().mean().item() == pytest.approx(keep, abs=0.01)
    assert torch.bincount(choices).float().div(5000).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)
    assert np.abs(np.corrcoef(masks.numpy().T.astype(float)) - np.eye(20)).max() < 0.08
