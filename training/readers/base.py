"""What stages know about their clips: crops can be drawn from them and read, as pixels and sound or as features.

Shape legend: B crops, S segments, F frames per segment, T frames, H x W pixels, t tokens per segment, D width,
n audio samples.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from synchformer.config import SynchformerConfig
from synchformer.media.probe import MediaError
from training.runtime.batches import Batch
from training.sampling.clips import Clips
from training.sampling.crops import TRIES, CropError, CropPlace

Features = tuple[NDArray[np.float16], NDArray[np.float16]]
"""Features of picture (rows, t_v, D) and sound (rows, t_a, D)."""


class UnreadableError(MediaError):
    """A crop that cannot be read: `place` is its number among those that were asked for."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place


class CropReader(Clips):
    """Clips of which crops are read.

    Attributes:
        is_encoded: whether crops are read as features, which no encoder has to see any more.
    """

    is_encoded: ClassVar[bool] = False

    @abstractmethod
    def read(self, crops: list[CropPlace], config: SynchformerConfig, rng: np.random.Generator | None = None) -> Batch:
        """Crops of `config.segments` segments, changed at random where there is `rng`.

        Returns:
            "frames" (B, S, F, 3, H, W) and "waves" (B, S, n), or features: "video" (B, S, t_v, D) and "audio"
            (B, S, t_a, D). `ready` finishes them.

        Raises:
            UnreadableError: when a crop cannot be read.
        """

    def ready(self, batch: Batch, prefix: str = "") -> Batch:
        """A batch of these clips, now on the model's device, as the model takes it: what is cheaper there is done here.

        Args:
            batch: what `read` gave.
            prefix: of the names of what is to be finished.
        """
        return batch

    @abstractmethod
    def preview(self, crop: CropPlace, config: SynchformerConfig, rng: np.random.Generator) -> Batch:
        """What a training crop looks and sounds like: "frames" (1, S, F, 3, H, W) and "waves" (1, S, n).

        Raises:
            UnreadableError: when it cannot be read.
        """

    def features_of(self, count: int) -> Features | None:
        """All features of the first `count` clips, where they are encoded."""
        return None


class WholeClips(Clips):
    """Clips that are read whole, to be encoded once. They can be pickled into worker processes."""

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What tells these clips from others, as plain values."""

    @abstractmethod
    def read_clip(self, clip: int) -> tuple[Tensor, Tensor]:
        """Frames uint8 (T, 3, H, W), not smaller than the model's square, and samples (n,), int16 or float32.

        Raises:
            MediaError: when it cannot be read.
        """


def read_readable(
    crops: list[CropPlace], another: Callable[[int], CropPlace], read: Callable[[list[CropPlace]], Batch]
) -> Batch:
    """What `read` gives for crops; `another` gives one for the place of each that cannot be read.

    Raises:
        CropError: when that happens time and again.
    """
    reason = ""
    for _ in range(TRIES):
        try:
            return read(crops)
        except UnreadableError as error:
            crops[error.place], reason = another(error.place), str(error)
    raise CropError(f"{TRIES} crops in a row cannot be read, the last because: {reason}")
