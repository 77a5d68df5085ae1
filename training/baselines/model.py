"""The whole baseline: ResNet-18, S3D and a module that compares them, in one file of weights.

Everything that asks a Synchformer for an offset can ask a baseline: it sees the same crop as one long segment.

Shape legend: B clips, t moments, D width.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from synchformer.checkpoints.registry import load_model, pick_device, save_model
from synchformer.checkpoints.safe_tensors import CheckpointError, read_metadata, read_weights
from synchformer.config import SynchformerConfig
from synchformer.modeling.resnet import ResNetMaps
from synchformer.modeling.s3d import S3DMaps
from synchformer.modeling.synchformer import Synchformer, TwoStreams
from training.baselines.modules import DEPTH, BaselineModule
from training.config.model_size import fitting_width, parameter_count
from training.config.names import BASELINE_KINDS, BaselineKind

WIDTH, HEADS = 512, 8  # of the transformers, as published
GRAIN = 8  # the transformers' width comes in multiples of this, so that the heads divide it


class Baseline(TwoStreams):
    """AVST- or SparseSync-style: maps of whole clips, and what compares them."""

    video_encoder: S3DMaps
    audio_encoder: ResNetMaps
    synchronizer: BaselineModule

    def __init__(self, config: SynchformerConfig, kind: BaselineKind) -> None:
        super().__init__()
        self.config, self.kind = config, kind
        self.video_encoder = S3DMaps(config)
        self.audio_encoder = ResNetMaps(config)
        self.synchronizer = BaselineModule(config, kind)


@lru_cache
def baseline_config(kind: BaselineKind, config: SynchformerConfig) -> SynchformerConfig:
    """Sizes of a baseline with as many parameters as the Synchformer of `config`, on the same crop as one segment.

    Published widths are scaled alike, then the extractors', which come in finer steps, make up the difference. No
    width exceeds the published one.
    """
    target = parameter_count(lambda: Synchformer(config))
    whole = whole_clip(replace(config, extractors="resnet-s3d", sync_depth=DEPTH[kind], heads=HEADS, sync_heads=HEADS))
    share = fitting_width(lambda width: Baseline(_scaled(whole, width, width), kind), target)
    extractors = fitting_width(lambda width: Baseline(_scaled(whole, share, width), kind), target)
    return replace(_scaled(whole, share, extractors), name=f"{kind}-{config.name}")


def whole_clip(config: SynchformerConfig) -> SynchformerConfig:
    """The same input, but as one segment as long as all of them together: 120 frames and 482 spectrogram columns."""
    frames = config.span_frames
    columns = frames * config.samples_per_frame // config.hop_length + 2  # one more than hops, and one of padding
    return replace(config, segments=1, segment_frames=frames, segment_stride=frames, mel_frames=columns)


def segment_config(kind: BaselineKind, config: SynchformerConfig) -> SynchformerConfig:
    """Sizes for the unimodal start of a baseline's extractors, on segments."""
    sizes = baseline_config(kind, config)
    taken = ("extractors", "extractor_width", "dim", "heads", "sync_dim", "sync_heads")
    return replace(config, **{name: getattr(sizes, name) for name in taken})


def _scaled(config: SynchformerConfig, transformers: float, extractors: float) -> SynchformerConfig:
    width = max(GRAIN, GRAIN * round(WIDTH * transformers / GRAIN))
    return replace(config, dim=width, sync_dim=width, extractor_width=extractors)


def save_baseline(model: Baseline, path: Path, notes: dict[str, str] | None = None) -> Path:
    """Write a baseline as safetensors with its sizes and its kind.

    Raises:
        CheckpointError: when the file cannot be written.
    """
    return save_model(model, path, notes, layout=model.kind)


def load_any(name_or_path: str | Path, device: str = "auto") -> TwoStreams:
    """A model for prediction: whatever `load_model` knows, or the file of a baseline.

    Raises:
        CheckpointError: as `load_model`; a baseline's file whose tensors do not fit its sizes.
    """
    path = Path(name_or_path)
    kind = next((kind for kind in BASELINE_KINDS if _layout(path) == kind), None)
    if kind is None:
        return load_model(name_or_path, device)
    place, weights = pick_device(device), read_weights(path)
    model = Baseline(SynchformerConfig.from_dict(json.loads(weights.metadata["config"])), kind)
    try:
        model.load_state_dict(weights.tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its configuration: {error}; export it again") from error
    return model.to(place).eval()


def _layout(path: Path) -> str | None:
    """What a safetensors file of ours says it holds."""
    return read_metadata(path).get("layout") if path.suffix == ".safetensors" and path.is_file() else None
