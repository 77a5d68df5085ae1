"""The one place where a model is run: checks, precision, device, and segments in passes of a bounded size.

Predictions, sweeps, sliding windows, attributions, DeSync and the features that training keeps are all encoded here. A
segment's features depend on that segment alone, so that whoever calls decides which segments go through together.

Shape legend: N segments, F frames per segment, H x W pixels, n samples, M mel bands, T spectrogram columns, t tokens,
D channels, B pairs of picture and sound, S segments of a pair, C classes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor

from synchformer.config import Head, Precision
from synchformer.errors import NotFiniteError
from synchformer.media.preprocess import mel_spectrogram, normalize_frames
from synchformer.media.probe import MediaError
from synchformer.modeling.synchformer import SegmentEncoders, TwoStreams
from synchformer.storage.file_names import printable

Pass = Literal["film segments", "training segments", "pairs"]
Result = TypeVar("Result")

# How many go through one pass by the device's kind: segments of a film or of a training clip through an encoder, and
# pairs of a window and a shift through the synchronization module. A prediction's own segments go through together.
PASS_SIZES: dict[Pass, dict[str, int]] = {
    "film segments": {"cpu": 16, "cuda": 128},
    "training segments": {"cpu": 40, "cuda": 256},
    "pairs": {"cpu": 32, "cuda": 512},
}
CHOICES: dict[Head, str] = {
    "offset": "mini or audioset",
    "synchronizability": "mini-synchronizability or synchronizability",
}

Run = Callable[..., Tensor]
"""Calls `work(model, *arguments)` where the model is: a function of this module, tensors and plain values, so that all
of them can be pickled."""


def run_locally(work: Callable[..., Tensor], model: TwoStreams, *arguments: object) -> Tensor:
    """The `Run` of this process."""
    return work(model, *arguments)


def check_model(model: TwoStreams, head: Head | None = None) -> None:
    """Refuse a model that cannot answer what is asked.

    Args:
        model: about to be run.
        head: the head that the question needs; None where either will do.

    Raises:
        ValueError: another head, or training mode.
    """
    config = model.config
    if head is not None and config.head != head:
        raise ValueError(
            f"this needs a model with the {head} head, but {config.name} has the {config.head} head; choose another, "
            f"such as {CHOICES[head]}"
        )
    if model.training:
        raise ValueError("the model is in training mode, where dropout would blur the result; call model.eval() first")


class NotFiniteInputError(NotFiniteError):
    """Picture or sound that holds NaN, infinity, or samples so large that the model's numbers overflow."""


def require_finite(values: Tensor, model: TwoStreams | SegmentEncoders) -> Tensor:
    """What a model answered, once it is seen to be numbers.

    Raises:
        NotFiniteError: when some are NaN or infinite.
    """
    if not torch.isfinite(values).all():
        raise NotFiniteError(
            f"the model {model.config.name} answers with NaN or infinity, so there is no result: its weights are "
            "damaged or do not stand this precision; choose another model, or fp32"
        )
    return values


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Name the file whose picture or sound is refused inside.

    Raises:
        MediaError: for a `NotFiniteInputError`.
    """
    try:
        yield
    except NotFiniteInputError as error:
        raise MediaError(f"{printable(Path(path).name)}: {error}") from error


def device_of(model: torch.nn.Module) -> torch.device:
    """Where the model's weights are, and where its features will be."""
    return next(model.parameters()).device


def pass_size(what: Pass, device: torch.device) -> int:
    """How many go through one pass on this device; a kind that `PASS_SIZES` does not name counts as a CPU."""
    sizes = PASS_SIZES[what]
    return sizes.get(device.type, sizes["cpu"])


def encode_pictures(
    model: SegmentEncoders,
    frames: Tensor,
    precision: Precision | torch.dtype = "auto",
    size: int | None = None,
) -> Tensor:
    """Run the video encoder.

    Args:
        model: in evaluation mode.
        frames: (N, F, 3, H, W), uint8 or normalized.
        precision: as in `predict`, or the type for autocast.
        size: segments per pass; all of them when None.

    Returns:
        Features (N, t_v, D) on the model's device.

    Raises:
        NotFiniteError: when frames or features hold NaN or infinity.
    """
    return _in_passes(model, frames, _normalized, model.encode_video, precision, size)


def encode_sounds(
    model: SegmentEncoders,
    sounds: Tensor,
    precision: Precision | torch.dtype = "auto",
    size: int | None = None,
) -> Tensor:
    """Run the audio encoder.

    Args:
        model: in evaluation mode.
        sounds: samples (N, n), or normalized log-mel spectrograms (N, M, T).
        precision: as in `predict`, or the type for autocast.
        size: segments per pass; all of them when None.

    Returns:
        Features (N, t_a, D) on the model's device.

    Raises:
        NotFiniteError: when samples, spectrograms or features hold NaN or infinity.
    """

    def spectrograms(part: Tensor) -> Tensor:
        return mel_spectrogram(part, model.config) if part.ndim == 2 else part

    return _in_passes(model, sounds, spectrograms, model.encode_audio, precision, size)


def synchronize(model: TwoStreams, video: Tensor, audio: Tensor, precision: Precision | torch.dtype = "auto") -> Tensor:
    """Run the synchronization module on features (B, S, t_v, D) and (B, S, t_a, D), in one pass; logits (B, C).

    Raises:
        NotFiniteError: when a logit is NaN or infinite.
    """
    device = device_of(model)
    with torch.inference_mode(), _autocast(device, precision):
        return require_finite(model.synchronize(video.to(device), audio.to(device)), model)


def timed(device: torch.device, work: Callable[[], Result]) -> tuple[Result, float]:
    """The result of `work` and its seconds; on CUDA the device is waited for."""
    begin = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return result, time.perf_counter() - begin


def _normalized(frames: Tensor) -> Tensor:
    return normalize_frames(frames) if frames.dtype == torch.uint8 else frames


def _in_passes(
    model: SegmentEncoders,
    segments: Tensor,
    prepare: Callable[[Tensor], Tensor],
    encode: Callable[[Tensor], Tensor],
    precision: Precision | torch.dtype,
    size: int | None,
) -> Tensor:
    """Features of segments; what an encoder eats is prepared in float32, where the segments are."""
    device = device_of(model)
    features = []
    with torch.inference_mode():
        for part in segments.split(size) if size else (segments,):
            prepared = _finite_input(prepare(part)).to(device)
            with _autocast(device, precision):
                features.append(encode(prepared.unsqueeze(0))[0])
        return require_finite(torch.cat(features), model)


def _finite_input(prepared: Tensor) -> Tensor:
    if not torch.isfinite(prepared).all():
        what = "sound" if prepared.ndim == 3 else "picture"
        raise NotFiniteInputError(
            f"its {what} holds values that are no numbers (NaN or infinite) or far beyond any {what}; "
            "export it anew from its source"
        )
    return prepared


@contextmanager
def _autocast(device: torch.device, precision: Precision | torch.dtype) -> Iterator[None]:
    """Half precision where it is asked for.

    Raises:
        ValueError: for a precision that does not exist.
    """
    if isinstance(precision, torch.dtype):
        kind = precision
    elif precision in get_args(Precision):
        half = precision == "bf16" or (precision == "auto" and device.type == "cuda")
        kind = torch.bfloat16 if half else torch.float32
    else:
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, not {precision!r}")
    on = kind != torch.float32
    with torch.autocast(device.type, dtype=kind if on else torch.bfloat16, enabled=on):
        yield
