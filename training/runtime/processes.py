"""Work on many items in several processes, in order, with only a few of them in the air."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

PRELOADED = ["training.readers.rendered"]  # what takes seconds to import
AHEAD = 4  # items per process that are begun before their results are asked for


def process_pool(workers: int, initializer: Callable[..., object], *arguments: Any) -> ProcessPoolExecutor:
    """Processes that are begun as copies of one that has imported PyTorch and knows neither threads nor a GPU.

    Where copies cannot be made, they are begun from nothing, which takes each of them seconds.

    Args:
        workers: number of processes.
        initializer: called in each with `arguments`; all must be picklable.
    """
    context: BaseContext = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    context.set_forkserver_preload(PRELOADED)
    return ProcessPoolExecutor(workers, context, initializer, arguments)


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int = AHEAD
) -> Iterator[tuple[Item, Result]]:
    """Yield every item with its result, in the order of the items.

    Args:
        work: called in a process of one thread; it is sent to every process once and the items one by one, so both
            must be picklable.
        items: may be endless: at most `ahead` times `workers` are taken in advance.
        workers: number of processes; 0 works in this one.
        ahead: items per process that are begun in advance.
    """
    if not workers:
        for item in items:
            yield item, work(item)
        return
    with process_pool(workers, _Worker.start, work) as pool:
        started = ((item, pool.submit(_Worker.do, item)) for item in items)
        pending = deque(islice(started, ahead * workers))
        try:
            while pending:
                item, future = pending.popleft()
                result = future.result()
                pending.extend(islice(started, 1))
                yield item, result
        finally:
            for _, future in pending:
                future.cancel()


class _Worker:
    """What a process remembers between its items."""

    work: Callable[[Any], Any]

    @classmethod
    def start(cls, work: Callable[[Any], Any]) -> None:
        torch.set_num_threads(1)
        cls.work = staticmethod(work)

    @classmethod
    def do(cls, item: Any) -> Any:
        return cls.work(item)
