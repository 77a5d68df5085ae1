"""Generated clips with a continuous true offset, and what a model says about them under known shifts of the sound.

A clip is written as MP4, its sound is moved by its timestamps to an offset drawn uniformly from the model's range, and
the file is read as a user's file is. The same clips are made in several kinds of file (`Recipe.sample_rate`,
`Recipe.fps`); where their pictures are the same, these are encoded once. Answers are kept on disk, one file per seed
and kind: an interrupted run goes on, and several may work in one folder.

Shape legend: W windows, P pairs of window and shift, C classes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.checkpoints.registry import load_model
from synchformer.cli.terminal import command
from synchformer.copies.remux import write_shifted
from synchformer.inference.condition import MediaCondition
from synchformer.inference.engine import Run, encode_pictures, run_locally
from synchformer.inference.sliding_windows import Window, read_windows
from synchformer.modeling.synchformer import Synchformer, TwoStreams
from synchformer.offsets.continuous import fine_plan
from synchformer.storage.atomic import atomic_write
from synthetic import SEEDS, require_held_out, sample_scene, write_clip
from synthetic.render import FPS
from synthetic.sounds import SAMPLE_RATE
from training.config.command_options import add_seed, add_workers
from training.runtime.processes import process_pool

OTHERS = "another model or other clips"
FIRST_SEED = SEEDS["calibration"][0]
SIZE = (128, 128)  # pixels: more than the small model reads


@dataclass(frozen=True)
class Trial:
    """One clip: its seed, its true offset in seconds, the windows as read from its file, and its sound's bandwidth."""

    seed: int
    truth: float
    windows: tuple[Window, ...]
    bandwidth: float
    fps: float = FPS


@dataclass(frozen=True)
class Recipe:
    """Which clips: `events` shared events each, `duration` seconds, offsets up to `reach` seconds either way.

    `sample_rate` and `fps` are those of the files.
    """

    events: tuple[int, int] = (1, 4)
    duration: float = 10.0
    reach: float = 2.0
    sample_rate: int = SAMPLE_RATE
    fps: float = FPS

    @property
    def name(self) -> str:
        """The folder of this kind of file."""
        return f"{self.sample_rate}_hz_{self.fps:g}_fps"

    def truth(self, seed: int) -> float:
        """The true offset of a seed's clip: uniform, to the sample at 16 kHz."""
        rng = np.random.Generator(np.random.PCG64([0xF13E, seed]))
        return round(float(rng.uniform(-self.reach, self.reach)) * 16_000) / 16_000

    def shared(self, seed: int) -> int:
        """How many events of the seed's clip are seen and, moved by its offset, still heard."""
        scene, truth = sample_scene(seed, self.events, self.duration), self.truth(seed)
        return sum(event.seen and event.heard and 0 <= event.time - truth < self.duration for event in scene.events)


def write_offset_clip(recipe: Recipe, seed: int, folder: Path) -> Path:
    """Write the clip of a seed with its sound moved to the seed's offset, into `folder`."""
    scene = sample_scene(seed, recipe.events, recipe.duration)
    straight = write_clip(
        scene, folder / f"{seed}_straight.mp4", size=SIZE, fps=recipe.fps, sample_rate=recipe.sample_rate
    )
    moved = write_shifted(straight, recipe.truth(seed), folder / f"{seed}.mp4")
    straight.unlink()
    return moved


def collect(
    name_or_path: str, recipes: Sequence[Recipe], seeds: range, folder: Path, workers: int
) -> list[list[Trial]]:
    """The trials of all seeds, a list for each recipe; only those that `folder` lacks are made.

    Raises:
        ValueError: when the folder holds answers of another model or other clips, or weights were shaped on the seeds.
    """
    require_held_out(seeds)
    model = load_model(name_or_path, "cpu")
    places = {recipe: folder / recipe.name for recipe in recipes}
    for recipe, place in places.items():
        claim(
            place / "trials.json",
            {"model": fingerprint(model), "recipe": repr(recipe), "plan": repr(fine_plan(model.config))},
            OTHERS,
        )
    missing = [seed for seed in seeds if not all(_place(place, seed).exists() for place in places.values())]
    if missing and not workers:
        _Worker.start(name_or_path, places)
        for seed in tqdm(missing, desc="clips"):
            _Worker.work(seed)
    elif missing:
        with process_pool(workers, _Worker.start, name_or_path, places) as pool:
            jobs = [pool.submit(_Worker.work, seed) for seed in missing]
            for job in tqdm(as_completed(jobs), desc="clips", total=len(jobs)):
                job.result()
    return [[read_trial(_place(place, seed)) for seed in seeds] for place in places.values()]


def claim(record: Path, identity: Mapping[str, str | None], others: str) -> None:
    """Take the folder of `record` for answers of this `identity`, which is written there by the first who comes.

    Raises:
        ValueError: it holds answers of `others`.
    """
    record.parent.mkdir(parents=True, exist_ok=True)
    if not record.exists():
        with atomic_write(record) as part:
            part.write_text(json.dumps(identity))
    if json.loads(record.read_text()) != identity:
        raise ValueError(f"{record.parent} holds answers of {others}; choose another folder or remove it")


def _place(folder: Path, seed: int) -> Path:
    return folder / f"{seed}.npz"


class _Worker:
    """What a process remembers between its clips."""

    model: ClassVar[Synchformer]
    places: ClassVar[dict[Recipe, Path]]

    @classmethod
    def start(cls, name_or_path: str, places: dict[Recipe, Path]) -> None:
        torch.set_num_threads(1)
        cls.model, cls.places = load_model(name_or_path, "cpu"), places

    @classmethod
    def work(cls, seed: int) -> None:
        run = RememberedPictures()
        for recipe, place in cls.places.items():
            if _place(place, seed).exists():
                continue
            with tempfile.TemporaryDirectory() as scratch:
                path = write_offset_clip(recipe, seed, Path(scratch))
                save_trial(measure(cls.model, path, seed, recipe.truth(seed), run), _place(place, seed))


def measure(model: Synchformer, path: Path, seed: int, truth: float, run: Run = run_locally) -> Trial:
    """What a model says about a clip's file."""
    condition = MediaCondition(model.config.sample_rate)
    windows = tuple(read_windows(model, path, fine_plan(model.config), watch=condition.add, run=run))
    return Trial(seed, truth, windows, condition.bandwidth, condition.fps)


class RememberedPictures:
    """Runs a model in this process and encodes no picture twice, for files that differ in their sound alone."""

    def __init__(self) -> None:
        self._features: dict[bytes, Tensor] = {}

    def __call__(self, work: Callable[..., Tensor], model: TwoStreams, *arguments: Any) -> Tensor:
        """As `synchformer.inference.engine.run_locally`."""
        if work is not encode_pictures:
            return run_locally(work, model, *arguments)
        key = hashlib.sha256(arguments[0].numpy().tobytes()).digest()
        if key not in self._features:
            self._features[key] = run_locally(work, model, *arguments)
        return self._features[key]


def save_trial(trial: Trial, path: Path) -> None:
    """Write a trial; a reader never sees half of it. Probabilities are kept to 3 digits."""
    windows = trial.windows
    with atomic_write(path) as part:
        np.savez_compressed(
            part,
            seed=trial.seed,
            truth=trial.truth,
            bandwidth=trial.bandwidth,
            fps=trial.fps,
            starts=[window.start for window in windows],
            stops=[window.stop for window in windows],
            counts=[len(window.shifts) for window in windows],
            shifts=np.concatenate([window.shifts for window in windows]),
            probabilities=np.concatenate([window.probabilities for window in windows]).astype(np.float16),
        )


def read_trial(path: Path) -> Trial:
    """Read what `save_trial` wrote."""
    with np.load(path) as kept:
        windows, fps = tuple(_windows(kept)), float(kept["fps"]) if "fps" in kept else FPS
        return Trial(int(kept["seed"]), float(kept["truth"]), windows, float(kept["bandwidth"]), fps)


def _windows(kept: np.lib.npyio.NpzFile) -> Iterator[Window]:
    ends = np.cumsum(kept["counts"])
    shifts, probabilities = kept["shifts"], kept["probabilities"].astype(np.float64)  # (P,), (P, C)
    for start, stop, first, last in zip(kept["starts"], kept["stops"], ends - kept["counts"], ends, strict=True):
        yield Window(float(start), float(stop), shifts[first:last], probabilities[first:last])


@command
def main(argv: list[str] | None = None) -> int:
    """Collect trials into a folder; exit status 2 on wrong usage, seeds on which weights were shaped included."""
    parser = argparse.ArgumentParser(prog="python -m training.calibration.trials", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="mini")
    add_seed(parser, "the first clip", FIRST_SEED)
    parser.add_argument("--count", type=int, default=300)
    add_workers(parser)
    asked = parser.parse_args(argv)
    try:
        collect(asked.model, [Recipe()], range(asked.seed, asked.seed + asked.count), asked.folder, asked.workers)
    except ValueError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
