"""What each stage is made of: its task, built from the command's choices and from the stages before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from synchformer.checkpoints.registry import load_model, load_stage
from synchformer.config import SynchformerConfig
from synchformer.modeling.encoders import AnyAudioEncoder, AnyVideoEncoder, Encoders
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from synchformer.modeling.synchformer import Synchformer
from training.baselines.model import segment_config
from training.config.stage_config import StageConfig
from training.initialization.pretrained import load_audio, load_video
from training.initialization.resized import differs_in_size_alone, resize_places
from training.initialization.synchronizer import CLIPS, start_from
from training.readers.base import CropReader
from training.readers.stage_data import StageData
from training.sampling.crops import Labels
from training.stages.assemble import assemble, stage1_encoders, stage_state
from training.stages.baseline import baseline_task
from training.stages.offset import VALIDATION_CROPS, Extractors, Stage2, SyncTask, stage2
from training.stages.segment_avclip import VALIDATION_CLIPS, AVCLIPTask
from training.stages.synchronizability import SynchronizabilityTask, adapt
from training.stages.unimodal import EventHeads, UnimodalTask
from training.trainer.task import Task

Trained = TypeVar("Trained", Synchformer, SegmentAVCLIP, Synchformer | SegmentAVCLIP)


def build_task(request: StageConfig, data: StageData | None = None) -> Task:
    """The task of a stage, its clips rendered or encoded where they were not yet.

    Raises:
        ValueError: data or weights that cannot be used.
        FileNotFoundError: when the stage before was not run in this folder.
    """
    return _BUILDERS[request.stage](request, data or StageData(request))


def _unimodal(request: StageConfig, data: StageData) -> Task:
    config = request.config if request.model is None else segment_config(request.model, request.config)
    task = UnimodalTask(config, *data.pixels(), request.options.batch)
    begun = _begun(request)
    if begun:
        task.heads.video_encoder, task.heads.audio_encoder = begun.video_encoder, begun.audio_encoder
    return task


def _baseline(request: StageConfig, data: StageData) -> Task:
    assert request.model is not None
    start, batch = stage_state(request.out, "unimodal"), request.options.batch
    given = start and start["model"]
    return baseline_task(
        request.config,
        request.model,
        data.pixels(),
        batch,
        given,
        timed=data.generated,
        sounds=request.sounds,
        **_validation(request),
    )


def _avclip(request: StageConfig, data: StageData) -> Task:
    heads = _heads(request.out, request.config) if request.unimodal else None
    task = AVCLIPTask(
        request.config,
        *data.pixels(),
        request.options.batch,
        heads if data.generated else None,
        valid_clips=request.valid_crops or VALIDATION_CLIPS,
        loaders=request.options.loaders,
    )
    avclip, start = task.stage.avclip, _begun(request) or heads
    if isinstance(start, SegmentAVCLIP):
        avclip.load_state_dict(start.state_dict())
    elif start:
        avclip.video_encoder.load_state_dict(start.video_encoder.state_dict())
        avclip.audio_encoder.load_state_dict(start.audio_encoder.state_dict())
    _start_encoders(request, avclip.video_encoder, avclip.audio_encoder)
    return task


def _sync(request: StageConfig, data: StageData) -> Task:
    config = request.config
    init = _begun(request)
    encoders = (init.video_encoder, init.audio_encoder) if init else _encoders(request)
    clips, held_out, extractors = _readers(request, data, *encoders)
    timed = any(clips.scene(clip) is not None for clip in range(len(clips)))
    stage = stage2(config, extractors, timed=timed, lag_weight=request.lag_weight)
    whole = init if isinstance(init, Synchformer) else _trained(request, request.module)
    if whole:
        stage.synchronizer.load_state_dict(whole.synchronizer.state_dict())
    elif features := clips.features_of(CLIPS):
        start_from(stage.synchronizer, config, *features)
    batch, sounds = request.options.batch, request.sounds
    shares = {"replace": request.replace, "revoice": request.revoice}
    return SyncTask(config, stage, clips, held_out, batch, sounds=sounds, **shares, **_validation(request))


def _synchronizability(request: StageConfig, data: StageData) -> Task:
    labels: Labels = request.labels or ("truth" if data.generated else "published")
    model = _trained(request, request.init) or assemble(request.out, request.config, "sync")
    clips, held_out, extractors = _readers(request, data, model.video_encoder, model.audio_encoder)
    module = adapt(model.synchronizer, request.config, request.published_positions)
    config = request.config.with_head("synchronizability")
    stage, batch = Stage2(module, config, extractors), request.options.batch
    return SynchronizabilityTask(config, stage, clips, held_out, batch, labels=labels, **_validation(request))


def _validation(request: StageConfig) -> dict[str, int]:
    return {"valid_crops": request.valid_crops or VALIDATION_CROPS, "loaders": request.options.loaders}


def _encoders(request: StageConfig) -> Encoders:
    """The encoders that stage II starts from."""
    if request.stage_one:
        return stage1_encoders(request.out, request.config)
    heads = (_heads(request.out, request.config) if request.unimodal else None) or EventHeads(request.config)
    _start_encoders(request, heads.video_encoder, heads.audio_encoder)
    return heads.video_encoder, heads.audio_encoder


def _start_encoders(request: StageConfig, video: AnyVideoEncoder, audio: AnyAudioEncoder) -> None:
    """Fill encoders from the files that were named for them."""
    if request.video_init is not None:
        unused = load_video(request.video_init, video)
        tqdm.write(f"{request.video_init}: read; {len(unused)} tensors not used {unused[:5]}")
    if request.audio_init is not None:
        unused = load_audio(request.audio_init, audio)
        tqdm.write(f"{request.audio_init}: read; {len(unused)} tensors not used {unused[:5]}")


def _readers(
    request: StageConfig, data: StageData, video: AnyVideoEncoder, audio: AnyAudioEncoder
) -> tuple[CropReader, CropReader, Extractors | None]:
    """Clips to train on and to validate on, and extractors where features are not cached."""
    if request.reads_features:
        return *data.features(video, audio), None
    return *data.pixels(), Extractors(request.config, video, audio, request.trained_extractors)


def _begun(request: StageConfig) -> Synchformer | SegmentAVCLIP | None:
    """What --init names, of whatever stage, for its encoders.

    Raises:
        ValueError: as `_trained`.
    """
    return None if request.init is None else _fitting(load_stage(request.init, "cpu"), request.init, request)


def _trained(request: StageConfig, name: str | None) -> Synchformer | None:
    """The model of a name, with the offset head.

    Raises:
        ValueError: when it has other sizes or another head than what is trained, or is stage I.
    """
    return None if name is None else _fitting(load_model(name, "cpu"), name, request)


def _fitting(model: Trained, name: str, request: StageConfig) -> Trained:
    if model.config.image_size != request.config.image_size and differs_in_size_alone(model.config, request.config):
        tqdm.write(
            f"{name}: its places are resized from {model.config.image_size} to {request.config.image_size} pixels"
        )
        return resize_places(model, type(model)(request.config))
    if replace(model.config, name="") != replace(request.config, name=""):
        raise ValueError(
            f"{name} is {model.config.name!r} with the head {model.config.head!r}, which does not fit "
            f"what is trained ({request.config.name!r}, {request.config.head!r}); choose its --preset"
        )
    return model


def _heads(out: Path, config: SynchformerConfig) -> EventHeads | None:
    """The unimodal start's encoders and heads, or None when that stage was not run."""
    state = stage_state(out, "unimodal")
    if state is None:
        tqdm.write(f"{out / 'unimodal'} holds no state: stage I starts from random encoders")
        return None
    heads = EventHeads(config)
    heads.load_state_dict(state["model"])
    return heads


_BUILDERS = {
    "unimodal": _unimodal,
    "avclip": _avclip,
    "sync": _sync,
    "baseline": _baseline,
    "synchronizability": _synchronizability,
}
