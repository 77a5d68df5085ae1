"""Open a data set by name.

synthetic:SEED      generated clips
folder:DIR          your own videos; subfolders train, valid, test are splits, else every tenth group is valid or test
vggsound:DIR        VGGSound with the published split and filter lists (`--annotations DIR`)
vggsound-sparse:DIR, vggsound-sparse-clean:DIR    its test clips of sparse classes; those with annotated offsets
lrs3:DIR            LRS3, full scene
audioset:DIR        AudioSet
shards:PATTERN      WebDataset shards, such as shards:/data/vggsound-{000000..000127}.tar
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

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


def _generated(place: str, options: SourceOptions) -> Source:
    if not place.isdecimal():
        raise ValueError(f"synthetic:{place} needs a seed, a whole number such as synthetic:0")
    return replace(options.generated, seed=int(place))


def _folder(place: str, _: SourceOptions) -> Source:
    return open_folder(Path(place))


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
    "vggsound": _published(open_vggsound),
    "vggsound-sparse": _published(open_vggsound_sparse),
    "vggsound-sparse-clean": _published(open_vggsound_sparse_clean),
    "lrs3": _published(open_lrs3),
    "audioset": _published(open_audioset),
    "shards": _shards,
}
_PLACES = {"synthetic": "SEED", "shards": "PATTERN"}
