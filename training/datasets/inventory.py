"""Which clips of a data set a training can use, how long they are, and why it cannot use the others.

Every clip is looked into once; its entry is kept beside the run, a line of JSON each, for the next start.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from synchformer.config import SynchformerConfig
from synchformer.media.probe import MediaInfo
from synchformer.storage.json_text import to_json
from training.datasets.decoding import probe_sample
from training.datasets.source import LeftOut, Sample, Source, Split
from training.runtime.processes import in_order

LONGEST = 10.0  # s: clips of twice this length and more are cut into parts of about this length


@dataclass(frozen=True)
class ClipPart:
    """A clip, or a part of a long one: `frames` frames of the model's rate from frame `first` of its clock on."""

    sample: Sample
    first: int
    frames: int


@dataclass(frozen=True)
class InventoryEntry:
    """What a look into one clip gave: seconds that picture and sound share, or a reason why there are none.

    `source`, `size` (bytes) and `changed` (nanoseconds) tell whether it has to be looked into again.
    """

    source: str
    id: str
    size: int
    changed: int
    seconds: float
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What a clip is known by."""
        return self.source, self.id, self.size, self.changed


@dataclass(frozen=True)
class Inventory:
    """The clips of one split, each with its entry."""

    entries: tuple[tuple[Sample, InventoryEntry], ...]
    fps: int

    def parts(self, min_frames: int) -> list[ClipPart]:
        """Everything that can be used where so many frames are needed; long clips in several parts."""
        parts = []
        for sample, entry in self.entries:
            frames = self._frames(entry)
            count = max(1, frames // round(LONGEST * self.fps))
            each = frames // count
            if each >= min_frames:
                parts += [ClipPart(sample, number * each, each) for number in range(count)]
        return parts

    def left_out(self, min_frames: int) -> list[LeftOut]:
        """Everything else, with the reason."""
        reasons = ((sample, self._reason(entry, min_frames)) for sample, entry in self.entries)
        return [LeftOut(sample.id, sample.split, reason) for sample, reason in reasons if reason]

    def _frames(self, entry: InventoryEntry) -> int:
        return math.floor(round(entry.seconds * self.fps, 6))

    def _reason(self, entry: InventoryEntry, min_frames: int) -> str:
        if entry.reason or self._frames(entry) >= min_frames:
            return entry.reason
        return f"picture and sound share {entry.seconds:.2f} s, {min_frames / self.fps:.2f} s are needed"


def build_inventory(
    source: Source, split: Split, config: SynchformerConfig, folder: Path, workers: int = 0
) -> Inventory:
    """Look into every clip of a split that was not looked into before; `folder` keeps the entries."""
    path = folder / f"{split}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    samples = source.samples(split)
    entries = {entry.key: entry for entry in _read(path)}
    missing = [sample for sample in samples if _key(source, sample) not in entries]
    if missing:
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")  # a line that a killed run left half written ends here
            looks = in_order(partial(probe_sample, source), missing, workers)
            for sample, probe in tqdm(looks, f"look at {split}", len(missing), mininterval=5):
                entry = InventoryEntry(*_key(source, sample), _seconds(probe.info), probe.error)
                entries[entry.key] = entry
                file.write(to_json(entry) + "\n")
    return Inventory(tuple((sample, entries[_key(source, sample)]) for sample in samples), config.video_fps)


def _key(source: Source, sample: Sample) -> tuple[str, str, int, int]:
    if sample.path is None or not sample.path.exists():
        return source.name, sample.id, 0, 0
    state = sample.path.stat()
    return source.name, sample.id, state.st_size, state.st_mtime_ns


def _seconds(info: MediaInfo | None) -> float:
    return 0.0 if info is None else round(min(info.video.stop, info.audio.stop), 6)


def _read(path: Path) -> list[InventoryEntry]:
    """Entries that were made before; clips with damaged lines are looked into anew."""
    entries = []
    for line in path.read_text(encoding="utf-8").split("\n") if path.exists() else ():
        try:
            values: dict[str, Any] = json.loads(line)
            entries.append(InventoryEntry(**values))
        except (ValueError, TypeError):
            continue
    return entries
