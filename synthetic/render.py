"""Draw scenes as frames, in batches of moments, on the CPU or a GPU.

Shape legend: T moments, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from synthetic.scene import Scene, Shot
from synthetic.shapes import Shape, scene_shapes

FPS = 25  # frames per second, as the model's input
CHUNK = 25  # moments drawn together: neighbors share the region that a shape touches
TEXTURE_SIZE = 192  # pixels of a background that spans 5 half frame heights
TEXTURE_SPAN = 5.0
NOISE_FRAMES = 8


def frame_times(scene: Scene, fps: float = FPS) -> Tensor:
    """The moments of a scene's frames in seconds: (T,), float64, frame k at k / fps."""
    return torch.arange(round(scene.duration * fps), dtype=torch.float64) / fps


def render_frames(
    scene: Scene,
    times: Tensor,
    size: tuple[int, int],
    field: float = 1.0,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Draw a scene at arbitrary moments.

    Args:
        scene: what to draw.
        times: moments in seconds (T,).
        size: height and width of the frames in pixels; the picture shows |y| < field.
        field: half the height of the view in half frame heights: 1 is the whole picture, 224 / 256 what a center crop
            of 224 of 256 pixels shows.
        device: where to draw and to leave the frames.

    Returns:
        uint8 frames (T, 3, H, W).
    """
    times = times.to(device=device, dtype=torch.float32)
    shapes = scene_shapes(scene, times)
    frames = torch.empty(len(times), 3, *size, dtype=torch.uint8, device=device)
    for first in range(0, len(times), CHUNK):
        part = slice(first, first + CHUNK)
        frames[part] = _draw(scene, times[part], [_cut(shape, part) for shape in shapes], size, field)
    return frames


def render_batch(
    scenes: Sequence[Scene],
    times: Tensor,
    size: tuple[int, int],
    field: float = 1.0,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Draw several scenes, each at its own moments `times` (B, T): uint8 frames (B, T, 3, H, W)."""
    return torch.stack(
        [render_frames(scene, moments, size, field, device) for scene, moments in zip(scenes, times, strict=True)]
    )


def _cut(shape: Shape, part: slice) -> Shape:
    return Shape(
        shape.x[part], shape.y[part], shape.angle[part], shape.alpha[part],
        shape.half, shape.radius, shape.color, shape.softness,
    )  # fmt: skip


def _draw(scene: Scene, times: Tensor, shapes: list[Shape], size: tuple[int, int], field: float) -> Tensor:
    camera = _camera(scene, times)
    canvas = _background(scene, times, camera, size, field)  # (T, 3, H, W)
    for shape in shapes:
        _paint(canvas, shape, camera, field)
    light, noise = _light_and_noise(scene, times, size)
    return ((canvas * light[:, None, None, None] + noise) * 255).round_().clamp_(0, 255).to(torch.uint8)


def _shot_of(scene: Scene, times: Tensor) -> Tensor:
    """Index of the shot that each moment belongs to: (T,)."""
    starts = torch.tensor([shot.start for shot in scene.shots], device=times.device)
    return torch.searchsorted(starts, times.contiguous(), right=True) - 1


def _per_shot(scene: Scene, times: Tensor, values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=times.dtype, device=times.device)[_shot_of(scene, times)]


def _camera(scene: Scene, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """World coordinates of the view's middle and the zoom at each moment: three tensors (T,)."""

    def pick(get: Callable[[Shot], float]) -> Tensor:
        return _per_shot(scene, times, [get(shot) for shot in scene.shots])

    shake, rate = pick(lambda s: s.shake), pick(lambda s: s.shake_rate)
    sway = torch.sin(2 * math.pi * rate * times) + 0.5 * torch.sin(2 * math.pi * 2.3 * rate * times + 1.0)
    heave = torch.sin(2 * math.pi * 0.9 * rate * times + 2.0) + 0.5 * torch.sin(2 * math.pi * 2.9 * rate * times)
    return pick(lambda s: s.pan[0]) + shake * sway, pick(lambda s: s.pan[1]) + shake * heave, pick(lambda s: s.zoom)


@lru_cache(maxsize=64)
def _texture(seed: int, grain: float, device: str) -> Tensor:
    """Smooth noise of several octaves in [0, 1]: (1, 1, TEXTURE_SIZE, TEXTURE_SIZE)."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 1, TEXTURE_SIZE, TEXTURE_SIZE)
    for cells, weight in ((4, 1.0), (10, 0.6 * grain), (28, 0.45 * grain), (72, 0.35 * grain)):
        coarse = torch.rand(1, 1, cells, cells, generator=generator) - 0.5
        total += weight * F.interpolate(coarse, size=TEXTURE_SIZE, mode="bicubic", align_corners=False)
    return (0.5 + total).clamp(0, 1).to(device)


def _axes(size: tuple[int, int], field: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Screen coordinates of the pixel centers in half frame heights: y (H,), x (W,)."""
    height, width = size
    pixel = 2 * field / height
    y = (torch.arange(height, device=device) + 0.5 - height / 2) * pixel
    x = (torch.arange(width, device=device) + 0.5 - width / 2) * pixel
    return y, x


def _background(
    scene: Scene, times: Tensor, camera: tuple[Tensor, Tensor, Tensor], size: tuple[int, int], field: float
) -> Tensor:
    y, x = _axes(size, field, times.device)
    canvas = torch.empty(len(times), 3, *size, device=times.device)
    owner = _shot_of(scene, times)
    for index, shot in enumerate(scene.shots):
        chosen = (owner == index).nonzero()[:, 0]
        if len(chosen):
            canvas[chosen] = _backdrop(shot, times[chosen], [part[chosen] for part in camera], y, x)
    return canvas


def _backdrop(shot: Shot, times: Tensor, camera: list[Tensor], y: Tensor, x: Tensor) -> Tensor:
    texture = _texture(shot.texture_seed, shot.grain, str(times.device)).expand(len(times), -1, -1, -1)
    px, py, zoom = (part[:, None] for part in camera)
    u = (x[None] / zoom + px + shot.drift[0] * times[:, None]) * (2 / TEXTURE_SPAN)  # (T, W)
    v = (y[None] / zoom + py + shot.drift[1] * times[:, None]) * (2 / TEXTURE_SPAN)  # (T, H)
    grid = torch.stack([u[:, None, :].expand(-1, len(y), -1), v[:, :, None].expand(-1, -1, len(x))], dim=-1)
    shade = F.grid_sample(
        texture, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )  # (T, 1, H, W)
    low, high = (torch.tensor(color, device=times.device).view(1, 3, 1, 1) for color in shot.palette)
    return low + (high - low) * shade


def _paint(canvas: Tensor, shape: Shape, camera: tuple[Tensor, Tensor, Tensor], field: float) -> None:
    """Lay a shape over the canvas (T, 3, H, W) in place, touching only the pixels it can reach."""
    height, width = canvas.shape[-2:]
    px, py, zoom = camera
    cx, cy = (shape.x - px) * zoom, (shape.y - py) * zoom
    reach = shape.extent * zoom.max().item() + 4 * field / height
    inside = (cx.abs() < field * width / height + reach) & (cy.abs() < field + reach) & (shape.alpha > 0.01)
    chosen = inside.nonzero()[:, 0]
    if not len(chosen):
        return
    y, x = _axes((height, width), field, canvas.device)
    rows, columns = _window(y, cy[chosen], reach), _window(x, cx[chosen], reach)
    cover, shade = _cover(shape, chosen, cx, cy, zoom, y[rows], x[columns], field / height)
    color = torch.tensor(shape.color, device=canvas.device).view(1, 3, 1, 1)
    first, last = int(chosen[0]), int(chosen[-1]) + 1
    if len(chosen) == last - first:  # neighbors in time: a view, drawn in place
        patch = canvas[first:last, :, rows, columns]
        patch += cover * (color * shade - patch)
    else:
        patch = canvas[chosen][:, :, rows, columns]
        canvas[chosen, :, rows, columns] = patch + cover * (color * shade - patch)


def _window(axis: Tensor, centers: Tensor, reach: float) -> slice:
    low = int(torch.searchsorted(axis, centers.min() - reach))
    high = int(torch.searchsorted(axis, centers.max() + reach))
    return slice(min(low, len(axis) - 1), max(high, low + 1))


def _cover(
    shape: Shape, chosen: Tensor, cx: Tensor, cy: Tensor, zoom: Tensor, y: Tensor, x: Tensor, half_pixel: float
) -> tuple[Tensor, Tensor]:
    """Opacity and shading of a shape on the pixels (y, x): two tensors (T, 1, H, W)."""
    scale, angle = zoom[chosen][:, None, None], shape.angle[chosen][:, None, None]
    dx = (x[None, None] - cx[chosen][:, None, None]) / scale
    dy = (y[None, :, None] - cy[chosen][:, None, None]) / scale
    cos, sin = torch.cos(angle), torch.sin(angle)
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    qx, qy = along.abs() - shape.half[0], across.abs() - shape.half[1]
    outside = torch.hypot(qx.clamp(min=0), qy.clamp(min=0)) + torch.maximum(qx, qy).clamp(max=0) - shape.radius
    edge = 2 * half_pixel + shape.softness
    cover = (0.5 - (outside - shape.softness / 2) / edge).clamp_(0, 1)
    if shape.softness:
        cover = cover * cover
    shade = 1.12 - 0.25 * (0.5 + across / (2 * (shape.half[1] + shape.radius) + 1e-6)).clamp(0, 1)
    return (cover * shape.alpha[chosen][:, None, None])[:, None], shade[:, None]


def _light_and_noise(scene: Scene, times: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Brightness factor (T,) and sensor noise (T, 1, H, W), both functions of the scene and the moment alone."""
    light = _per_shot(scene, times, [shot.light for shot in scene.shots])
    swing = _per_shot(scene, times, [shot.light_swing for shot in scene.shots])
    light = light * (1 + swing * torch.sin(2 * math.pi * 0.13 * times + scene.seed % 7))
    level = _per_shot(scene, times, [shot.noise for shot in scene.shots])
    index = (times * 1000).round().long() * 7 % NOISE_FRAMES
    return light, _noise_bank(size, str(times.device))[index] * level[:, None, None, None]


@lru_cache(maxsize=8)
def _noise_bank(size: tuple[int, int], device: str) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(NOISE_FRAMES, 1, *size, generator=generator).to(device)
