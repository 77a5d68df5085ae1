"""A pool of generated clips, rendered once at the model's resolution and read at random.

Shape legend: N clips, T frames, n samples.
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
from synchformer.media.crop import center_crop
from synthetic import Scene, frame_times, render_frames, render_sound
from training.augmentation.policy import Change, light
from training.datasets.recipe import Recipe
from training.readers.base import PixelClips
from training.runtime.batches import Batch
from training.runtime.disk_arrays import build, map_array
from training.sampling.crops import CropPlace


@dataclass(frozen=True)
class Renderer:
    """Draws and sounds the clips of a recipe as the model's center crop shows them.

    With `whole`, frames are squares of the short side, of which the center crop is the middle.
    """

    recipe: Recipe
    config: SynchformerConfig
    whole: bool = False

    def __len__(self) -> int:
        return self.recipe.count

    @cached_property
    def scenes(self) -> list[Scene]:
        """The truth about every clip."""
        return [self.recipe.scene(index) for index in range(self.recipe.count)]

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these clips from others, as plain values."""
        return self.recipe.identity

    @property
    def side(self) -> int:
        """Pixels of a frame's side."""
        return self.config.short_side if self.whole else self.config.image_size

    def frames_of(self, _: int) -> int:
        """Frames of a clip."""
        return round(self.recipe.duration * self.config.video_fps)

    def __call__(self, index: int) -> tuple[Tensor, Tensor]:
        """Frames uint8 (T, 3, H, W) and samples int16 (n,) of clip `index`."""
        scene, config, side = self.recipe.scene(index), self.config, self.side
        frames = render_frames(scene, frame_times(scene, config.video_fps), (side, side), side / config.short_side)
        sound = np.round(render_sound(scene, config.sample_rate) * 32767).astype(np.int16)
        return frames, torch.from_numpy(sound)


@dataclass(frozen=True)
class Writer:
    """Renders clips into the files of a pool, from whatever process: clips are too large to be sent to another one."""

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
        frames[index], audio[index] = self.renderer(index)


class ClipPool(PixelClips):
    """Rendered clips on disk, memory-mapped: `frames` uint8 (N, T, 3, H, W), `audio` int16 (N, n), `scenes`.

    Building goes on where an interrupted one stopped. Frames are whole squares where training cuts them at random.
    """

    scenes: Sequence[Scene]

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        config: SynchformerConfig,
        workers: int = 2,
        change: Change = Change(),  # noqa: B008, frozen
    ) -> None:
        renderer = Renderer(recipe, config, change.settings.random_crop)
        self.recipe, self.config, self.change, self.scenes = recipe, config, change, renderer.scenes
        folder.mkdir(parents=True, exist_ok=True)
        self.frames, self.audio = Writer(renderer, folder).arrays
        identity = {**renderer.identity, "config": repr(config), **({"side": renderer.side} if renderer.whole else {})}
        build(folder, identity, recipe.count, Writer(renderer, folder), lambda *_: None, workers)

    def __len__(self) -> int:
        return self.recipe.count

    def frames_of(self, _: int) -> int:
        """Frames of a clip: as many in all."""
        return int(self.frames.shape[1])

    def hold(self, device: torch.device) -> None:
        """Keep all frames in a device's memory as well, so that batches only name them; see `PixelClips.store`.

        Raises:
            ValueError: when frames are cut or changed where batches are made, or the device has no room.
        """
        if self.frames.shape[-1] != self.config.image_size or self.change.kind == "published":
            raise ValueError("--resident keeps frames as the model takes them; leave it out with --augment published")
        if device.type == "cuda" and self.frames.nbytes > (free := torch.cuda.mem_get_info(device)[0]):
            raise ValueError(
                f"--resident: {len(self)} clips take {self.frames.nbytes / 1e9:.0f} GB and {device} has "
                f"{free / 1e9:.0f} GB free; take fewer (--count), or leave them on disk"
            )
        self.store = torch.empty(self.frames.shape, dtype=torch.uint8, device=device).flatten(0, 1)
        for clip, frames in enumerate(self.frames):
            self.store[clip * len(frames) : (clip + 1) * len(frames)] = torch.from_numpy(frames)

    def _segments(
        self, crop: CropPlace, count: int, stride: int, length: int, rng: np.random.Generator | None
    ) -> Batch:
        if self.store is None or rng is None:
            return super()._segments(crop, count, stride, length, rng)
        each, first = self.config.samples_per_frame, crop.clip * self.frames_of(crop.clip) + crop.start
        sound = self._sound(crop.sound_clip, crop.sound * each, (count - 1) * stride + length)
        batch = {
            "rows": first + torch.arange(count)[:, None] * stride + torch.arange(length),
            "waves": sound.unfold(0, length * each, stride * each),
        }
        return light(batch, rng) if self.change.kind == "light" else batch

    def cut(self, crop: CropPlace, length: int, later: int = 0) -> tuple[Tensor, Tensor]:
        """Frames and sound of a crop; see `PixelClips.cut`."""
        first = crop.sound * self.config.samples_per_frame + later
        return self._picture(crop.clip, crop.start, length), self._sound(crop.sound_clip, first, length)

    def _picture(self, clip: int, start: int, length: int) -> Tensor:
        """`length` frames (T, 3, H, W) from frame `start`."""
        return torch.from_numpy(np.array(self.frames[clip, start : start + length]))

    def _sound(self, clip: int, first: int, length: int) -> Tensor:
        """The samples (n,) of `length` frames, float32, from sample `first`."""
        samples = self.audio[clip, first : first + length * self.config.samples_per_frame]
        return torch.from_numpy(samples.astype(np.float32) / np.float32(32767))

    def video_segments(self, places: Sequence[tuple[int, int]], changed: bool) -> Batch:
        """The model's squares of segments at `places` (clip, first frame): "frames" uint8 (N, F, 3, H, W).

        Where they are to be `changed` and a device holds them, "rows" (N, F) of `store`.
        """
        length = self.config.segment_frames
        if changed and self.store is not None:
            firsts = torch.tensor([clip * self.frames_of(clip) + start for clip, start in places])
            return {"rows": firsts[:, None] + torch.arange(length)}
        frames = torch.stack([self._picture(clip, start, length) for clip, start in places])
        return {"frames": center_crop(frames, self.config.image_size)}

    def audio_segments(self, places: Sequence[tuple[int, int]]) -> Tensor:
        """Samples (N, n) float32 of segments at `places` (clip, first frame)."""
        each, length = self.config.samples_per_frame, self.config.segment_frames
        return torch.stack([self._sound(clip, start * each, length) for clip, start in places])
