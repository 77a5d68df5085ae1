"""A model for larger pictures that starts from one for smaller ones."""

from dataclasses import replace

import torch

from synchformer.config import MINI
from synchformer.modeling.synchformer import Synchformer
from tests.support.runs import TINY
from training.initialization.resized import differs_in_size_alone, resize_places, resized_table

LARGER = replace(TINY, name="larger", short_side=52, image_size=48)


def test_only_the_table_of_places_changes():
    torch.manual_seed(0)
    small, large = Synchformer(TINY), Synchformer(LARGER)
    before = {name: value.clone() for name, value in small.state_dict().items()}
    after = resize_places(small, large).state_dict()
    changed = [name for name, value in after.items() if value.shape != before[name].shape]
    assert changed == ["video_encoder.space_position"] and after[changed[0]].shape == (1, 1 + 9, TINY.dim)
    assert all(torch.equal(after[name], before[name]) for name in before if name not in changed)


def test_a_slope_over_the_picture_stays_a_slope():
    side = MINI.image_size // MINI.patch_size
    rows = torch.arange(side).float().repeat_interleave(side)
    table = torch.cat([torch.full((1, 1, 1), 7.0), rows[None, :, None]], 1)
    larger = resized_table(table, replace(MINI, short_side=220, image_size=192))
    grid = larger[0, 1:, 0].unflatten(0, (12, 12))
    assert float(larger[0, 0, 0]) == 7.0
    assert torch.allclose(grid[:, 0], grid[:, 7]), "nothing changes along a row"
    assert torch.allclose(grid[4:8].diff(dim=0), torch.tensor(0.5), atol=0.1), "half as steep a patch"
    assert torch.allclose(resized_table(table, MINI), table, atol=1e-5)


def test_what_counts_as_another_size():
    assert differs_in_size_alone(TINY, LARGER)
    assert not differs_in_size_alone(TINY, replace(LARGER, sync_dim=32))
