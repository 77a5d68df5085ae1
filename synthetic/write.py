"""Write ordinary files, 25 fps and 16 kHz: H.264 picture and AAC sound; VP8 and Opus in WebM.

Shape legend: T frames, H x W pixels, n samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from synthetic.render import FPS, frame_times, render_frames
from synthetic.scene import Scene
from synthetic.sounds import SAMPLE_RATE, render_sound

AAC_FRAME = 1024  # samples that AAC encodes together; only the last frame of a stream may be shorter
ENCODERS = {".webm": ("libvpx", {"b": "1M", "deadline": "realtime", "cpu-used": "8"}, "libopus", 48_000)}
"""By ending: encoder of the picture and its options, encoder of the sound and its sample rate."""

Part = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Some frames (T, H, W, 3) and the samples (n,) that sound with them."""


def write_clip(
    scene: Scene,
    path: str | Path,
    size: tuple[int, int] = (256, 340),
    crf: int = 18,
    *,
    fps: float = FPS,
    sample_rate: int = SAMPLE_RATE,
) -> Path:
    """Render a scene and encode it.

    Args:
        scene: what to show and sound.
        path: the MP4 file, replaced when it exists.
        size: height and width in pixels, both even.
        crf: H.264 quality, smaller is better.
        fps: frames per second.
        sample_rate: samples per second of the file; the scene's sound, of 16 kHz, is resampled.

    Raises:
        ValueError: when a side of `size` is odd, which 4:2:0 video cannot have.
    """
    frames = render_frames(scene, frame_times(scene, fps), size).permute(0, 2, 3, 1).contiguous().numpy()
    return write_parts([(frames, render_sound(scene))], path, size, crf, fps=fps, sample_rate=sample_rate)


def write_parts(
    parts: Iterable[Part],
    path: str | Path,
    size: tuple[int, int],
    crf: int = 18,
    *,
    fps: float = FPS,
    sample_rate: int = SAMPLE_RATE,
) -> Path:
    """Encode picture and sound that come in parts, one after the other, in one thread.

    Args:
        parts: frames at `fps` and samples at 16 kHz, of any lengths.
        path: the file, replaced when it exists; its ending names the container (.mp4, .mkv, .webm).
        size: height and width of the frames in pixels, both even.
        crf: H.264 quality, smaller is better.
        fps: frames per second.
        sample_rate: samples per second of the file; WebM has its own.

    Raises:
        ValueError: when a side of `size` is odd, which 4:2:0 video cannot have.
    """
    if size[0] % 2 or size[1] % 2:
        raise ValueError(f"height and width must be even, not {size}")
    x264 = ("libx264", {"crf": str(crf), "preset": "veryfast"}, "aac", sample_rate)
    codec, options, sound, rate = ENCODERS.get(Path(path).suffix, x264)
    layout = {"movflags": "+faststart"} if Path(path).suffix == ".mp4" else {}
    with av.open(str(Path(path).absolute()), "w", options=layout) as container:  # a colon in a name is no protocol
        video = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
        audio = container.add_stream(sound, rate=rate, options={"b": "96k"})
        assert isinstance(video, av.VideoStream) and isinstance(audio, av.AudioStream)
        video.width, video.height, video.pix_fmt = size[1], size[0], "yuv420p"
        video.codec_context.thread_count = 1
        audio.layout = "mono"
        shown, heard, rest = 0, 0, np.zeros(0, np.float32)
        for frames, wave in parts:
            shown = _encode_video(container, video, frames, shown)
            rest = np.concatenate([rest, wave])
            whole = len(rest) // AAC_FRAME * AAC_FRAME
            heard, rest = _encode_audio(container, audio, rest[:whole], heard), rest[whole:]
        _encode_audio(container, audio, rest, heard)
        for stream in (video, audio):
            container.mux(stream.encode(None))
    return Path(path)


def _encode_video(
    container: av.container.OutputContainer, stream: av.VideoStream, frames: NDArray[np.uint8], first: int
) -> int:
    """Encode frames whose first is number `first`; returns the number of the next."""
    for index, picture in enumerate(frames, first):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = index
        container.mux(stream.encode(frame))
    return first + len(frames)


def _encode_audio(
    container: av.container.OutputContainer, stream: av.AudioStream, wave: NDArray[np.float32], first: int
) -> int:
    """Encode samples whose first is number `first`; returns the number of the next."""
    for start in range(0, len(wave), AAC_FRAME):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + AAC_FRAME], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, first + start
        container.mux(stream.encode(frame))
    return first + len(wave)
