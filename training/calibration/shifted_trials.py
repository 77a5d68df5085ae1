"""What a model says of clips in sync under many shifts of their sound: generated clips, and footage of a folder.

A clip in sync whose sound is moved by x, seen by a product that moves the sound of a file with the offset d by s, is
the case d + s = x. So one set of answers over all x serves any planted offset d: those at x from d - 2 to d + 2 s are
the answers to the shifts x - d (`planted`). The picture is encoded once for every start.

Answers are kept on disk, one file per clip: an interrupted run goes on.

Shape legend: M shifts, C classes.
"""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.consensus.answers import ask_shifted, read_surroundings, shifts_within
from synchformer.inference.prediction import predict_synchronizability
from synchformer.inference.sliding_windows import Window
from synchformer.media.crop import cut_crop
from synchformer.media.decode import open_media
from synchformer.modeling.synchformer import Synchformer
from synchformer.storage.atomic import atomic_write
from synthetic import require_held_out, sample_scene, write_clip
from synthetic.render import FPS
from synthetic.sounds import SAMPLE_RATE
from training.calibration.trials import claim

SIZE = (128, 128)  # pixels of generated clips
SECONDS = 10.0  # of generated clips
EVENTS = (1, 4)  # shared ones in a generated clip
COLUMNS = ("file", "split", "kind", "source")  # that a manifest must have
GENERATED = "generated"  # the kind, and the split, of generated clips
SHORTEST = 6.0  # s: a shorter clip leaves less than a second for shifts


@dataclass(frozen=True)
class Item:
    """A clip in sync: a file of a manifest, or the seed of a generated one. Clips of one `source` are kept together."""

    name: str
    split: str
    kind: str
    source: str
    path: Path | None = None
    seed: int = 0


@dataclass(frozen=True)
class ShiftedTrial:
    """A clip's answers, a window for every start with the shifts x that its sound allows.

    `matched` is the probability that picture and sound can be matched, in sync; None where no model for it was given.
    """

    item: Item
    windows: tuple[Window, ...]
    matched: float | None = None

    def planted(self, offset: float, reach: float) -> tuple[Window, ...]:
        """The windows of the same clip with its sound made `offset` seconds early, under shifts up to `reach`."""
        moved = []
        for window in self.windows:
            shifts = window.shifts - offset
            inside = np.abs(shifts) <= reach + 1e-6
            if inside.any():
                moved.append(Window(window.start, window.stop, shifts[inside], window.probabilities[inside]))
        return tuple(moved)


def read_manifest(folder: Path, per_source: int) -> list[Item]:
    """The clips of a folder's `manifest.csv`, at most `per_source` of each source, drawn by the names' digests.

    Raises:
        ValueError: no such table, or columns that are missing.
    """
    table = folder / "manifest.csv"
    if not table.is_file():
        raise ValueError(f"{folder} has no manifest.csv; it names the clips with the columns {', '.join(COLUMNS)}")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise ValueError(f"{table} lacks the columns {', '.join(missing)}")
    rows.sort(key=lambda row: hashlib.sha256(row["file"].encode()).digest())
    kept: dict[str, int] = {}
    items = []
    for row in rows:
        source = row["source"]
        kept[source] = kept.get(source, 0) + 1
        if kept[source] <= per_source:
            items.append(Item(row["file"], row["split"], row["kind"], source, folder / row["file"]))
    return sorted(items, key=lambda item: (item.split != "valid", item.name))


def generated(seeds: range) -> list[Item]:
    """Generated clips, each its own source."""
    require_held_out(seeds)
    return [Item(f"generated_{seed}", GENERATED, GENERATED, f"seed {seed}", seed=seed) for seed in seeds]


def collect_shifted(
    model: Synchformer, items: Sequence[Item], folder: Path, synchronizability: Synchformer | None = None
) -> list[ShiftedTrial]:
    """The trials of all clips; only those that `folder` lacks are measured. Clips that are too short are left out.

    Raises:
        ValueError: when the folder holds answers of another model.
    """
    _claim(folder, model, synchronizability)
    trials = []
    for item in tqdm(items, desc="clips"):
        place = folder / f"{item.name.replace('/', '_')}.npz"
        if not place.exists():
            _save(_measured(model, item, synchronizability), place)
        trial = _read(item, place)
        if trial.windows:
            trials.append(trial)
    return trials


def _claim(folder: Path, model: Synchformer, synchronizability: Synchformer | None) -> None:
    other = None if synchronizability is None else fingerprint(synchronizability)
    identity = {"model": fingerprint(model), "synchronizability": other}
    claim(folder / "answers.json", identity, "another model")


def _measured(model: Synchformer, item: Item, synchronizability: Synchformer | None) -> ShiftedTrial:
    with tempfile.TemporaryDirectory() as scratch:
        path = item.path
        if path is None:
            scene = sample_scene(item.seed, EVENTS, SECONDS)
            path = write_clip(scene, Path(scratch) / "clip.mp4", size=SIZE, fps=FPS, sample_rate=SAMPLE_RATE)
        return measure_clip(model, item, path, synchronizability)


def measure_clip(model: Synchformer, item: Item, path: Path, synchronizability: Synchformer | None) -> ShiftedTrial:
    """The answers of a clip's file, from the start that leaves most room for shifts; none where it is too short.

    Raises:
        MediaError: a file that cannot be read.
    """
    config = model.config
    with open_media(path) as file:
        seconds = min(file.info.video.stop, file.info.audio.stop)
        if seconds < SHORTEST:
            return ShiftedTrial(item, ())
        start = round((seconds - config.crop_seconds) / 2 * config.video_fps) / config.video_fps
        matched = None
        if synchronizability is not None:
            asked = synchronizability.config
            media = file.read_for_model(asked, max(0.0, start - 0.1), start + asked.crop_seconds + 0.1)
            matched = predict_synchronizability(synchronizability, cut_crop(media, start, config=asked)).probability
    shifts = shifts_within(2 * config.max_offset)
    answers = ask_shifted(model, read_surroundings(path, config, start, shifts[-1]), shifts)
    return ShiftedTrial(item, answers.windows, matched)


def _save(trial: ShiftedTrial, path: Path) -> None:
    windows = trial.windows
    values: dict[str, Any] = {
        "starts": [window.start for window in windows],
        "stops": [window.stop for window in windows],
        "counts": [len(window.shifts) for window in windows],
        "shifts": np.concatenate([window.shifts for window in windows]) if windows else np.empty(0),
        "probabilities": np.concatenate([window.probabilities for window in windows]).astype(np.float16)
        if windows
        else np.empty((0, 0)),
        "matched": np.nan if trial.matched is None else trial.matched,
    }
    with atomic_write(path) as part:
        np.savez_compressed(part, **values)


def _read(item: Item, path: Path) -> ShiftedTrial:
    with np.load(path) as kept:
        matched = float(kept["matched"])
        return ShiftedTrial(item, tuple(_windows(kept)), None if np.isnan(matched) else matched)


def _windows(kept: np.lib.npyio.NpzFile) -> Iterator[Window]:
    ends = np.cumsum(kept["counts"])
    shifts, probabilities = kept["shifts"], kept["probabilities"].astype(np.float64)
    for start, stop, first, last in zip(kept["starts"], kept["stops"], ends - kept["counts"], ends, strict=True):
        yield Window(float(start), float(stop), shifts[first:last], probabilities[first:last])
