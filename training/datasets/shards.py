"""WebDataset shards: tar files of a thousand clips, which shared storage serves faster than a million small files.

A sample is `KEY.mp4` and `KEY.json` (id, split, group, labels, start, offset). Clips are read at their place inside the
tar, so a shard needs no unpacking and a run can resume anywhere; a compressed shard is decompressed once, into the
cache. Shards that others wrote work too: every sample with a video is a clip; what its JSON does not tell comes from
the names of the shard and of the key. Names are read as WebDataset reads them: the key ends at the first dot, and
`KEY.video.mp4` is a video by its last part.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from webdataset.cache import FileCache, islocal
from webdataset.shardlists import expand_urls
from webdataset.writer import TarWriter

from synchformer.checkpoints.download import cache_folder
from synchformer.errors import sentence_of
from synchformer.media.decode import OpenMedia, open_media
from synchformer.storage.atomic import atomic_write
from synchformer.storage.file_names import printable
from synchformer.storage.json_text import to_json
from synchformer.storage.video_files import VIDEO_SUFFIXES
from training.datasets.folders import SPLIT_FOLDERS, checksum_split, group_of
from training.datasets.manifest import Entry, read_manifests
from training.datasets.source import SPLITS, LeftOut, Place, RecordedSource, Sample, Split

NAME = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)")  # WebDataset's: key and extension
SKIPPED = re.compile(r"__[^/]*__($|/)")  # WebDataset's: what it keeps for itself
COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}  # by first bytes
SECOND_VIDEO = "a further video of the sample, whose key ends at the first dot of the name"
INDEX_VERSION = 2  # of the files beside shards; others are made anew


@dataclass(frozen=True)
class Member:
    """Where a clip's bytes lie: the shard's address, the first byte, how many, and the suffix of the media file."""

    shard: str
    offset: int
    size: int
    suffix: str


@dataclass(frozen=True)
class ShardSource(RecordedSource):
    """Clips inside shards; remote shards are fetched into the cache folder when they are needed."""

    name: str
    members: dict[Sample, Member]
    left_out: tuple[LeftOut, ...] = ()

    def samples(self, split: Split) -> Sequence[Sample]:
        """The clips of a split in the order of the shards, so that reading them in turn reads each front to back."""
        return [sample for sample in self.members if sample.split == split]

    @contextmanager
    def open(self, sample: Sample) -> Iterator[OpenMedia]:
        """Take the clip out of its shard and open it; see `Source.open`."""
        with self._file(sample) as path, open_media(path) as clip:
            clip.info = replace(clip.info, path=Path(sample.id))
            yield clip

    @contextmanager
    def _file(self, sample: Sample) -> Iterator[Path]:
        """The clip as a file of its own, as the decoder needs one that it can seek in."""
        member = self.members[sample]
        with local_shard(member.shard).open("rb") as shard, tempfile.NamedTemporaryFile(suffix=member.suffix) as file:
            shard.seek(member.offset)
            file.write(shard.read(member.size))
            file.flush()
            yield Path(file.name)


def open_shards(pattern: str) -> ShardSource:
    """Open every shard of a pattern: `DIR/train-{000000..000127}.tar`, `DIR/*.tar`, or addresses of a server.

    Raises:
        ValueError: when nothing fits the pattern, a shard is no tar file, or no sample holds a video.
    """
    shards = [shard for url in expand_urls(pattern) for shard in (_matching(url) if "*" in url else [url])]
    members: dict[Sample, Member] = {}
    left_out: list[LeftOut] = []
    seen: set[str] = set()
    for shard in shards:
        for stored in read_index(shard):
            sample = _sample(stored, shard)
            left_out += [LeftOut(f"{sample.id} ({name})", sample.split, SECOND_VIDEO) for name in stored["others"]]
            if stored["suffix"] is None or sample.id in seen:
                reason = "no video in the sample" if stored["suffix"] is None else "another clip has the same id"
                left_out.append(LeftOut(sample.id, sample.split, reason))
                continue
            seen.add(sample.id)
            members[sample] = Member(shard, stored["offset"], stored["size"], stored["suffix"])
    if not members:
        raise ValueError(f"{pattern} names {len(shards)} shards, which hold no video; check the pattern")
    return ShardSource(f"shards:{pattern}", members, tuple(left_out))


def _matching(pattern: str) -> list[str]:
    path = Path(pattern)
    return sorted(map(str, path.parent.glob(path.name)))


def local_shard(shard: str) -> Path:
    """The file of a shard, fetched into the cache folder first when it is not local.

    Raises:
        ValueError: when it is missing or no tar file.
    """
    path = Path(shard.removeprefix("file://") if islocal(shard) else _fetch(shard))
    if not path.is_file():
        raise ValueError(f"there is no shard {shard}; check the pattern")
    with path.open("rb") as file:
        start = file.read(8)
    opener = next((opener for magic, opener in COMPRESSED.items() if start.startswith(magic)), None)
    return path if opener is None else _decompressed(path, opener)


def _decompressed(path: Path, opener: Callable[[Path], Any]) -> Path:
    """The shard as a plain tar in the cache folder: inside of a compressed file no clip can be looked up.

    Raises:
        ValueError: when it is damaged, or the disk has no room.
    """
    state = path.stat()
    identity = sha256(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}".encode(errors="surrogateescape"))
    plain = cache_folder() / "shards" / f"{identity.hexdigest()[:16]}.tar"
    if plain.is_file():
        return plain
    try:
        plain.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(plain) as part, opener(path) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(
            f"the shard {printable(path)} cannot be decompressed ({sentence_of(error)}); write it anew"
        ) from error
    return plain


def _fetch(url: str) -> str:
    limit = int(float(os.environ.get("WDS_CACHE_SIZE", "-1")))  # bytes; the oldest shards make room
    folder = cache_folder() / "shards" / sha256(url.rpartition("/")[0].encode()).hexdigest()[:12]  # names may repeat
    try:
        fetched: str = FileCache(str(folder), cache_size=limit).get_file(url)
    except (OSError, ValueError) as error:
        raise ValueError(f"the shard {url} cannot be fetched: {error}") from error
    return fetched


def read_index(shard: str) -> list[dict[str, Any]]:
    """The samples of a shard, as `scan` gives them. They are kept beside it, so that it is scanned once."""
    path = local_shard(shard)
    index = path.with_suffix(".index.json")
    if index.is_file():
        kept = json.loads(index.read_text(encoding="utf-8"))
        if (kept.get("version"), kept.get("bytes")) == (INDEX_VERSION, path.stat().st_size):
            stored: list[dict[str, Any]] = kept["samples"]
            return stored
    stored = list(scan(path))
    if os.access(path.parent, os.W_OK):
        with atomic_write(index) as part:
            kept = {"version": INDEX_VERSION, "bytes": path.stat().st_size, "samples": stored}
            part.write_text(to_json(kept), encoding="utf-8")
    return stored


def scan(path: Path) -> Iterator[dict[str, Any]]:
    """Walk through a tar file, header by header, and group its members by key as WebDataset does.

    Yields:
        Samples: key; offset, size and suffix of the first video (None where there is none); the names of `others`;
        and meta, what the JSON says ({} where it is none).

    Raises:
        ValueError: when it is no tar file.
    """
    stored: dict[str, Any] | None = None
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = NAME.fullmatch(member.name)
                if name is None or not member.isfile() or SKIPPED.match(member.name):
                    continue
                key, ending = printable(name[1].lstrip("/")), Path(f"_.{name[2].lower()}").suffix
                if stored is None or key != stored["key"]:
                    if stored is not None:
                        yield stored
                    stored = {"key": key, "offset": 0, "size": 0, "suffix": None, "meta": {}, "others": []}
                if ending == ".json":
                    stored["meta"] = stored["meta"] or _meta(archive, member)
                elif ending in VIDEO_SUFFIXES and stored["suffix"] is None:
                    stored |= {"offset": member.offset_data, "size": member.size, "suffix": ending}
                elif ending in VIDEO_SUFFIXES:
                    stored["others"].append(printable(name[2]))
    except tarfile.TarError as error:
        raise ValueError(f"{printable(path)} is no whole WebDataset shard ({error}); write it anew") from error
    if stored is not None:
        yield stored


def _meta(archive: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    file = archive.extractfile(member)
    try:
        meta = json.load(file) if file else {}
    except ValueError:  # what it would say comes from the names instead
        return {}
    return meta if isinstance(meta, dict) else {}


def _sample(stored: dict[str, Any], shard: str) -> Sample:
    meta: dict[str, Any] = stored["meta"]
    item = str(meta.get("id", stored["key"]))
    group = str(meta.get("group") or group_of(item))
    named = SPLIT_FOLDERS.get(str(meta.get("split") or Path(shard).name.split("-")[0]).lower())
    labels = meta.get("labels") or ([meta["label"]] if "label" in meta else [])
    start, offset = meta.get("start"), meta.get("offset")
    fixed = None if start is None or offset is None else Place(float(start), float(offset))
    return Sample(item, named or checksum_split(group), group, None, tuple(map(str, labels)), fixed)


def pack(folder: Path, clips: int) -> str:
    """Pack the prepared clips of a folder into shards of `clips` each, named by split; whole shards are left alone.

    Returns:
        A sentence with the number of shards.

    Raises:
        ValueError: when the folder has no manifest or `clips` is not positive.
    """
    if clips < 1:
        raise ValueError(f"--shards must be at least 1, not {clips}")
    entries = [entry for entry in read_manifests(folder) if entry.output and (folder / entry.output).is_file()]
    written = kept = 0
    for split in SPLITS:
        chosen = [entry for entry in entries if entry.split == split]
        for number, first in enumerate(range(0, len(chosen), clips)):
            path = folder / f"{split}-{number:06d}.tar"
            group = chosen[first : first + clips]
            if _is_whole(path, folder, group):
                kept += 1
                continue
            _write(path, folder, group)
            read_index(str(path))
            written += 1
    return f"{written} shards written, {kept} kept: shards:{folder}/*.tar"


def _is_whole(path: Path, folder: Path, group: list[Entry]) -> bool:
    """Whether a shard holds exactly these clips at their present sizes."""
    if not path.is_file():
        return False
    packed = [(stored["meta"].get("id"), stored["size"]) for stored in read_index(str(path))]
    return packed == [(entry.id, (folder / entry.output).stat().st_size) for entry in group]


def _write(path: Path, folder: Path, group: list[Entry]) -> None:
    with atomic_write(path) as part, part.open("wb") as file:
        writer = TarWriter(file, encoder=False, mtime=0.0)
        for number, entry in enumerate(group):
            meta = {key: asdict(entry)[key] for key in ("id", "split", "group", "labels", "start", "offset")}
            writer.write(
                {
                    "__key__": f"{number:06d}",  # ids hold dots and slashes, which mean something in a key
                    "json": to_json(meta).encode(),
                    "mp4": (folder / entry.output).read_bytes(),
                }
            )
        writer.close()
