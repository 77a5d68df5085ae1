"""Batches of tensors, made in other processes while this one works on those before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

Batch = dict[str, Tensor]
"""Tensors of one micro-batch by name, on the CPU."""


@dataclass(frozen=True)
class _Failure:
    """Why there is no batch: a sentence, for errors of another process arrive with its whole traceback."""

    reason: str


class Batches(Dataset[Batch | _Failure]):
    """The batches that a function makes of numbers."""

    def __init__(self, make: Callable[[int], Batch], numbers: range) -> None:
        self.make, self.numbers = make, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Batch | _Failure:
        try:
            return self.make(self.numbers[index])
        except ValueError as error:
            if get_worker_info() is None:
                raise
            return _Failure(str(error))


def prefetched(make: Callable[[int], Batch], numbers: range, loaders: int) -> Iterator[Batch]:
    """What `make` gives for each of `numbers`, in this order, made by `loaders` processes; 0: by this one.

    Raises:
        ValueError: as `make`, whichever process it happens in.
    """
    for batch in DataLoader(Batches(make, numbers), batch_size=None, num_workers=loaders):
        if isinstance(batch, _Failure):
            raise ValueError(batch.reason)
        yield batch
