"""The stage `baseline`: one network from pixels and sound to the offset class, trained end to end.

Crops, targets, loss, time head and validation are stage II's, so that only model and recipe differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from synchformer.config import SynchformerConfig
from synchformer.modeling.resnet import ResNetEncoder
from synchformer.modeling.s3d import S3DEncoder
from training.baselines.model import Baseline, baseline_config, segment_config
from training.config.names import BaselineKind
from training.readers.base import CropReader
from training.stages.offset import VALIDATION_CROPS, Extractors, Stage2, SyncTask
from training.stages.unimodal import EventHeads


class BaselineTask(SyncTask):
    """Cross-entropy over offset classes, plus the training-only time head, on whole crops."""

    name = "baseline"
    course = (
        "it stays there until both extractors tell when something happens and the transformer compares them; nothing "
        "prepares it for that but a unimodal start, so give it more steps than stage II"
    )


def baseline_task(
    config: SynchformerConfig,
    kind: BaselineKind,
    clips: tuple[CropReader, CropReader],
    batch: int,
    start: Mapping[str, Tensor] | None = None,
    timed: bool = True,
    valid_crops: int = VALIDATION_CROPS,
    loaders: int = 0,
    sounds: int = 1,
) -> BaselineTask:
    """A baseline of the size of a Synchformer, with extractors from a unimodal start where there is one.

    Args:
        config: sizes of the Synchformer that it is compared with.
        kind: which baseline.
        clips: clips to train on and to validate on.
        batch: crops of a micro-batch.
        timed: whether the time head is trained too, which asks for the truth about events.
        valid_crops, loaders, sounds: as `SyncTask` takes them.
        start: tensors of the unimodal start (`EventHeads`) of the same baseline.

    Raises:
        ValueError: when the start is another model's.
    """
    model = Baseline(baseline_config(kind, config), kind)
    if start is None:
        tqdm.write("no unimodal start in this folder: the extractors start from random weights")
    else:
        _take(model, EventHeads(segment_config(kind, config)), start)
    extractors = Extractors(model.config, model.video_encoder, model.audio_encoder, trained=True)
    stage = Stage2(model.synchronizer, model.config, extractors, timed=timed)
    return BaselineTask(model.config, stage, *clips, batch, valid_crops=valid_crops, loaders=loaders, sounds=sounds)


def assemble_baseline(state: dict[str, Any], origin: Path) -> Baseline:
    """The baseline of a saved state of this stage, without the time head.

    Raises:
        ValueError: when the state is of another version.
    """
    config, kind = SynchformerConfig.from_dict(state["about"]["config"]), state["about"]["model"]
    model = Baseline(baseline_config(kind, config), kind)
    names = {name.removeprefix("extractors."): value for name, value in state["model"].items()}
    try:
        model.load_state_dict({name: value for name, value in names.items() if not name.startswith("time_head.")})
    except RuntimeError as error:
        raise ValueError(f"{origin} holds another model than its record says: {error}; train it again") from error
    return model


def _take(model: Baseline, heads: EventHeads, start: Mapping[str, Tensor]) -> None:
    try:
        heads.load_state_dict(start)
    except RuntimeError as error:
        raise ValueError(
            f"the unimodal start in this folder is not {model.kind}'s: {error}; choose another --out, or run the stage "
            f"unimodal with --model {model.kind}"
        ) from error
    for own, encoder in ((model.video_encoder, heads.video_encoder), (model.audio_encoder, heads.audio_encoder)):
        assert isinstance(encoder, (S3DEncoder, ResNetEncoder))
        own.load_state_dict(encoder.maps.state_dict())
