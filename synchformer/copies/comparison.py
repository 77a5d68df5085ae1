"""A copy beside its original, stream by stream: what was not kept, and whether anything is damaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer

from synchformer.copies.containers import stream_codec
from synchformer.copies.contents import Contents, StreamContents, contents_of
from synchformer.copies.stream_copier import Written, duration_of, seconds_of
from synchformer.media.container import MediaError, open_container

TOLERANCE = Fraction(1, 400)  # s that a stream's times may differ: containers count milliseconds, and round
SHORTER = Fraction(1, 5)  # s that a stream may lack at its end: a packet of sound, or the last picture's length
# Families in which the records of a picture can be seen; elsewhere those stand in the packets, or nowhere.
SHOWN_RECORDS = ("iso", "matroska")
MPEG_AUDIO = frozenset(("mp1", "mp2", "mp3"))  # one number in MP4, told apart by the packets
KINDS = {"video": "picture", "audio": "sound"}  # streams that must be whole
MOVING = ("the picture", "the sound")
IN_PACKETS = frozenset(("HDR mastering display", "HDR light levels", "Dolby Vision record"))


@dataclass(frozen=True)
class Comparison:
    """What a copy lacks, as parts of a sentence: `the time code (01:00:00:00)`. Nothing of it is damage."""

    not_kept: tuple[str, ...] = ()


def compare(path: Path, copy: Path, written: Mapping[int, Written] | None) -> Comparison:
    """Look at a file and its copy.

    Args:
        path: the original.
        copy: its copy.
        written: what was written of each stream, by its place in the original; None when the copy's streams are the
            original's, byte by byte.
    """
    with open_container(path) as source, open_container(copy) as target:
        before, after = contents_of(source, path), contents_of(target, copy)
        indices = {stream.index: stream.index for stream in before.streams}
        if written is not None:
            indices = _located(target, written)
    places = {stream.index: stream for stream in after.streams}
    pairs = {stream.index: places.get(indices.get(stream.index, -1)) for stream in before.streams}
    lost = [*_streams(before, after, pairs), *_rest(before, after)]
    return Comparison(tuple(dict.fromkeys(lost)))


def require_whole(copy: Path, written: Mapping[int, Written], name: str) -> None:
    """Read a copy back: every stream is there in its length and at its place.

    Raises:
        MediaError: a stream is shorter than what was written of it, lies elsewhere, or its decoding times fall.
    """
    with open_container(copy) as target:
        indices = _located(target, written)
        found = {indices[index]: record for index, record in written.items() if record.kind in KINDS and record.packets}
        try:
            _check_times(target, found)
        except MediaError as error:
            other = "mp4" if copy.suffix.lower() == ".mkv" else "mkv"
            raise MediaError(
                f"the copy of {name} was removed, for {error}; name a copy of another container, such as *.{other}"
            ) from error


def _located(target: InputContainer, written: Mapping[int, Written]) -> dict[int, int]:
    """Where each written stream is found: among those of its kind the order stays, FLV numbers them as they come."""
    found: dict[int, int] = {}
    for kind in {record.kind for record in written.values()}:
        ordered = sorted((record.index, index) for index, record in written.items() if record.kind == kind)
        places = [stream.index for stream in target.streams if stream.type == kind]
        found |= {index: place for (_, index), place in zip(ordered, places, strict=False)}
    return {index: found.get(index, -1) for index in written}


def _streams(before: Contents, after: Contents, pairs: Mapping[int, StreamContents | None]) -> Iterator[str]:
    """What is missing of streams."""
    covers = len(after.of_kind("the cover picture"))
    attached = {stream.tags.get("filename") for stream in after.of_kind("the attachment")}
    for stream in before.streams:
        copy = pairs[stream.index]
        if stream.kind == "the cover picture":
            covers -= 1
            if covers < 0:
                yield stream.words
        elif stream.kind == "the attachment":
            if stream.tags.get("filename", "attachment") not in attached:
                yield f"the attachment {stream.tags.get('filename', '')}".rstrip()
        elif copy is None or copy.kind != stream.kind:
            yield f"{stream.words}, which FFmpeg cannot decode" if not stream.is_decodable else stream.words
        else:
            yield from _details(stream, copy, before.family, after.family)
            yield from _marks(stream, copy, alone=len(before.of_kind(stream.kind)) == 1)


def _details(stream: StreamContents, copy: StreamContents, old: str, new: str) -> Iterator[str]:
    """What is missing of one stream beside its packets."""
    if copy.codec != stream.codec and not {copy.codec, stream.codec} <= MPEG_AUDIO:
        loss = "fonts and places of " if stream.kind == "the subtitles" else "the codec of "
        yield f"{loss}{stream.words}"
    elif old == new and stream.kind in MOVING and stream.tag and copy.tag != stream.tag:
        yield f"the codec tag {stream.tag} of {stream.kind} (it is {copy.tag})"
    missing = stream.records - copy.records
    if new not in SHOWN_RECORDS:
        missing -= IN_PACKETS
    yield from (f"the {record} of {stream.kind}" for record in sorted(missing))
    for name, value in stream.values.items():
        if copy.values.get(name) != value:
            yield f"the {name} of {stream.kind} ({value})"
    if stream.language not in (None, "und", copy.language):
        yield f"the language of {stream.words}"
    title = stream.tags.get("title")
    if title and title not in copy.tags.values():
        yield f"the title of {stream.words}"


def _marks(stream: StreamContents, copy: StreamContents, *, alone: bool) -> Iterator[str]:
    """What a stream is no longer marked as; the only one of its kind is the default one anyway."""
    for purpose in sorted(stream.purposes - copy.purposes - ({"default"} if alone else set())):
        yield f'the mark "{purpose.replace("_", " ")}" of {stream.words}'


def _rest(before: Contents, after: Contents) -> Iterator[str]:
    """What is missing of the file as a whole."""
    if len(after.chapters) < len(before.chapters):
        yield f"{len(before.chapters)} chapters"
    elif before.chapters != after.chapters[: len(before.chapters)]:
        yield "the titles of chapters"
    if before.time_code and after.time_code != before.time_code:
        yield f"the time code ({before.time_code})"
    kept = {_plain(value) for value in after.tags.values()}
    for key, value in before.tags.items():
        if key.lower() != "timecode" and value and _plain(value) not in kept:
            yield f"the tag {key}"


def _plain(value: str) -> str:
    """A tag's value as all containers write it: dates have fractions in some of them."""
    return value.strip().removesuffix(".000000Z").removesuffix("Z")


@dataclass
class _Times:
    """Times of one stream of a copy, in seconds."""

    first: Fraction
    last: Fraction
    end: Fraction
    decoded: int | None = None


def _check_times(target: InputContainer, written: Mapping[int, Written]) -> None:
    """Whether all streams lie where they were put, up to one shift for all; `written` is by their place in the copy.

    Raises:
        MediaError: when one does not.
    """
    if -1 in written:
        raise MediaError("it lacks a stream")
    seen = _times_of(target, list(written))
    shift: Fraction | None = None
    for index, record in sorted(written.items(), key=lambda item: item[1].kind != "video"):
        times, kind = seen.get(index), KINDS[record.kind]
        if times is None or times.last - times.first < record.last - (record.first or 0) - SHORTER:
            raise MediaError(f"it lacks a part of its {kind}")
        codec = stream_codec(target.streams[index])
        if codec != record.codec and not {codec, record.codec} <= MPEG_AUDIO:
            raise MediaError(f"its {kind} ({record.codec}) cannot be read there")
        # Muxers cut raw samples into other packets, and the last packet's length is not known everywhere.
        offs = (times.last - record.last, times.end - record.end)
        shift = offs[0] if shift is None else shift
        off = min(abs(each - shift) for each in offs)
        if off > TOLERANCE + (target.streams[index].time_base or 0):
            raise MediaError(f"its {kind} came out {float(off) * 1000:.0f} ms beside its place")


def _times_of(target: InputContainer, indices: list[int]) -> dict[int, _Times]:
    """First and last times of streams.

    Raises:
        MediaError: when decoding times fall.
    """
    seen: dict[int, _Times] = {}
    packets: Any = target.demux([target.streams[index] for index in indices])
    for packet in packets:
        if packet.pts is None and packet.dts is None:
            continue
        time = seconds_of(packet)
        times = seen.setdefault(packet.stream_index, _Times(time, time, time))
        times.first, times.last = min(times.first, time), max(times.last, time)
        times.end = max(times.end, time + duration_of(packet))
        if packet.dts is not None and times.decoded is not None and packet.dts < times.decoded:
            raise MediaError("its times do not rise")
        times.decoded = packet.dts if packet.dts is not None else times.decoded
    return seen
