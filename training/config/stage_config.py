"""What a stage is asked to do: every choice but those of optimization, checked before any data are touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from synchformer.checkpoints.device_names import DEVICE_HELP, device_name
from synchformer.cli.options import named_device
from synchformer.config import SynchformerConfig
from synthetic import Kind
from training.augmentation.policy import Augment
from training.augmentation.recorded import CHANGES, ChangeName
from training.config.fields import check_values, listed, option, settings_of
from training.config.names import BASELINE_KINDS, BaselineKind, Stage
from training.config.optimization import OptimConfig
from training.datasets.registry import source_kind, split_mixture
from training.sampling.crops import Labels

GENERATED = "synthetic"  # the kind of data set whose clips are generated
ON_FEATURES: tuple[Stage, ...] = ("sync", "synchronizability")  # stages that read cached features unless told otherwise


@dataclass(frozen=True)
class StageConfig:
    """What a stage is asked to do. Each field says in its metadata what it means and which stages know it.

    `out` is the folder of the run, where the stages find each other, `config` holds the sizes, with the offset head,
    and `options` the optimization.

    Raises:
        ValueError: a value out of its range, one that the stage does not know, or two that do not go together.
    """

    stage: Stage
    out: Path
    config: SynchformerConfig
    options: OptimConfig

    # Data
    data: str = field(
        default="synthetic:0",
        metadata={
            "help": "data set: synthetic:SEED, folder:DIR, manifest:FILE.csv, vggsound:DIR, ...; or a mixture of them "
            "with the share of crops from each, such as synthetic:0=0.4,folder:DIR=0.6"
        },
    )
    balance: tuple[str, ...] = field(
        default=(),
        metadata={"help": "columns of a manifest over which clips are balanced, the outer first, such as kind source"},
    )
    balance_power: float = field(
        default=0.5,
        metadata={
            "help": "how much the number of clips with a value counts in that: 1 draws clips alike, 0 values",
            "min": 0,
            "max": 1,
        },
    )
    annotations: Path | None = field(
        default=None, metadata={"help": "folder of the published lists, for the data sets that need it"}
    )
    count: int | None = field(
        default=None,
        metadata={
            "help": "clips of each data set to train on at most (default 1000 generated ones, or all there are)",
            "min": 1,
        },
    )
    held_out: int | None = field(
        default=None,
        metadata={
            "help": "clips of each data set to validate on at most (default 60 generated ones, or all there are)",
            "min": 1,
        },
    )
    valid_crops: int | None = field(
        default=None,
        metadata={
            "help": "crops (stage I: clips) of a validation (default 512; 24)",
            "stages": ("avclip", "sync", "baseline", "synchronizability"),
            "min": 1,
        },
    )
    without: tuple[Kind, ...] = field(
        default=(), metadata={"help": "kinds of events that are neither seen nor heard in generated clips"}
    )
    unchecked: bool = field(default=False, metadata={"help": "train although the check of the data finds errors"})
    workers: int = field(
        default=2, metadata={"help": "processes that render, read or encode clips; 0: this one", "min": 0}
    )
    device: str = field(default="auto", metadata={"help": DEVICE_HELP, "parse": named_device})

    # How clips are read
    augment: Augment = field(default="light", metadata={"help": "what is changed at random in training"})
    changes: tuple[ChangeName, ...] = field(
        default=CHANGES, metadata={"help": "what --augment recorded changes (default all of it)"}
    )
    cache: bool = field(
        default=True,
        metadata={"help": "compute frozen features once and keep them; else encode every crop", "stages": ON_FEATURES},
    )
    views: int = field(
        default=1,
        metadata={
            "help": "crops of the picture in cached features; the first is the center, the others are random",
            "stages": ON_FEATURES,
            "min": 1,
        },
    )
    resident: bool = field(
        default=False, metadata={"help": "keep rendered clips in the GPU's memory: batches then only name frames"}
    )
    sounds: int = field(
        default=1,
        metadata={
            "help": "crops that share a picture, where pictures are encoded",
            "stages": ("sync", "baseline"),
            "min": 1,
        },
    )
    replace: float = field(
        default=0.0,
        metadata={
            "help": "largest share of a crop's moments that is filled from other generated clips",
            "stages": ("sync",),
            "min": 0,
            "max": 1,
        },
    )
    revoice: float = field(
        default=0.0,
        metadata={
            "help": "share of the crops that get another generated clip's sound, an event at the right moment",
            "stages": ("sync",),
            "min": 0,
            "max": 1,
        },
    )
    lag_weight: float = field(
        default=0.0,
        metadata={
            "help": "weight of the loss of a head, for training alone, that compares tokens by their lags (0: none)",
            "stages": ("sync",),
            "min": 0,
        },
    )
    labels: Labels | None = field(
        default=None,
        metadata={
            "help": "what counts as synchronizable (default: the truth where it is known, else as published)",
            "stages": ("synchronizability",),
        },
    )

    # Where weights come from, and which are trained
    model: BaselineKind | None = field(
        default=None,
        metadata={"help": "the baseline (table 1) that is trained or prepared", "stages": ("unimodal", "baseline")},
    )
    init: str | None = field(
        default=None,
        metadata={
            "help": "name or file of a trained model to go on from; of stage I (avclip-vggsound), its encoders",
            "stages": ("unimodal", "avclip", "sync", "synchronizability"),
        },
    )
    module: str | None = field(
        default=None,
        metadata={
            "help": "name or file of a trained model whose synchronization module stage II starts from",
            "stages": ("sync",),
        },
    )
    audio_init: str | None = field(
        default=None,
        metadata={
            "help": "AST of AudioSet for the audio encoder: a file, or hub to download it",
            "stages": ("avclip", "sync"),
        },
    )
    video_init: str | None = field(
        default=None,
        metadata={
            "help": "Motionformer of Something-Something v2 for the video encoder (.pyth)",
            "stages": ("avclip", "sync"),
        },
    )
    unimodal: bool = field(
        default=True,
        metadata={"help": "start encoders from this folder's unimodal stage", "stages": ("avclip", "sync")},
    )
    stage_one: bool = field(
        default=True, metadata={"help": "start encoders from this folder's stage I", "stages": ("sync",)}
    )
    trained_extractors: bool = field(
        default=False, metadata={"help": "train the encoders too, on pixels (table 2)", "stages": ON_FEATURES}
    )
    published_positions: bool = field(
        default=False, metadata={"help": "cut the position table as published", "stages": ("synchronizability",)}
    )

    def __post_init__(self) -> None:
        check_values(self)
        device_name(self.device)
        problems = chain(self._stage_problems(), self._data_problems(), self._weight_problems(), self._crop_problems())
        problem = next(problems, None)
        if problem is not None:
            raise ValueError(problem)

    @property
    def reads_features(self) -> bool:
        """Whether the stage reads features that were computed once, and encodes no crop."""
        return self.stage in ON_FEATURES and self.cache and not self.trained_extractors

    @property
    def generated(self) -> bool:
        """Whether all clips are generated, so that it is known what happens in them."""
        return all(source_kind(part.name) == GENERATED for part in split_mixture(self.data))

    def about(self) -> dict[str, Any]:
        """All of it in plain values, to be kept in saved states."""
        annotations = None if self.annotations is None else str(self.annotations)
        return {**asdict(self), "out": str(self.out), "annotations": annotations}

    def _stage_problems(self) -> Iterator[str]:
        """What the stage does not know."""
        for name, setting in settings_of(type(self)).items():
            value = getattr(self, name)
            if self.stage not in setting.stages and value != setting.default:
                yield (
                    f"{option(name, value)} is an option of {listed(setting.stages)}, not of {self.stage}; "
                    "leave it out there"
                )

    def _data_problems(self) -> Iterator[str]:
        """What only generated clips can do."""
        if self.resident and len(split_mixture(self.data)) > 1:
            yield f"--resident keeps the clips of one data set in memory, and {self.data} are several; leave it out"
        if self.generated:
            return
        if self.stage == "unimodal":
            yield (
                f"--data {self.data}: the unimodal stage needs to be told what happens when, which only generated "
                "clips do; give synthetic:SEED, or start encoders from --audio-init and --video-init in stage I"
            )
        kinds = {source_kind(part.name) for part in split_mixture(self.data)}
        if self.without and GENERATED not in kinds:
            yield f"--without leaves out kinds of events, and {self.data} has no generated clips; leave it out"
        if self.resident:
            yield f"--resident keeps generated clips in memory, and not all of {self.data} are generated; leave it out"
        for name in ("replace", "revoice"):
            if getattr(self, name):
                yield f"{option(name)} asks what decides, which only generated clips tell; leave it out"
        if self.labels == "truth":
            yield "--labels truth asks when events happen, which only generated clips tell; use published"

    def _weight_problems(self) -> Iterator[str]:
        """Weights that are missing, of another model, or read by nothing."""
        if self.stage == "baseline" and self.model is None:
            yield f"the stage baseline needs --model, one of {', '.join(BASELINE_KINDS)}"
        if self.model is not None and self.init is not None:
            yield "--init names a Synchformer, which has no baseline's extractors; leave out --model or --init"
        for name in ("audio_init", "video_init"):
            if self.stage != "sync" or getattr(self, name) is None:
                continue
            if self.init is not None:
                yield f"{option(name)} starts an encoder, and both come from --init {self.init}; leave out one of them"
            elif self.stage_one:
                yield (
                    f"{option(name)} starts an encoder, and both come from this folder's stage I; leave it out, or add "
                    "--ablation no-stage-1"
                )

    def _crop_problems(self) -> Iterator[str]:
        """Ways of reading crops that exclude each other."""
        features, batch = self.reads_features, self.options.batch
        if self.augment == "recorded" and (features or self.stage == "unimodal"):
            other = "take --views" if features else "leave it out"
            yield f"--augment recorded changes pixels of whole crops, which {self.stage} does not read here; {other}"
        if self.augment != "recorded" and self.changes != CHANGES:
            yield "--changes are those of --augment recorded; add that, or leave them out"
        if self.resident and self.augment in ("published", "recorded"):
            yield f"--resident keeps frames as the model takes them; leave it out with --augment {self.augment}"
        if self.resident and features:
            yield "--resident keeps frames, and cached features are read instead; leave it out, or add --no-cache"
        if not features:
            pixels = "--trained-extractors" if self.trained_extractors else "--no-cache"
            if self.views > 1:
                yield f"--views are kept in cached features, which {pixels} does without; leave out one of them"
            if self.replace:
                yield f"--replace fills moments of cached features, which {pixels} does without; leave out one of them"
        if self.sounds > 1 and features:
            yield "--sounds spares encoding pictures, and cached features are encoded already; leave it out"
        if self.sounds > 1 and self.revoice:
            yield "--revoice takes sounds of other clips, --sounds several of the same; leave out one of them"
        if self.sounds > 1 and self.augment == "recorded" and "tempo" in self.changes:
            yield "--sounds share a picture, and tempo changes picture and sound together; leave tempo out of --changes"
        if batch % self.sounds:
            yield f"--batch {batch} crops cannot have {self.sounds} sounds to a picture; make it a multiple"
