"""A video whose one flash and one click are known, and what is found of them."""

from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

FPS, RATE, EVENT = 25, 16_000, 3.0  # a flash and a click at 3 s of a clip of 6 s


SECONDS = 6


def write_flash_click(path: Path, video="libx264", audio="aac", seconds=SECONDS, event=EVENT, noise=0.0) -> Path:
    """Apart from the click the sound is digital silence, or noise of this size."""
    with av.open(str(path), "w") as out:
        picture = out.add_stream(video, rate=FPS, width=64, height=48, pix_fmt="yuv420p")
        sound = out.add_stream(audio, rate=48_000 if audio == "libopus" else RATE, layout="mono")
        for index in range(seconds * FPS):
            level = 255 if index == event * FPS else 16
            frame = VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
            out.mux(picture.encode(frame))
        samples = noise * np.random.default_rng(0).standard_normal((1, seconds * sound.rate)).astype(np.float32)
        first = int(event * sound.rate)
        samples[0, first : first + sound.rate // 100] = 0.8
        for begin in range(0, samples.shape[1], 1024):
            frame = AudioFrame.from_ndarray(samples[:, begin : begin + 1024].copy(), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = sound.rate, begin
            out.mux(sound.encode(frame))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    return path


def flash_and_click(path) -> tuple[float, float]:
    """Seconds of the brightest frame and of the loudest moment, decoded with presentation times."""
    with av.open(str(path)) as source:
        flash = max((frame.to_ndarray(format="gray").mean(), frame.time) for frame in source.decode(video=0))[1]
    with av.open(str(path)) as source:
        frames = [(frame.time, np.abs(frame.to_ndarray()[0]), frame.sample_rate) for frame in source.decode(audio=0)]
    loudest = max(samples.max() for _, samples, _ in frames)
    time, samples, rate = next(frame for frame in frames if frame[1].max() > loudest / 2)
    return flash, time + int((samples > loudest / 2).argmax()) / rate
