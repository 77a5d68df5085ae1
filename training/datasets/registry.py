"""Open a data set by name.

synthetic:SEED      generated clips
folder:DIR          your own videos; subfolders train, valid, test are splits, else every tenth group is valid or test
manifest:FILE.csv   the videos that a table names, with splits, kinds and sources (training.datasets.csv_manifest)
vggsound:DIR        VGGSound with the published split and filter lists (`--annotations DIR`)
vggsound-sparse:DIR, vggsound-sparse-clean:DIR    its test clips of sparse classes; those with annotated offsets
lrs3:DIR            LRS3, full scene
audioset:DIR        AudioSet
shards:PATTERN      WebDataset shards, such as shards:/data/vggsound-{000000..000127}.tar

Training takes a mixture of them as well, `NAME=WEIGHT,NAME=WEIGHT,...`: crops are drawn from each as often as its
weight says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from training.datasets.csv_manifest import open_manifest
from training.datasets.folders import open_folder
from training.datasets.generated import GeneratedSource
from training.datasets.published import (
    open_audioset,
    open_lrs3,
    open_vggsound,
    open_vggsound_sparse,
    open_vggsound_sparse_clean,
)
from training.datasets.source import FileSource, Source


@dataclass(frozen=True)
class SourceOptions:
    """What opening a data set may need beside its name.

    Attributes:
        annotations: folder of the published lists and tables.
        generated: sizes of the generated data set; its seed comes from the name.
    """

    annotations: Path | None = None
    generated: GeneratedSource = GeneratedSource()  # noqa: RUF009, frozen


Opener = Callable[[str, SourceOptions], Source]


def open_source(name: str, options: SourceOptions = SourceOptions()) -> Source:
    """Open the data set `KIND:PLACE`; see the module's list of kinds.

    Raises:
        ValueError: unknown kind, a place that does not exist or holds nothing usable, annotations that are missing or
            contradict each other.
    """
    return OPENERS[source_kind(name)](name.partition(":")[2], options)


def source_kind(name: str) -> str:
    """The kind of the data set `KIND:PLACE`, which need not exist.

    Raises:
        ValueError: unknown kind, or no place.
    """
    kind, _, place = name.partition(":")
    if kind not in OPENERS or not place:
        known = ", ".join(f"{known}:{_PLACES.get(known, 'DIR')}" for known in OPENERS)
        raise ValueError(f"{name!r} is no data set; give one of {known}")
    return kind


@dataclass(frozen=True)
class DataPart:
    """One data set of a mixture: its name, and the share of the crops that are drawn from it."""

    name: str
    share: float = 1.0


def split_mixture(text: str) -> tuple[DataPart, ...]:
    """The data sets of `NAME=WEIGHT,NAME=WEIGHT,...`, their shares with the sum 1. A single name has no weight.

    Names may hold commas: only one before the kind of another data set parts them.

    Raises:
        ValueError: an unknown kind, a weight that is missing or not above 0, or a data set that is named twice.
    """
    kinds = "|".join(map(re.escape, OPENERS))
    pieces = re.split(rf",\s*(?=(?:{kinds}):)", text)
    if len(pieces) == 1:
        source_kind(text)
        return (DataPart(text),)
    parts = [_weighted(piece) for piece in pieces]
    names = [part.name for part in parts]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{text!r} names {twice} twice; give it once, with the sum of its weights")
    whole = math.fsum(part.share for part in parts)
    return tuple(DataPart(part.name, part.share / whole) for part in parts)


def _weighted(piece: str) -> DataPart:
    name, _, weight = piece.rpartition("=")
    try:
        share = float(weight) if name else math.nan
    except ValueError:
        share = math.nan
    if not (math.isfinite(share) and share > 0):
        raise ValueError(
            f"{piece!r} is a part of a mixture and needs a weight above 0, such as {name or piece}=0.5; "
            "only a data set by itself has none"
        )
    source_kind(name)
    return DataPart(name, share)


def _generated(place: str, options: SourceOptions) -> Source:
    if not place.isdecimal():
        raise ValueError(f"synthetic:{place} needs a seed, a whole number such as synthetic:0")
    return replace(options.generated, seed=int(place))


def _folder(place: str, _: SourceOptions) -> Source:
    return open_folder(Path(place))


def _manifest(place: str, _: SourceOptions) -> Source:
    return open_manifest(Path(place))


def _shards(place: str, _: SourceOptions) -> Source:
    from training.datasets.shards import open_shards

    return open_shards(place)


def _published(opener: Callable[[Path, Path], FileSource]) -> Opener:
    def open_with_lists(place: str, options: SourceOptions) -> Source:
        if options.annotations is None or not options.annotations.is_dir():
            given = options.annotations or "nothing"
            raise ValueError(f"{place} needs the folder of the published lists: --annotations DIR, not {given}")
        return opener(Path(place), options.annotations)

    return open_with_lists


OPENERS: dict[str, Opener] = {
    "synthetic": _generated,
    "folder": _folder,
    "manifest": _manifest,
    "vggsound": _published(open_vggsound),
    "vggsound-sparse": _published(open_vggsound_sparse),
    "vggsound-sparse-clean": _published(open_vggsound_sparse_clean),
    "lrs3": _published(open_lrs3),
    "audioset": _published(open_audioset),
    "shards": _shards,
}
_PLACES = {"synthetic": "SEED", "manifest": "FILE.csv", "shards": "PATTERN"}
