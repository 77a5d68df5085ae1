"""Films of generated scenes whose sound is off in a planned way: constant, drifting, or jumping at cuts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from synthetic import frame_times, render_frames, render_sound, sample_scene

FPS, RATE = 25, 16_000
SIDE = 112  # pixels
CODECS = {".webm": ("libvpx", "libopus")}


def write_film(
    path: Path, seconds: float, offset: Callable[[float], float], *, seed: int = 3_900_000, scene_seconds: float = 10.0
) -> Path:
    """Scenes one after the other, the sound `offset(t)` seconds early at the time t of the picture, by interpolation.

    `offset` is continuous or jumps; where it jumps, the sound jumps.
    """
    count = int(np.ceil(seconds / scene_seconds)) + 1
    scenes = [sample_scene(seed + index, (3, 5), scene_seconds, distractors=False) for index in range(count)]
    wave = np.concatenate([render_sound(scene, RATE) for scene in scenes])
    times = np.arange(round(seconds * RATE)) / RATE  # of the file's sound
    # What is heard at u belongs to t = u + offset(t): two steps of iteration, for offsets change slowly.
    belongs = times + np.array([offset(time) for time in times[:: RATE // 100]]).repeat(RATE // 100)[: len(times)]
    sound = np.interp(belongs, np.arange(len(wave)) / RATE, wave, left=0.0, right=0.0).astype(np.float32)
    video, audio = CODECS.get(path.suffix, ("libx264", "aac"))
    with av.open(str(path), "w") as out:
        picture = out.add_stream(video, rate=FPS, width=SIDE, height=SIDE, pix_fmt="yuv420p")
        picture.options = {"preset": "ultrafast"} if video == "libx264" else {"deadline": "realtime", "cpu-used": "8"}
        track = out.add_stream(audio, rate=48_000 if audio == "libopus" else RATE, layout="mono")
        shown = 0
        for scene in scenes:
            frames = (
                render_frames(scene, frame_times(scene, FPS), (SIDE, SIDE)).permute(0, 2, 3, 1).contiguous().numpy()
            )
            for frame in frames[: max(0, round(seconds * FPS) - shown)]:
                made = av.VideoFrame.from_ndarray(frame, format="rgb24")
                made.pts = shown
                out.mux(picture.encode(made))
                shown += 1
        for first in range(0, len(sound), 1024):
            part = av.AudioFrame.from_ndarray(sound[None, first : first + 1024], format="fltp", layout="mono")
            part.sample_rate, part.pts = RATE, first
            out.mux(track.encode(part))
        out.mux(picture.encode(None))
        out.mux(track.encode(None))
    return path
