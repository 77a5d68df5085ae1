"""What became of every input of `training.prepare`: a line of JSON each, written as it happens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synchformer.storage.json_text import to_json

Outcome = Literal["encoded", "copied", "failed", "left out"]


@dataclass(frozen=True)
class Entry:
    """One input and what became of it.

    Attributes:
        id: the clip's id in its data set.
        outcome: encoded anew; copied, because it had the wanted form already; failed; or left out beforehand.
        reason: why it failed or was left out; notes about damage for the others.
        input: the file that was read.
        input_bytes, input_time: its size, and its time of change in nanoseconds, by which a later run knows it again.
        settings: how it was encoded.
        output: the file that was written, relative to the manifest's folder.
        seconds: length of the output.
        cpu_seconds: processor time that it took.
        split, group, labels, start, offset: from the sample, so that shards keep them.
    """

    id: str
    outcome: Outcome
    reason: str = ""
    input: str = ""
    input_bytes: int = 0
    input_time: int = 0
    settings: str = ""
    output: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    split: str | None = None
    group: str = ""
    labels: tuple[str, ...] = ()
    start: float | None = None
    offset: float | None = None


class Manifest:
    """The entries of a folder, the last one for each id; adding writes through to the disk."""

    def __init__(self, path: Path) -> None:
        """Read `path` if it exists; a last line that a killed run left half written is dropped.

        Raises:
            ValueError: when another line is damaged.
        """
        self.path = path
        self.entries: dict[str, Entry] = {}
        lines = path.read_bytes().split(b"\n") if path.exists() else []
        for number, line in enumerate(lines, 1):
            if line:
                self._take(line, number, last=number == len(lines))
        if lines and lines[-1]:  # half a line: the next entry must not be glued to it
            path.write_bytes(b"\n".join(lines[:-1]) + b"\n" if len(lines) > 1 else b"")

    def _take(self, line: bytes, number: int, last: bool) -> None:
        try:
            values = json.loads(line)
            entry = Entry(**{**values, "labels": tuple(values.get("labels", ()))})
        except (ValueError, TypeError) as error:
            if last:
                return
            raise ValueError(f"{self.path} is damaged in line {number}; remove that line or the file") from error
        if not last:
            self.entries[entry.id] = entry

    def add(self, entry: Entry) -> None:
        """Keep an entry; an earlier one of the same id is replaced."""
        self.entries[entry.id] = entry
        with self.path.open("a", encoding="utf-8") as file:
            file.write(to_json(entry) + "\n")

    def counts(self) -> dict[str, int]:
        """How many inputs ended in each way."""
        return dict(Counter(entry.outcome for entry in self.entries.values()).most_common())


def read_manifests(folder: Path) -> list[Entry]:
    """The entries of every manifest of a folder, in order of their ids; machines that share a job write one each.

    Raises:
        ValueError: when the folder has none, or one is damaged.
    """
    paths = sorted(folder.glob("manifest*.jsonl"))
    if not paths:
        raise ValueError(f"{folder} has no manifest; prepare it first: python -m training.prepare SRC {folder}")
    return sorted(_merged(Manifest(path).entries.values() for path in paths), key=lambda entry: entry.id)


def _merged(groups: Iterable[Iterable[Entry]]) -> Iterable[Entry]:
    return {entry.id: entry for group in groups for entry in group}.values()
