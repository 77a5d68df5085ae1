"""Which tokens, frames and samples a moment owns, by hand."""

import pytest
import torch

from attribution.masking.units import make_units, moment_owners, spread, token_owners, token_places, token_times
from synchformer.config import BASE


def test_token_times_by_hand():
    video, audio = token_times(BASE, "video"), token_times(BASE, "audio")
    assert len(video) == 14 * 8
    assert len(audio) == 14 * 6
    assert video[:2] == pytest.approx((0.08 + 0.04, 0.08 + 0.12))  # first segment from frame 2, two frames a token
    assert video[8] == pytest.approx(0.08 + 0.32 + 0.04)
    assert audio[:2] == pytest.approx((0.08 + 0.075, 0.08 + 0.175))  # 16 columns of 10 ms, every 10 columns
    assert audio[6] == pytest.approx(0.08 + 0.32 + 0.075)


def test_a_unit_owns_the_tokens_whose_centers_lie_in_it():
    units = make_units(BASE, ("video",), 0.1)
    owner = next(unit for unit in units if unit.begin <= 1.45 < unit.end)
    centers = token_times(BASE, "video")
    places = token_places(BASE, "video")
    expected = [place for place, time in zip(places, centers, strict=True) if 1.4 <= time + 1e-6 < 1.5]
    assert list(owner.tokens) == expected
    assert len({(place - 1) // 8 for place in expected}) == 2, "half-overlapping segments: a moment is in two"


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.32])
def test_every_token_has_one_owner(seconds):
    units = make_units(BASE, ("audio", "video"), seconds)
    owners = token_owners(units, BASE.sequence_length)
    nobody = (owners == len(units)).nonzero().flatten().tolist()
    assert nobody == [0, 1 + 14 * 8], "the class token and the separator"
    assert sum(len(unit.tokens) for unit in units) == 196


def test_masks_spread_over_what_units_own():
    units = make_units(BASE, ("video",), 0.1)
    keep = torch.ones(2, len(units), dtype=torch.bool)
    keep[1, 3] = False
    tokens = spread(keep, token_owners(units, BASE.sequence_length))
    assert tokens[0].all()
    assert (~tokens[1]).nonzero().flatten().tolist() == list(units[3].tokens)


def test_frames_and_samples_of_a_unit():
    units = make_units(BASE, ("video", "audio"), 0.1)
    frames = moment_owners(units, "video", 125, 25)
    samples = moment_owners(units, "audio", 80_000, 16_000)
    assert units[int(frames[25])].begin == pytest.approx(1.0)
    heard = units[int(samples[16_000])]
    assert (heard.modality, heard.begin) == ("audio", pytest.approx(1.0))
    assert int((samples == int(samples[16_000])).sum()) == 1600
