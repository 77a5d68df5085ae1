"""A pool of generated clips, rendered once at the model's resolution and read at random.

Shape legend: N clips, T frames, n samples.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from synchformer.config import SynchformerConfig
from synthetic import Kind, Scene, frame_times, render_frames, render_sound, sample_scene
from training.crops import Crop
from training.task import Batch

HELD_OUT = 1_000_000  # seeds from here on are never trained on


@dataclass(frozen=True)
class Recipe:
    """Which clips: `count` scenes with seeds seed, seed + 1, ...; `events` shared events each; `duration` seconds.

    Kinds in `without` are neither seen nor heard in any of them; `only` bounds the kinds of shared events.
    """

    seed: int = 0
    count: int = 1000
    events: tuple[int, int] = (1, 4)
    duration: float = 10.0
    without: tuple[Kind, ...] = ()
    only: tuple[Kind, ...] = ()

    def scene(self, index: int) -> Scene:
        """The scene of clip `index`."""
        return sample_scene(self.seed + index, self.events, self.duration, without=self.without, only=self.only)

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these clips from others, as plain values."""
        kinds = [f"without {kind}" for kind in self.without] + [f"only {kind}" for kind in self.only]
        return {"seed": self.seed, "events": [*self.events, *kinds]}


@dataclass(frozen=True)
class Renderer:
    """Draws and sounds the clips of a recipe as the model's centre crop shows them."""

    recipe: Recipe
    config: SynchformerConfig

    def __call__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """Frames uint8 (T, 3, H, W) and samples int16 (n,) of clip `index`."""
        scene, config = self.recipe.scene(index), self.config
        size = (config.image_size, config.image_size)
        frames = render_frames(scene, frame_times(scene, config.video_fps), size, config.image_size / config.short_side)
        return frames.numpy(), np.round(render_sound(scene, config.sample_rate) * 32767).astype(np.int16)


class ClipPool:
    """Rendered clips on disk, memory-mapped: `frames` uint8 (N, T, 3, H, W), `audio` int16 (N, n), `scenes`.

    Building goes on where an interrupted one stopped.
    """

    def __init__(self, folder: Path, recipe: Recipe, config: SynchformerConfig, workers: int = 2) -> None:
        self.recipe, self.config = recipe, config
        self.scenes = [recipe.scene(index) for index in range(recipe.count)]
        folder.mkdir(parents=True, exist_ok=True)
        frames = round(recipe.duration * config.video_fps)
        size = config.image_size
        self.frames = map_array(folder / "frames.u8", np.dtype(np.uint8), (recipe.count, frames, 3, size, size))
        self.audio = map_array(
            folder / "audio.i16", np.dtype(np.int16), (recipe.count, frames * config.samples_per_frame)
        )
        identity = {**recipe.identity, "config": repr(config)}
        build(folder, identity, recipe.count, Renderer(recipe, config), self._keep, workers)

    def __len__(self) -> int:
        return self.recipe.count

    def _keep(self, index: int, rendered: tuple[NDArray[np.uint8], NDArray[np.int16]]) -> None:
        self.frames[index], self.audio[index] = rendered

    def starts(self, _: int, span: int) -> NDArray[np.int64]:
        """Frames at which a picture of `span` frames may begin: all that leave room for it."""
        return np.arange(self.frames.shape[1] - span + 1)

    def last_sound(self, _: int, span: int) -> int:
        """Last frame at which sound of `span` frames may begin."""
        return int(self.frames.shape[1]) - span

    def shared(self, clip: int, picture: tuple[float, float], sound: tuple[float, float]) -> int:
        """Events seen inside `picture` and heard inside `sound` (seconds)."""
        return len(self.scenes[clip].shared_events(picture, sound))

    def read(self, crops: list[Crop], config: SynchformerConfig) -> Batch:
        """Segments of crops: frames uint8 (B, S, F, 3, H, W) and waves float32 (B, S, n)."""
        steps = [index * config.segment_stride for index in range(config.segments)]
        length = config.segment_frames
        frames = np.stack([[self.video_segment(c.clip, c.start + step, length) for step in steps] for c in crops])
        waves = np.stack([[self.audio_segment(c.sound_clip, c.sound + step, length) for step in steps] for c in crops])
        return {"frames": torch.from_numpy(frames), "waves": torch.from_numpy(waves)}

    def video_segment(self, clip: int, start: int, length: int = 0) -> NDArray[np.uint8]:
        """Frames (length, 3, H, W) from frame `start`; a whole segment when no length in frames is given."""
        return np.asarray(self.frames[clip, start : start + (length or self.config.segment_frames)])

    def audio_segment(self, clip: int, start: int, length: int = 0) -> NDArray[np.float32]:
        """Samples (n,) float32 of `length` frames from frame `start`; a whole segment when no length is given."""
        each = self.config.samples_per_frame
        samples = self.audio[clip, start * each : (start + (length or self.config.segment_frames)) * each]
        return samples.astype(np.float32) / np.float32(32767)


def build(
    folder: Path,
    identity: dict[str, Any],
    count: int,
    make: Callable[[int], Any],
    keep: Callable[[int, Any], None],
    workers: int,
) -> None:
    """Make the items from 0 to `count` that `folder` lacks, in processes of one thread each, and keep them in order.

    Args:
        folder: `built.json` there says what was made and how many are done.
        identity: all that the items depend on.
        count: how many items are wanted.
        make: makes an item; sent once to every process.
        keep: stores an item, in this process.
        workers: number of processes; 0 makes everything in this one.

    Raises:
        ValueError: when the folder was begun with another identity.
    """
    record = folder / "built.json"
    found: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {**identity, "done": 0}
    if {key: found.get(key) for key in identity} != identity:
        raise ValueError(f"{folder} was made from other clips or weights; choose another folder or remove it")
    missing = range(found["done"], count)
    with ExitStack() as stack:
        made = (
            map(make, missing)
            if not workers
            else stack.enter_context(_processes(make, workers)).map(_Worker.work, missing, chunksize=2)
        )
        for index, item in zip(missing, tqdm(made, folder.name, len(missing)), strict=True):
            keep(index, item)
            if (index + 1) % 20 == 0 or index + 1 == count:
                record.write_text(json.dumps({**identity, "done": index + 1}))


def _processes(make: Callable[[int], Any], count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, get_context("spawn"), initializer=_Worker.start, initargs=(make,))


class _Worker:
    """What a process of `build` remembers between its items."""

    make: Callable[[int], Any]

    @classmethod
    def start(cls, make: Callable[[int], Any]) -> None:
        torch.set_num_threads(1)
        cls.make = staticmethod(make)

    @classmethod
    def work(cls, index: int) -> Any:
        return cls.make(index)


def map_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A writable array on disk; an existing file keeps what it holds, whether more clips or fewer are asked for."""
    path.touch()
    os.truncate(path, max(path.stat().st_size, dtype.itemsize * int(np.prod(shape, dtype=np.int64))))
    return np.memmap(path, dtype=dtype, mode="r+", shape=shape)
