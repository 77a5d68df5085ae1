"""Samples of an interval of a file's sound: one channel, one rate, every sample in its place.

Shape legend: c channels, n samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import numpy as np
import torch
from av.container import InputContainer
from numpy.typing import NDArray
from torch import Tensor

from synchformer.media.audio_transforms import resample
from synchformer.media.clock import Clock, Decoding, place_of

RUN_UP = 0.5  # s decoded before the interval, so that audio codecs and the resampler have settled
JITTER = 0.02  # s: timestamps may stray by this much (Matroska rounds to 1 ms) before it is a gap
LARGEST_RATIO = 2000  # polyphase filters beyond this would not fit into memory
LOUDEST = 32.0  # times full scale: beyond it a sample is no sound but a broken number
CANCELED = (
    0.01  # share of a channel's power that its mean with the others keeps, at the least, if they are no opposites
)
AUDIBLE = 1e-8  # power of a channel (-80 dB) below which it does not matter

Samples = NDArray[np.float32]


@dataclass
class Sound:
    """One channel from `begin` seconds on: `wave` float32 (n,), silence where the stream has nothing.

    `played` are the times, in seconds on the clock, at which it has something, in order; `canceled` says that the
    channels are each other's opposite, so that the first one was taken instead of their mean; `unreal` counts samples
    that were no numbers, or beyond all loudness, and are silent now; `broken` counts packets that the decoder refused.
    """

    wave: Tensor
    played: list[tuple[float, float]]
    canceled: bool
    unreal: int
    broken: int


def read_samples(
    container: InputContainer, stream: av.AudioStream, clock: Clock, begin: float, end: float, sample_rate: int
) -> Sound:
    """The sound from `begin` to `end` seconds on the clock: the mean of its channels, at `sample_rate`."""
    rate = stream.rate
    margin = 0.04 if rate != sample_rate else 0.0  # s for the resampling filter: one frame, whole in common rates
    start, count = round((begin - margin) * rate), round((end - begin + 2 * margin) * rate)
    mean, first = np.zeros(count, np.float32), np.zeros(count, np.float32)
    played: list[tuple[float, float]] = []
    decoding, unreal = Decoding(container, stream, clock), 0
    for run in _runs(decoding, clock, begin - margin, rate):
        unreal += run.unreal
        low, high = max(run.place, start), min(run.place + run.length, start + count)
        if high > low:
            mean[low - start : high - start] = run.mean[low - run.place : high - run.place]
            first[low - start : high - start] = run.first[low - run.place : high - run.place]
            _join(played, low / rate, high / rate)
        if run.place >= start + count:
            break
    canceled = is_canceled(mean, first)
    wave = to_rate(torch.from_numpy(first if canceled else mean), rate, sample_rate)
    skipped = round(margin * sample_rate)
    wave = wave[skipped : skipped + round((end - begin) * sample_rate)].contiguous()
    return Sound(wave, played, canceled, unreal, decoding.broken)


def is_canceled(mean: Samples, first: Samples) -> bool:
    """Whether the channels' mean (n,) has lost what the first channel (n,) holds: one is the other's opposite."""
    power = float(np.square(first, dtype=np.float64).mean()) if len(first) else 0.0
    return power > AUDIBLE and float(np.square(mean, dtype=np.float64).mean()) < CANCELED * power


@dataclass
class _Run:
    """Samples that lie side by side, at the file's rate from the sample `place` on: mean of the channels, and first."""

    place: int
    mean: Samples
    first: Samples
    unreal: int = 0

    @property
    def length(self) -> int:
        return len(self.mean)


@dataclass
class _Pending:
    """Frames at another rate than the file's, until they can be resampled together."""

    begin: float
    rate: int
    parts: list[_Run] = field(default_factory=list)

    def whole(self, rate: int) -> _Run:
        """All of it at the file's rate."""
        mean, first = (
            to_rate(torch.from_numpy(np.concatenate(each)), self.rate, rate).numpy()
            for each in ([part.mean for part in self.parts], [part.first for part in self.parts])
        )
        return _Run(round(self.begin * rate), mean, first, sum(part.unreal for part in self.parts))


def _runs(decoding: Decoding, clock: Clock, begin: float, rate: int) -> Iterator[_Run]:
    """Samples and their places, from somewhat before `begin` seconds on; a change of rate or layout is followed."""
    pending: _Pending | None = None
    expected: float | None = None  # s at which the next frame should begin
    for begins, frame_rate, run in _floats(decoding, clock, begin):
        if expected is None or abs(begins - expected) > JITTER:
            expected = round(begins * frame_rate) / frame_rate
        place, expected = expected, expected + run.length / frame_rate
        if pending is not None and (frame_rate != pending.rate or abs(place - _end(pending)) > JITTER):
            yield pending.whole(rate)
            pending = None
        if frame_rate == rate:
            run.place = round(place * rate)
            yield run
            continue
        if pending is None:
            pending = _Pending(place, frame_rate)
        pending.parts.append(run)
    if pending is not None:
        yield pending.whole(rate)


def _end(pending: _Pending) -> float:
    return pending.begin + sum(part.length for part in pending.parts) / pending.rate


def _floats(decoding: Decoding, clock: Clock, begin: float) -> Iterator[tuple[float, int, _Run]]:
    """When each frame begins, its rate, and its samples as finite numbers."""
    setup: tuple[str, str, int] | None = None
    to_float = av.AudioResampler(format="fltp")
    for decoded in decoding.frames_from(begin - RUN_UP):
        now = (decoded.format.name, decoded.layout.name, decoded.sample_rate)
        if now != setup:
            setup, to_float = now, av.AudioResampler(format="fltp")
        for frame in to_float.resample(decoded):
            samples = frame.to_ndarray()
            usable = np.abs(samples) <= LOUDEST  # false for what is no number, too
            unreal = int(samples.size - np.count_nonzero(usable))
            if unreal:
                samples = np.where(usable, samples, np.float32(0))
            mean = samples.mean(axis=0, dtype=np.float32)
            yield float(place_of(frame, clock)), decoded.sample_rate, _Run(0, mean, samples[0], unreal)


def _join(played: list[tuple[float, float]], start: float, stop: float) -> None:
    """Add a time to those before it; what touches becomes one."""
    if played and start <= played[-1][1] + JITTER:
        played[-1] = (played[-1][0], max(played[-1][1], stop))
    else:
        played.append((start, stop))


def to_rate(track: Tensor, rate: int, wanted: int) -> Tensor:
    """Resample (n,) with a windowed sinc, which keeps every sample in its place."""
    if rate == wanted:
        return track
    if rate // math.gcd(rate, wanted) <= LARGEST_RATIO:
        return resample(track, rate, wanted)
    frame = av.AudioFrame.from_ndarray(track[None].numpy(), format="fltp", layout="mono")
    frame.sample_rate = rate
    swr = av.AudioResampler(format="fltp", layout="mono", rate=wanted)
    parts = [part.to_ndarray()[0] for source in (frame, None) for part in swr.resample(source)]
    return torch.from_numpy(np.concatenate(parts))
