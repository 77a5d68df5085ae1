"""Clips whose content stands in for what is masked (section 4.1): a bank of crops, their features kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.download import cache_folder
from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.config import Precision, SynchformerConfig
from synchformer.inference.engine import device_of
from synchformer.inference.prediction import Encoding, encode
from synchformer.media.crop import Crop, load_clip, possible_starts
from synchformer.media.probe import MediaError, probe
from synchformer.modeling.synchformer import Synchformer
from synchformer.storage.atomic import atomic_write
from synchformer.storage.video_files import find_videos

EXAMPLES = asset("examples")
EVERY = 2.5  # s between the starts of two crops of one file
PER_FILE = 3
FEWEST = 2


@dataclass(frozen=True)
class Distractor:
    """A crop of another clip: where it is, and its features."""

    path: Path
    start: float
    config: SynchformerConfig
    encoding: Encoding

    @property
    def name(self) -> str:
        """File and start in words."""
        return f"{self.path.name} at {self.start:g} s"

    def clip(self) -> Crop:
        """Its frames and samples, read again; raises as `load_clip`."""
        return load_clip(self.path, self.start, config=self.config)


@dataclass(frozen=True)
class Bank:
    """Distractors for one model; `notes` are sentences about files that could not be used."""

    distractors: tuple[Distractor, ...]
    notes: tuple[str, ...] = ()

    def without(self, path: Path) -> Bank:
        """The bank less the crops of one file: a clip never stands in for itself.

        Raises:
            ValueError: when fewer than two crops are left.
        """
        kept = tuple(each for each in self.distractors if not _same(each.path, path))
        _check(len(kept), [each.path for each in self.distractors], self.notes)
        return Bank(kept, self.notes)


def load_bank(model: Synchformer, places: Sequence[Path] = (EXAMPLES,), *, precision: Precision = "auto") -> Bank:
    """Encode crops of every video in `places`; features are computed once per model and file.

    Args:
        model: whose features are wanted.
        places: video files and folders of them; the project's own examples by default.
        precision: as in `predict`.

    Raises:
        ValueError: when fewer than two crops can be used; says what was found.
    """
    weights = fingerprint(model)
    distractors: list[Distractor] = []
    notes: list[str] = []
    files = list(_files(places))
    for path in files:
        try:
            distractors += [
                _distractor(model, weights, path, start, precision) for start in _starts(path, model.config)
            ]
        except MediaError as error:
            notes.append(str(error))
    _check(len(distractors), files or list(places), notes)
    return Bank(tuple(distractors), tuple(notes))


def _files(places: Sequence[Path]) -> Iterable[Path]:
    for place in places:
        if place.is_dir():
            yield from find_videos(place)[0]
        else:
            yield place


def _starts(path: Path, config: SynchformerConfig) -> list[float]:
    first, last = possible_starts(probe(path), config)
    return [first + EVERY * number for number in range(PER_FILE) if first + EVERY * number <= last]


def _distractor(model: Synchformer, weights: str, path: Path, start: float, precision: Precision) -> Distractor:
    status = path.stat()
    identity = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{start:.3f}|{precision}|{model.config}"
    name = f"{weights}-{hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()}.safetensors"
    kept = cache_folder() / "distractors" / name
    try:
        values = load_file(kept, str(device_of(model)))
        encoding = Encoding(values["video"], values["audio"])
    except (OSError, SafetensorError, KeyError):
        encoding = encode(model, load_clip(path, start, config=model.config), precision=precision)
        _keep(kept, encoding)
    return Distractor(path, start, model.config, encoding)


def _keep(place: Path, encoding: Encoding) -> None:
    """Write features for the next time; a full or read-only disk only costs that."""
    values = {"video": encoding.video_features, "audio": encoding.audio_features}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place) as part:
            save_file({name: value.to("cpu", torch.float32).contiguous() for name, value in values.items()}, part)
    except OSError:
        return


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _check(count: int, places: Sequence[Path], notes: Sequence[str]) -> None:
    if count < FEWEST:
        looked = ", ".join(map(str, places)) or "nowhere"
        reasons = f" ({'; '.join(notes)})" if notes else ""
        raise ValueError(
            f"masked moments are filled from other clips, and at least {FEWEST} crops of them are needed, but {count} "
            f"can be used from {looked}{reasons}; give a folder with more videos"
        )
