"""Which part of which clip: random crops of picture and sound, as stage II and the synchronizability stage draw them.

Everything here is in frames, so it is the same whether features or pixels are read afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synchformer.config import SynchformerConfig
from training.sampling.clips import Clips

Labels = Literal["truth", "published"]
TRIES = 200  # draws before a clip source is said not to hold what is asked for

FAR, FOREIGN = 0.5, 0.25  # shares of the kinds of crops that cannot be synchronized; the rest shares no event


@dataclass(frozen=True)
class CropPlace:
    """Picture of clip `clip` from frame `start` on, sound of clip `sound_clip` from frame `sound` on, and the class."""

    clip: int
    start: int
    sound_clip: int
    sound: int
    target: int


class CropError(ValueError):
    """The clips hold no crop of the kind that is asked for."""


def draw_offset(
    clips: Clips, config: SynchformerConfig, rng: np.random.Generator, has_shared_event: bool | None = None
) -> CropPlace:
    """A uniform offset class (section 3.2) at a random place where picture and sound fit into the clip.

    The class is drawn first, then one of the clips that have room for it: a short clip is drawn for the offsets that it
    allows, and no class becomes rarer because of it. Of the classes that no clip can hold, none is drawn.

    Args:
        clips: what to draw from.
        config: sizes; the grid of offsets.
        rng: random numbers.
        has_shared_event: True for a place where both crops hold the same event, False for one where they share none,
            None for any. Where the truth is not known, it is ignored.

    Raises:
        CropError: when no such crop is found, such as in clips that are too short for the grid.
    """
    rooms = rooms_of(clips, config)
    possible = np.flatnonzero(rooms.shares)
    target = int(possible[rng.integers(len(possible))]) if len(possible) else 0
    for _ in range(TRIES if len(possible) else 0):
        clip = clips.pick(rng, rooms.clips[target])
        crop = _moved(clips, config, rng, clip, class_shift(target, config), target)
        if crop is None:
            continue
        shared = shared_events(clips, config, crop)
        if has_shared_event is None or shared is None or (shared > 0) == has_shared_event:
            return crop
    raise CropError(
        f"no crop of {config.span_frames / config.video_fps:.2f} s with its offset was found in {TRIES} draws from "
        f"{len(clips)} clips; use longer clips or a narrower grid"
    )


def draw_synchronizability(
    clips: Clips, config: SynchformerConfig, rng: np.random.Generator, labels: Labels = "truth"
) -> CropPlace:
    """A crop for section 4.2: class 1 can be synchronized, class 0 cannot, each with probability one half.

    "published" labels are the paper's: a uniform offset of the grid is class 1, a shift by exactly one crop length
    class 0. Of the crops that it calls synchronizable, those without a shared event are not, which nobody can know
    of real footage. "truth" asks the truth table of generated clips: class 1 holds an event seen and heard in both
    crops; class 0 is the sound of another time (half of it), of another clip, or of the right time where no event is
    shared.

    Raises:
        CropError: when no such crop is found.
    """
    positive = rng.random() < 0.5
    if labels == "published":
        return _label(draw_offset(clips, config, rng), 1) if positive else draw_far(clips, config, rng)
    if positive:
        return _label(draw_offset(clips, config, rng, True), 1)
    kind = rng.random()
    if kind < FAR:
        return draw_far(clips, config, rng)
    if kind < FAR + FOREIGN:
        return draw_foreign(clips, config, rng)
    return _label(draw_offset(clips, config, rng, False), 0)


def draw_far(clips: Clips, config: SynchformerConfig, rng: np.random.Generator) -> CropPlace:
    """Sound of the same clip, exactly one crop length earlier or later (section 4.2): class 0.

    Raises:
        CropError: when the clips are shorter than two crops.
    """
    for _ in range(TRIES):
        shift = config.span_frames if rng.random() < 0.5 else -config.span_frames
        crop = _moved(clips, config, rng, clips.pick(rng), shift, 0)
        if crop is not None:
            return crop
    raise CropError(
        f"clips must hold two crops, {2 * config.span_frames / config.video_fps:.2f} s, so that the sound can be taken "
        "one crop length away; use longer clips"
    )


def draw_foreign(clips: Clips, config: SynchformerConfig, rng: np.random.Generator) -> CropPlace:
    """Sound of another clip, at a place of its own: class 0.

    Raises:
        CropError: when there is one clip only, or clips are too short.
    """
    if len(clips) < 2:
        raise CropError("sound of another clip needs at least two clips")
    span = config.span_frames
    for _ in range(TRIES):
        clip, other = clips.pick(rng), clips.pick(rng)
        if clip == other:
            continue
        starts, last = clips.starts(clip, span), clips.last_sound(other, span)
        if len(starts) and last >= 0:
            return CropPlace(clip, int(rng.choice(starts)), other, int(rng.integers(last + 1)), 0)
    raise CropError(f"no two of {len(clips)} clips hold a crop of {span / config.video_fps:.2f} s; use longer clips")


def class_shift(target: int, config: SynchformerConfig) -> int:
    """Frames by which the sound of an offset class is taken later."""
    return round(config.grid[target] * config.video_fps)


def shared_events(clips: Clips, config: SynchformerConfig, crop: CropPlace) -> int | None:
    """Events seen and heard in a crop, or None when that is not known; none when the sound is another clip's."""
    if crop.clip != crop.sound_clip:
        return 0
    scene = clips.scene(crop.clip)
    return None if scene is None else len(scene.shared_events(*intervals(crop, config)))


@dataclass(frozen=True)
class Rooms:
    """Which clips have room for an offset class.

    Attributes:
        shares: of all clips, by their weights, those that have it: (classes,).
        clips: their numbers, for each class; None where all have it.
    """

    shares: NDArray[np.float64]
    clips: tuple[NDArray[np.int64] | None, ...]


def rooms_of(clips: Clips, config: SynchformerConfig) -> Rooms:
    """Which clips have room for each offset class, worked out once for every grid and length of a crop."""
    known: dict[SynchformerConfig, Rooms] = clips.__dict__.setdefault("_rooms", {})
    if config not in known:
        known[config] = _rooms(clips, config)
    return known[config]


def _rooms(clips: Clips, config: SynchformerConfig) -> Rooms:
    count, shifts = len(clips), [class_shift(target, config) for target in range(config.offset_classes)]
    needed = config.span_frames + max(map(abs, shifts)) + config.segment_stride  # holds every class at every phase
    short = [clip for clip in range(count) if clips.frames_of(clip) < needed]
    weights = np.full(count, 1 / max(count, 1)) if clips.weights is None else clips.weights
    shares, numbers = list[float](), list[NDArray[np.int64] | None]()
    for shift in shifts:
        without = [clip for clip in short if not len(fitting(clips, config, clip, shift))]
        held = np.setdiff1d(np.arange(count), without)
        shares.append(float(weights[held].sum()) if len(held) else 0.0)
        numbers.append(held if without else None)
    return Rooms(np.array(shares), tuple(numbers))


def fitting(clips: Clips, config: SynchformerConfig, clip: int, shift: int) -> NDArray[np.int64]:
    """Frames at which a picture may begin whose sound, `shift` frames later, lies in the clip too."""
    starts = clips.starts(clip, config.span_frames)
    sounds = starts + shift
    return starts[(sounds >= 0) & (sounds <= clips.last_sound(clip, config.span_frames))]


def intervals(crop: CropPlace, config: SynchformerConfig) -> tuple[tuple[float, float], tuple[float, float]]:
    """Seconds of the clips that the picture and the sound of a crop cover."""
    span, fps = config.span_frames / config.video_fps, config.video_fps
    return (crop.start / fps, crop.start / fps + span), (crop.sound / fps, crop.sound / fps + span)


def _label(crop: CropPlace, target: int) -> CropPlace:
    return CropPlace(crop.clip, crop.start, crop.sound_clip, crop.sound, target)


def _moved(
    clips: Clips, config: SynchformerConfig, rng: np.random.Generator, clip: int, shift: int, target: int
) -> CropPlace | None:
    """A crop at a random place whose sound begins `shift` frames later, or None when the clip has no room for it."""
    starts = fitting(clips, config, clip, shift)
    if not len(starts):
        return None
    start = int(rng.choice(starts))
    return CropPlace(clip, start, clip, start + shift, target)


def draw_sound(
    clips: Clips, config: SynchformerConfig, rng: np.random.Generator, crop: CropPlace, has_shared_event: bool
) -> CropPlace:
    """Another offset for the picture of a crop that `draw_offset` drew, as likely as it would have been drawn with it.

    So offsets stay uniform, although some of them fit at few places of a clip. The picture stands still.

    Args:
        clips: what the crop was drawn from.
        config: sizes; the grid of offsets.
        rng: random numbers.
        crop: whose picture it is for.
        has_shared_event: whether both must hold the same event, where that is known and there is such an offset.
    """
    crops, odds, rooms = list[CropPlace](), list[float](), rooms_of(clips, config)
    for target in range(config.offset_classes):
        shift = class_shift(target, config)
        places = fitting(clips, config, crop.clip, shift)
        if crop.start in places:
            crops.append(CropPlace(crop.clip, crop.start, crop.clip, crop.start + shift, target))
            odds.append(1 / (len(places) * rooms.shares[target]))
    if has_shared_event:
        shares = [shared_events(clips, config, other) != 0 for other in crops]
        odds = [chance * shared for chance, shared in zip(odds, shares, strict=True)] if any(shares) else odds
    return crops[int(rng.choice(len(crops), p=np.array(odds) / sum(odds)))]
