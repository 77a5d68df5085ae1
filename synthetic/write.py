"""Write a scene as an ordinary MP4 file: H.264 picture, AAC sound, 25 fps, 16 kHz."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from synthetic.render import FPS, frame_times, render_frames
from synthetic.scene import Scene
from synthetic.sounds import SAMPLE_RATE, render_sound


def write_clip(scene: Scene, path: str | Path, size: tuple[int, int] = (256, 340), crf: int = 18) -> Path:
    """Render a scene and encode it.

    Args:
        scene: what to show and sound.
        path: the MP4 file, replaced when it exists.
        size: height and width in pixels, both even.
        crf: H.264 quality, smaller is better.

    Raises:
        ValueError: when a side of `size` is odd, which 4:2:0 video cannot have.
    """
    if size[0] % 2 or size[1] % 2:
        raise ValueError(f"height and width must be even, not {size}")
    frames = render_frames(scene, frame_times(scene), size).permute(0, 2, 3, 1).contiguous().numpy()  # (T, H, W, 3)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = size[1], size[0], "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, options={"b": "96k"})
        audio.layout = "mono"
        _encode_video(container, video, frames)
        _encode_audio(container, audio, render_sound(scene))
    return Path(path)


def _encode_video(container: av.container.OutputContainer, stream: av.VideoStream, frames: NDArray[np.uint8]) -> None:
    for index, picture in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = index
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _encode_audio(container: av.container.OutputContainer, stream: av.AudioStream, wave: NDArray[np.float32]) -> None:
    for first in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, first
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
