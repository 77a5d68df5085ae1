"""What a data set gives to training and evaluation: samples, and their picture and sound.

Shape legend: T frames, H x W pixels, n audio samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from synchformer.config import SynchformerConfig
from synchformer.media.crop import Crop, crop_interval, cut_crop
from synchformer.media.decode import open_media
from synchformer.media.probe import Media, MediaInfo
from synthetic import Scene
from synthetic.recipe import Recipe

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Place:
    """Where a crop is taken: `start` of the picture in seconds, and `offset` in seconds (> 0: the sound is early)."""

    start: float
    offset: float


@dataclass(frozen=True)
class Sample:
    """One clip of a data set.

    Attributes:
        id: name inside its data set, as in the published lists (`---g-f_I2yQ_1000_11000`, `pretrain/VIDEO/00002`).
        split: train, valid or test.
        group: what the clip was cut from; clips of one group in two splits are a leak.
        path: the media file; None when the clip is generated or lies inside a shard.
        labels: classes of what is heard, as far as the annotations tell.
        fixed: start and offset of the published tables, for valid and test.
        columns: what a table says of the clip, as pairs of a column and its value.
    """

    id: str
    split: Split
    group: str
    path: Path | None = None
    labels: tuple[str, ...] = ()
    fixed: Place | None = None
    columns: tuple[tuple[str, str], ...] = ()

    def value(self, column: str) -> str:
        """What the table says of the clip in a column; empty where it says nothing."""
        return dict(self.columns).get(column, "")


@dataclass(frozen=True)
class LeftOut:
    """A clip that the data set names or holds and that is not used, and why."""

    id: str
    split: Split | None
    reason: str


class OpenSample(Protocol):
    """A clip that was opened once, to be looked at and then read."""

    @property
    def info(self) -> MediaInfo:
        """Streams, rates and lengths of the clip."""
        ...

    def read_for_model(self, config: SynchformerConfig, start: float | None = None, stop: float | None = None) -> Media:
        """Decode an interval; see `Source.read`."""
        ...


class Source(Protocol):
    """A data set: samples of every split, and how to read them. Sources can be pickled into worker processes."""

    @property
    def name(self) -> str:
        """The data set as it was asked for, such as `vggsound:/data/vggsound`."""
        ...

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """What is not in `samples`, with the reason."""
        ...

    @property
    def is_generated(self) -> bool:
        """Whether the clips are generated, so that the truth about their events is known."""
        ...

    def description(self, split: Split) -> str:
        """A split of the data set in words, for reports."""
        ...

    def samples(self, split: Split) -> Sequence[Sample]:
        """The clips of a split, in an order that does not change between runs."""
        ...

    def recipe(self, split: Split) -> Recipe | None:
        """Which clips of a split are generated, in the order of `samples`; None for recorded ones."""
        ...

    def scene(self, sample: Sample) -> Scene | None:
        """The truth about the events of a generated clip; None for a recorded one."""
        ...

    def open(self, sample: Sample) -> AbstractContextManager[OpenSample]:
        """Open a clip once, where what is read of it depends on what it says about itself.

        Raises:
            MediaError: as `synchformer.media.probe.probe`.
        """
        ...

    def info(self, sample: Sample) -> MediaInfo:
        """Streams, rates and lengths of a clip, without decoding it.

        Raises:
            MediaError: as `synchformer.media.probe.probe`.
        """
        ...

    def read(
        self, sample: Sample, config: SynchformerConfig, start: float | None = None, stop: float | None = None
    ) -> Media:
        """Picture uint8 (T, 3, H, W) and sound float32 (n,) from `start` to `stop` seconds, the short side scaled.

        Raises:
            MediaError: as `synchformer.media.decode.read_media`.
        """
        ...


def read_crop(source: Source, sample: Sample, place: Place, config: SynchformerConfig) -> Crop:
    """The model's crop of a sample at `place`: `load_clip` for any source. Decodes no more than the crop needs.

    Raises:
        MediaError: as `Source.read`, or the place lies outside the clip.
    """
    media = source.read(sample, config, *crop_interval(place.start, place.offset, config))
    return cut_crop(media, place.start, place.offset, config=config)


class RecordedSource(ABC):
    """What all data sets of recorded clips have in common: nobody knows the truth about their events."""

    name: str
    is_generated: ClassVar[bool] = False

    def description(self, split: Split) -> str:
        """The data set as it was asked for, and the split."""
        return f"{self.name} ({split})"

    def recipe(self, _: Split) -> None:  # noqa: B027, none is the answer
        """None: nothing is generated."""

    def scene(self, _: Sample) -> None:  # noqa: B027, none is the answer
        """None: the truth is not known."""

    @abstractmethod
    def open(self, sample: Sample) -> AbstractContextManager[OpenSample]:
        """Open the clip's file; see `Source.open`."""

    def info(self, sample: Sample) -> MediaInfo:
        """Look into the clip; see `Source.info`."""
        with self.open(sample) as clip:
            return clip.info

    def read(
        self, sample: Sample, config: SynchformerConfig, start: float | None = None, stop: float | None = None
    ) -> Media:
        """Decode the clip; see `Source.read`."""
        with self.open(sample) as clip:
            return clip.read_for_model(config, start, stop)


@dataclass(frozen=True)
class FileSource(RecordedSource):
    """A data set of media files."""

    name: str
    entries: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...] = ()

    def samples(self, split: Split) -> Sequence[Sample]:
        """The clips of a split, ordered by id."""
        return [sample for sample in self.entries if sample.split == split]

    def open(self, sample: Sample) -> AbstractContextManager[OpenSample]:
        """Open the file; see `Source.open`."""
        return open_media(path_of(sample))


def path_of(sample: Sample) -> Path:
    """The file of a sample.

    Raises:
        ValueError: when the sample has none.
    """
    if sample.path is None:
        raise ValueError(f"{sample.id} is no file; read it through its source")
    return sample.path


def count_reasons(left_out: Iterable[LeftOut]) -> dict[str, int]:
    """How many clips were left out for each reason, the commonest first."""
    return dict(Counter(item.reason for item in left_out).most_common())
