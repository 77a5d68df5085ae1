"""Random changes of recorded clips that keep picture and sound in sync: what cameras, rooms and codecs do to them.

Each is drawn for a whole crop and can be switched off by its name. All of them leave an event where it is, to half a
frame; `tempo` moves events of both streams alike, so that the offset of the crop stays what its label says.

| name | what changes | how often |
|---|---|---|
| tempo | both streams are slowed or sped up together, to 0.8 to 1.25 of their speed | 2 in 5 |
| zoom | a square of 0.45 to 1 of the short side, rather in the middle, not the center crop | 2 in 3 |
| mirror | left and right are exchanged | 1 in 2 |
| color | contrast, brightness, saturation and tint | always |
| blur | the picture loses detail: it is made smaller and larger again | 1 in 5 |
| hidden | a rectangle is covered | 1 in 5 |
| grain | noise of the camera | 2 in 5 |
| frame-rate | a frame is held for two or three | 1 in 10 |
| background | the sound of another clip, 0 to 20 dB softer | 1 in 3 |
| room | reverberation of 0.08 to 0.5 s behind the sound itself | 1 in 5 |
| microphone | a tilted, uneven response over the frequencies | always |
| band | nothing above 2 to 7 kHz | 1 in 5 |
| level | 20 dB softer to 6 dB louder | always |
| noise | white noise | 7 in 10 |

Shape legend: T frames, H x W pixels, n audio samples.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from synchformer.media.audio_transforms import convolve, lowpass
from synchformer.media.crop import center_crop

ChangeName = Literal[
    "tempo", "zoom", "mirror", "color", "blur", "hidden", "grain", "frame-rate",
    "background", "room", "microphone", "band", "level", "noise",
]  # fmt: skip
CHANGES: tuple[ChangeName, ...] = get_args(ChangeName)

TEMPO = (0.8, 1.25)
REVERB_SECONDS = 0.4  # of the response, where its longest decay is some 48 dB down
RESPONSE_POINTS = 8  # of a microphone's curve over the frequencies


def draw_tempo(rng: np.random.Generator, names: tuple[ChangeName, ...], fastest: float) -> float:
    """Frames of the clip for one of the crop: 1, or a tempo up to `fastest`, which the clip has room for."""
    if "tempo" not in names or rng.random() >= 0.4:
        return 1.0
    low, high = TEMPO
    return float(np.exp(rng.uniform(np.log(low), np.log(max(low, min(high, fastest))))))


def frame_places(
    count: int, tempo: float, names: tuple[ChangeName, ...], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Which frame of the clip, from the crop's first on, each of `count` frames of the crop shows: (T,)."""
    moments = np.arange(count, dtype=np.float64)
    if "frame-rate" in names and rng.random() < 0.1:
        hold = int(rng.integers(2, 4))
        phase = int(rng.integers(hold))
        held = (moments + phase) // hold * hold - phase + (hold - 1) / 2  # the middle of those that it stands for
        moments = held.clip(0, count - 1)
    return np.asarray(np.floor(moments * tempo + 0.5), np.int64)


def change_tempo(wave: Tensor, tempo: float, length: int) -> Tensor:
    """`length` samples of a wave (n,) read at `tempo` samples a step, between its samples in straight lines."""
    if tempo == 1.0:
        return F.pad(wave, (0, max(0, length - len(wave))))[:length]
    places = torch.arange(length, dtype=torch.float64) * tempo
    first = places.floor().long().clamp(max=len(wave) - 2)
    share = (places - first).clamp(max=1).to(wave.dtype)
    between: Tensor = wave[first] * (1 - share) + wave[first + 1] * share
    return between


def change_picture(frames: Tensor, size: int, names: tuple[ChangeName, ...], rng: np.random.Generator) -> Tensor:
    """Frames uint8 (T, 3, H, W) as changed squares uint8 (T, 3, size, size)."""
    square = _zoomed(frames, size, rng) if "zoom" in names else center_crop(frames, size)
    if "mirror" in names and rng.random() < 0.5:
        square = square.flip(-1)
    values = square.float() / 255
    if "color" in names:
        values = _colored(values, rng)
    if "blur" in names and rng.random() < 0.2:
        small = max(1, round(size * rng.uniform(0.4, 0.8)))
        values = _resized(_resized(values, small), size)
    if "hidden" in names and rng.random() < 0.2:
        values = _hidden(values, rng)
    if "grain" in names and rng.random() < 0.4:
        values = values + rng.uniform(0, 0.04) * _normal(rng, values.shape)
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)


def change_sound(
    wave: Tensor, behind: Tensor | None, sample_rate: int, names: tuple[ChangeName, ...], rng: np.random.Generator
) -> Tensor:
    """A wave (n,) as another place, microphone and codec would have it; `behind` (n,) is the sound of another clip."""
    if "background" in names and behind is not None and rng.random() < 1 / 3:
        wave = wave + behind * (_loudness(wave) / _loudness(behind)) * 10 ** (-rng.uniform(0, 1))
    if "room" in names and rng.random() < 0.2:
        wave = convolve(wave, _room(rng, sample_rate))[: len(wave)]
    if "microphone" in names:
        wave = _filtered(wave, rng)
    if "band" in names and rng.random() < 0.2:
        wave = lowpass(wave.clamp(-1, 1), sample_rate, float(rng.uniform(2000, 7000)))
    if "level" in names:
        wave = wave * 10 ** rng.uniform(-1, 0.3)
    if "noise" in names and rng.random() < 0.7:
        wave = wave + 10 ** rng.uniform(-5, -2.2) * _normal(rng, wave.shape)
    return wave.clamp(-1, 1)


def _zoomed(frames: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """A square of the frames, as large as `size`; in one of three cases about the center crop."""
    height, width = frames.shape[-2:]
    short = min(height, width)
    if rng.random() < 1 / 3:
        side, spread = size * rng.uniform(0.93, 1.07), 0.06
    else:
        side, spread = short * rng.uniform(0.45, 1.0), float(rng.choice([0.18, 0.5]))
    side = int(min(max(side, 1), short))
    top, left = (
        int(np.clip(length / 2 + rng.normal() * spread * length - side / 2, 0, length - side))
        for length in (height, width)
    )
    part = frames[..., top : top + side, left : left + side]
    return (_resized(part.float() / 255, size) * 255).round().clamp(0, 255).to(torch.uint8)


def _resized(values: Tensor, size: int) -> Tensor:
    """Squares (T, 3, s, s) in another size, without patterns that are not there."""
    if values.shape[-1] == size:
        return values
    return F.interpolate(values, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def _colored(values: Tensor, rng: np.random.Generator) -> Tensor:
    gray = values.mean(1, keepdim=True)
    values = gray + (values - gray) * rng.uniform(0, 1.4)
    tint = torch.from_numpy(rng.uniform(-0.05, 0.05, (1, 3, 1, 1))).float()
    colored: Tensor = (values - 0.5) * rng.uniform(0.6, 1.4) + 0.5 + rng.uniform(-0.12, 0.12) + tint
    return colored


def _hidden(values: Tensor, rng: np.random.Generator) -> Tensor:
    size = values.shape[-1]
    height, width = (max(1, int(size * rng.uniform(0.15, 0.45))) for _ in range(2))
    top, left = int(rng.integers(size - height + 1)), int(rng.integers(size - width + 1))
    covered = values.clone()
    covered[..., top : top + height, left : left + width] = float(rng.random())
    return covered


def _room(rng: np.random.Generator, sample_rate: int) -> Tensor:
    """A response (n,): the sound itself, and behind it noise that decays by 60 dB in 0.08 to 0.5 s."""
    times = torch.arange(round(REVERB_SECONDS * sample_rate)) / sample_rate
    tail = _normal(rng, times.shape) * torch.exp(-6.9 * times / rng.uniform(0.08, 0.5))
    tail = tail / tail.square().sum().sqrt() * rng.uniform(0.2, 1.0)
    tail[0] = 1.0
    return tail


def _filtered(wave: Tensor, rng: np.random.Generator) -> Tensor:
    """A wave under a smooth random response and phase 0, so that nothing moves."""
    spectrum = torch.fft.rfft(wave)
    points = np.linspace(0, 1, RESPONSE_POINTS)
    decibels = rng.normal(0, 6) * (points - 0.5) + rng.normal(0, 3, RESPONSE_POINTS)
    places = np.sqrt(np.linspace(0, 1, len(spectrum)))  # closer together where the ear tells more apart
    curve = torch.from_numpy(10 ** (np.interp(places, points, decibels) / 20)).to(wave.dtype)
    filtered: Tensor = torch.fft.irfft(spectrum * curve, len(wave))
    return filtered


def _loudness(wave: Tensor) -> Tensor:
    loudness: Tensor = wave.square().mean().sqrt().clamp(min=1e-4)
    return loudness


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))
