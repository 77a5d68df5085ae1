"""WebDataset shards: tar files of a thousand clips, which shared storage serves faster than a million small files.

A sample is `KEY.mp4` and `KEY.json` (id, split, group, labels, start, offset). Clips are read at their place inside the
tar, so a shard needs no unpacking and a run can resume anywhere. Shards that others wrote work too: every sample with a
video is a clip; what its JSON does not tell comes from the names of the shard and of the key.
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from webdataset.cache import FileCache, islocal
from webdataset.shardlists import expand_urls
from webdataset.writer import TarWriter

from synchformer.checkpoints.download import cache_folder
from synchformer.media.decode import OpenMedia, open_media
from synchformer.media.video_files import VIDEO_SUFFIXES
from synchformer.storage.atomic import atomic_write
from training.datasets.folders import SPLIT_FOLDERS, checksum_split, group_of
from training.datasets.manifest import Entry, read_manifests
from training.datasets.source import SPLITS, LeftOut, Place, RecordedSource, Sample, Split


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
    return path


def _fetch(url: str) -> str:
    limit = int(float(os.environ.get("WDS_CACHE_SIZE", "-1")))  # bytes; the oldest shards make room
    folder = cache_folder() / "shards" / sha256(url.rpartition("/")[0].encode()).hexdigest()[:12]  # names may repeat
    try:
        fetched: str = FileCache(str(folder), cache_size=limit).get_file(url)
    except (OSError, ValueError) as error:
        raise ValueError(f"the shard {url} cannot be fetched: {error}") from error
    return fetched


def read_index(shard: str) -> list[dict[str, Any]]:
    """The samples of a shard: key, offset, size, suffix, meta. They are kept beside it, so that it is scanned once."""
    path = local_shard(shard)
    index = path.with_suffix(".index.json")
    if index.is_file():
        kept = json.loads(index.read_text())
        if kept.get("bytes") == path.stat().st_size:
            stored: list[dict[str, Any]] = kept["samples"]
            return stored
    stored = list(scan(path))
    if os.access(path.parent, os.W_OK):
        with atomic_write(index) as part:
            part.write_text(json.dumps({"bytes": path.stat().st_size, "samples": stored}))
    return stored


def scan(path: Path) -> Iterator[dict[str, Any]]:
    """Walk through a tar file, header by header, and group its members by key as WebDataset does.

    Raises:
        ValueError: when it is no tar file.
    """
    stored: dict[str, Any] = {"key": None}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                base, _, ending = name.partition(".")
                key = f"{folder}/{base}".lstrip("/")
                if not member.isfile():
                    continue
                if key != stored["key"]:
                    if stored["key"] is not None:
                        yield stored
                    stored = {"key": key, "offset": 0, "size": 0, "suffix": None, "meta": {}}
                if f".{ending.lower()}" in VIDEO_SUFFIXES:
                    stored |= {"offset": member.offset_data, "size": member.size, "suffix": f".{ending.lower()}"}
                elif ending == "json" and (file := archive.extractfile(member)):
                    stored["meta"] = json.load(file)
    except (tarfile.TarError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no whole WebDataset shard ({error}); write it anew") from error
    if stored["key"] is not None:
        yield stored


def _sample(stored: dict[str, Any], shard: str) -> Sample:
    meta: dict[str, Any] = stored["meta"] if isinstance(stored["meta"], dict) else {}
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
                    "json": json.dumps(meta).encode(),
                    "mp4": (folder / entry.output).read_bytes(),
                }
            )
        writer.close()
