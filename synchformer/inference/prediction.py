"""From a clip to its offset: encode picture and sound once, then ask as often as needed.

    from synchformer import load_clip, load_model, predict

    prediction = predict(load_model("mini"), load_clip("clip.mp4"))
    print(prediction.sentence)  # the sound is 0.4 s early (58 % sure)

Sign: an offset above zero means that the sound runs ahead (it is heard that many seconds too early); below zero, that
it lags. Shapes: B clips, S segments, D channels.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from synchformer.config import Precision, SynchformerConfig
from synchformer.inference.crop_checks import lacks
from synchformer.inference.engine import (
    check_model,
    device_of,
    encode_pictures,
    encode_sounds,
    naming,
    synchronize,
    timed,
)
from synchformer.media.crop import Crop, load_clip
from synchformer.modeling.synchformer import TwoStreams

# Below this share of the probability on the best class and its two neighbors, the sentence says "cannot tell".
# Guessing at random puts 3 / 21 = 14 % there.
CONCLUSIVE_SHARE = 0.5

# What a clip and the model that reads it must agree on.
INPUT_SIZES = (
    "video_fps",
    "sample_rate",
    "image_size",
    "crop_frames",
    "segments",
    "segment_frames",
    "segment_stride",
    "mel_bins",
    "mel_frames",
)


@dataclass(frozen=True)
class Timing:
    """Seconds spent in each stage; zero for a stage that did not run, such as features that were kept."""

    decode: float = 0.0
    audio: float = 0.0
    video: float = 0.0
    synchronization: float = 0.0

    @property
    def total(self) -> float:
        """Seconds of all stages together."""
        return self.decode + self.audio + self.video + self.synchronization

    @property
    def sentence(self) -> str:
        """Every stage with its time, such as `decode 0.21 s, video 0.40 s, audio 0.05 s, synchronization 0.01 s`."""
        names = ("decode", "video", "audio", "synchronization")
        return ", ".join(f"{name} {getattr(self, name):.2f} s" for name in names)


@dataclass(frozen=True)
class Encoding:
    """What the two encoders saw in one clip; the synchronization module needs nothing else.

    `video_features` (1, S, 8, D) and `audio_features` (1, S, 6, D). `applied_offset` is the shift in seconds under
    which the sound was cut.
    """

    video_features: Tensor
    audio_features: Tensor
    applied_offset: float = 0.0
    timing: Timing = field(default=Timing(), compare=False)

    @property
    def size(self) -> int:
        """Bytes that the features occupy."""
        return sum(part.numel() * part.element_size() for part in (self.video_features, self.audio_features))


@dataclass(frozen=True)
class Prediction:
    """The distribution over offsets that a model gives to one clip.

    `grid` holds the offset of each class in seconds. `offset` is the likeliest one and `confidence` its probability.
    `applied_offset` is the shift in seconds that was put on the sound before asking; the file's own offset is
    `offset - applied_offset`. `notes` are sentences about the clip, such as which track was measured.
    """

    grid: tuple[float, ...]
    logits: tuple[float, ...]
    probabilities: tuple[float, ...]
    offset: float
    confidence: float
    applied_offset: float = 0.0
    timing: Timing = field(default=Timing(), compare=False)
    notes: tuple[str, ...] = ()

    @property
    def near(self) -> float:
        """Probability of the likeliest class and its direct neighbors together."""
        best = self.grid.index(self.offset)
        return sum(self.probabilities[max(0, best - 1) : best + 2])

    @property
    def is_conclusive(self) -> bool:
        """Whether the distribution has one clear peak: `near` reaches `CONCLUSIVE_SHARE`."""
        return self.near >= CONCLUSIVE_SHARE

    @property
    def sentence(self) -> str:
        """The result in words; a flat distribution is said to be one."""
        sure = f"{self.confidence:.0%}".replace("%", " %")
        if not self.is_conclusive:
            return f"cannot tell: the best guess, {offset_in_words(self.offset)}, is only {sure} sure"
        if self.offset == 0:
            return f"no offset found at this {self.grid[1] - self.grid[0]:.2g} s resolution ({sure} sure)"
        return f"the sound is {offset_in_words(self.offset)} ({sure} sure)"

    def top(self, count: int) -> tuple[tuple[float, float], ...]:
        """The `count` likeliest offsets with their probabilities, likeliest first."""
        ranked = sorted(zip(self.grid, self.probabilities, strict=True), key=lambda pair: -pair[1])
        return tuple(ranked[:count])


@dataclass(frozen=True)
class Synchronizability:
    """Whether a model recognizes in a clip that its sound belongs to its picture (section 4.2): the probability of it.

    Below `doubt` it is said that the model finds nothing shared. That is a statement about the model: of recorded clips
    in sync it may give most a low probability, so `doubt` is measured on such clips.
    """

    probability: float
    logits: tuple[float, ...]
    applied_offset: float = 0.0
    timing: Timing = field(default=Timing(), compare=False)
    notes: tuple[str, ...] = ()
    doubt: float = 0.5

    @property
    def finds_something(self) -> bool:
        """Whether the model is sure enough that it finds something shared."""
        return self.probability >= max(0.5, self.doubt)

    @property
    def finds_nothing(self) -> bool:
        """Whether the model is sure enough that it finds nothing shared."""
        return self.probability < self.doubt

    @property
    def sentence(self) -> str:
        """The result in words."""
        if self.finds_something:
            return f"this model finds something that picture and sound share ({self.probability * 100:.0f} % sure)"
        if self.finds_nothing:
            return f"this model finds nothing that picture and sound share ({(1 - self.probability) * 100:.0f} % sure)"
        return f"this model is not sure whether picture and sound share anything ({self.probability * 100:.0f} %)"


def offset_in_words(offset: float) -> str:
    """An offset in seconds as words: `0.4 s early`, `1.2 s late`, or `no offset`."""
    size = round(abs(offset), 3)
    if size == 0:
        return "no offset"
    return f"{size:g} s {'early' if offset > 0 else 'late'}"


def predict(model: TwoStreams, clip: Crop, *, precision: Precision = "auto") -> Prediction:
    """Ask a model how far the sound of a clip is off.

    Args:
        model: a Synchformer (or a baseline) with the offset head, in evaluation mode.
        clip: the model's input, cut with the same configuration.
        precision: `fp32`, `bf16` (autocast), or `auto`: bf16 on CUDA and fp32 elsewhere.

    Raises:
        ValueError: when the model has another head, is in training mode, or the clip was cut for other sizes; or as
            `encode`, so that there is no result without finite numbers.
    """
    check_model(model, "offset")
    answer = decide(model, encode(model, clip, precision=precision), precision=precision)
    return replace(answer, notes=(*clip.notes, *lacks(clip)))


def predict_file(
    model: TwoStreams,
    path: str | Path,
    *,
    start: float = 0.0,
    offset: float = 0.0,
    precision: Precision = "auto",
    as_published: bool = False,
) -> Prediction | Synchronizability:
    """Read a file, then predict with whichever head the model has; the timing includes the reading.

    Raises:
        ValueError: as `predict`.
        MediaError: as `load_clip`.
    """
    read = time.perf_counter()
    clip = load_clip(path, start, offset, config=model.config, as_published=as_published)
    decode = time.perf_counter() - read
    ask = predict if model.config.head == "offset" else predict_synchronizability
    result = ask(model, clip, precision=precision)
    return replace(result, timing=replace(result.timing, decode=decode))


def predict_synchronizability(model: TwoStreams, clip: Crop, *, precision: Precision = "auto") -> Synchronizability:
    """Ask a model whether the sound of a clip can be matched to its picture at all.

    Raises:
        ValueError: when the model has another head, is in training mode, or the clip was cut for other sizes.
    """
    check_model(model, "synchronizability")
    encoding = encode(model, clip, precision=precision)
    (logits,), seconds = _synchronize(model, [encoding], precision)
    return Synchronizability(
        probability=logits.softmax(dim=-1)[1].item(),  # class 1: synchronizable
        logits=tuple(logits.tolist()),
        applied_offset=encoding.applied_offset,
        timing=replace(encoding.timing, synchronization=seconds),
        notes=(*clip.notes, *lacks(clip)),
    )


def encode(model: TwoStreams, clip: Crop, *, precision: Precision = "auto", like: Encoding | None = None) -> Encoding:
    """Run both encoders on a clip.

    Args:
        model: a Synchformer (or a baseline) in evaluation mode.
        clip: the model's input.
        precision: as in `predict`.
        like: an encoding of the same picture under another shift of the sound; its video features are kept, and only
            the sound is encoded.

    Raises:
        ValueError: when the model is in training mode or the clip was cut for other sizes.
        MediaError: when the clip holds NaN, infinity, or sound so loud that numbers overflow.
        NotFiniteError: when the model's weights do.
    """
    check_model(model)
    _check_sizes(model.config, clip.config)
    device = device_of(model)
    with naming(clip.path):
        audio, audio_seconds = timed(device, lambda: encode_sounds(model, clip.mel(), precision)[None])
        if like is None:
            video, video_seconds = timed(device, lambda: encode_pictures(model, clip.frames(), precision)[None])
        else:
            video, video_seconds = like.video_features, 0.0
    return Encoding(video, audio, clip.offset, Timing(audio=audio_seconds, video=video_seconds))


def decide(model: TwoStreams, encoding: Encoding, *, precision: Precision = "auto") -> Prediction:
    """The distribution over offsets for an encoded clip: one pass of the small synchronization module.

    Raises:
        ValueError: when the model has another head than `offset`, or is in training mode.
    """
    return decide_all(model, [encoding], precision=precision)[0]


def decide_all(model: TwoStreams, encodings: Sequence[Encoding], *, precision: Precision = "auto") -> list[Prediction]:
    """The distributions for several encoded clips, in one pass; each is charged an equal part of its time.

    Raises:
        ValueError: as `decide`.
    """
    check_model(model, "offset")
    logits, seconds = _synchronize(model, encodings, precision)
    return [_prediction(model, each, row, seconds / len(logits)) for each, row in zip(encodings, logits, strict=True)]


def _prediction(model: TwoStreams, encoding: Encoding, logits: Tensor, seconds: float) -> Prediction:
    probabilities = logits.softmax(dim=-1)
    best = int(probabilities.argmax())
    return Prediction(
        grid=model.config.grid,
        logits=tuple(logits.tolist()),
        probabilities=tuple(probabilities.tolist()),
        offset=model.config.grid[best],
        confidence=probabilities[best].item(),
        applied_offset=encoding.applied_offset,
        timing=replace(encoding.timing, synchronization=seconds),
    )


def _synchronize(model: TwoStreams, encodings: Sequence[Encoding], precision: Precision) -> tuple[Tensor, float]:
    """Logits (B, classes) in float64 on the CPU, and the seconds they took."""
    video = torch.cat([each.video_features for each in encodings])
    audio = torch.cat([each.audio_features for each in encodings])
    logits, seconds = timed(device_of(model), lambda: synchronize(model, video, audio, precision))
    return logits.double().cpu(), seconds


def _check_sizes(model: SynchformerConfig, clip: SynchformerConfig) -> None:
    """Refuse a crop that was cut for a model of other sizes.

    Raises:
        ValueError: names the sizes that differ.
    """
    wrong = [name for name in INPUT_SIZES if getattr(clip, name) != getattr(model, name)]
    if wrong:
        needed = ", ".join(f"{name} {getattr(model, name)}" for name in wrong)
        given = ", ".join(f"{getattr(clip, name)}" for name in wrong)
        raise ValueError(f"the clip was cut for another model: {needed} is needed, found {given}; "
                         "pass config=model.config to load_clip")  # fmt: skip
