"""Batches of tensors, made in other processes while this one works on those before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

Batch = dict[str, Tensor]
"""Tensors of one micro-batch by name, on the CPU."""


class Batches(Dataset[Batch | str]):
    """The batches that a function makes of numbers; in another process a sentence where there is none.

    Errors of another process would arrive with its whole traceback.
    """

    def __init__(self, make: Callable[[int], Batch], numbers: range) -> None:
        self.make, self.numbers = make, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Batch | str:
        try:
            return self.make(self.numbers[index])
        except ValueError as error:
            if get_worker_info() is None:
                raise
            return str(error)


def prefetched(make: Callable[[int], Batch], numbers: range, loaders: int) -> Iterator[Batch]:
    """What `make` gives for each of `numbers`, in this order, made by `loaders` processes; 0: by this one.

    Raises:
        ValueError: as `make`, whichever process it happens in.
    """
    for batch in DataLoader(Batches(make, numbers), batch_size=None, num_workers=loaders):
        if isinstance(batch, str):
            raise ValueError(batch)
        yield batch
