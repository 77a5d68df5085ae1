"""Undo a drift: the sound is resampled to another length and encoded again; everything else is copied.

A drift is a sound whose clock ran at another rate than the picture's. What is heard at time u of the file and belongs
to the picture at time t obeys u = t - (a + b t), for an offset of a + b t seconds. So t = (u + a) / (1 - b): the sound
is played back at 1 - b times its rate, which changes its pitch back too, and begins at (u_0 + a) / (1 - b).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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

from synchformer.copies.comparison import Comparison, compare, require_whole
from synchformer.copies.containers import Container, container_of
from synchformer.copies.contents import refuse_encrypted
from synchformer.copies.packet_copy import Source, covers_of, open_source, shown, writing
from synchformer.copies.remux import check_arguments, finish_iso
from synchformer.copies.stream_copier import StreamCopier, Written, options_for, seconds_of
from synchformer.media.container import MediaError, tick, url_of
from synchformer.storage.atomic import atomic_write, temporary_file

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
) -> Comparison:
    """Copy `path` to `out` without the offset `offset + slope * t` that its sound has at the time t.

    All sound tracks are resampled and encoded anew with their own codec and bit rate; everything else is copied as by
    `synchformer.copies.remux.write_moved`. The file appears under its final name only when it is complete.

    Args:
        path: the video file to read.
        offset: seconds by which the sound is early at time zero.
        slope: seconds per second by which that grows.
        out: where to write; the suffix names the container.
        progress: called with the seconds that are done and their total.

    Returns:
        What the copy lacks.

    Raises:
        ValueError: numbers that are not finite or a slope beyond 0.1, or `out` is `path` itself.
        MediaError: when `path` is not a media file, lacks a picture or a sound, is encrypted, its sound cannot be
            decoded, or a codec cannot be written there.
    """
    path, out = Path(path), Path(out)
    check_arguments(path, offset, out)
    if not abs(slope) <= STEEPEST:
        raise ValueError(f"slope must lie between -{STEEPEST} and {STEEPEST} s per second, not {slope}")
    refuse_encrypted(path)
    container, drift = container_of(out), _Drift(offset, slope)
    with atomic_write(out) as part, open_source(path, everything=True) as source:
        if container.family != "iso":
            written = _stretch(source, drift, part, container, out.suffix, progress)
            require_whole(part, written, path.name)
        else:
            with temporary_file(part) as muxed:
                written = _stretch(source, drift, muxed, container, out.suffix, progress)
                finish_iso(source, written, muxed, 0.0, out, part)
        return compare(path, part, written)


@dataclass(frozen=True)
class _Drift:
    offset: float
    slope: float


def _stretch(
    source: Source,
    drift: _Drift,
    part: Path,
    container: Container,
    suffix: str,
    progress: Callable[[float, float], None] | None,
) -> dict[int, Written]:
    """Write the streams: sounds through a decoder, a resampler and an encoder, all others as they are."""
    covers = list(covers_of(source))
    options = options_for(container, source.container.metadata, bool(covers))
    total = float(source.seconds)
    with writing(source, suffix), av.open(url_of(part), "w", format=container.muxer, options=options) as target:
        copier = StreamCopier(source.container, target, container, source.clock.zero)
        tracks: dict[int, _Track] = {}
        for stream in source.streams:
            if isinstance(stream, AudioStream):
                encoder = _encoder(target, stream, source, suffix)
                tracks[stream.index] = _Track(stream, encoder, drift, float(source.clock.zero))
                copier.adopt(stream, encoder)
            else:
                copier.add(stream)
        for stream, packet in covers:
            copier.add_cover(stream, packet)
        copier.begin(everything=True)
        kept = [stream for stream in source.streams if stream.index in copier.copies]
        for packet in shown(source, kept, container, suffix, decoded=tracks.keys()):
            done = float(seconds_of(packet) - source.clock.zero)
            if packet.stream_index in tracks:
                _mux(target, tracks[packet.stream_index].take(packet))
            else:
                copier.write(packet)
            if progress:
                progress(min(total, max(0.0, done)), total)
        for track in tracks.values():
            _mux(target, track.finish())
        if not all(track.heard for track in tracks.values()):
            raise MediaError(f"no sound of {source.path.name} can be decoded; export it anew")
    return copier.written


def _encoder(target: OutputContainer, stream: AudioStream, source: Source, suffix: str) -> AudioStream:
    """An encoder like the stream's own.

    Raises:
        MediaError: when there is none, or the container cannot hold it.
    """
    codec = stream.codec_context.name
    name = ENCODERS.get(codec, codec)
    try:
        copy = target.add_stream(name, rate=stream.rate)
    except (ValueError, av.error.FFmpegError) as error:
        raise MediaError(
            f"the sound of {source.path.name} ({codec}) cannot be encoded into {suffix}; convert it to AAC first"
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
    drift: _Drift
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
        place = round((first + self.drift.offset) / (1 - self.drift.slope) * self.source.rate)
        self.place = max(0, place)
        self.graph = _graph(self.source, frame, self.target, 1 - self.drift.slope, skip=max(0, -place))

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
