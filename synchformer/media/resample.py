"""Undo a drift: the sound is resampled to another length and encoded again; everything else is copied.

A drift is a sound whose clock ran at another rate than the picture's. What is heard at time u of the file and belongs
to the picture at time t obeys u = t - (a + b t), for an offset of a + b t seconds. So t = (u + a) / (1 - b): the sound
is played back at 1 - b times its rate, which changes its pitch back too, and begins at (u_0 + a) / (1 - b).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.stream import Stream

from synchformer.media.container import MediaError, tick
from synchformer.media.remux import (
    FORMATS,
    add_copy,
    check_arguments,
    clock_of,
    copy_tags,
    move_packet,
    open_streams,
    with_dts,
)
from synchformer.storage.atomic import atomic_write

STEEPEST = 0.1  # s per s
FINEST = range(4, 17)  # multiples of the sample rate at which a whole number of samples may meet the drift
ENCODERS = {"opus": "libopus", "vorbis": "libvorbis", "mp3": "libmp3lame"}  # where the codec's own encoder is poor
BITS = 160_000  # bits per second, where the input does not say


def write_stretched(
    path: str | Path,
    offset: float,
    slope: float,
    out: str | Path,
    progress: Callable[[float, float], None] | None = None,
) -> Path:
    """Copy `path` to `out` without the offset `offset + slope * t` that its sound has at the time t.

    All sound tracks are resampled and encoded anew with their own codec and bit rate; picture, subtitles, chapters and
    tags are copied. The file appears under its final name only when it is complete.

    Args:
        path: the video file to read.
        offset: seconds by which the sound is early at time zero.
        slope: seconds per second by which that grows.
        out: where to write; the suffix names the container.
        progress: called with the seconds that are done and their total.

    Raises:
        ValueError: numbers that are not finite or a slope beyond 0.1, `out` is `path` itself, or a codec that cannot be
            written there.
        MediaError: when `path` is not a media file, or lacks a picture or a sound, or its sound cannot be decoded.
    """
    path, out = Path(path), Path(out)
    check_arguments(path, offset, out, None, None)
    if not abs(slope) <= STEEPEST:
        raise ValueError(f"slope must lie between -{STEEPEST} and {STEEPEST} s per second, not {slope}")
    with ExitStack() as stack:
        source, streams, zero = stack.enter_context(open_streams(path, every_stream=True))
        part = stack.enter_context(atomic_write(out))
        total = (source.duration or 0) / av.time_base
        with av.open(str(part), "w", format=FORMATS[out.suffix.lower()]) as target:
            copies: dict[int, Stream] = {}
            tracks: dict[int, _Track] = {}
            for stream in streams.coded:
                if isinstance(stream, AudioStream):
                    tracks[stream.index] = _Track(stream, _encoder(target, stream), offset, slope, zero)
                    copies[stream.index] = tracks[stream.index].target
                else:
                    copies[stream.index] = add_copy(target, stream)
            copy_tags(source, target, copies, zero)
            for packet in with_dts(source.demux(*streams.coded)):
                if packet.stream_index in tracks:
                    _mux(target, tracks[packet.stream_index].take(packet))
                else:
                    move_packet(packet, zero, clock_of(packet.stream))
                    packet.stream = copies[packet.stream_index]
                    target.mux(packet)
                if progress and packet.pts is not None and packet.time_base:
                    progress(min(total, max(0.0, float(packet.pts * packet.time_base))), total)
            for track in tracks.values():
                _mux(target, track.finish())
            if not all(track.heard for track in tracks.values()):
                raise MediaError(f"no sound of {path.name} can be decoded; export it anew")
    return out


def _encoder(target: OutputContainer, stream: AudioStream) -> AudioStream:
    """An encoder like the stream's own.

    Raises:
        ValueError: when there is none, or the container cannot hold it.
    """
    codec = stream.codec_context.name
    name = ENCODERS.get(codec, codec)
    try:
        copy = target.add_stream(name, rate=stream.rate)
    except (ValueError, av.error.FFmpegError) as error:
        raise ValueError(
            f"{codec} cannot be encoded into {target.format.name}; convert the sound to AAC first"
        ) from error
    assert isinstance(copy, AudioStream)
    copy.layout = stream.layout
    if not codec.startswith(("pcm", "flac", "alac")):
        copy.bit_rate = stream.bit_rate or BITS
    return copy


def _mux(target: OutputContainer, packets: Iterator[av.Packet[Any]]) -> None:
    for packet in packets:
        target.mux(packet)


@dataclass
class _Track:
    """One sound on its way through decoder, resampler and encoder; `heard` counts samples that came out."""

    source: AudioStream
    target: AudioStream
    offset: float
    slope: float
    zero: float
    graph: Graph | None = None
    heard: int = 0
    place: int = 0  # of the next sample in the copy

    def take(self, packet: av.Packet[Any]) -> Iterator[av.Packet[Any]]:
        """What a packet becomes."""
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            return
        for frame in frames:
            if isinstance(frame, AudioFrame) and frame.pts is not None:
                yield from self._push(frame)

    def finish(self) -> Iterator[av.Packet[Any]]:
        """What is left in decoder, resampler and encoder."""
        for frame in self.source.codec_context.decode(None):
            if isinstance(frame, AudioFrame) and frame.pts is not None:
                yield from self._push(frame)
        if self.graph is not None:
            self.graph.push(None)
            yield from self._pull()
        yield from self.target.encode(None)

    def _push(self, frame: AudioFrame) -> Iterator[av.Packet[Any]]:
        if self.graph is None:
            self._begin(frame)
        assert self.graph is not None
        self.graph.push(frame)
        yield from self._pull()

    def _begin(self, frame: AudioFrame) -> None:
        first = float((frame.pts or 0) * tick(frame)) - self.zero
        place = round((first + self.offset) / (1 - self.slope) * self.source.rate)
        self.place = max(0, place)
        self.graph = _graph(self.source, frame, self.target, 1 - self.slope, skip=max(0, -place))

    def _pull(self) -> Iterator[av.Packet[Any]]:
        assert self.graph is not None
        while True:
            try:
                frame = self.graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(frame, AudioFrame)
            frame.pts, frame.time_base = self.place, Fraction(1, self.target.rate)
            self.place += frame.samples
            self.heard += frame.samples
            yield from self.target.encode(frame)


def _graph(source: AudioStream, frame: AudioFrame, target: AudioStream, pace: float, skip: int) -> Graph:
    """Gaps become silence, the samples are taken for `pace` times their rate, and the first `skip` are left out."""
    between, taken = _rates(source.rate, pace)
    graph = Graph()
    steps = [
        graph.add_abuffer(
            sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name, time_base=tick(frame)
        ),
        graph.add("aresample", f"{between}:async=1:first_pts={round(float((frame.pts or 0) * tick(frame)) * between)}"),
        graph.add("asetrate", str(taken)),
        graph.add("aresample", str(target.rate)),
        graph.add("aformat", f"sample_fmts={target.format.name}:channel_layouts={target.layout.name}"),
        graph.add("atrim", f"start_sample={skip}"),
        graph.add("abuffersink"),
    ]
    for one, other in pairwise(steps):
        one.link_to(other)
    graph.configure()
    return graph


def _rates(rate: int, pace: float) -> tuple[int, int]:
    """Whole rates, several times `rate`, whose ratio is `pace` to about 1e-9."""
    between = min(
        range(FINEST.start * rate, FINEST.stop * rate, max(1, rate // 500)),
        key=lambda value: abs(round(value * pace) / value - pace),
    )
    return between, round(between * pace)


def pitch_change(slope: float) -> float:
    """By how many cents (hundredths of a semitone) undoing a slope lowers the pitch."""
    return -1200 * math.log2(1 - slope)
