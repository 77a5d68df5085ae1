"""Generated clips as a data set, drawn when they are read: `synthetic:SEED`.

Shape legend: T frames, H x W pixels, n audio samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from synchformer.config import SynchformerConfig
from synchformer.media.probe import Media, MediaError, MediaInfo, Span
from synthetic import SEEDS, Kind, Scene, frame_times, render_frames, render_sound, sample_scene
from synthetic.recipe import Recipe
from training.datasets.source import SPLITS, LeftOut, OpenSample, Sample, Split

SIDE = 256  # pixels that a generated clip is said to have; it is drawn at whatever side is asked for


@dataclass(frozen=True)
class GeneratedSource:
    """Clips of the generator. Training seeds begin at `seed`; validation and test seeds have ranges of their own.

    Args:
        seed: first training seed, below 1,000,000.
        train, valid, test: number of clips.
        events: fewest and most events of a clip that are both seen and heard.
        duration: seconds.
        without: kinds whose look and sound appear in no clip, to be tested on later.
        only: the kinds that shared events may have; all when empty.
        first_test: seed of the first test clip, at least 2,000,000.

    Raises:
        ValueError: when the seeds of a split reach into those of another.
    """

    seed: int = 0
    train: int = 1000
    valid: int = 60
    test: int = 500
    events: tuple[int, int] = (1, 4)
    duration: float = 10.0
    without: tuple[Kind, ...] = ()
    only: tuple[Kind, ...] = ()
    first_test: int = SEEDS["test"][0]

    def __post_init__(self) -> None:
        for split in SPLITS:
            allowed, seeds = SEEDS[split], self.seeds(split)
            if len(seeds) and not (seeds[0] in allowed and seeds[-1] in allowed):
                raise ValueError(
                    f"{split} clips have seeds from {allowed[0]} to {allowed[-1]}, not from {seeds[0]} to {seeds[-1]}; "
                    "choose another seed or fewer clips"
                )

    @property
    def name(self) -> str:
        """`synthetic:SEED`."""
        return f"synthetic:{self.seed}"

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """Nothing: every seed gives a clip."""
        return ()

    @property
    def is_generated(self) -> bool:
        """True: every clip is drawn from its seed."""
        return True

    def description(self, split: Split) -> str:
        """The clips of a split in words: their seeds and kinds."""
        seeds = self.seeds(split)
        words = [
            f"generated clips, seeds {seeds.start} to {seeds.stop - 1}",
            f"{self.events[0]} to {self.events[1]} events",
        ]
        words += [f"only {', '.join(self.only)}"] if self.only else []
        words += [f"without {', '.join(self.without)}"] if self.without else []
        return f"{', '.join(words)} ({split})"

    def seeds(self, split: Split) -> range:
        """The seeds of a split."""
        first = {"train": self.seed, "valid": SEEDS["valid"][0], "test": self.first_test}[split]
        count = {"train": self.train, "valid": self.valid, "test": self.test}[split]
        return range(first, first + count)

    def samples(self, split: Split) -> Sequence[Sample]:
        """The clips in order of their seeds, labeled with the kinds of their shared events."""
        return [
            Sample(id=f"synthetic-{seed:07d}", split=split, group=str(seed), labels=shared_kinds(self._scene(seed)))
            for seed in self.seeds(split)
        ]

    def recipe(self, split: Split) -> Recipe:
        """Which clips of a split are generated; see `Source.recipe`."""
        seeds = self.seeds(split)
        return Recipe(seeds.start, len(seeds), self.events, self.duration, self.without, self.only)

    def scene(self, sample: Sample) -> Scene:
        """The scene behind a sample, with the truth about its events."""
        return self._scene(int(sample.group))

    def open(self, sample: Sample) -> AbstractContextManager[OpenSample]:
        """Nothing is opened: the clip is drawn when it is read; see `Source.open`."""
        return nullcontext(_Drawn(self, sample))

    def info(self, sample: Sample) -> MediaInfo:
        """What a file of this clip would say; see `Source.info`."""
        duration = self.scene(sample).duration
        span = Span(0.0, duration, "generated")
        return MediaInfo(Path(sample.id), "generated", span, span, 25.0, SIDE, SIDE, 16_000, 1)

    def read(
        self, sample: Sample, config: SynchformerConfig, start: float | None = None, stop: float | None = None
    ) -> Media:
        """Draw and sound an interval as squares of the short side; see `Source.read`."""
        scene, fps = self.scene(sample), config.video_fps
        begin, end = start or 0.0, scene.duration if stop is None else min(stop, scene.duration)
        if not 0 <= begin < end:
            raise MediaError(f"{sample.id} lasts {scene.duration:g} s; it has nothing from {begin:g} s to {end:g} s")
        first, last = round(begin * fps), math.ceil(round(end * fps, 6))
        side = config.short_side
        frames = render_frames(scene, frame_times(scene, fps)[first:last], (side, side))
        wave = render_sound(scene, config.sample_rate)[
            first * config.samples_per_frame : last * config.samples_per_frame
        ]
        sound = torch.from_numpy(wave.copy())
        return Media(self.info(sample), first / fps, frames, sound, fps, config.sample_rate)

    def _scene(self, seed: int) -> Scene:
        return sample_scene(seed, self.events, self.duration, without=self.without, only=self.only)


@dataclass(frozen=True)
class _Drawn:
    """A generated clip, as `Source.open` hands it out."""

    source: GeneratedSource
    sample: Sample

    @property
    def info(self) -> MediaInfo:
        return self.source.info(self.sample)

    def read_for_model(self, config: SynchformerConfig, start: float | None = None, stop: float | None = None) -> Media:
        return self.source.read(self.sample, config, start, stop)


def shared_kinds(scene: Scene) -> tuple[str, ...]:
    """The kinds of a scene's events that are both seen and heard."""
    return tuple(sorted({event.kind for event in scene.events if event.seen and event.heard}))
