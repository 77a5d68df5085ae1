"""Where evaluation cuts its crops: the published protocols (section 5, appendix C).

fixed     start and offset of the published tables, one crop a clip
once      a random offset out of the grid and a random start, one crop a clip
every     every offset of the grid that fits, at a start in the middle of those that do; every3: at three starts
x2, x25   the same 2 times (LRS3) or 25 times (VGGSound-Sparse), fresh each time; all crops are pooled into one figure
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np

from synchformer.config import SynchformerConfig
from synchformer.media.crop import possible_starts
from synchformer.media.probe import MediaError, MediaInfo
from training.datasets.source import Place, Sample

LONGEST = 10.0  # s of a clip that are used, as published; what lies behind is never looked at


@dataclass(frozen=True)
class Protocol:
    """How often a clip is cropped, and whether at published or at random places.

    Where `starts` is above 0, every offset that fits is cropped at as many evenly spread starts.
    """

    name: str
    rounds: int
    fixed: bool
    sentence: str
    starts: int = 0

    def places(self, sample: Sample, info: MediaInfo, config: SynchformerConfig, seed: int = 0) -> list[Place]:
        """The crops of one clip; random ones are a function of the clip's id, the round and `seed`.

        Raises:
            MediaError: when the clip has no fixed place, or is too short for one of the crops.
        """
        if self.starts:
            return every_place(info, config, self.starts)
        if self.fixed:
            if sample.fixed is None:
                raise MediaError(f"{sample.id} has no fixed start and offset in the annotations; use another protocol")
            return [sample.fixed]
        return [random_place(info, config, generator(sample.id, number, seed)) for number in range(self.rounds)]


def repeated(rounds: int) -> Protocol:
    """Random places, `rounds` times, pooled.

    Raises:
        ValueError: when `rounds` is not positive.
    """
    if rounds < 1:
        raise ValueError(f"--rounds must be at least 1, not {rounds}")
    if rounds == 1:
        return Protocol("once", 1, False, "one random offset and start per clip")
    return Protocol(f"x{rounds}", rounds, False, f"random offset and start, {rounds} times per clip, pooled")


EVERY = "every offset that fits into the clip"
PROTOCOLS = {
    "every": Protocol("every", 1, False, f"{EVERY}, at the start in the middle", 1),
    "every3": Protocol("every3", 1, False, f"{EVERY}, at three evenly spread starts", 3),
    "fixed": Protocol("fixed", 1, True, "published start and offset of each clip"),
    "once": repeated(1),
    "x2": repeated(2),
    "x25": repeated(25),
}
USUAL = {
    "vggsound": "fixed",
    "vggsound-sparse": "x25",
    "vggsound-sparse-clean": "fixed",
    "lrs3": "x2",
    "audioset": "fixed",
}


def usual_protocol(name: str) -> Protocol:
    """The published protocol of a data set `KIND:PLACE`; `once` for kinds that the paper does not know."""
    return PROTOCOLS[USUAL.get(name.partition(":")[0], "once")]


def generator(item: str, number: int, seed: int) -> np.random.Generator:
    """The random numbers of one round of one clip, whatever other clips there are."""
    return np.random.Generator(np.random.PCG64([0x0FF5E7, zlib.crc32(item.encode()), number, seed]))


def random_place(info: MediaInfo, config: SynchformerConfig, rng: np.random.Generator) -> Place:
    """A uniform offset out of the grid, and a uniform start among the frames at which both streams then fit.

    Raises:
        MediaError: when the clip is too short for the offset that was drawn.
    """
    offset = config.grid[int(rng.integers(config.offset_classes))]
    return Place(random_start(info, config, offset, rng), offset)


def every_place(info: MediaInfo, config: SynchformerConfig, starts: int) -> list[Place]:
    """Every offset of the grid that fits into the clip, at `starts` evenly spread starts (fewer where frames run out).

    Raises:
        MediaError: when the clip is too short for any offset.
    """
    places = list[Place]()
    for offset in config.grid:
        try:
            first, last = fitting_starts(info, config, offset)
        except MediaError:
            continue
        spread = [first + (last - first) * (number + 1) / (starts + 1) for number in range(starts)]
        frames = sorted({math.floor(round(start * config.video_fps, 6)) for start in spread})
        places += [Place(frame / config.video_fps, offset) for frame in frames]
    if not places:
        fitting_starts(info, config, 0.0)  # says what is missing
        raise MediaError(f"{info.path.name} is too short for every offset of the grid")
    return places


def random_start(info: MediaInfo, config: SynchformerConfig, offset: float, rng: np.random.Generator) -> float:
    """A uniform start, rounded down to a frame, among `fitting_starts`.

    Raises:
        MediaError: when there is none.
    """
    first, last = fitting_starts(info, config, offset)
    return math.floor(round(rng.uniform(first, last) * config.video_fps, 6)) / config.video_fps


def fitting_starts(info: MediaInfo, config: SynchformerConfig, offset: float) -> tuple[float, float]:
    """First and last second at which a crop with this offset fits into the first 10 s; the first is on a frame.

    Raises:
        MediaError: when none does.
    """
    first, last = possible_starts(info, config, offset)
    first = math.ceil(round(first * config.video_fps, 6)) / config.video_fps
    last = min(last, LONGEST - config.crop_seconds - max(0.0, offset))
    if last < first - 1e-6:
        raise MediaError(
            f"{info.path.name} is too short for an offset of {offset:+.2f} s: picture and sound share "
            f"{min(info.video.stop, info.audio.stop, LONGEST):.2f} s"
        )
    return first, max(first, last)
