"""Batches of tensors, made in other processes while this one works on those before."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Batch = dict[str, Tensor]
"""Tensors of one micro-batch by name, on the CPU."""


class Batches(Dataset[Batch]):
    """The batches that a function makes of numbers."""

    def __init__(self, make: Callable[[int], Batch], numbers: range) -> None:
        self.make, self.numbers = make, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Batch:
        return self.make(self.numbers[index])


def prefetched(make: Callable[[int], Batch], numbers: range, loaders: int) -> DataLoader[Batch]:
    """What `make` gives for each of `numbers`, in this order, made by `loaders` processes; 0: by this one."""
    return DataLoader(Batches(make, numbers), batch_size=None, num_workers=loaders)
