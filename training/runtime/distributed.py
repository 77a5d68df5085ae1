"""One process or many: what `torchrun` says about them, and the few things that they exchange."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from synchformer.checkpoints.device_names import device_name

Value = TypeVar("Value")
CPU = torch.device("cpu")
PATIENCE = timedelta(hours=12)  # the others wait while the leading process renders, encodes or validates


@dataclass(frozen=True)
class World:
    """The processes of a run: this one's `rank`, their number `size`, and this one's `device`."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def wrap(self, module: nn.Module, partial: bool) -> nn.Module:
        """The module with gradients averaged over all processes; itself when it is alone.

        `partial` allows batches that leave parameters without gradient.
        """
        if self.size == 1:
            return module
        places = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=places, find_unused_parameters=partial)

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            distributed.barrier()

    def mean(self, values: Tensor) -> Tensor:
        """The mean of each number over all processes."""
        if self.size > 1:
            distributed.all_reduce(values)
            values = values / self.size
        return values

    def broadcast(self, value: Value) -> Value:
        """The leading process's value, in every process."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]


@contextmanager
def world(device: str = "auto") -> Iterator[World]:
    """The processes that `torchrun` started, or this one alone; nccl joins GPUs and gloo joins CPUs.

    Args:
        device: "auto" (this process's GPU when there is one), "cpu", "cuda", or "cuda:1" for one process alone.

    Raises:
        ValueError: when a GPU is asked for and not there, or one for several processes.
    """
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    kind, _, number = device_name(device).partition(":")
    if number and size > 1:
        raise ValueError(f"--device {device} is one GPU for {size} processes; use --device cuda, one for each")
    index = int(number or local)
    if kind == "cuda" and torch.cuda.device_count() <= index:
        whose = "this machine has no such GPU" if number else f"process {local} of this machine has no GPU"
        raise ValueError(
            f"--device {device}: {whose} ({torch.cuda.device_count()} found); start fewer processes or use --device cpu"
        )
    on_gpu = device != "cpu" and torch.cuda.device_count() > index
    place = torch.device("cuda", index) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(place)
    if size == 1:
        yield World(device=place)
        return
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    try:
        yield World(distributed.get_rank(), size, place)
    finally:
        distributed.destroy_process_group()
