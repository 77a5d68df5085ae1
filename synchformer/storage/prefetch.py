"""Files read ahead by threads, in order, a few at a time, so that decoding and the model work at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Job = TypeVar("Job")
Read = TypeVar("Read")


def prefetched(
    jobs: Iterable[Job], read: Callable[[Job], Read], workers: int
) -> Iterator[tuple[Job, Read | Exception]]:
    """Each job with what `read` made of it, or the error that it ended in; at most 2 * workers lie ready.

    Raises:
        ValueError: fewer than one worker.
    """
    if workers < 1:
        raise ValueError(f"at least 1 worker is needed, not {workers}")
    with ThreadPoolExecutor(workers) as pool:
        ahead = ((job, pool.submit(_attempt, read, job)) for job in jobs)
        pending = deque(islice(ahead, 2 * workers))
        while pending:
            job, future = pending.popleft()
            yield job, future.result()
            pending.extend(islice(ahead, 1))


def _attempt(read: Callable[[Job], Read], job: Job) -> Read | Exception:
    try:
        return read(job)
    except (ValueError, OSError, MemoryError) as error:
        return error
