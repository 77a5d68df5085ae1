"""Files read ahead by threads, in order, a few at a time, so that decoding and the model work at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

Job = TypeVar("Job")
Read = TypeVar("Read")

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".flv", ".wmv", ".3gp",
     ".ogv", ".mxf")
)  # fmt: skip


def read_ahead(
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


def find_files(folder: str | Path, recursive: bool = False) -> tuple[list[Path], list[Path]]:
    """Video files below a folder in order of name, and the other files that are no videos by their suffix.

    Raises:
        ValueError: when there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give a folder with video files")
    found = sorted(path for path in (folder.rglob("*") if recursive else folder.iterdir()) if path.is_file())
    visible = [path for path in found if not path.name.startswith(".")]
    videos = [path for path in visible if path.suffix.lower() in VIDEO_SUFFIXES]
    return videos, [path for path in visible if path.suffix.lower() not in VIDEO_SUFFIXES]
