"""What each stage is made of: its task, built from the command's choices and from the stages before it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from tqdm import tqdm

from synchformer.checkpoints.registry import load_model, load_stage
from synchformer.config import SynchformerConfig
from synchformer.modeling.encoders import AnyAudioEncoder, AnyVideoEncoder, Encoders
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from synchformer.modeling.synchformer import Synchformer
from synthetic import Kind
from training.avclip import VALIDATION_CLIPS, AVCLIPTask, Stage1
from training.baselines.model import segment_config
from training.baselines.modules import KINDS as BASELINES
from training.baselines.modules import Kind as BaselineKind
from training.baselines.task import baseline_task
from training.crops import Labels
from training.data import Data
from training.features import FeatureCache
from training.loop import BEST, STATE
from training.options import Options
from training.pixels import Augment
from training.pretrained import load_audio, load_video
from training.start import CLIPS, start_from
from training.state import load_state
from training.sync import VALIDATION_CROPS, Extractors, Reader, Stage2, SyncTask, scenes_of, stage2
from training.synchronizability import SynchronizabilityTask, adapt
from training.task import Task
from training.unimodal import EventHeads, UnimodalTask

Stage = Literal["unimodal", "avclip", "sync", "baseline", "synchronizability"]
Found = TypeVar("Found", Synchformer, SegmentAVCLIP, Synchformer | SegmentAVCLIP)


@dataclass(frozen=True)
class Request:
    """What a command asks for.

    Attributes:
        out: folder of the run, where the stages find each other.
        config: sizes, with the offset head.
        options: optimisation.
        data: data set to train on and to validate on (`training.sources`).
        count, held_out: clips to train on and to validate on, at most; None: some generated ones, or all there are.
        workers: processes that render, look into and encode clips.
        init: name or file of a trained model to go on from: its encoders in the stages before stage II, all of it from
            there on; of a stage I checkpoint its encoders.
        module: name or file of a trained model whose synchronization module stage II starts from, on the encoders of
            this folder's stage I.
        trained_extractors: whether stage II and after train the encoders too (table 2); they read pixels then.
        cached: whether frozen features are computed once and kept; otherwise every crop is encoded anew.
        labels: what counts as synchronisable in training; the truth where it is known, otherwise as published.
        published_positions: cut the position table as published.
        resident: whether rendered clips are kept in the device's memory, so that a batch only names frames of them.
        replace: largest share of a crop's moments that stage II fills from other generated clips.
        revoice: share of stage II's crops whose sound is another generated clip's, an event at the right moment.
        sounds: crops of stage II, and of a baseline, that share a picture where pictures are encoded.
        audio_init, video_init: files that single encoders start from (`training.pretrained`), where none is trained.
        model: which baseline to train (stage `baseline`) or to prepare (unimodal start); none of them when not given.
        unimodal: whether stage I goes on from the unimodal start of this folder.
        stage_one: whether stage II goes on from stage I of this folder; otherwise from where stage I would start.
        annotations: folder of the published lists, for the data sets that have some.
        without: kinds of events that are neither seen nor heard in generated clips.
        augment: what is changed at random in training.
        views: of the picture, in cached features: the centre crop, and random ones.
        unchecked: whether training goes on when the data are not as they should be.
        valid_crops: crops (in stage I clips) of a validation; a usual number if not given.
        device: auto, cpu or cuda, where features are computed.
    """

    out: Path
    config: SynchformerConfig
    options: Options
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


def build_task(stage: Stage, request: Request, data: Data | None = None) -> Task:
    """The task of a stage, its clips rendered or encoded where they were not yet.

    Raises:
        ValueError: data or weights that cannot be used.
        FileNotFoundError: when the stage before was not run in this folder.
    """
    for name, (least, stages) in CROPS_ONLY.items():
        if getattr(request, name) > least and stage not in stages:
            raise ValueError(
                f"--{name} changes the crops of {' and '.join(stages)}, not of {stage}; leave it out there"
            )
    return _BUILDERS[stage](request, data or Data(stage, request))


def _unimodal(request: Request, data: Data) -> Task:
    if request.model is not None and request.init is not None:
        raise ValueError("--init names a Synchformer, which has no baseline's extractors; leave out --model or --init")
    config = request.config if request.model is None else segment_config(request.model, request.config)
    task = UnimodalTask(config, *data.pools(), request.options.batch)
    begun = _begun(request)
    if begun:
        task.heads.video_encoder, task.heads.audio_encoder = begun.video_encoder, begun.audio_encoder
    return task


def _baseline(request: Request, data: Data) -> Task:
    if request.model is None:
        raise ValueError(f"the stage baseline needs --model, one of {', '.join(BASELINES)}")
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


def _avclip(request: Request, data: Data) -> Task:
    heads = _heads(request.out, request.config) if request.unimodal else None
    task = AVCLIPTask(
        request.config,
        *data.pixels(),
        request.options.batch,
        heads if data.generated else None,
        valid_clips=request.valid_crops or VALIDATION_CLIPS,
        loaders=request.options.loaders,
    )
    avclip, found = task.stage.avclip, _begun(request) or heads
    if isinstance(found, SegmentAVCLIP):
        avclip.load_state_dict(found.state_dict())
    elif found:
        avclip.video_encoder.load_state_dict(found.video_encoder.state_dict())
        avclip.audio_encoder.load_state_dict(found.audio_encoder.state_dict())
    _start_encoders(request, avclip.video_encoder, avclip.audio_encoder)
    return task


def _sync(request: Request, data: Data) -> Task:
    config = request.config
    init = _begun(request)
    encoders = (init.video_encoder, init.audio_encoder) if init else _encoders(request)
    for name, given in (("--replace", request.replace), ("--revoice", request.revoice)):
        if given and not data.generated:
            raise ValueError(f"{name} asks what decides, which only generated clips tell; leave it out")
    if request.sounds > 1 and request.reads_features:
        raise ValueError("--sounds spares encoding pictures, and cached features are encoded already; leave it out")
    if request.sounds > 1 and request.revoice:
        raise ValueError("--revoice takes sounds of other clips, --sounds several of the same; leave out one of them")
    clips, held_out, extractors = _readers(request, data, *encoders)
    stage = stage2(config, extractors, timed=scenes_of(clips) is not None)
    whole = init if isinstance(init, Synchformer) else _trained(request, request.module)
    if whole:
        stage.synchronizer.load_state_dict(whole.synchronizer.state_dict())
    elif isinstance(clips, FeatureCache):
        start_from(stage.synchronizer, config, *clips.features_of(CLIPS))
    batch, sounds = request.options.batch, request.sounds
    shares = {"replace": request.replace, "revoice": request.revoice}
    return SyncTask(config, stage, clips, held_out, batch, sounds=sounds, **shares, **_validation(request))


def _synchronizability(request: Request, data: Data) -> Task:
    labels: Labels = request.labels or ("truth" if data.generated else "published")
    if labels == "truth" and not data.generated:
        raise ValueError("--labels truth asks when events happen, which only generated clips tell; use published")
    model = _trained(request, request.init) or assemble(request.out, request.config, "sync")
    clips, held_out, extractors = _readers(request, data, model.video_encoder, model.audio_encoder)
    module = adapt(model.synchronizer, request.config, request.published_positions)
    config = request.config.with_head("synchronizability")
    stage, batch = Stage2(module, config, extractors), request.options.batch
    return SynchronizabilityTask(config, stage, clips, held_out, batch, labels=labels, **_validation(request))


def _validation(request: Request) -> dict[str, int]:
    return {"valid_crops": request.valid_crops or VALIDATION_CROPS, "loaders": request.options.loaders}


def _encoders(request: Request) -> Encoders:
    """The encoders that stage II starts from."""
    if request.stage_one:
        return _stage1(request.out, request.config)
    found = (_heads(request.out, request.config) if request.unimodal else None) or EventHeads(request.config)
    _start_encoders(request, found.video_encoder, found.audio_encoder)
    return found.video_encoder, found.audio_encoder


def _start_encoders(request: Request, video: AnyVideoEncoder, audio: AnyAudioEncoder) -> None:
    """Fill encoders from the files that were named for them."""
    if request.video_init is not None:
        unused = load_video(request.video_init, video)
        tqdm.write(f"{request.video_init}: read; {len(unused)} tensors not used {unused[:5]}")
    if request.audio_init is not None:
        unused = load_audio(request.audio_init, audio)
        tqdm.write(f"{request.audio_init}: read; {len(unused)} tensors not used {unused[:5]}")


def _readers(
    request: Request, data: Data, video: AnyVideoEncoder, audio: AnyAudioEncoder
) -> tuple[Reader, Reader, Extractors | None]:
    """Clips to train on and to validate on, and extractors where features are not cached."""
    if request.reads_features:
        return *data.features(video, audio), None
    return *data.pixels(), Extractors(request.config, video, audio, request.trained_extractors)


def _begun(request: Request) -> Synchformer | SegmentAVCLIP | None:
    """What --init names, of whatever stage, for its encoders.

    Raises:
        ValueError: as `_trained`.
    """
    return None if request.init is None else _fitting(load_stage(request.init, "cpu"), request.init, request)


def _trained(request: Request, name: str | None) -> Synchformer | None:
    """The model of a name, with the offset head.

    Raises:
        ValueError: when it has other sizes or another head than what is trained, or is stage I.
    """
    return None if name is None else _fitting(load_model(name, "cpu"), name, request)


def _fitting(model: Found, name: str, request: Request) -> Found:
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


def _stage1(out: Path, config: SynchformerConfig) -> Encoders:
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
        return _stage1(out, config)
    model = load_stage(init, "cpu") if init is not None else assemble(out, config, "sync")
    return model.video_encoder, model.audio_encoder


def _below(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


_BUILDERS = {
    "unimodal": _unimodal,
    "avclip": _avclip,
    "sync": _sync,
    "baseline": _baseline,
    "synchronizability": _synchronizability,
}
