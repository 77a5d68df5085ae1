"""What a file holds, as far as a copy can lose it: streams, records beside them, tags, chapters, time codes, fonts."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from synchformer.copies import matroska_elements
from synchformer.copies.containers import family_of, stream_codec
from synchformer.copies.iso_boxes import Box, UnexpectedBoxError, handler, parse_boxes, read_movie, track_number
from synchformer.copies.matroska_elements import records
from synchformer.media.container import MediaError, open_container
from synchformer.media.tracks import COVERS

# Tags that a muxer writes itself: copied, they would describe the old file.
OWN_TAGS = frozenset(("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id"))
OWN_PREFIXES = ("_statistics", "number_of_", "bps", "duration-", "variant_bitrate")

# Boxes of a sample entry that describe the picture, by what they are for (ISO/IEC 14496-12 and -15, Dolby, Apple).
RECORDS = {
    b"dvcC": "Dolby Vision record", b"dvvC": "Dolby Vision record", b"dvwC": "Dolby Vision record",
    b"hvcE": "Dolby Vision enhancement layer", b"avcE": "Dolby Vision enhancement layer",
    b"sv3d": "360° projection", b"st3d": "stereoscopic layout", b"vexu": "spatial video record",
    b"lhvC": "second view of spatial video", b"mdcv": "HDR mastering display", b"SmDm": "HDR mastering display",
    b"clli": "HDR light levels", b"CoLL": "HDR light levels", b"amve": "ambient light record",
    b"clap": "clean aperture",
}  # fmt: skip
SPHERICAL = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")  # the older description of 360° video, in XML
UPRIGHT = (0x10000, 0, 0, 0x10000)  # of a track's matrix, the part that turns
VISUAL_ENTRY, AUDIO_ENTRIES = 78, {0: 28, 1: 44, 2: 64}  # bytes before the boxes of a sample entry, by its version
ASF_HEADER = 2**16  # bytes in which an ASF file's header objects lie
ASF_ENCRYPTION = tuple(  # content encryption, and its extended form, as their GUIDs are stored
    bytes.fromhex(guid) for guid in ("fbb3112223bdd211b4b700a0c955fc6e", "14e68a292226174cb935dae07ee9289c")
)


@dataclass(frozen=True)
class StreamContents:
    """A stream: its kind in words, its codec, and what is known about it beside its packets."""

    index: int
    kind: str
    codec: str
    tag: str = ""
    language: str | None = None
    purposes: frozenset[str] = frozenset()
    records: frozenset[str] = frozenset()
    values: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    is_decodable: bool = True

    @property
    def words(self) -> str:
        """What it is called in a sentence: `the sound (aac, eng)`."""
        known = [self.codec if self.codec != "unknown" else self.tag, self.language or ""]
        shown = ", ".join(word for word in known if word and word != "und")
        return f"{self.kind} ({shown})" if shown else self.kind


@dataclass(frozen=True)
class Contents:
    """A file. `chapters` are titles; `time_code` is that of its first frame."""

    family: str
    streams: tuple[StreamContents, ...]
    tags: Mapping[str, str]
    chapters: tuple[str, ...]
    time_code: str | None
    is_encrypted: bool

    def of_kind(self, kind: str) -> tuple[StreamContents, ...]:
        """All streams of a kind."""
        return tuple(stream for stream in self.streams if stream.kind == kind)


def contents_of(container: InputContainer, path: Path) -> Contents:
    """What an open file holds. Damaged descriptions are passed over: what cannot be seen cannot be compared."""
    family = family_of(container.format.name)
    entries = _entries(path, family)
    streams = tuple(_stream(stream, family, entries) for stream in container.streams)
    chapters = tuple(str(chapter["metadata"].get("title", "")) for chapter in container.chapters())
    codes = [_time_code(tags) for tags in (container.metadata, *(stream.metadata for stream in container.streams))]
    return Contents(
        family,
        tuple(stream for stream in streams if not _is_helper(stream, bool(chapters), any(codes))),
        kept_tags(container.metadata),
        chapters,
        next((code for code in codes if code), None),
        any("encrypted" in entry.records for entry in entries.values()) or (family == "riff" and _is_closed_asf(path)),
    )


def refuse_encrypted(path: Path) -> None:
    """Refuse a file that needs a key: a copy with other times would be as closed as it is, or closed for good.

    Scrambled transport streams are refused by `synchformer.media.probe` already.

    Raises:
        MediaError: when it is encrypted, or no media file.
    """
    with open_container(path) as container:
        if contents_of(container, path).is_encrypted:
            raise MediaError(f"{path.name} is encrypted, so nothing was written; give a copy that is not")


def _time_code(tags: Mapping[str, str]) -> str | None:
    return next((value for key, value in tags.items() if key.lower() == "timecode"), None)


def kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags that a copy should have, without those that a muxer writes itself."""
    return {
        key: value
        for key, value in tags.items()
        if key.lower() not in OWN_TAGS and not key.lower().startswith(OWN_PREFIXES)
    }


@dataclass(frozen=True)
class _Entry:
    """What a container says about a track: records beside its packets, and the four letters of its codec."""

    records: frozenset[str] = frozenset()
    tag: str = ""


def _stream(stream: Stream, family: str, entries: Mapping[int, _Entry]) -> StreamContents:
    context = stream.codec_context
    entry = entries.get(stream.id if family == "iso" else stream.index, _Entry())
    return StreamContents(
        index=stream.index,
        kind=_kind(stream),
        codec=stream_codec(stream),
        tag=_printable(context.codec_tag) if context is not None else entry.tag,
        language=stream.metadata.get("language"),
        purposes=frozenset(str(flag.name) for flag in Disposition if flag & stream.disposition),
        records=entry.records - {"encrypted"},
        values=dict(_values(stream)),
        tags=kept_tags(stream.metadata),
        is_decodable=context is not None,
    )


def _printable(tag: str) -> str:
    return tag if tag.isprintable() else ""


def _kind(stream: Stream) -> str:
    if stream.type == "video":
        return "the cover picture" if stream.disposition & COVERS else "the picture"
    names = {"audio": "the sound", "subtitle": "the subtitles", "attachment": "the attachment"}
    return names.get(stream.type, "the data stream")


def _values(stream: Stream) -> Iterator[tuple[str, str]]:
    """What a decoder must know, by name."""
    if stream.codec_context is None:
        return
    if isinstance(stream, VideoStream):
        yield "size", f"{stream.width}x{stream.height}"
        if stream.sample_aspect_ratio not in (None, 0, 1):
            yield "shape of its pixels", str(stream.sample_aspect_ratio)
    elif isinstance(stream, AudioStream):
        yield "sample rate", str(stream.rate)
        yield "number of channels", str(stream.channels)


def _is_helper(stream: StreamContents, has_chapters: bool, has_time_code: bool) -> bool:
    """Tracks in which QuickTime keeps chapters and time codes: those are compared themselves."""
    if stream.kind != "the data stream":
        return False
    return (has_chapters and stream.codec == "bin_data") or (has_time_code and "timecode" in stream.tags)


def _entries(path: Path, family: str) -> dict[int, _Entry]:
    """What the container says about its tracks, by the number that FFmpeg gives to them."""
    if family == "iso":
        with suppress(UnexpectedBoxError, struct.error, OSError):
            return {track_number(track): _Entry(_records(track), _tag(track)) for track in read_movie(path).tracks}
    if family == "matroska":
        with suppress(OSError):
            return {index: _Entry(records(track)) for index, track in enumerate(matroska_elements.tracks(path))}
    return {}


def _records(track: Box) -> frozenset[str]:
    names = set()
    body = track.one(b"tkhd").body
    turned = struct.unpack_from(">2i4x2i", body, 52 if body[0] else 40)
    if handler(track) == b"vide" and turned != UPRIGHT:
        names.add("rotation")
    if any(box.body.startswith(SPHERICAL) for box in track.all(b"uuid")):
        names.add("360° projection")
    for kind, boxes in sample_entries(track):
        names |= {RECORDS[box.kind] for box in boxes if box.kind in RECORDS}
        if kind in (b"encv", b"enca", b"drms", b"drmi", b"drmt") or any(box.kind == b"sinf" for box in boxes):
            names.add("encrypted")
    return frozenset(names)


def _tag(track: Box) -> str:
    return next((kind.decode("latin-1") for kind, _ in sample_entries(track)), "")


def sample_entries(track: Box) -> Iterator[tuple[bytes, list[Box]]]:
    """Kinds and boxes of a track's sample entries; no boxes where they cannot be read."""
    with suppress(UnexpectedBoxError):
        is_sound = handler(track) == b"soun"
        for entry in parse_boxes(track.one(b"mdia", b"minf", b"stbl", b"stsd").body[8:]):
            version = int.from_bytes(entry.body[8:10], "big") if is_sound else 0
            start = AUDIO_ENTRIES.get(version, 28) if is_sound else VISUAL_ENTRY
            boxes: list[Box] = []
            with suppress(UnexpectedBoxError):
                boxes = parse_boxes(entry.body[start:])
            yield entry.kind, boxes


def _is_closed_asf(path: Path) -> bool:
    """Whether an ASF file's header has an object of encryption."""
    with path.open("rb") as file:
        head = file.read(ASF_HEADER)
    return any(guid in head for guid in ASF_ENCRYPTION)
