"""A folder of videos as a data set, with splits that never separate clips of one recording."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from synchformer.storage.file_names import printable
from synchformer.storage.video_files import VIDEO_SUFFIXES, is_video
from training.datasets.source import SPLITS, FileSource, LeftOut, Sample, Split

SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}
TENTHS: tuple[Split, ...] = (*("train",) * 8, "valid", "test")  # 8 : 1 : 1, as the published LRS3 split


def open_folder(folder: Path) -> FileSource:
    """Every video below `folder`, by its printable name; files of other kinds are listed in `left_out`.

    When `folder` has subfolders named train, valid (val, validation) or test, they are the splits, and files outside
    them are left out. Else each group of clips goes by a checksum of its name, whatever other files there are: 8 in 10
    to train, 1 to valid, 1 to test. A group is what is left of the name without a trailing `_START_END`. The label is
    the name of the folder that holds the file, if it is neither the root nor a split.

    Raises:
        ValueError: when there is no such folder, or it holds no video.
    """
    samples: dict[str, Sample] = {}
    left_out = []
    divided = any((folder / name).is_dir() for name in SPLIT_FOLDERS)
    for path in walk(folder):
        name = printable(path.relative_to(folder).with_suffix("").as_posix())
        split = SPLIT_FOLDERS.get(name.split("/")[0]) if divided else checksum_split(group_of(name))
        if not is_video(path):
            left_out.append(LeftOut(name, split, f"no video file ({path.suffix or 'no suffix'})"))
        elif name in samples:
            other = printable(samples[name].path or "")
            left_out.append(LeftOut(name, split, f"another file has the same name ({other})"))
        elif split is None:
            left_out.append(LeftOut(name, None, f"outside the folders {', '.join(SPLITS)}"))
        else:
            inside = name.split("/")[1:-1] if divided else name.split("/")[:-1]
            labels = ("/".join(inside),) if inside else ()
            samples[name] = Sample(name, split, _bare(group_of(name), divided), path, labels)
    if not samples:
        raise ValueError(f"{folder} holds no video; known suffixes are {', '.join(sorted(VIDEO_SUFFIXES))}")
    return FileSource(f"folder:{folder}", tuple(samples.values()), tuple(left_out))


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder, ordered by path; hidden files and folders are passed over.

    Raises:
        ValueError: when there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; check its name")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def group_of(name: str) -> str:
    """A clip's name without a trailing `_START_END`, as VGGSound and AudioSet write the part of a recording."""
    return re.sub(r"_\d+_\d+$", "", name)


def checksum_split(group: str) -> Split:
    """The split of a group, by its name alone."""
    return TENTHS[zlib.crc32(group.encode()) % len(TENTHS)]


def _bare(group: str, divided: bool) -> str:
    """The group without its split's folder: the same recording in two splits has one group."""
    return group.partition("/")[2] if divided else group
