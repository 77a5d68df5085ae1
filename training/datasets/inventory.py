"""Which clips of a data set a training can use, how long they are, and why it cannot use the others.

Every clip is looked into once; what was found is kept beside the run, a line of JSON each, for the next start.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from synchformer.config import SynchformerConfig
from synchformer.media.probe import MediaInfo
from training.datasets.source import LeftOut, Sample, Source, Split
from training.datasets.validation import look
from training.runtime.processes import in_order

LONGEST = 10.0  # s: clips of twice this length and more are cut into pieces of about this length


@dataclass(frozen=True)
class Piece:
    """A clip, or a part of a long one: `frames` frames of the model's rate from frame `first` of its clock on."""

    sample: Sample
    first: int
    frames: int


@dataclass(frozen=True)
class Known:
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
    """The clips of one split and what is known about each."""

    entries: tuple[tuple[Sample, Known], ...]
    fps: int

    def pieces(self, least: int) -> list[Piece]:
        """Everything that can be used where at least `least` frames are needed; long clips in several pieces."""
        found = []
        for sample, known in self.entries:
            frames = self._frames(known)
            count = max(1, frames // round(LONGEST * self.fps))
            each = frames // count
            if each >= least:
                found += [Piece(sample, number * each, each) for number in range(count)]
        return found

    def left_out(self, least: int) -> list[LeftOut]:
        """Everything else, with the reason."""
        reasons = ((sample, self._reason(known, least)) for sample, known in self.entries)
        return [LeftOut(sample.id, sample.split, reason) for sample, reason in reasons if reason]

    def _frames(self, known: Known) -> int:
        return math.floor(round(known.seconds * self.fps, 6))

    def _reason(self, known: Known, least: int) -> str:
        if known.reason or self._frames(known) >= least:
            return known.reason
        return f"picture and sound share {known.seconds:.2f} s, {least / self.fps:.2f} s are needed"


def build_inventory(
    source: Source, split: Split, config: SynchformerConfig, folder: Path, workers: int = 0
) -> Inventory:
    """Look into every clip of a split that was not looked into before; `folder` keeps what was found."""
    path = folder / f"{split}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    samples = source.samples(split)
    found = {known.key: known for known in _read(path)}
    missing = [sample for sample in samples if _key(source, sample) not in found]
    if missing:
        with path.open("a") as file:
            file.write("\n")  # a line that a killed run left half written ends here
            looks = in_order(partial(look, source), missing, workers)
            for sample, probe in tqdm(looks, f"look at {split}", len(missing), mininterval=5):
                known = Known(*_key(source, sample), _seconds(probe.info), probe.error)
                found[known.key] = known
                file.write(json.dumps(asdict(known)) + "\n")
    return Inventory(tuple((sample, found[_key(source, sample)]) for sample in samples), config.video_fps)


def _key(source: Source, sample: Sample) -> tuple[str, str, int, int]:
    if sample.path is None or not sample.path.exists():
        return source.name, sample.id, 0, 0
    state = sample.path.stat()
    return source.name, sample.id, state.st_size, state.st_mtime_ns


def _seconds(info: MediaInfo | None) -> float:
    return 0.0 if info is None else round(min(info.video.stop, info.audio.stop), 6)


def _read(path: Path) -> list[Known]:
    """What was found before; damaged lines are looked up anew."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            values: dict[str, Any] = json.loads(line)
            found.append(Known(**values))
        except (ValueError, TypeError):
            continue
    return found
