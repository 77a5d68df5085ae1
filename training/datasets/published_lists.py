"""The published lists and tables: split lists, filter lists, fixed offsets, labels, as they lie in one folder.

vggsound_{train,valid,test}.txt, lrs3_{train,valid,test}.txt    a clip's id per line
filtered_examples_{vggsound,lrs,audioset}/*.txt                 ids that are not to be used
fixed_offsets_{vggsound,lrs3,audioset}/{split}_size21_crop5_min-2.00_max2.00.csv    path,offset_sec,vstart_sec
vggsound.csv                                                    video,start,label,split, without a header
picked_sparse_classes.csv                                       class and y or n, separated by a tab
vggsound_sparse_clean_fixed_offsets.csv                         dataset_name,video_id,vstart_sec,offset_sec,is_sync
audioset.csv, audioset_labels.csv                               DIR/video,start,end,targets,phase; index,mid,name
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from training.datasets.source import SPLITS, Place, Split

FIXED_TABLES = "*_size21_crop5_min-2.00_max2.00.csv"  # 21 classes from -2 to 2 s, crops of 5 s


def read_splits(folder: Path, dataset: str) -> dict[Split, list[str]]:
    """The ids of every split that has a list `DATASET_SPLIT.txt`.

    Raises:
        ValueError: when there is none.
    """
    lists = {split: folder / f"{dataset}_{split}.txt" for split in SPLITS}
    splits = {split: read_ids(path) for split, path in lists.items() if path.is_file()}
    if not splits:
        raise ValueError(
            f"{folder} holds none of {', '.join(path.name for path in lists.values())}; give the folder of the "
            "published lists with --annotations"
        )
    return splits


def read_ids(path: Path) -> list[str]:
    """The ids of a list, a line each, without a media suffix; empty lines are passed over."""
    return [line.strip().removesuffix(".mp4") for line in path.read_text().splitlines() if line.strip()]


def read_filters(folder: Path, name: str) -> dict[str, str]:
    """Ids that `filtered_examples_NAME/*.txt` exclude, each with the list that does."""
    lists = sorted((folder / f"filtered_examples_{name}").glob("*.txt"))
    return {item: f"filtered out by {path.name}" for path in lists for item in read_ids(path)}


def read_fixed(folder: Path, dataset: str) -> dict[str, Place]:
    """Fixed start and offset by id, from the tables of all splits.

    Raises:
        ValueError: when two tables disagree, or a table lacks a column or holds something that is no number.
    """
    places: dict[str, Place] = {}
    for path in sorted((folder / f"fixed_offsets_{dataset}").glob(FIXED_TABLES)):
        for row in rows_of(path, ("path", "offset_sec", "vstart_sec")):
            place = _place(path, row)
            if places.setdefault(row["path"], place) != place:
                raise ValueError(f"{path.parent} gives two different offsets for {row['path']}; remove one table")
    return places


def read_clean(folder: Path) -> tuple[dict[str, Place], dict[str, str]]:
    """VGGSound-Sparse (Clean): fixed places of the clips that are in sync, and why the others are not used.

    Raises:
        ValueError: when the table is missing or damaged.
    """
    path = needed(folder, "vggsound_sparse_clean_fixed_offsets.csv")
    places, refused = {}, {}
    for row in rows_of(path, ("video_id", "vstart_sec", "offset_sec", "is_sync")):
        if row["is_sync"] == "1":
            places[row["video_id"]] = _place(path, row)
        else:
            refused[row["video_id"]] = "annotated as not synchronizable"
    return places, refused


def read_vggsound_labels(folder: Path) -> dict[str, str]:
    """Class by clip id (`VIDEO_START_END` in milliseconds), from `vggsound.csv`; empty when there is none."""
    path = folder / "vggsound.csv"
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {
            f"{video}_{int(start) * 1000}_{(int(start) + 10) * 1000}": label
            for video, start, label, *_ in csv.reader(file)
        }


def read_sparse_classes(folder: Path) -> frozenset[str]:
    """The 12 classes of VGGSound-Sparse, from `picked_sparse_classes.csv`.

    Raises:
        ValueError: when the table is missing or names no sparse class.
    """
    path = needed(folder, "picked_sparse_classes.csv")
    with path.open(newline="") as file:
        classes = frozenset(row[0] for row in csv.reader(file, delimiter="\t") if len(row) > 1 and row[1] == "y")
    if not classes:
        raise ValueError(f"{path.name} marks no class with y; copy the published table again")
    return classes


def read_audioset(folder: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Ids (`eval/VIDEO_START_END`) and labels of AudioSet's clips, from `audioset.csv`; empty when there is none."""
    path = folder / "audioset.csv"
    if not path.is_file():
        return []
    names = read_audioset_labels(folder)
    with path.open(newline="") as file:
        return [
            (
                f"{video}_{int(float(start) * 1000)}_{int(float(end) * 1000)}",
                tuple(names.get(target, target) for target in targets.split(",") if target),
            )
            for video, start, end, targets, *_ in csv.reader(file)
        ]


def read_audioset_labels(folder: Path) -> dict[str, str]:
    """Name of each class by its index, from `audioset_labels.csv`; empty when there is none."""
    path = folder / "audioset_labels.csv"
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {index: name for index, _, name in csv.reader(file)}


def needed(folder: Path, name: str) -> Path:
    """The file of that name.

    Raises:
        ValueError: when it is missing.
    """
    path = folder / name
    if not path.is_file():
        raise ValueError(f"{folder} holds no {name}; copy the published file there")
    return path


def rows_of(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The rows of a table with a header.

    Raises:
        ValueError: when it lacks one of `columns`.
    """
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path} has no column {' and '.join(missing)}; its header must name {', '.join(columns)}")
        yield from reader


def _place(path: Path, row: dict[str, str]) -> Place:
    try:
        return Place(start=float(row["vstart_sec"]), offset=float(row["offset_sec"]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} has a row without numbers for start and offset: {row}") from error
