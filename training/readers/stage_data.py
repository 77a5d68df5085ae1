"""The clips that a stage trains and validates on: of the data set that `--data` names, or of a mixture of several.

Each data set is opened, listed, checked and read by itself (`training.readers.source_data`); a mixture is drawn from
them as the shares say (`training.readers.mixture`).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from training.config.stage_config import StageConfig
from training.datasets.registry import split_mixture
from training.readers.base import CropReader
from training.readers.mixture import MixedFeatures, MixedPixels
from training.readers.pixel_reader import PixelReader
from training.readers.source_data import SourceData, folder_name


class StageData:
    """What a command's `--data` names, for one stage."""

    def __init__(self, request: StageConfig, leads: bool = True) -> None:
        """Open the data sets; the process that `leads` writes down what is left out.

        Raises:
            ValueError: when there is none of a name.
        """
        self.request, parts = request, split_mixture(request.data)
        self.shares = [part.share for part in parts]
        several = len(parts) > 1
        self.sources = [
            SourceData(request, part.name, leads, folder_name(part.name) if several else "") for part in parts
        ]

    @property
    def generated(self) -> bool:
        """Whether all clips are generated, so that the truth about their events is known."""
        return all(source.generated for source in self.sources)

    @property
    def count(self) -> int:
        """Clips to train on."""
        return sum(source.count for source in self.sources)

    def check(self) -> str:
        """Look at the data before training on it, and write down what is left out; returns a table for each data set.

        Raises:
            ValueError: when something is wrong and `unchecked` is not asked for, or no clip is left.
        """
        return "\n".join(source.check() for source in self.sources)

    def pixels(self) -> tuple[PixelReader, PixelReader]:
        """Clips to train and to validate on, read as pixels and sound; generated ones are rendered first."""
        pairs = [source.pixels() for source in self.sources]
        if not self._mixed:
            return pairs[0]
        train, valid = ([pair[split] for pair in pairs] for split in (0, 1))
        self._require_columns(train)
        return MixedPixels(train, *self._drawing), MixedPixels(valid, *self._drawing)

    def features(self, video: nn.Module, audio: nn.Module) -> tuple[CropReader, CropReader]:
        """Clips to train and to validate on, read as features; frozen encoders compute those that are missing first."""
        pairs = [source.features(video, audio) for source in self.sources]
        if not self._mixed:
            return pairs[0]
        train, valid = ([pair[split] for pair in pairs] for split in (0, 1))
        self._require_columns(train)
        return MixedFeatures(train, *self._drawing), MixedFeatures(valid, *self._drawing)

    @property
    def _mixed(self) -> bool:
        return len(self.sources) > 1 or bool(self.request.balance)

    @property
    def _drawing(self) -> tuple[list[float], tuple[str, ...], float]:
        """Shares of the data sets, and how the clips of each are balanced."""
        return self.shares, self.request.balance, self.request.balance_power

    def _require_columns(self, readers: Sequence[CropReader]) -> None:
        """See that the columns over which clips are to be balanced are there.

        Raises:
            ValueError: when no clip has a value in one of them.
        """
        for column in self.request.balance:
            if not any(reader.values(clip, (column,))[0] for reader in readers for clip in range(len(reader))):
                raise ValueError(
                    f"--balance {column}: no clip of {self.request.data} has a value in a column {column}; give a "
                    "manifest:FILE.csv with that column, or leave it out"
                )
