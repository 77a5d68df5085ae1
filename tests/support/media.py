"""Files with a known truth: every frame shows its own number, and one click sounds at a known time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 8  # a frame's number is drawn as this many black or white bars
CLICK_SECONDS = 0.005


@dataclass(frozen=True)
class MediaSpec:
    """What to write. Delays shift a whole stream; `times` are the frames' own, in seconds, where the rate varies."""

    seconds: float = 3.0
    fps: Fraction = Fraction(25)
    rate: int = 16_000
    click: float | None = 1.5
    click_channel: int | None = None
    size: tuple[int, int] = (48, 64)
    video: str | None = "libx264"
    audio: str | None = "aac"
    pix_fmt: str = "yuv420p"
    layout: str = "mono"
    video_delay: float = 0.0
    audio_delay: float = 0.0
    times: Sequence[float] | None = None
    gap: tuple[float, float] | None = None
    color: tuple[int, int, int] | None = None
    options: dict[str, str] = field(default_factory=dict)


def write(path: Path, sample: MediaSpec) -> Path:
    """Encode a sample with PyAV; the suffix of `path` names the container."""
    with av.open(str(path), "w") as container:
        picture = _add_video(container, sample) if sample.video else None
        sound = _add_audio(container, sample) if sample.audio else None
        for packets in (_video_packets(picture, sample), _audio_packets(sound, sample)):
            for packet in packets:
                container.mux(packet)
    return path


def _add_video(container, sample):
    stream = container.add_stream(sample.video, rate=sample.fps, options=sample.options)
    stream.height, stream.width = sample.size
    stream.pix_fmt = sample.pix_fmt
    if sample.times is not None:
        stream.codec_context.time_base = Fraction(1, 1000)
    return stream


def _add_audio(container, sample):
    return container.add_stream(sample.audio, rate=sample.rate, layout=sample.layout)


def _video_packets(stream, sample):
    if stream is None:
        return
    base = stream.codec_context.time_base or 1 / sample.fps
    times = sample.times or [float(index / sample.fps) for index in range(round(sample.seconds * sample.fps))]
    for index, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(picture_of(index, sample), format="rgb24")
        frame.pts, frame.time_base = round((time + sample.video_delay) / float(base)), base
        yield from stream.encode(frame)
    yield from stream.encode(None)


def picture_of(index: int, sample: MediaSpec) -> NDArray[np.uint8]:
    """Frame `index`: one color, or bars that spell the number, the highest bit at the left."""
    height, width = sample.size
    if sample.color is not None:
        return np.full((height, width, 3), sample.color, np.uint8)
    bits = [index >> (BITS - 1 - place) & 1 for place in range(BITS)]
    row = np.array([235 if bits[x * BITS // width] else 16 for x in range(width)], np.uint8)
    return np.repeat(np.repeat(row[None, :, None], height, 0), 3, 2)


def number_in(frame: NDArray[np.uint8]) -> int:
    """The number that a frame (3, H, W) spells."""
    width = frame.shape[2]
    middles = [(2 * place + 1) * width // (2 * BITS) for place in range(BITS)]
    levels = frame[:, frame.shape[1] // 4 : -frame.shape[1] // 4, middles].mean(axis=(0, 1))
    return sum(1 << (BITS - 1 - place) for place, level in enumerate(levels) if level > 128)


def samples_of(sample: MediaSpec) -> NDArray[np.float32]:
    """The sound as planned, (channels, n)."""
    channels = av.AudioLayout(sample.layout).nb_channels
    wave = np.zeros((channels, round(sample.seconds * sample.rate)), np.float32)
    if sample.click is not None:
        first = round(sample.click * sample.rate)
        burst = 0.8 * np.cos(np.arange(round(CLICK_SECONDS * sample.rate)) * 2 * np.pi * 1000 / sample.rate)
        chosen = slice(None) if sample.click_channel is None else sample.click_channel
        wave[chosen, first : first + len(burst)] = burst
    return wave


def _audio_packets(stream, sample):
    if stream is None:
        return
    wave, size = samples_of(sample), 1024
    frames = av.AudioResampler(format=stream.format.name, layout=sample.layout, rate=sample.rate)
    for first in range(0, wave.shape[1], size):
        begin = first / sample.rate
        if sample.gap and sample.gap[0] <= begin < sample.gap[1]:
            continue
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(wave[:, first : first + size]), format="fltp", layout=sample.layout
        )
        frame.sample_rate, frame.time_base = sample.rate, Fraction(1, sample.rate)
        frame.pts = first + round(sample.audio_delay * sample.rate)
        for part in frames.resample(frame):
            part.pts = frame.pts
            yield from stream.encode(part)
    yield from stream.encode(None)


def click_in(wave: NDArray[np.float32], rate: int) -> float:
    """Seconds at which the loudest thing begins."""
    loud = np.abs(wave) > 0.4 * np.abs(wave).max()
    return int(loud.argmax()) / rate


def two_hours(path, minute):
    """Two hours from one encoded minute: its packets are written again and again, later each time."""
    with av.open(str(minute)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        packets = [packet for packet in source.demux() if packet.dts is not None]
        kept = [(packet, packet.stream, packet.pts, packet.dts) for packet in packets]
        for turn in range(120):
            for packet, stream, pts, dts in kept:
                packet.stream = streams[stream.index]
                packet.time_base = stream.time_base
                later = round(Fraction(60 * turn) / stream.time_base)
                packet.pts, packet.dts = pts + later, dts + later
                target.mux(packet)
    return path
