"""Which clips are generated: their seeds, events, length and kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synthetic.scene import Kind, Scene, sample_scene


@dataclass(frozen=True)
class Recipe:
    """Which clips: `count` scenes with seeds seed, seed + 1, ...; `events` shared events each; `duration` seconds.

    Kinds in `without` are neither seen nor heard in any of them; `only` bounds the kinds of shared events.
    """

    seed: int = 0
    count: int = 1000
    events: tuple[int, int] = (1, 4)
    duration: float = 10.0
    without: tuple[Kind, ...] = ()
    only: tuple[Kind, ...] = ()

    def scene(self, index: int) -> Scene:
        """The scene of clip `index`."""
        return sample_scene(self.seed + index, self.events, self.duration, without=self.without, only=self.only)

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these clips from others, as plain values."""
        kinds = [f"without {kind}" for kind in self.without] + [f"only {kind}" for kind in self.only]
        return {"seed": self.seed, "events": [*self.events, *kinds]}
