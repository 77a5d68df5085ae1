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
from training.datasets.source import FileSource, LeftOut, Sample, Split, path_of

FILE, SPLIT, LABEL = "file", "split", "label"
GROUPS = ("group", "source_video")


def open_manifest(path: Path) -> FileSource:
    """The videos that a CSV file lists; those that cannot be used are in `left_out`, each with the reason.

    Raises:
        ValueError: when there is no such file, it is no table with a column `file`, or none of its videos can be used.
    """
    samples, left_out = dict[str, Sample](), list[LeftOut]()
    for row in _rows(path):
        sample = _sample(row, path.parent)
        reason = f"listed twice ({row[FILE]})" if sample.id in samples else _reason(row, sample)
        if reason:
            left_out.append(LeftOut(sample.id, _split(row, sample.group), reason))
        else:
            samples[sample.id] = sample
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


def _sample(row: Mapping[str, str], folder: Path) -> Sample:
    """The sample of a row, of which it is not yet known whether it can be used."""
    name = Path(row[FILE]).with_suffix("").as_posix()
    group = next((row[column] for column in GROUPS if row.get(column)), group_of(name))
    labels = (row[LABEL],) if row.get(LABEL) else ()
    return Sample(name, _split(row, group) or "train", group, folder / row[FILE], labels, columns=tuple(row.items()))


def _split(row: Mapping[str, str], group: str) -> Split | None:
    wanted = row.get(SPLIT, "").strip().lower()
    return SPLIT_FOLDERS.get(wanted) if wanted else checksum_split(group)


def _reason(row: Mapping[str, str], sample: Sample) -> str:
    """Why a sample cannot be used; empty where it can."""
    file = path_of(sample)
    if _split(row, sample.group) is None:
        return f"its split {row[SPLIT]!r} is none of train, valid and test"
    if not is_video(file):
        return f"no video file ({file.suffix or 'no suffix'})"
    return "" if file.is_file() else "no file"
