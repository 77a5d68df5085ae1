"""Clips that crops can be drawn from, whatever is read of them afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthetic import Scene


class Clips(ABC):
    """How long clips are, and what is known about their events; all that drawing a crop asks for.

    Attributes:
        scenes: the truth about every clip where all are generated; None where it is not known.
    """

    scenes: Sequence[Scene] | None

    @abstractmethod
    def __len__(self) -> int:
        """Number of clips."""

    @abstractmethod
    def frames_of(self, clip: int) -> int:
        """Frames of a clip for which there are picture and sound."""

    def starts(self, clip: int, span: int) -> NDArray[np.int64]:
        """Frames at which a picture of `span` frames may begin: all that leave room for it."""
        return np.arange(self.frames_of(clip) - span + 1)

    def last_sound(self, clip: int, span: int) -> int:
        """Last frame at which sound of `span` frames may begin; the first is 0."""
        return self.frames_of(clip) - span


@dataclass(frozen=True)
class SceneClips(Clips):
    """Scenes of which nothing was rendered, at `fps` frames per second."""

    scenes: Sequence[Scene]
    fps: int

    def __len__(self) -> int:
        return len(self.scenes)

    def frames_of(self, clip: int) -> int:
        """Frames of a scene."""
        return round(self.scenes[clip].duration * self.fps)
