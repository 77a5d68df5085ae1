"""Sound of a scene by modal synthesis: every impact is a sum of damped sinusoids behind a short burst of noise.

Shape legend: n samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthetic.scene import Event, Room, Scene

SAMPLE_RATE = 16_000
TAIL = 0.9  # s: an impact is rendered for this long

Wave = NDArray[np.float64]


@dataclass(frozen=True)
class Timbre:
    """The range of sounds of one kind of event.

    `hertz` bounds the lowest mode, `spread` the ratio between neighboring modes, `decay` the time constant in seconds
    of the lowest mode, `burst` the share of noise and `burst_decay` its time constant.
    """

    hertz: tuple[float, float]
    modes: tuple[int, int]
    spread: tuple[float, float]
    decay: tuple[float, float]
    burst: tuple[float, float]
    burst_decay: tuple[float, float]


TIMBRES = {
    "bounce": Timbre((90, 320), (2, 4), (1.4, 2.2), (0.04, 0.10), (0.1, 0.3), (0.004, 0.010)),
    "strike": Timbre((380, 1400), (5, 9), (1.25, 1.8), (0.10, 0.45), (0.1, 0.3), (0.002, 0.006)),
    "clap": Timbre((700, 1300), (1, 3), (1.3, 1.9), (0.004, 0.012), (0.8, 1.0), (0.010, 0.028)),
    "snap": Timbre((1900, 3600), (1, 3), (1.2, 1.6), (0.008, 0.025), (0.3, 0.6), (0.001, 0.004)),
    "drop": Timbre((60, 170), (3, 6), (1.5, 2.4), (0.06, 0.16), (0.35, 0.7), (0.015, 0.045)),
    "flash": Timbre((900, 2600), (1, 2), (2.0, 2.0), (0.03, 0.09), (0.05, 0.15), (0.001, 0.002)),
}


def render_sound(scene: Scene, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """The waveform of a scene: float32 (n,), |value| <= 1, deterministic in the scene.

    An event at time t starts at sample t * sample_rate; fractions of a sample are kept by shifting its phase.
    """
    rng = np.random.Generator(np.random.PCG64([0xA0D10, scene.seed]))
    count = round(scene.duration * sample_rate)
    dry = np.zeros(count)
    for event in scene.events:
        if event.heard:
            _add(dry, impact(rng, event, sample_rate), event.time * sample_rate)
    wet = _reverberate(rng, dry, scene.room, sample_rate) * scene.room.gain
    wet += _background(rng, scene.room, count, sample_rate)
    return np.clip(wet, -1.0, 1.0).astype(np.float32)


def impact(rng: np.random.Generator, event: Event, sample_rate: int) -> Wave:
    """One impact with a timbre drawn from its kind, delayed by the fraction of a sample that its time has: (n,)."""
    timbre = TIMBRES[event.kind]
    fraction = event.time * sample_rate % 1
    t = np.maximum((np.arange(round(TAIL * sample_rate)) - fraction) / sample_rate, 0)
    started = (np.arange(len(t)) >= fraction).astype(float)
    base, decay = rng.uniform(*timbre.hertz), rng.uniform(*timbre.decay)
    tone, hertz = np.zeros(len(t)), base
    for index in range(int(rng.integers(timbre.modes[0], timbre.modes[1] + 1))):
        if hertz > 0.45 * sample_rate:
            break
        fade = decay / (1 + 0.5 * index)
        tone += rng.uniform(0.3, 1.0) / (1 + 0.4 * index) * np.exp(-t / fade) * np.sin(2 * np.pi * hertz * t)
        hertz *= rng.uniform(*timbre.spread)
    noise = rng.standard_normal(len(t)) * np.exp(-t / rng.uniform(*timbre.burst_decay))
    share = rng.uniform(*timbre.burst)
    mixed = started * ((1 - share) * _peak(tone) + share * _peak(noise))
    return event.loudness * _peak(mixed)


def _peak(wave: Wave) -> Wave:
    return wave / max(float(np.abs(wave).max()), 1e-9)


def _add(track: Wave, wave: Wave, position: float) -> None:
    start = int(position)
    room = min(len(wave), len(track) - start)
    track[start : start + room] += wave[:room]


def _reverberate(rng: np.random.Generator, dry: Wave, room: Room, sample_rate: int) -> Wave:
    """Add a tail of decaying noise; the direct sound keeps its time."""
    length = round(2 * room.reverb_seconds * sample_rate)
    decay = np.exp(-np.arange(length) / (room.reverb_seconds / 3 * sample_rate))
    tail = rng.standard_normal(length) * decay
    tail *= room.reverb_level / max(float(np.sqrt((tail**2).sum())), 1e-9)
    tail[0] += 1.0
    size = len(dry) + length
    return np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(tail, size), size)[: len(dry)]


def _background(rng: np.random.Generator, room: Room, count: int, sample_rate: int) -> Wave:
    """Noise between white and pink, with a slow swell, and mains hum."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / sample_rate), 20.0)
    colored = np.fft.irfft(spectrum * (hertz / 1000.0) ** (-0.5 * room.noise_tilt), count)
    colored /= max(float(colored.std()), 1e-9)
    t = np.arange(count) / sample_rate
    swell = 1 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.05, 0.3) * t + rng.uniform(0, 6.3))
    hum = sum(np.sin(2 * np.pi * room.hum_hertz * k * t + rng.uniform(0, 6.3)) / k for k in (1, 2, 3))
    return room.noise_level * swell * colored + room.hum_level * np.asarray(hum)
