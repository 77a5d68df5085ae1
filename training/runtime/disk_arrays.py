"""Arrays on disk that are filled item by item, in several processes, and go on where an interrupted run stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.runtime.processes import in_order


def build(
    folder: Path,
    identity: dict[str, Any],
    count: int,
    make: Callable[[int], Any],
    keep: Callable[[int, Any], None],
    workers: int,
) -> None:
    """Make the items from 0 to `count` that `folder` lacks, in processes of one thread each, and keep them in order.

    Args:
        folder: `built.json` there says what was made and how many are done.
        identity: all that the items depend on.
        count: how many items are wanted.
        make: makes an item; sent once to every process.
        keep: stores an item, in this process.
        workers: number of processes; 0 makes everything in this one.

    Raises:
        ValueError: when the folder was begun with another identity.
    """
    state_file = folder / "built.json"
    state: dict[str, Any] = json.loads(state_file.read_text()) if state_file.exists() else {**identity, "done": 0}
    if {key: value for key, value in state.items() if key != "done"} != identity:
        raise ValueError(
            f"{folder} was made from other clips, weights or precision; choose another folder or remove it"
        )
    missing = range(state["done"], count)
    made = in_order(make, missing, workers, ahead=2)
    for index, item in tqdm(made, folder.name, len(missing)):
        keep(index, item)
        if (index + 1) % 20 == 0 or index + 1 == count:
            state_file.write_text(json.dumps({**identity, "done": index + 1}))


def map_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A writable array on disk; an existing file keeps what it holds, whether more clips or fewer are asked for."""
    path.touch()
    os.truncate(path, max(path.stat().st_size, dtype.itemsize * int(np.prod(shape, dtype=np.int64))))
    return np.memmap(path, dtype=dtype, mode="r+", shape=shape)
