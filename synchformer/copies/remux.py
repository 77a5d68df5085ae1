"""Move a file's sound in time: `write_moved` copies whole files, `write_shifted` parts to be played.

Sign: an offset above zero makes the sound run ahead (it is heard that many seconds too early); below zero it lags.
The picture keeps its times. Nothing is encoded again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from synchformer.copies.comparison import Comparison, compare, require_whole
from synchformer.copies.containers import (
    BROWSER_CODECS,
    CONTAINERS,
    PLAYED,
    container_of,
    require_fit,
    stream_codec,
    takes,
)
from synchformer.copies.contents import refuse_encrypted
from synchformer.copies.edit_list_copy import write_with_moved_edits
from synchformer.copies.iso_boxes import UnexpectedBoxError, read_movie, require_plain, with_descriptions
from synchformer.copies.packet_copy import Source, copy_part, copy_whole, open_source
from synchformer.copies.stream_copier import Written
from synchformer.media.probe import probe
from synchformer.storage.atomic import atomic_write, temporary_file


def write_shifted(
    path: str | Path, offset: float, out: str | Path, start: float | None = None, seconds: float | None = None
) -> Path:
    """Copy the picture and the sound that a player plays; the sound is heard `offset` seconds earlier.

    Streams are copied packet by packet. The file appears under its final name only when it is complete.

    Args:
        path: the video file to read.
        offset: seconds; above zero the sound runs ahead, below zero it lags.
        out: where to write; the suffix names the container (see `suited_suffix`).
        start: seconds; when given, this moment of the picture becomes time zero.
        seconds: length of the part to copy; to the end when None.

    Returns:
        `out` as a path.

    Raises:
        ValueError: when `offset`, `start` or `seconds` is no finite number, or `out` is `path` itself.
        MediaError: when `path` is not a media file, lacks a picture or a sound, or the container named by `out` cannot
            hold them.
    """
    path, out = Path(path), Path(out)
    check_arguments(path, offset, out, start, seconds)
    container = container_of(out)
    begin = -math.inf if start is None and seconds is None else start or 0.0
    length = math.inf if seconds is None else seconds
    with open_source(path, everything=False) as source, atomic_write(out) as part:
        copy_part(source, offset, part, container, out.suffix, begin, length)
    return out


def write_moved(path: str | Path, offset: float, out: str | Path) -> Comparison:
    """Copy a whole file; all its sounds are heard `offset` seconds earlier, and nothing else differs.

    MP4, MOV and 3GP are copied byte by byte, with other edit lists. Other containers, and changes of container, are
    copied packet by packet; then what the copy lacks is named. The file appears only when it is complete and was
    compared with the original.

    Args:
        path: the video file to read.
        offset: seconds.
        out: where to write; the suffix names the container.

    Raises:
        ValueError: when `offset` is no finite number, or `out` is `path` itself.
        MediaError: when `path` is not a media file, lacks a picture or a sound, is encrypted, or cannot be written into
            the container named by `out`.
    """
    path, out = Path(path), Path(out)
    check_arguments(path, offset, out)
    check_copy(path, out)
    with atomic_write(out) as part:
        with suppress(UnexpectedBoxError):
            if _keeps_its_boxes(path, out):
                write_with_moved_edits(path, read_movie(path), offset, part)
                return compare(path, part, None)
        return _write_packets(path, offset, out, part)


def _write_packets(path: Path, offset: float, out: Path, part: Path) -> Comparison:
    """Copy packet by packet; into MP4 and its relatives with the sound where it was, which edit lists move then."""
    container = container_of(out)
    with open_source(path, everything=True) as source:
        if container.family != "iso":
            written = copy_whole(source, offset, part, container, out.suffix)
            require_whole(part, written, path.name)
        else:
            with temporary_file(part) as unmoved:
                written = copy_whole(source, 0.0, unmoved, container, out.suffix)
                finish_iso(source, written, unmoved, offset, out, part)
        return compare(path, part, written)


def finish_iso(
    source: Source, written: Mapping[int, Written], unmoved: Path, offset: float, out: Path, part: Path
) -> None:
    """Check a muxed MP4 or MOV, and copy it to `part` with its sound moved and its pictures described as they were.

    Raises:
        MediaError: the muxed file lacks something.
    """
    require_whole(unmoved, written, source.path.name)
    movie = read_movie(unmoved)
    with suppress(UnexpectedBoxError):
        if _keeps_its_boxes(source.path, out):
            streams = source.container.streams
            pairs = {streams[index].id: each.index for index, each in written.items() if each.kind == "video"}
            movie = with_descriptions(movie, read_movie(source.path), pairs)
    write_with_moved_edits(unmoved, movie, offset, part)


def check_copy(path: str | Path, out: str | Path) -> None:
    """Refuse a copy that could not be written, before a film is measured for it.

    Raises:
        ValueError: `out` is `path` itself, or has an unknown suffix.
        MediaError: as `write_moved`.
    """
    path, out = Path(path), Path(out)
    check_arguments(path, 0.0, out)
    probe(path)
    refuse_encrypted(path)
    with suppress(UnexpectedBoxError):
        if _keeps_its_boxes(path, out):
            require_plain(read_movie(path))
            return
    with open_source(path, everything=True) as source:
        require_fit(path, out, source.moving)


def _keeps_its_boxes(path: Path, out: Path) -> bool:
    """Whether a copy of this name is a file of the same kind: QuickTime, or MP4 and its relatives.

    A file's kind is what it says inside; but one that is called like the original may be of its kind.
    """
    if container_of(out).family != "iso":
        return False
    is_quicktime = read_movie(path).brand == b"qt  "
    return out.suffix.lower() == path.suffix.lower() or is_quicktime == (container_of(out).muxer == "mov")


def suited_suffix(path: str | Path) -> str:
    """The suffix of the container that holds picture and sound best for a browser: `.mp4`, else `.webm`, else `.mkv`.

    Raises:
        MediaError: when `path` is not a media file, or lacks a picture or a sound.
    """
    with open_source(Path(path), everything=False) as source:
        fitting = [suffix for suffix in PLAYED if all(takes(CONTAINERS[suffix], each) for each in source.streams)]
    return fitting[0] if fitting else ".mkv"


def browser_note(path: str | Path) -> str | None:
    """One sentence when browsers cannot play this file, None when they can.

    Raises:
        MediaError: when `path` is not a media file, or lacks a picture or a sound.
    """
    with open_source(Path(path), everything=False) as source:
        unknown = sorted(set(map(stream_codec, source.streams)) - BROWSER_CODECS)
    if not unknown:
        return None
    return f"Browsers may not play this file ({', '.join(unknown)}); the measurement does not depend on it."


def check_arguments(
    path: Path, offset: float, out: Path, start: float | None = None, seconds: float | None = None
) -> None:
    """Refuse numbers that are not finite, an unknown suffix, and the input as output (see `write_shifted`)."""
    for name, value in (("offset", offset), ("start", start), ("seconds", seconds)):
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number of seconds, not {value}")
    if seconds is not None and seconds <= 0:
        raise ValueError(f"seconds must be above zero, not {seconds:g}")
    if out.exists() and path.exists() and out.samefile(path):
        raise ValueError(f"{out} is the input itself, which is never changed; give another name for the copy")
    container_of(out)
