"""The paper's ablations (section B, tables 2 to 4) as changes of a stage's sizes and choices.

| name | what differs |
|---|---|
| segment-0.08 ... segment-2.56 | length of a segment in seconds, in both stages; as many as in table 3 |
| no-overlap | stage II sees seven segments side by side instead of fourteen that overlap by half |
| trained-extractors | stage II trains the encoders too |
| no-stage-1 | stage II starts from the unimodal encoders and trains them |
| no-unimodal | stage I (or, with no-stage-1, stage II) starts from random encoders |
| resnet-s3d | ResNet-18 and S3D in place of AST and Motionformer, narrowed to as many parameters (table 4) |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from synchformer.config import SynchformerConfig
from synchformer.modeling.synchformer import Synchformer
from training.config.model_size import fitting_width, parameter_count

SEGMENTS = {0.08: 127, 0.16: 63, 0.32: 31, 0.64: 15, 1.28: 7, 2.56: 3}
"""Segments of each length in seconds that cover 5.12 s when they overlap by half (table 3)."""

CHOICES: dict[str, dict[str, bool]] = {
    "trained-extractors": {"trained_extractors": True},
    "no-stage-1": {"stage_one": False, "trained_extractors": True},
    "no-unimodal": {"unimodal": False},
}
NAMES = (*(f"segment-{length:.2f}" for length in SEGMENTS), "no-overlap", "resnet-s3d", *CHOICES)


def ablate(config: SynchformerConfig, names: Sequence[str]) -> tuple[SynchformerConfig, dict[str, Any]]:
    """The sizes and the fields of a `StageConfig` that ablations change.

    Raises:
        ValueError: unknown name, or two that contradict each other.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(f"unknown ablation {unknown[0]!r}; choose from {', '.join(NAMES)}")
    if sum(name.startswith("segment-") or name == "no-overlap" for name in names) > 1:
        raise ValueError(f"{' and '.join(names)} change the segments twice; choose one")
    choices: dict[str, Any] = {}
    for name in names:
        choices |= CHOICES.get(name, {})
        if name == "no-overlap":
            config = replace(config, segments=config.segments // 2, segment_stride=config.segment_frames)
        if name.startswith("segment-"):
            config = with_segments(config, float(name.removeprefix("segment-")))
    return (with_convolutions(config) if "resnet-s3d" in names else config), choices


@lru_cache
def with_convolutions(config: SynchformerConfig) -> SynchformerConfig:
    """The same model on ResNet-18 and S3D, narrowed until it has as many parameters; `base` takes published widths.

    Raises:
        ValueError: when segments are too short or frames too small for S3D.
    """
    widened = replace(config, extractors="resnet-s3d")
    target = parameter_count(lambda: Synchformer(config))
    width = fitting_width(lambda width: Synchformer(replace(widened, extractor_width=width)), target)
    return replace(widened, extractor_width=width)


def with_segments(config: SynchformerConfig, seconds: float) -> SynchformerConfig:
    """The same model on half-overlapped segments of another length; the crop is as long as they reach, 5.12 s.

    A spectrogram is never narrower than one patch: segments of 0.08 s are padded to it.
    """
    frames = round(seconds * config.video_fps)
    columns = frames * config.samples_per_frame // config.hop_length + 2  # one more than hops, and one of padding
    count, stride = SEGMENTS[seconds], frames // 2
    return replace(
        config,
        segments=count,
        segment_frames=frames,
        segment_stride=stride,
        mel_frames=max(config.audio_patch, columns),
        crop_frames=max(config.crop_frames, (count - 1) * stride + frames),
    )
