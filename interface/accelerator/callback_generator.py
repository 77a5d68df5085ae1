"""A function that calls back with its progress, as a generator that can be left."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, TypeVar

NAME = "work in steps"  # of the threads

Result = TypeVar("Result")
Report = Callable[..., None]


class _Left(BaseException):
    """Nobody waits for the result any more; no error, so that no handler of errors holds it up."""


def stepwise(work: Callable[[Report], Result]) -> Generator[tuple[Any, ...], None, Result]:
    """What `work` reports, one after the other; its result is the generator's.

    `work` runs in a thread of its own, and stands still from each call of `report` to the next step. Closing the
    generator ends it at its next call, so that it can clean up behind itself.

    Args:
        work: called with `report`, which takes any arguments.

    Raises:
        BaseException: what `work` raises.
    """
    reports: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
    further, left = threading.Semaphore(0), threading.Event()
    outcome: Future[Result] = Future()

    def report(*values: Any) -> None:
        reports.put(values)
        further.acquire()
        if left.is_set():
            raise _Left

    def run() -> None:
        try:
            outcome.set_result(work(report))
        except BaseException as error:  # handed on below, or ours
            outcome.set_exception(error)
        reports.put(None)

    thread = threading.Thread(target=run, name=NAME, daemon=True)
    thread.start()
    try:
        while (values := reports.get()) is not None:
            yield values
            further.release()
        return outcome.result()
    finally:
        left.set()
        further.release()
        thread.join()
