"""Batches that are made in other processes while this one works on those before."""

from __future__ import annotations

from collections.abc import Callable

from torch.utils.data import DataLoader, Dataset

from training.task import Batch


class Batches(Dataset[Batch]):
    """The batches that a function makes of the numbers from 0 to `count`."""

    def __init__(self, make: Callable[[int], Batch], count: int) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Batch:
        return self.make(index)


def made_ahead(make: Callable[[int], Batch], count: int, loaders: int) -> DataLoader[Batch]:
    """What `make` gives for 0, 1, ... `count` - 1, in this order, made by `loaders` processes; 0: by this one."""
    return DataLoader(Batches(make, count), batch_size=None, num_workers=loaders)
