"""VGGSound, VGGSound-Sparse, LRS3 and AudioSet on disk, with the published lists (section 5, appendix C)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synchformer.storage.video_files import is_video
from training.datasets.folders import group_of, walk
from training.datasets.published_lists import (
    read_audioset,
    read_clean,
    read_filters,
    read_fixed,
    read_sparse_classes,
    read_splits,
    read_vggsound_labels,
)
from training.datasets.source import FileSource, LeftOut, Place, Sample, Split

# AudioSet's own folders, by the short names of the published tables, and the split that each is.
AUDIOSET_FOLDERS: dict[str, tuple[str, Split]] = {
    "unbalanced": ("unbalanced_train_segments", "train"),
    "balanced": ("balanced_train_segments", "valid"),
    "eval": ("eval_segments", "test"),
}
LIST_KEY = {"lrs3": "lrs"}  # the filter lists of LRS3 are named after LRS


@dataclass(frozen=True)
class Listing:
    """What the annotations say: ids of each split, which of them not to use and why, labels and fixed places by id."""

    splits: Mapping[Split, Iterable[str]]
    refused: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Place] = field(default_factory=dict)


def open_vggsound(folder: Path, annotations: Path) -> FileSource:
    """VGGSound: `VIDEO_START_END.mp4` in one folder; clips that `vggsound.csv` lacks are left out, as published.

    Raises:
        ValueError: as `assemble`, or an annotation is missing or damaged.
    """
    return assemble(f"vggsound:{folder}", folder, _vggsound(annotations), group_of)


def open_vggsound_sparse(folder: Path, annotations: Path) -> FileSource:
    """VGGSound-Sparse: the clips of the 12 picked classes, without fixed places (they are drawn at random 25 times).

    Raises:
        ValueError: as `open_vggsound`, and when `vggsound.csv` is missing.
    """
    listing = _vggsound(annotations)
    if not listing.labels:
        raise ValueError(
            f"{annotations} holds no vggsound.csv, which names the classes that VGGSound-Sparse is made of"
        )
    sparse = read_sparse_classes(annotations)
    foreign = {
        item: "not of a sparse class" for item, labels in listing.labels.items() if not sparse.intersection(labels)
    }
    chosen = Listing(listing.splits, {**foreign, **listing.refused}, listing.labels)
    return assemble(f"vggsound-sparse:{folder}", folder, chosen, group_of)


def open_vggsound_sparse_clean(folder: Path, annotations: Path) -> FileSource:
    """VGGSound-Sparse (Clean): test clips in which an annotator found a synchronizable event, at the given places.

    Raises:
        ValueError: as `open_vggsound`, and when the table of fixed places is missing or damaged.
    """
    listing = _vggsound(annotations)
    places, refused = read_clean(annotations)
    named = [item for item in listing.splits.get("test", ()) if item in places or item in refused]
    chosen = Listing({"test": named}, {**listing.refused, **refused}, listing.labels, places)
    return assemble(f"vggsound-sparse-clean:{folder}", folder, chosen, group_of)


def open_lrs3(folder: Path, annotations: Path) -> FileSource:
    """LRS3, full scene: `pretrain/VIDEO/CLIP.mp4`; a group is a video.

    Raises:
        ValueError: as `assemble`, or an annotation is missing or damaged.
    """
    listing = Listing(
        read_splits(annotations, "lrs3"),
        read_filters(annotations, LIST_KEY["lrs3"]),
        fixed=read_fixed(annotations, "lrs3"),
    )
    return assemble(f"lrs3:{folder}", folder, listing, lambda item: item.rpartition("/")[0])


def open_audioset(folder: Path, annotations: Path) -> FileSource:
    """AudioSet: `eval_segments/VIDEO_START_END.mp4` and so on; unbalanced is train, balanced valid, eval test.

    The clips are those of `audioset.csv` if there is one, else the files found.

    Raises:
        ValueError: as `assemble`, or an annotation is damaged.
    """
    files = videos_by_name(folder)
    named = {_long(item): labels for item, labels in read_audioset(annotations)}
    ids = named or dict.fromkeys(files, ())
    splits: dict[Split, list[str]] = {
        split: [item for item in ids if item.startswith(f"{long}/")] for long, split in AUDIOSET_FOLDERS.values()
    }
    fixed = {_long(item): place for item, place in read_fixed(annotations, "audioset").items()}
    listing = Listing(splits, read_filters(annotations, "audioset"), named, fixed)
    return assemble(f"audioset:{folder}", folder, listing, lambda item: group_of(item.rpartition("/")[2]), files)


def assemble(
    name: str,
    folder: Path,
    listing: Listing,
    group: Callable[[str], str],
    files: Mapping[str, Path] | None = None,
) -> FileSource:
    """Match what is listed with what is on disk; whatever is only in one of them is left out with its reason.

    Raises:
        ValueError: when the folder is missing or holds none of the listed clips.
    """
    files = videos_by_name(folder) if files is None else files
    samples, left_out, listed = [], [], set[str]()
    for split, ids in listing.splits.items():
        for item in sorted(set(ids)):
            listed.add(item)
            reason = listing.refused.get(item) or (None if item in files else "no file")
            if reason:
                left_out.append(LeftOut(item, split, reason))
            else:
                labels, fixed = listing.labels.get(item, ()), listing.fixed.get(item) if split != "train" else None
                samples.append(Sample(item, split, group(item), files[item], labels, fixed))
    left_out += [LeftOut(item, None, "in no list of this data set") for item in files if item not in listed]
    if not samples:
        raise ValueError(
            f"{folder} holds none of the {len(listed)} clips that the lists name ({len(files)} videos found, such as "
            f"{next(iter(files), 'none')}); give the folder that holds {next(iter(sorted(listed)), 'them')}.mp4"
        )
    return FileSource(name, tuple(samples), tuple(left_out))


def videos_by_name(folder: Path) -> dict[str, Path]:
    """Every video below a folder by its path without the suffix.

    Raises:
        ValueError: when there is no such folder.
    """
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in walk(folder) if is_video(path)}


def _vggsound(annotations: Path) -> Listing:
    splits = read_splits(annotations, "vggsound")
    labels = {item: (label,) for item, label in read_vggsound_labels(annotations).items()}
    unknown = {item: "not in vggsound.csv" for ids in splits.values() for item in ids if labels and item not in labels}
    refused = {**unknown, **read_filters(annotations, "vggsound")}
    return Listing(splits, refused, labels, read_fixed(annotations, "vggsound"))


def _long(item: str) -> str:
    """AudioSet's id with the folder's full name: `eval/X` is `eval_segments/X`."""
    short, _, rest = item.partition("/")
    return f"{AUDIOSET_FOLDERS[short][0]}/{rest}" if short in AUDIOSET_FOLDERS else item
