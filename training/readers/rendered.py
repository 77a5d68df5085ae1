"""Generated clips, rendered once at the model's resolution and read at random.

Shape legend: N clips, T frames, n audio samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synchformer.config import SynchformerConfig
from synthetic import Scene, frame_times, render_frames, render_sound
from synthetic.recipe import Recipe
from training.augmentation.policy import Change, light
from training.readers.base import WholeClips
from training.readers.pixel_reader import PixelReader
from training.runtime.batches import Batch
from training.runtime.disk_arrays import build, map_array
from training.sampling.crops import CropPlace


class Renderer(WholeClips):
    """Draws and sounds the clips of a recipe as the model's center crop shows them.

    With `full_frame`, frames are squares of the short side, of which the center crop is the middle.
    """

    scenes: Sequence[Scene]

    def __init__(self, recipe: Recipe, config: SynchformerConfig, full_frame: bool = False) -> None:
        self.recipe, self.config, self.full_frame = recipe, config, full_frame
        self.scenes = [recipe.scene(index) for index in range(recipe.count)]

    def __len__(self) -> int:
        return self.recipe.count

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these clips from others, as plain values."""
        return self.recipe.identity

    @property
    def side(self) -> int:
        """Pixels of a frame's side."""
        return self.config.short_side if self.full_frame else self.config.image_size

    def frames_of(self, _: int) -> int:
        """Frames of a clip: as many in all."""
        return round(self.recipe.duration * self.config.video_fps)

    def read_clip(self, clip: int) -> tuple[Tensor, Tensor]:
        """Frames uint8 (T, 3, H, W) and samples int16 (n,) of a clip."""
        scene, config, side = self.scenes[clip], self.config, self.side
        frames = render_frames(scene, frame_times(scene, config.video_fps), (side, side), side / config.short_side)
        sound = np.round(render_sound(scene, config.sample_rate) * 32767).astype(np.int16)
        return frames, torch.from_numpy(sound)


@dataclass(frozen=True)
class Writer:
    """Renders clips into files, from whatever process: clips are too large to be sent to another one."""

    renderer: Renderer
    folder: Path

    @cached_property
    def arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """Frames uint8 (N, T, 3, H, W) and samples int16 (N, n), memory-mapped."""
        renderer = self.renderer
        count, frames, side = len(renderer), renderer.frames_of(0), renderer.side
        return (
            map_array(self.folder / "frames.u8", np.dtype(np.uint8), (count, frames, 3, side, side)),
            map_array(
                self.folder / "audio.i16", np.dtype(np.int16), (count, frames * renderer.config.samples_per_frame)
            ),
        )

    def __call__(self, index: int) -> None:
        """Render clip `index` and write it where it belongs."""
        frames, audio = self.arrays
        frames[index], audio[index] = self.renderer.read_clip(index)


class RenderedClips(PixelReader):
    """Rendered clips on disk, memory-mapped: `frames` uint8 (N, T, 3, H, W), `audio` int16 (N, n), `scenes`.

    Building goes on where an interrupted one stopped. Frames are full squares where training cuts them at random.
    `device_frames` are the frames of all clips one after the other, uint8 (rows, 3, H, W), where a device keeps them:
    batches with random numbers then name rows of it.
    """

    scenes: Sequence[Scene]
    device_frames: Tensor | None = None

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        config: SynchformerConfig,
        workers: int = 2,
        change: Change = Change(),  # noqa: B008, frozen
    ) -> None:
        renderer = Renderer(recipe, config, change.sees_all)
        self.recipe, self.config, self.change, self.scenes = recipe, config, change, renderer.scenes
        folder.mkdir(parents=True, exist_ok=True)
        self.frames, self.audio = Writer(renderer, folder).arrays
        side = {"side": renderer.side} if renderer.full_frame else {}
        identity = {**renderer.identity, "config": repr(config), **side}
        build(folder, identity, recipe.count, Writer(renderer, folder), lambda *_: None, workers)

    def __len__(self) -> int:
        return self.recipe.count

    def frames_of(self, _: int) -> int:
        """Frames of a clip: as many in all."""
        return int(self.frames.shape[1])

    def picture(self, clip: int, start: int, length: int) -> Tensor:
        """`length` frames (T, 3, H, W) from frame `start` on."""
        return torch.from_numpy(np.array(self.frames[clip, start : start + length]))

    def sound(self, clip: int, sample_index: int, length: int) -> Tensor:
        """The sound (n,) float32 of `length` frames, from an audio sample on."""
        sound = self.audio[clip, sample_index : sample_index + length * self.config.samples_per_frame]
        return torch.from_numpy(sound.astype(np.float32) / np.float32(32767))

    # Frames that a device keeps

    def keep_on_device(self, device: torch.device) -> None:
        """Keep all frames in a device's memory as well, so that batches only name them.

        Raises:
            ValueError: when the device has no room.
        """
        if device.type == "cuda" and self.frames.nbytes > (free := torch.cuda.mem_get_info(device)[0]):
            raise ValueError(
                f"--resident: {len(self)} clips take {self.frames.nbytes / 1e9:.0f} GB and {device} has "
                f"{free / 1e9:.0f} GB free; take fewer (--count), or leave them on disk"
            )
        self.device_frames = torch.empty(self.frames.shape, dtype=torch.uint8, device=device).flatten(0, 1)
        for clip, frames in enumerate(self.frames):
            self.device_frames[clip * len(frames) : (clip + 1) * len(frames)] = torch.from_numpy(frames)

    def _segments(
        self, crop: CropPlace, count: int, stride: int, length: int, rng: np.random.Generator | None
    ) -> Batch:
        if self.device_frames is None or rng is None:
            return super()._segments(crop, count, stride, length, rng)
        each = self.config.samples_per_frame
        sound = self.sound(crop.sound_clip, crop.sound * each, (count - 1) * stride + length)
        batch = {
            "rows": self._row(crop.clip, crop.start) + torch.arange(count)[:, None] * stride + torch.arange(length),
            "waves": sound.unfold(0, length * each, stride * each),
        }
        return light(batch, rng) if self.change.kind == "light" else batch

    def video_segments(self, places: Sequence[tuple[int, int]], changed: bool) -> Batch:
        """Pictures of single segments, or "rows" (N, F) of `device_frames`; see `PixelReader.video_segments`."""
        if self.device_frames is None or not changed:
            return super().video_segments(places, changed)
        rows = torch.tensor([self._row(clip, start) for clip, start in places])
        return {"rows": rows[:, None] + torch.arange(self.config.segment_frames)}

    def _row(self, clip: int, start: int) -> int:
        return clip * self.frames_of(clip) + start

    def ready(self, batch: Batch, prefix: str = "") -> Batch:
        """A batch with the frames that its "rows" (..., F) name, where there are some; see `PixelReader.ready`."""
        done = dict(batch)
        rows = done.pop(f"{prefix}rows", None)
        if rows is not None:
            assert self.device_frames is not None
            done[f"{prefix}frames"] = self.device_frames[rows.to(self.device_frames.device)]
        return super().ready(done, prefix)
