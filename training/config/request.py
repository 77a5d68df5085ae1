"""What a stage is asked to do: every choice but those of optimization, checked before any data are touched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synchformer.config import SynchformerConfig
from synthetic import Kind
from training.augmentation.policy import Augment
from training.config.names import BaselineKind, Stage
from training.config.optimization import OptimConfig
from training.sampling.crops import Labels


@dataclass(frozen=True)
class StageConfig:
    """What a command asks for.

    Attributes:
        out: folder of the run, where the stages find each other.
        config: sizes, with the offset head.
        options: optimization.
        data: data set to train on and to validate on (`training.datasets.registry`).
        count, held_out: clips to train on and to validate on, at most; None: some generated ones, or all there are.
        workers: processes that render, look into and encode clips.
        init: name or file of a trained model to go on from: its encoders in the stages before stage II, all of it from
            there on; of a stage I checkpoint its encoders.
        module: name or file of a trained model whose synchronization module stage II starts from, on the encoders of
            this folder's stage I.
        trained_extractors: whether stage II and after train the encoders too (table 2); they read pixels then.
        cached: whether frozen features are computed once and kept; otherwise every crop is encoded anew.
        labels: what counts as synchronizable in training; the truth where it is known, otherwise as published.
        published_positions: cut the position table as published.
        resident: whether rendered clips are kept in the device's memory, so that a batch only names frames of them.
        replace: largest share of a crop's moments that stage II fills from other generated clips.
        revoice: share of stage II's crops whose sound is another generated clip's, an event at the right moment.
        sounds: crops of stage II, and of a baseline, that share a picture where pictures are encoded.
        audio_init, video_init: files that single encoders start from (`training.initialization.pretrained`), where none
            is trained.
        model: which baseline to train (stage `baseline`) or to prepare (unimodal start); none of them when not given.
        unimodal: whether stage I goes on from the unimodal start of this folder.
        stage_one: whether stage II goes on from stage I of this folder; otherwise from where stage I would start.
        annotations: folder of the published lists, for the data sets that have some.
        without: kinds of events that are neither seen nor heard in generated clips.
        augment: what is changed at random in training.
        views: of the picture, in cached features: the center crop, and random ones.
        unchecked: whether training goes on when the data are not as they should be.
        valid_crops: crops (in stage I clips) of a validation; a usual number if not given.
        device: auto, cpu or cuda, where features are computed.
    """

    out: Path
    config: SynchformerConfig
    options: OptimConfig
    data: str = "synthetic:0"
    count: int | None = None
    held_out: int | None = None
    workers: int = 2
    init: str | None = None
    module: str | None = None
    trained_extractors: bool = False
    cached: bool = True
    labels: Labels | None = None
    published_positions: bool = False
    resident: bool = False
    replace: float = 0.0
    revoice: float = 0.0
    sounds: int = 1
    audio_init: str | None = None
    video_init: str | None = None
    model: BaselineKind | None = None
    unimodal: bool = True
    stage_one: bool = True
    annotations: Path | None = None
    without: tuple[Kind, ...] = ()
    augment: Augment = "light"
    views: int = 1
    unchecked: bool = False
    valid_crops: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("count", "held_out", "views", "valid_crops", "sounds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, not {value}")

    @property
    def reads_features(self) -> bool:
        """Whether stage II and after read features that were computed once, and encode no crop."""
        return self.cached and not self.trained_extractors

    def about(self) -> dict[str, Any]:
        """All of it in plain values, to be kept in saved states."""
        annotations = None if self.annotations is None else str(self.annotations)
        return {**asdict(self), "out": str(self.out), "annotations": annotations}


CROPS_ONLY: dict[str, tuple[float, tuple[Stage, ...]]] = {
    "replace": (0, ("sync",)),
    "revoice": (0, ("sync",)),
    "sounds": (1, ("sync", "baseline")),
}
"""Choices about crops, with the value that changes nothing, and the stages that know them."""
