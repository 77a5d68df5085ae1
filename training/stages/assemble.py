"""Models put together from the saved states of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from synchformer.checkpoints.registry import load_stage
from synchformer.config import SynchformerConfig
from synchformer.modeling.encoders import Encoders
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from synchformer.modeling.synchformer import Synchformer
from training.config.names import Stage
from training.stages.segment_avclip import Stage1
from training.stages.unimodal import EventHeads
from training.trainer.checkpoint import load_state
from training.trainer.loop import BEST, STATE


def assemble_avclip(out: Path, config: SynchformerConfig) -> SegmentAVCLIP:
    """Stage I of a run, without the training-only heads.

    Raises:
        FileNotFoundError: when stage I was not run in this folder.
    """
    state = stage_state(out, "avclip")
    if state is None:
        raise FileNotFoundError(f"{out / 'avclip'} holds no state; run the stage avclip with the same --out first")
    heads = EventHeads(config) if any(name.startswith("heads.") for name in state["model"]) else None
    stage = Stage1(config, heads)
    stage.load_state_dict(state["model"])
    return stage.avclip


def stage1_encoders(out: Path, config: SynchformerConfig) -> Encoders:
    """The encoders of stage I of a run; see `assemble_avclip`."""
    avclip = assemble_avclip(out, config)
    return avclip.video_encoder, avclip.audio_encoder


def stage_state(out: Path, stage: Stage) -> dict[str, Any] | None:
    """The saved state of a stage's best validation, or None when it was not run."""
    return load_state(out / stage / BEST) or load_state(out / stage / STATE)


def assemble(out: Path, config: SynchformerConfig, stage: Literal["sync", "synchronizability"]) -> Synchformer:
    """The whole model of a run: the stage's module, on the encoders that it was trained on.

    Args:
        out: folder of the run.
        config: sizes, with the offset head.
        stage: whose module to take.

    Raises:
        FileNotFoundError: when a stage that is needed was not run.
    """
    state = stage_state(out, stage)
    if state is None:
        raise FileNotFoundError(f"{out / stage} holds no state; run the stage {stage} with the same --out first")
    model = Synchformer(config if stage == "sync" else config.with_head("synchronizability"))
    model.synchronizer.load_state_dict(_below(state["model"], "synchronizer."))
    own = _below(state["model"], "extractors.")
    if own:
        model.video_encoder.load_state_dict(_below(own, "video_encoder."))
        model.audio_encoder.load_state_dict(_below(own, "audio_encoder."))
        return model
    video, audio = _frozen(out, config, stage, state["about"].get("init"))
    model.video_encoder.load_state_dict(video.state_dict())
    model.audio_encoder.load_state_dict(audio.state_dict())
    return model


def _frozen(out: Path, config: SynchformerConfig, stage: Stage, init: str | None) -> Encoders:
    """The encoders that a stage was trained on without changing them."""
    if init is None and stage == "sync":
        return stage1_encoders(out, config)
    model = load_stage(init, "cpu") if init is not None else assemble(out, config, "sync")
    return model.video_encoder, model.audio_encoder


def _below(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
