"""Clips that turn out to be damaged while they are read: named once, counted, and never more than a small share."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from synchformer.storage.json_text import to_json
from training.datasets.validation import MAX_SHARE, is_small_share

NAMED = 5  # clips that the sentence names; the file names all


class TooManyDamagedError(ValueError):
    """So many clips are damaged that what is left is no longer the data set that was asked for."""


class DamagedClips:
    """The damaged clips of a reader; all processes that read for one run share them through a file.

    Args:
        ids: of all clips of the reader.
        path: a line of JSON for each damaged clip, {"id", "reason"}; None to keep them in memory.
    """

    def __init__(self, ids: Iterable[str], path: Path | None = None) -> None:
        self.ids, self.path = frozenset(ids), path
        self._known: dict[str, str] = {}

    def add(self, clip: str, reason: str) -> None:
        """Take note of a clip, and name it on the screen if it is new.

        Raises:
            TooManyDamagedError: when more than `MAX_SHARE` of the clips are damaged.
        """
        if self._is_new(clip, reason):
            tqdm.write(f"another clip is taken instead of {clip}: {reason}")
        require_few_damaged(self.ids.intersection(self._known), len(self.ids), self.path)

    def _is_new(self, clip: str, reason: str) -> bool:
        if clip in self._known:
            return False
        if self.path is None:
            self._known[clip] = reason
            return True
        with FileLock(f"{self.path}.lock"):
            lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
            self._known = {entry["id"]: entry["reason"] for entry in map(json.loads, lines)}
            is_new = clip not in self._known
            if is_new:
                self._known[clip] = reason
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(to_json({"id": clip, "reason": reason}) + "\n")
        return is_new


def require_few_damaged(damaged: Collection[str], total: int, path: Path | None = None) -> None:
    """See that a run still trains on what was asked for.

    Args:
        damaged: ids of the clips that cannot be read.
        total: how many clips there are.
        path: where all damaged clips are listed.

    Raises:
        TooManyDamagedError: when more than `MAX_SHARE` of them are damaged; names them.
    """
    if is_small_share(len(damaged), total):
        return
    named = ", ".join(sorted(damaged)[:NAMED]) + (" ..." if len(damaged) > NAMED else "")
    where = f" (listed in {path})" if path else ""
    raise TooManyDamagedError(
        f"{len(damaged)} of {total} clips cannot be read, more than {MAX_SHARE * 100:.0f} %: {named}{where}; repair or "
        "remove them, or let training.prepare make clean copies, and start again"
    )
