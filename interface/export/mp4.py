"""Write what browsers play: H.264 picture and AAC sound in an MP4 file.

Shape legend: H x W pixels, n samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from synchformer.storage.atomic import atomic_write

CRF = "20"  # H.264 quality, smaller is better
AUDIO_BITS = "128k"
BLOCK = 1024  # samples in one AAC packet

Pixels = NDArray[np.uint8]


def write_mp4(
    path: Path, frames: Iterable[Pixels], fps: int, sound: NDArray[np.float32], sample_rate: int
) -> Iterator[int]:
    """Encode frames as they come; yields how many are written, and closing the iterator leaves no file behind.

    Args:
        path: the file; it appears when the iterator is exhausted, whole.
        frames: RGB pictures uint8 (H, W, 3), all of one size with even sides.
        fps: frames per second.
        sound: mono samples in [-1, 1], float32 (n,).
        sample_rate: samples per second.

    Raises:
        OSError: when the file cannot be written.
        ValueError: for an odd side, which 4:2:0 video cannot have.
    """
    with (
        atomic_write(path) as part,
        av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        # Few threads: others wait for the same cores.
        video = container.add_stream("libx264", rate=fps, options={"crf": CRF, "preset": "veryfast", "threads": "2"})
        audio = container.add_stream("aac", rate=sample_rate, layout="mono", options={"b": AUDIO_BITS})
        video.pix_fmt = "yuv420p"
        heard = 0
        for count, pixels in enumerate(frames, 1):
            if count == 1:
                video.height, video.width = _even(pixels)
            container.mux(video.encode(_frame(pixels, count - 1)))
            heard = _sound_up_to(container, audio, sound, heard, count * sample_rate // fps)
            yield count
        container.mux(video.encode(None))
        _sound_up_to(container, audio, sound, heard, len(sound) + BLOCK)
        container.mux(audio.encode(None))


def _even(pixels: Pixels) -> tuple[int, int]:
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"height and width must be even, not {height} and {width}")
    return height, width


def _frame(pixels: Pixels, index: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame.pts = index
    return frame


def _sound_up_to(
    container: av.container.OutputContainer, stream: av.AudioStream, sound: NDArray[np.float32], begin: int, end: int
) -> int:
    """Encode whole blocks from sample `begin` on that end before `end`; returns where the next one begins."""
    while begin < len(sound) and begin + BLOCK <= end:
        block = np.ascontiguousarray(sound[None, begin : begin + BLOCK], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = stream.rate, begin
        container.mux(stream.encode(frame))
        begin += BLOCK
    return begin
