"""The published augmentations of picture and sound (stage I, section 3.2; their numbers are the published code's).

Order and grain are the published ones: the picture is cropped the same way in all frames of a clip; colors, mirroring
and every effect on the sound are drawn for each segment by itself. Two things move an event, both by less than half an
offset class: the jitter, which is meant to, and the reverberation, which begins 25 ms after the sound (as sox's does).

Shape legend: S segments, F frames per segment, H x W pixels, n audio samples per segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from synchformer.media.audio_transforms import amplify, lowpass, resample, stretch_spectrum
from training.augmentation.reverb import reverberate

SMALLER = 192 / 224  # side of the smaller crop, as a share of the model's input
COLOR = (0.8, 0.8, 0.8, 0.2)  # strongest change of brightness, contrast, saturation, hue (SimCLR's)
BLUR_SIGMA = (1.0, 3.0)  # pixels
GAIN = 2.0  # amplitude factor of the volume effect
PITCH = (16, 9)  # of the pitch effect: 996 cents; the published 1000 would need a resampler of 7127 : 4000
PITCH_FFT = 512  # samples of the vocoder's window
CUTOFF = 100.0  # Hz of the low-pass effect
NOISE = 0.01  # amplitude of the noise effect


@dataclass(frozen=True)
class Augmentation:
    """How often each change is made; all are probabilities but `jitter`.

    Attributes:
        random_crop: whether the square is cut anywhere instead of in the middle.
        upscale: a smaller square (192 of 224 pixels) is cut and enlarged.
        flip: a segment is mirrored.
        color: a segment's brightness, contrast, saturation and hue change.
        grayscale: a segment loses its colors.
        blur: a segment is blurred; not in the published recipe.
        audio: each of reverb, volume, pitch, low-pass and noise, in this order, of a segment.
        jitter: the sound of a crop begins up to this many seconds earlier or later than its label says.
    """

    random_crop: bool = True
    upscale: float = 0.0
    flip: float = 0.5
    color: float = 0.0
    grayscale: float = 0.0
    blur: float = 0.0
    audio: float = 0.0
    jitter: float = 0.05

    def __post_init__(self) -> None:
        for name in ("upscale", "flip", "color", "grayscale", "blur", "audio"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability from 0 to 1, not {getattr(self, name)}")
        if not 0 <= self.jitter <= 0.1:
            raise ValueError(f"jitter is from 0 to 0.1 s, half an offset class, not {self.jitter}")


AUGMENTATIONS = {
    "avclip": Augmentation(upscale=0.2, color=0.2, grayscale=0.2, audio=0.2),
    "avclip-lrs3": Augmentation(),  # the published run on LRS3 had neither colors nor effects
    "sync": Augmentation(),
    "synchronizability": Augmentation(),
    "none": Augmentation(random_crop=False, flip=0.0, jitter=0.0),
}


def augment(
    frames: Tensor,
    waves: Tensor,
    size: int,
    settings: Augmentation,
    rng: np.random.Generator,
    sample_rate: int = 16_000,
) -> tuple[Tensor, Tensor]:
    """Change the segments of one clip.

    Args:
        frames: uint8 (S, F, 3, H, W), both sides at least `size`.
        waves: float32 (S, n).
        size: pixels of the square that the model sees.
        settings: how often each change is made.
        rng: the result depends on it alone; torch's own generator is left as it was.
        sample_rate: of `waves`.

    Returns:
        frames uint8 (S, F, 3, size, size) and waves (S, n).
    """
    with seeded(rng):
        frames = crop(frames, size, settings)
        change = picture_changes(settings)
        frames = torch.stack([change(segment) for segment in frames])
        waves = torch.stack([change_sound(wave, settings, rng, sample_rate) for wave in waves])
    return frames, waves


@contextmanager
def seeded(rng: np.random.Generator) -> Iterator[None]:
    """Inside, torch's random numbers follow from `rng`; outside they go on as if nothing had been."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**62)))
        yield


def crop(frames: Tensor, size: int, settings: Augmentation) -> Tensor:
    """The same square of all frames (S, F, 3, H, W), at a random place and sometimes enlarged."""
    if not settings.random_crop:
        cropped: Tensor = v2.CenterCrop(size)(frames)
        return cropped
    smaller = v2.Compose([v2.RandomCrop(round(SMALLER * size)), v2.Resize(size, antialias=True)])
    chosen: Tensor = smaller(frames) if torch.rand(()) < settings.upscale else v2.RandomCrop(size)(frames)
    return chosen


def picture_changes(settings: Augmentation) -> Callable[[Tensor], Tensor]:
    """What happens to the colors and the sides of a segment (F, 3, H, W)."""
    changes: Callable[[Tensor], Tensor] = v2.Compose(
        [
            v2.RandomApply([v2.ColorJitter(*COLOR)], settings.color),
            v2.RandomGrayscale(settings.grayscale),
            v2.RandomHorizontalFlip(settings.flip),
            v2.RandomApply([v2.GaussianBlur(kernel_size=13, sigma=BLUR_SIGMA)], settings.blur),
        ]
    )
    return changes


def sound_effects(sample_rate: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """The effects on a waveform (n,) by name, in the order in which they are applied."""
    return {
        "reverb": lambda wave: reverberate(wave, sample_rate),
        "volume": lambda wave: amplify(wave, GAIN),
        "pitch": raise_pitch,
        "low-pass": lambda wave: lowpass(wave, sample_rate, CUTOFF),
        "noise": lambda wave: wave + NOISE * torch.randn_like(wave),
    }


def raise_pitch(wave: Tensor) -> Tensor:
    """A waveform (n,) higher by 16 : 9 and as long as before: stretched by a phase vocoder, then resampled."""
    hop, window = PITCH_FFT // 4, torch.hann_window(PITCH_FFT, dtype=wave.dtype, device=wave.device)
    spectrum = torch.stft(wave, PITCH_FFT, hop, window=window, return_complex=True)
    slower = stretch_spectrum(spectrum, PITCH[1] / PITCH[0], hop)
    longer = torch.istft(slower, PITCH_FFT, hop, window=window)
    higher = resample(longer, PITCH[0], PITCH[1])[..., : wave.shape[-1]]
    return torch.nn.functional.pad(higher, (0, wave.shape[-1] - higher.shape[-1]))


def change_sound(wave: Tensor, settings: Augmentation, rng: np.random.Generator, sample_rate: int) -> Tensor:
    """A waveform (n,) under the effects that were drawn for it."""
    for effect in sound_effects(sample_rate).values():
        if rng.random() < settings.audio:
            wave = effect(wave)
    return wave


def draw_jitter(
    settings: Augmentation, rng: np.random.Generator, room: tuple[int, int], sample_rate: int = 16_000
) -> int:
    """Samples by which the sound of a crop begins later (earlier when negative), uniform.

    Args:
        settings: `jitter` bounds it.
        rng: where the number comes from.
        room: samples that the file holds before the crop's sound and behind it, which bound it too.
        sample_rate: of the sound.
    """
    max_shift = int(settings.jitter * sample_rate)
    return int(rng.integers(-min(max_shift, room[0]), min(max_shift, room[1]) + 1))
