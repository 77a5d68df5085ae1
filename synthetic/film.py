"""Films of generated scenes whose sound is off in a planned way: constant, drifting, or jumping at cuts.

Shape legend: n samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from synthetic.render import FPS, frame_times, render_frames
from synthetic.scene import Scene, sample_scene
from synthetic.seeds import SEEDS
from synthetic.sounds import SAMPLE_RATE, render_sound
from synthetic.write import Part, write_parts

FIRST_SEED = SEEDS["films"][0]
EVENTS = (3, 5)  # of a scene of 10 s: no crop is empty
SCENE_SECONDS = 10.0
PLANNED = SAMPLE_RATE // 100  # samples between moments at which the planned offset is asked for


def write_film(
    path: str | Path,
    seconds: float,
    offset: Callable[[float], float],
    *,
    seed: int = FIRST_SEED,
    scene_seconds: float = SCENE_SECONDS,
    size: tuple[int, int] = (112, 112),
) -> Path:
    """Scenes one after the other, the sound `offset(t)` seconds early at the time t of the picture.

    Above zero the sound runs ahead. It is moved by interpolation; where `offset` jumps, the sound jumps.

    Args:
        path: the file, replaced when it exists; its ending names the container (.mp4, .mkv, .webm).
        seconds: length.
        offset: seconds of the film to seconds of offset; continuous and slow but for jumps.
        seed: of the first scene; the others follow.
        scene_seconds: length of a scene.
        size: height and width in pixels, both even.

    Raises:
        ValueError: when the film has no length or a side of `size` is odd.
    """
    if seconds <= 0:
        raise ValueError(f"a film must be longer than 0 s, not {seconds:g} s")
    count = int(np.ceil(seconds / scene_seconds)) + 1  # one more: sound that runs ahead comes from behind the end
    scenes = [sample_scene(seed + index, EVENTS, scene_seconds, distractors=False) for index in range(count)]
    wave = np.concatenate([render_sound(scene) for scene in scenes])
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE  # of the film's sound
    planned = np.array([offset(float(time)) for time in times[::PLANNED]]).repeat(PLANNED)[: len(times)]
    moved = np.interp(times + planned, np.arange(len(wave)) / SAMPLE_RATE, wave, left=0.0, right=0.0)
    return write_parts(_parts(scenes, moved.astype(np.float32), size), path, size)


def _parts(scenes: list[Scene], sound: np.ndarray, size: tuple[int, int]) -> Iterator[Part]:
    """The film scene by scene, as long as there is sound (n,)."""
    for scene in scenes:
        heard, sound = np.split(sound, [round(scene.duration * SAMPLE_RATE)])
        frames = render_frames(scene, frame_times(scene), size).permute(0, 2, 3, 1).contiguous().numpy()
        if len(heard):
            yield frames[: round(len(heard) / SAMPLE_RATE * FPS)], heard
