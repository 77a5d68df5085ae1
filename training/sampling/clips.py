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
        scenes: the truth about every clip where all are generated; None where it is not known of all of them.
        weights: how often each clip is drawn, (N,) with the sum 1; None where all are drawn alike.
    """

    scenes: Sequence[Scene] | None
    weights: NDArray[np.float64] | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Number of clips."""

    @abstractmethod
    def frames_of(self, clip: int) -> int:
        """Frames of a clip for which there are picture and sound."""

    def scene(self, clip: int) -> Scene | None:
        """The truth about a clip's events; None where nobody knows it."""
        return None if self.scenes is None else self.scenes[clip]

    def values(self, clip: int, columns: Sequence[str]) -> tuple[str, ...]:
        """What the data set says of a clip in columns of its table; empty where it says nothing."""
        return ("",) * len(columns)

    def pick(self, rng: np.random.Generator, among: NDArray[np.int64] | None = None) -> int:
        """A random clip, as often as its weight says; of some clips where `among` names them."""
        if self.weights is None:
            return int(rng.integers(len(self))) if among is None else int(among[rng.integers(len(among))])
        weights = self.weights if among is None else self.weights[among]
        place = np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right")
        chosen = min(int(place), len(weights) - 1)
        return chosen if among is None else int(among[chosen])

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
