"""What happens in a generated clip: events, actors, shots and sounds, all drawn from one seed.

Space is measured in half frame heights: y runs from -1 (top) to 1 (bottom) and x likewise around the middle, so that
a square crop of the middle shows |x| < 1. Everything that matters stays within |x|, |y| < 0.8.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["bounce", "strike", "clap", "snap", "drop", "flash"]
KINDS: tuple[Kind, ...] = ("bounce", "strike", "clap", "snap", "drop", "flash")

EDGE = 0.35  # s: no event closer to the clip's ends
GAP = 0.55  # s: events of one clip are at least this far apart
PLACES = ((-0.45, -0.1), (0.45, -0.1), (0.0, 0.2), (-0.4, 0.4), (0.4, 0.4), (0.0, -0.35))


@dataclass(frozen=True)
class Event:
    """One moment of the truth table.

    `time` is in seconds on the clip's clock, not rounded to frames. `seen` and `heard` tell which stream holds it: an
    event with both can prove the offset, an event with one cannot. `x`, `y` is the place in the picture, in half frame
    heights from the middle (y grows downwards); None when nothing is seen.
    """

    time: float
    kind: Kind
    seen: bool
    heard: bool
    x: float | None
    y: float | None
    loudness: float


@dataclass(frozen=True)
class Actor:
    """A thing that moves: it performs the events at `times` and rests or drifts in between.

    `contact` is False for near misses: the same motion that stops short, without any sound.
    """

    kind: Kind
    times: tuple[float, ...]
    x: float
    y: float
    scale: float
    angle: float
    speed: float
    color: tuple[float, float, float]
    accent: tuple[float, float, float]
    contact: bool
    flip: bool


@dataclass(frozen=True)
class Drifter:
    """A silent distractor that wanders smoothly: position is a sum of slow sinusoids."""

    color: tuple[float, float, float]
    size: tuple[float, float]
    roundness: float
    center: tuple[float, float]
    reach: tuple[float, float]
    rate: tuple[float, float]
    phase: tuple[float, float]
    spin: float
    in_front: bool


@dataclass(frozen=True)
class Shot:
    """What the camera shows from `start` to the next shot: background, framing, light, unrest."""

    start: float
    texture_seed: int
    palette: tuple[tuple[float, float, float], tuple[float, float, float]]
    grain: float
    drift: tuple[float, float]
    zoom: float
    pan: tuple[float, float]
    shake: float
    shake_rate: float
    light: float
    light_swing: float
    noise: float


@dataclass(frozen=True)
class Room:
    """How the sound reaches the microphone: reverberation, background and overall level."""

    reverb_seconds: float
    reverb_level: float
    noise_level: float
    noise_tilt: float
    hum_level: float
    hum_hertz: float
    gain: float


@dataclass(frozen=True)
class Scene:
    """A whole generated clip: the truth (`events`) and everything needed to draw and sound it.

    Two scenes drawn from the same arguments are equal, and so are their pixels and samples.
    """

    seed: int
    duration: float
    events: tuple[Event, ...]
    actors: tuple[Actor, ...]
    drifters: tuple[Drifter, ...]
    shots: tuple[Shot, ...]
    room: Room

    def truth(self) -> dict[str, Any]:
        """The truth table as plain values for JSON: seed, duration, events in order of time."""
        return {"seed": self.seed, "duration": self.duration, "events": [asdict(event) for event in self.events]}

    def shared_events(self, video: tuple[float, float], audio: tuple[float, float]) -> list[Event]:
        """Events both seen inside the `video` interval and heard inside the `audio` interval (seconds)."""
        return [
            event
            for event in self.events
            if event.seen and event.heard and video[0] <= event.time < video[1] and audio[0] <= event.time < audio[1]
        ]


def sample_scene(
    seed: int,
    events: tuple[int, int] = (1, 4),
    duration: float = 10.0,
    distractors: bool = True,
    without: tuple[Kind, ...] = (),
    only: tuple[Kind, ...] = (),
) -> Scene:
    """Draw a scene.

    Args:
        seed: the scene depends on this and on the other arguments, and on nothing else.
        events: fewest and most events that are both seen and heard; (0, 0) gives a clip that cannot be synchronized.
        duration: seconds.
        distractors: whether near misses, silent events, sounds from outside the picture and drifting things occur.
        without: kinds whose look and sound appear nowhere: what a training leaves out to be tested on it.
        only: the kinds that events both seen and heard may have; the test of what was left out. All when empty.

    Raises:
        ValueError: when the events cannot fit into the duration with their minimum gap, a kind is unknown, or fewer
            than two kinds are left (one for what is both seen and heard, one for what is not).
    """
    starring = [kind for kind in KINDS if kind not in without and (not only or kind in only)]
    if not set(without) | set(only) <= set(KINDS) or not starring or len(set(KINDS) - set(without)) < 2:
        raise ValueError(f"without={without} and only={only} must leave at least two of the kinds {', '.join(KINDS)}")
    if not 0 <= events[0] <= events[1]:
        raise ValueError(f"events must be a range such as (1, 4), not {events}")
    rng = np.random.Generator(np.random.PCG64([0x5EED, seed]))
    shared = int(rng.integers(events[0], events[1] + 1))
    silent = int(rng.random() < 0.35) if distractors else 0
    misses = int(rng.random() < 0.35) if distractors else 0
    unseen = int(rng.random() < 0.3) if distractors else 0
    times = _spread(rng, shared + silent + misses + unseen, duration)
    casts = _cast(rng, (shared, silent, misses, unseen), times, _Kinds(rng, without, only))
    table = sorted((event for _, cast in casts for event in cast), key=lambda event: event.time)
    return Scene(
        seed=seed,
        duration=duration,
        events=tuple(table),
        actors=tuple(actor for actor, _ in casts if actor is not None),
        drifters=tuple(_drifter(rng) for _ in range(int(rng.integers(0, 3)) if distractors else 0)),
        shots=_shots(rng, duration, distractors),
        room=_room(rng),
    )


def _spread(rng: np.random.Generator, count: int, duration: float) -> np.ndarray:
    """Random times with a minimum gap: uniform on the slack, then the gaps put back in; in random order."""
    slack = duration - 2 * EDGE - max(count - 1, 0) * GAP
    if slack <= 0:
        raise ValueError(
            f"{count} events with gaps of {GAP} s do not fit into {duration} s; ask for fewer or a longer clip"
        )
    times = np.sort(rng.random(count)) * slack + EDGE + np.arange(count) * GAP
    return rng.permutation(times)


class _Kinds:
    """Hands out kinds in random order: one for each actor of shared events, others for what only one stream holds."""

    def __init__(self, rng: np.random.Generator, without: tuple[Kind, ...], only: tuple[Kind, ...]) -> None:
        order = [KINDS[index] for index in rng.permutation(len(KINDS))]
        self.free = [kind for kind in order if kind not in without]
        self.starring = [kind for kind in self.free if not only or kind in only]
        self.others: list[Kind] = []

    @property
    def actors(self) -> int:
        """How many actors may share the events, so that a kind is left for the rest."""
        return min(len(self.starring), len(self.free) - 1)

    def shared(self) -> Kind:
        """A kind for an actor whose events are both seen and heard."""
        kind = self.starring.pop()
        self.free.remove(kind)
        result: Kind = kind
        return result

    def other(self) -> Kind:
        """A kind that no shared event has; they repeat when there are no more."""
        self.others = self.others or list(self.free)
        return self.others.pop()


def _cast(
    rng: np.random.Generator, counts: tuple[int, int, int, int], times: np.ndarray, kinds: _Kinds
) -> list[tuple[Actor | None, list[Event]]]:
    """Give every time to an actor; what is only seen or only heard is of another kind than what is both."""
    shared, silent, misses, unseen = counts
    places = [PLACES[index] for index in rng.permutation(len(PLACES))]
    split = int(rng.integers(1, shared)) if shared > 1 and rng.random() < 0.5 else shared
    split = split if kinds.actors > 1 else shared
    groups = [group for group in (range(split), range(split, shared)) if group]  # one or two actors share the events
    casts: list[tuple[Actor | None, list[Event]]] = []
    for group in groups:
        casts.append(_perform(rng, kinds.shared(), places.pop(), times[list(group)], heard=True, contact=True))
    spare = list(times[shared:])
    for _ in range(silent):
        casts.append(_perform(rng, kinds.other(), places.pop(), np.array([spare.pop()]), heard=False, contact=True))
    for _ in range(misses):
        casts.append(_perform(rng, kinds.other(), places.pop(), np.array([spare.pop()]), heard=False, contact=False))
    for _ in range(unseen):
        casts.append(
            (None, [Event(float(spare.pop()), kinds.other(), False, True, None, None, float(rng.uniform(0.3, 1.0)))])
        )
    return casts


def _perform(
    rng: np.random.Generator, kind: Kind, place: tuple[float, float], times: np.ndarray, heard: bool, contact: bool
) -> tuple[Actor, list[Event]]:
    ordered = tuple(float(time) for time in np.sort(times))
    x, y = place[0] + rng.uniform(-0.12, 0.12), place[1] + rng.uniform(-0.12, 0.12)
    color, accent = _color(rng), _color(rng)
    actor = Actor(
        kind=kind,
        times=ordered,
        x=float(x),
        y=float(y),
        scale=float(rng.uniform(0.75, 1.35)),
        angle=float(rng.choice([0.0, 0.0, np.pi / 2, -np.pi / 2]) if kind == "bounce" else rng.uniform(-0.35, 0.35)),
        speed=float(rng.uniform(0.75, 1.4)),
        color=color,
        accent=accent,
        contact=contact,
        flip=bool(rng.random() < 0.5),
    )
    if not contact:
        return actor, []
    return actor, [
        Event(time, kind, True, heard, actor.x, actor.y, float(rng.uniform(0.45, 1.0)) if heard else 0.0)
        for time in ordered
    ]


def _color(rng: np.random.Generator) -> tuple[float, float, float]:
    hue, saturation, value = rng.random(), rng.uniform(0.35, 1.0), rng.uniform(0.55, 1.0)
    channels = [value * (1 - saturation * max(0.0, min(1.0, abs((hue * 6 + k) % 6 - 3) - 1))) for k in (0, 4, 2)]
    return (float(channels[0]), float(channels[1]), float(channels[2]))


def _drifter(rng: np.random.Generator) -> Drifter:
    return Drifter(
        color=_color(rng),
        size=(float(rng.uniform(0.05, 0.2)), float(rng.uniform(0.05, 0.2))),
        roundness=float(rng.uniform(0.0, 1.0)),
        center=(float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.8, 0.8))),
        reach=(float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.05, 0.4))),
        rate=(float(rng.uniform(0.05, 0.35)), float(rng.uniform(0.05, 0.35))),
        phase=(float(rng.uniform(0, 6.3)), float(rng.uniform(0, 6.3))),
        spin=float(rng.uniform(-1.5, 1.5)),
        in_front=bool(rng.random() < 0.25),
    )


def _shots(rng: np.random.Generator, duration: float, distractors: bool) -> tuple[Shot, ...]:
    cuts = int(rng.choice([0, 0, 0, 1, 1, 2])) if distractors else 0
    starts = [0.0, *np.sort(rng.uniform(0.8, duration - 0.8, cuts)).tolist()]
    return tuple(_shot(rng, start) for start in starts)


def _shot(rng: np.random.Generator, start: float) -> Shot:
    dark = rng.random() < 0.5
    low, high = (0.04, 0.35) if dark else (0.3, 0.8)
    base = tuple(float(v) for v in rng.uniform(low, high, 3))
    other = tuple(float(v) for v in rng.uniform(low, high, 3))
    shaky = rng.random() < 0.4
    return Shot(
        start=start,
        texture_seed=int(rng.integers(2**31)),
        palette=((base[0], base[1], base[2]), (other[0], other[1], other[2])),
        grain=float(rng.uniform(0.1, 0.9)),
        drift=(float(rng.uniform(-0.06, 0.06)), float(rng.uniform(-0.03, 0.03))),
        zoom=float(rng.uniform(0.92, 1.12)),
        pan=(float(rng.uniform(-0.08, 0.08)), float(rng.uniform(-0.06, 0.06))),
        shake=float(rng.uniform(0.004, 0.018)) if shaky else 0.0,
        shake_rate=float(rng.uniform(0.7, 2.5)),
        light=float(rng.uniform(0.8, 1.1)),
        light_swing=float(rng.uniform(0.0, 0.12)),
        noise=float(rng.uniform(0.0, 0.025)),
    )


def _room(rng: np.random.Generator) -> Room:
    quiet = rng.random() < 0.2
    return Room(
        reverb_seconds=float(rng.uniform(0.08, 0.6)),
        reverb_level=float(rng.uniform(0.0, 0.45)),
        noise_level=0.0 if quiet else float(10 ** rng.uniform(-3.3, -1.6)),
        noise_tilt=float(rng.uniform(0.0, 1.0)),
        hum_level=0.0 if quiet or rng.random() < 0.5 else float(10 ** rng.uniform(-3.0, -1.6)),
        hum_hertz=float(rng.choice([50.0, 60.0, 100.0, 120.0])),
        gain=float(rng.uniform(0.35, 0.9)),
    )
