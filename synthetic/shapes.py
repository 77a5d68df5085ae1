"""From actors to drawable shapes: where everything is at each moment.

Shape legend: T moments. All positions are world coordinates in half frame heights (see `scene`).
Every motion is a closed formula of the time since the event, so the moment of contact is exact and never rounded to a
frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic.scene import Actor, Drifter, Scene

SKIN = 0.06  # half frame heights: thickness of ledges and handles


@dataclass(frozen=True)
class Shape:
    """A rounded box over time; a circle has no straight sides, a capsule only one pair.

    `x`, `y`, `angle` (radians, clockwise) and `alpha` have shape (T,). `half` are the half sides before rounding by
    `radius`. `softness` widens the edge for glows.
    """

    x: Tensor
    y: Tensor
    angle: Tensor
    alpha: Tensor
    half: tuple[float, float]
    radius: float
    color: tuple[float, float, float]
    softness: float = 0.0

    @property
    def extent(self) -> float:
        """Radius of a circle that surely contains the shape, its soft edge included."""
        return math.hypot(*self.half) + self.radius + self.softness


def scene_shapes(scene: Scene, times: Tensor) -> list[Shape]:
    """All shapes of a scene at the moments `times` (T,) in seconds, back to front."""
    behind = [drifter_shape(drifter, times) for drifter in scene.drifters if not drifter.in_front]
    front = [drifter_shape(drifter, times) for drifter in scene.drifters if drifter.in_front]
    acted = [shape for actor in scene.actors for shape in actor_shapes(actor, times)]
    return behind + acted + front


def actor_shapes(actor: Actor, times: Tensor) -> list[Shape]:
    """The shapes of one actor at `times` (T,), back to front."""
    return _MOTIONS[actor.kind](actor, times)


def drifter_shape(drifter: Drifter, times: Tensor) -> Shape:
    """A smoothly wandering distractor at `times` (T,)."""
    (cx, cy), (rx, ry), (fx, fy), (px, py) = drifter.center, drifter.reach, drifter.rate, drifter.phase
    radius = drifter.roundness * min(drifter.size)
    return Shape(
        x=cx + rx * torch.sin(2 * math.pi * fx * times + px),
        y=cy + ry * torch.sin(2 * math.pi * fy * times + py),
        angle=drifter.spin * times,
        alpha=torch.ones_like(times),
        half=(drifter.size[0] - radius, drifter.size[1] - radius),
        radius=radius,
        color=drifter.color,
    )


def _since(actor: Actor, times: Tensor) -> Tensor:
    """Seconds since each of the actor's events, negative before: (events, T)."""
    return times[None] - torch.tensor(actor.times, dtype=times.dtype, device=times.device)[:, None]


def _engagement(since: Tensor, attack: float, release: float, contact: bool) -> Tensor:
    """How far a movement has come towards contact (1), over the nearest event: quadratic approach, exponential release.

    A near miss rises and falls smoothly and stops at 0.6.
    """
    if not contact:
        return (0.6 * torch.cos((since / (3 * attack)).clamp(-1, 1) * math.pi / 2) ** 2).amax(0)
    approach = (1 + since / attack).clamp(0, 1) ** 2
    return torch.where(since < 0, approach, torch.exp(-since.clamp(min=0) / release)).amax(0)


def _ringing(since: Tensor, contact: bool, hertz: float = 9.0, decay: float = 0.12) -> Tensor:
    """Damped oscillation that starts at every contact: (T,)."""
    if not contact:
        return torch.zeros_like(since[0])
    after = since.clamp(min=0)
    return ((since >= 0) * torch.exp(-after / decay) * torch.sin(2 * math.pi * hertz * after)).sum(0)


def _place(actor: Actor, dx: Tensor | float, dy: Tensor | float, times: Tensor) -> tuple[Tensor, Tensor]:
    """Local coordinates (x along the actor, y towards its ground) to world coordinates, each (T,)."""
    side = -1.0 if actor.flip else 1.0
    lx = side * dx * torch.ones_like(times)
    ly = dy * torch.ones_like(times)
    cos, sin = math.cos(actor.angle), math.sin(actor.angle)
    return actor.x + cos * lx - sin * ly, actor.y + sin * lx + cos * ly


def _shape(
    actor: Actor,
    times: Tensor,
    dx: Tensor | float,
    dy: Tensor | float,
    half: tuple[float, float],
    radius: float,
    color: tuple[float, float, float],
    turn: Tensor | float = 0.0,
    alpha: Tensor | float = 1.0,
    softness: float = 0.0,
) -> Shape:
    x, y = _place(actor, dx, dy, times)
    side = -1.0 if actor.flip else 1.0
    ones = torch.ones_like(times)
    return Shape(x, y, actor.angle + side * turn * ones, alpha * ones, half, radius, color, softness)


def _darker(color: tuple[float, float, float], share: float = 0.45) -> tuple[float, float, float]:
    return (color[0] * share, color[1] * share, color[2] * share)


def _bounce(actor: Actor, times: Tensor) -> list[Shape]:
    """A ball flies in, hits a slab once and leaves at 0.9 of its speed; a near miss flies straight through."""
    since = _since(actor, times)
    speed, gravity, radius = 5.0 * math.sqrt(actor.speed), 5.0, 0.13 * actor.scale
    fall = speed * since + 0.5 * gravity * since**2  # y grows downwards, 0 at the contact
    rise = -0.9 * speed * since + 0.5 * gravity * since**2
    height = torch.where(since < 0, fall, rise) if actor.contact else speed * since
    visible = ((since > -0.75) & (since < 1.0)).to(times.dtype)
    shapes = []
    if actor.contact:
        slab = (0.3 * actor.scale, 0.02)
        shapes.append(_shape(actor, times, 0.0, radius + SKIN, slab, SKIN - 0.02, _darker(actor.accent, 0.7)))
    for index in range(len(actor.times)):
        run = 1.2 * since[index]
        shapes.append(
            _shape(actor, times, run, height[index], (0.0, 0.0), radius, actor.color, 4 * since[index], visible[index])
        )
    return shapes


def _strike(actor: Actor, times: Tensor) -> list[Shape]:
    """A hammer swings down on a block, which trembles."""
    since = _since(actor, times)
    engaged = _engagement(since, 0.14 / actor.speed, 0.22, actor.contact)
    size, tremble = 0.5 * actor.scale, 0.025 * _ringing(since, actor.contact)
    turn = -1.15 * (1 - engaged)
    # The handle turns about its far end, which stays at (-size, -head).
    cos, sin = torch.cos(turn), torch.sin(turn)
    head = 0.1 * actor.scale
    block = _shape(
        actor, times, tremble, head + 0.11 * actor.scale, (0.16 * actor.scale, 0.09 * actor.scale), 0.02, actor.accent
    )
    handle = _shape(
        actor, times, -size + 0.5 * size * cos, 0.5 * size * sin, (0.5 * size, 0.015), 0.012, _darker(actor.color), turn
    )
    top = _shape(
        actor, times, -size + size * cos, size * sin, (0.05 * actor.scale, head - 0.02), 0.02, actor.color, turn
    )
    return [block, handle, top]


def _clap(actor: Actor, times: Tensor) -> list[Shape]:
    """Two hands meet and part."""
    since = _since(actor, times)
    engaged = _engagement(since, 0.18 / actor.speed, 0.25, actor.contact)
    width, apart = 0.06 * actor.scale, 0.42 * actor.scale * (1 - engaged)
    half, tilt = (width * 0.6, 0.2 * actor.scale), 0.5 * (1 - engaged)
    left = _shape(actor, times, -width - apart, 0.0, half, width * 0.4, actor.color, -tilt)
    right = _shape(actor, times, width + apart, 0.0, half, width * 0.4, actor.color, tilt)
    return [left, right]


def _snap(actor: Actor, times: Tensor) -> list[Shape]:
    """A lever is bent back slowly, lets go and strikes its stop at once, then returns."""
    since = _since(actor, times)
    wound = (1 + since / 0.45).clamp(0, 1)
    wound = wound * wound * (3 - 2 * wound)
    loose = torch.where(
        since < 0, torch.zeros_like(since), 1.0 + 0.2 * torch.exp(-since.clamp(min=0) / 0.06) * torch.cos(60 * since)
    )
    home = (1 - (since - 0.12) / 0.3).clamp(0, 1)
    swing = (
        torch.where(since < 0, -0.7 * wound, loose * home)
        if actor.contact
        else -0.7 * _engagement(since, 0.2, 0.2, False)[None]
    )
    turn = 0.75 * swing.sum(0)
    length = 0.36 * actor.scale
    base = _shape(actor, times, 0.0, length, (0.1 * actor.scale, 0.04), 0.03, actor.accent)
    lever = _shape(
        actor,
        times,
        length * torch.sin(turn),
        length * (1 - torch.cos(turn)),
        (0.03 * actor.scale, length),
        0.02,
        actor.color,
        turn,
    )
    tip = _shape(
        actor,
        times,
        2 * length * torch.sin(turn),
        length - 2 * length * torch.cos(turn),
        (0.0, 0.0),
        0.08 * actor.scale,
        actor.color,
    )
    return [base, lever, tip]


def _drop(actor: Actor, times: Tensor) -> list[Shape]:
    """Things fall onto a shelf and stay; in a near miss there is no shelf and they fall past."""
    since = _since(actor, times)
    gravity, size, depth = 9.0 * actor.speed, 0.12 * actor.scale, 2.0
    lasts = math.sqrt(2 * depth / gravity)  # from rest above the picture to the contact
    falling = 0.5 * gravity * ((since + lasts).clamp(min=0) ** 2 - lasts**2)
    height = falling.clamp(max=0) if actor.contact else falling
    fade = (1 - (since - 1.2) / 0.4).clamp(0, 1)
    shapes = []
    if actor.contact:
        shapes.append(
            _shape(actor, times, 0.0, size + SKIN, (0.34 * actor.scale, 0.02), SKIN - 0.02, _darker(actor.accent, 0.7))
        )
    for index in range(len(actor.times)):
        single = since[index : index + 1]
        tilt = 0.12 * _ringing(single, actor.contact, hertz=6.0) + 0.5 * single[0].clamp(max=0)
        shapes.append(
            _shape(
                actor, times, 0.0, height[index], (size * 0.8, size * 0.8), size * 0.2, actor.color, tilt, fade[index]
            )
        )
    return shapes


def _flash(actor: Actor, times: Tensor) -> list[Shape]:
    """A lamp lights up at once and fades; a near miss only swells slowly."""
    since = _since(actor, times)
    after = since.clamp(min=0)
    lit = ((since >= 0) * torch.exp(-after / 0.22)).amax(0) if actor.contact else _engagement(since, 0.25, 0.2, False)
    radius = 0.13 * actor.scale
    bright = tuple(0.55 + 0.45 * channel for channel in actor.color)
    glow = (bright[0], bright[1], bright[2])
    foot = _shape(actor, times, 0.0, 1.5 * radius, (0.5 * radius, 0.4 * radius), 0.02, actor.accent)
    bulb = _shape(actor, times, 0.0, 0.0, (0.0, 0.0), radius, _darker(actor.color, 0.35))
    halo = _shape(actor, times, 0.0, 0.0, (0.0, 0.0), radius, glow, 0.0, 0.8 * lit, 2.2 * radius)
    core = _shape(actor, times, 0.0, 0.0, (0.0, 0.0), radius, glow, 0.0, lit)
    return [foot, bulb, halo, core]


_MOTIONS = {"bounce": _bounce, "strike": _strike, "clap": _clap, "snap": _snap, "drop": _drop, "flash": _flash}
