"""The input of the model: the frames and the spectrograms of its input, turned back into something to look at and hear.

Everything here starts from the tensors that the encoders get (`Crop.frames`, `Crop.mel`), not from the file: a fault of
the preprocessing would be seen and heard. The segments overlap by half; each moment is taken from the segment in whose
middle it lies nearest.

Shape legend: T frames, H x W pixels, S segments, F frames per segment, M mel bands, C spectrogram columns, n samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from interface.export.mp4 import write_mp4
from synchformer.config import SynchformerConfig
from synchformer.media.audio_transforms import search_phase, unmix_mel
from synchformer.media.crop import Crop
from synchformer.media.preprocess import FFT, denormalize_frames, to_mel_power

ROUNDS = 32  # of Griffin and Lim's phase search
FADE_SECONDS = 0.01  # at both ends of the rebuilt sound
SHOWN_SIZE = 384  # pixels: small frames are enlarged to about this, pixel by pixel
SHEET_EVERY = 5  # frames between two pictures of the sheet: 0.2 s, the model's step
SHEET_COLUMNS = 6
GAP = 4  # pixels between pictures


def input_frames(clip: Crop) -> Tensor:
    """The frames that the video encoder gets, each once: uint8 (T, 3, H, W); T = 120 of the crop's 125."""
    pieces = _nearest(clip.frames(), clip.config.segment_stride, clip.config.segment_frames, axis=1)
    return denormalize_frames(pieces)


def input_sound(clip: Crop) -> Tensor:
    """Sound rebuilt from the spectrograms that the audio encoder gets: float32 (n,), as long as `input_frames`.

    The mel bands are spread over frequencies by least squares and the phase is searched by Griffin and Lim's method
    (1984): what is muffled or rough here, the model does not hear better.
    """
    config = clip.config
    mel = input_mel(clip)
    power = unmix_mel(mel, config.sample_rate, fft=FFT)  # (FFT/2 + 1, C)
    count = config.span_frames * config.samples_per_frame
    wave = search_phase(power, fft=FFT, window=config.window_length, hop=config.hop_length, length=count, rounds=ROUNDS)
    fade = torch.linspace(0, 1, round(FADE_SECONDS * config.sample_rate))
    wave[: len(fade)] *= fade
    wave[-len(fade) :] *= fade.flip(0)
    result: Tensor = wave / max(1.0, float(wave.abs().max()))
    return result


def input_mel(clip: Crop) -> Tensor:
    """Mel power over the whole span of the segments, (M, C): the normalization and the logarithm undone."""
    config = clip.config
    columns = config.segment_samples // config.hop_length + 1  # of a segment that hold sound; the rest is padding
    stride = config.segment_stride * config.samples_per_frame // config.hop_length
    pieces = _nearest(clip.mel()[..., :columns], stride, columns, axis=2)
    return to_mel_power(pieces)


def input_times(config: SynchformerConfig) -> tuple[float, float]:
    """The part of the crop, in its own seconds, that the segments cover: 0.08 to 4.88."""
    first = config.segment_starts[0]
    return first / config.video_fps, (first + config.span_frames) / config.video_fps


def write_model_input(clip: Crop, out: Path) -> Path:
    """An MP4 of the input: the frames at their size, enlarged without smoothing, and the rebuilt sound.

    Raises:
        OSError: when it cannot be written.
    """
    sound = input_sound(clip).numpy()
    for _ in write_mp4(out, _enlarged(input_frames(clip)), clip.config.video_fps, sound, clip.config.sample_rate):
        pass
    return out


def contact_sheet(clip: Crop) -> Image.Image:
    """A picture of the input's frames, every fifth of them with its time in the crop, in rows."""
    frames = input_frames(clip)
    first, _ = input_times(clip.config)
    chosen = range(0, len(frames), SHEET_EVERY)
    height, width = frames.shape[-2:]
    font = ImageFont.load_default(size=max(11, height // 9))
    text = round(1.6 * max(11, height // 9))
    rows = -(-len(chosen) // SHEET_COLUMNS)
    size = (SHEET_COLUMNS * (width + GAP) - GAP, rows * (height + text))
    sheet = Image.new("RGB", size, "#0c121d")
    pen = ImageDraw.Draw(sheet)
    for place, index in enumerate(chosen):
        x, y = place % SHEET_COLUMNS * (width + GAP), place // SHEET_COLUMNS * (height + text)
        sheet.paste(Image.fromarray(frames[index].permute(1, 2, 0).contiguous().numpy()), (x, y))
        label = f"{first + index / clip.config.video_fps:.2f} s"
        pen.text((x + 2, y + height + text // 2), label, fill="#a4b0c5", font=font, anchor="lm")
    return sheet


def _nearest(pieces: Tensor, stride: int, length: int, axis: int) -> Tensor:
    """Pieces (S, ...) that overlap along `axis`, joined: every place from the piece in whose middle it lies nearest."""
    count = len(pieces)
    skipped = (length - stride) // 2
    parts = []
    for index in range(count):
        first = 0 if index == 0 else skipped
        last = length if index == count - 1 else skipped + stride
        parts.append(pieces[index].narrow(axis - 1, first, last - first))
    return torch.cat(parts, dim=axis - 1)


def _enlarged(frames: Tensor) -> Iterator[NDArray[np.uint8]]:
    factor = max(1, SHOWN_SIZE // max(frames.shape[-2:]))
    for frame in frames:
        pixels = frame.permute(1, 2, 0).numpy().repeat(factor, 0).repeat(factor, 1)
        yield pixels[: len(pixels) // 2 * 2, : pixels.shape[1] // 2 * 2]
