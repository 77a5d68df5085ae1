"""A table of videos as a data set: a CSV file that names them, with whatever else is known of each.

| column | meaning |
|---|---|
| file | the video, from the folder of the table on; the only column that must be there |
| split | train, valid (val, validation) or test; without the column, groups are divided as those of a folder are |
| group or source_video | what the clip was cut from; without both, the file's name without a trailing `_START_END` |
| label | class of what is heard |

All other columns (`kind`, `source`, ...) are kept as they are, to balance what is drawn and to divide what is measured.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from synchformer.storage.video_files import is_video
from training.datasets.folders import SPLIT_FOLDERS, checksum_split, group_of
from training.datasets.source import FileSource, LeftOut, Sample

FILE, SPLIT, LABEL = "file", "split", "label"
GROUPS = ("group", "source_video")


def open_manifest(path: Path) -> FileSource:
    """The videos that a CSV file lists; those that cannot be used are in `left_out`, each with the reason.

    Raises:
        ValueError: when there is no such file, it is no table with a column `file`, or none of its videos can be used.
    """
    samples, left_out = dict[str, Sample](), list[LeftOut]()
    rows = _rows(path)
    for row in rows:
        name = Path(row[FILE]).with_suffix("").as_posix()
        item = _sample(name, row, path.parent)
        if isinstance(item, Sample) and name in samples:
            item = LeftOut(name, item.split, f"listed twice ({row[FILE]})")
        if isinstance(item, LeftOut):
            left_out.append(item)
        else:
            samples[name] = item
    if not samples:
        reason = left_out[0].reason if left_out else "it lists none"
        raise ValueError(
            f"{path} names no video that can be used ({reason}); its column file names them from its folder on"
        )
    return FileSource(f"manifest:{path}", tuple(samples.values()), tuple(left_out))


def _rows(path: Path) -> list[Mapping[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            if FILE not in (reader.fieldnames or ()):
                raise ValueError(
                    f"{path} has no column {FILE}; its first line must name the columns, {FILE} among them"
                )
            return [{key: value for key, value in row.items() if key is not None} for row in reader if row[FILE]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read: {error}; give a CSV file with a column {FILE}") from error


def _sample(name: str, row: Mapping[str, str], folder: Path) -> Sample | LeftOut:
    """The sample of a row, or why there is none."""
    group = next((row[column] for column in GROUPS if row.get(column)), group_of(name))
    wanted = row.get(SPLIT, "")
    split = SPLIT_FOLDERS.get(wanted.strip().lower()) if wanted else checksum_split(group)
    file = folder / row[FILE]
    if split is None:
        return LeftOut(name, None, f"its split {wanted!r} is none of train, valid and test")
    if not is_video(file):
        return LeftOut(name, split, f"no video file ({file.suffix or 'no suffix'})")
    if not file.is_file():
        return LeftOut(name, split, "no file")
    labels = (row[LABEL],) if row.get(LABEL) else ()
    return Sample(name, split, group, file, labels, columns=tuple(row.items()))
