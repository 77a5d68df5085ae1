"""What each stage is made of: its task, built from the command's choices and from the stages before it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

from synchformer.checkpoint import load_model
from synchformer.config import SynchformerConfig
from synchformer.encoders import AnyAudioEncoder, AnyVideoEncoder, Encoders
from synchformer.model import Synchformer
from training.avclip import AVCLIPTask, Stage1
from training.baselines.model import segment_config
from training.baselines.modules import KINDS, Kind
from training.baselines.task import baseline_task
from training.clips import HELD_OUT, ClipPool, Recipe
from training.crops import Labels
from training.features import FeatureCache
from training.loop import BEST, STATE
from training.options import Options
from training.pretrained import load_audio, load_video
from training.start import start_from
from training.state import load_state
from training.sync import Extractors, Reader, Stage2, SyncTask, stage2
from training.synchronizability import SynchronizabilityTask, adapt
from training.task import Task
from training.unimodal import EventHeads, UnimodalTask

Stage = Literal["unimodal", "avclip", "sync", "baseline", "synchronizability"]


@dataclass(frozen=True)
class Request:
    """What a command asks for.

    Attributes:
        out: folder of the run, where the stages find each other.
        config: sizes, with the offset head.
        options: optimisation.
        data: data set to train on and to validate on, `synthetic:SEED`.
        count, held_out: clips to train on and to validate on.
        workers: processes that render and encode clips.
        init: name or file of a trained model to go on from: its encoders in the unimodal stage, all of it in stage II
            and after.
        module: name or file of a trained model whose synchronization module stage II starts from, on the encoders of
            this folder's stage I.
        trained_extractors: whether stage II and after train the encoders too (table 2); they read pixels then.
        cached: whether frozen features are computed once and kept; otherwise every crop is encoded anew.
        labels: what counts as synchronisable in training.
        published_positions: cut the position table as published.
        replace: largest share of a crop's moments that stage II fills from other generated clips.
        audio_init, video_init: files that single encoders start from (`training.pretrained`), where none is trained.
        model: which baseline to train (stage `baseline`) or to prepare (unimodal start); none of them when not given.
        unimodal: whether stage I goes on from the unimodal start of this folder.
        stage_one: whether stage II goes on from stage I of this folder; otherwise from where stage I would start.
    """

    out: Path
    config: SynchformerConfig
    options: Options
    data: str = "synthetic:0"
    count: int = 1000
    held_out: int = 60
    workers: int = 2
    init: str | None = None
    module: str | None = None
    trained_extractors: bool = False
    cached: bool = True
    labels: Labels = "truth"
    published_positions: bool = False
    replace: float = 0.0
    audio_init: str | None = None
    video_init: str | None = None
    model: Kind | None = None
    unimodal: bool = True
    stage_one: bool = True

    def about(self) -> dict[str, Any]:
        """All of it in plain values, to be kept in saved states."""
        return {**asdict(self), "out": str(self.out)}


def build_task(stage: Stage, request: Request) -> Task:
    """The task of a stage, its clips rendered or encoded where they were not yet.

    Raises:
        ValueError: data or weights that cannot be used.
        FileNotFoundError: when the stage before was not run in this folder.
    """
    return _BUILDERS[stage](request)


def _recipes(request: Request) -> tuple[Recipe, Recipe]:
    source, _, seed = request.data.partition(":")
    if source != "synthetic" or not seed.isdecimal() or int(seed) >= HELD_OUT:
        raise ValueError(f"--data must be synthetic:SEED with a seed below {HELD_OUT}, not {request.data!r}")
    recipe = Recipe(seed=int(seed), count=request.count)
    return recipe, replace(recipe, seed=HELD_OUT, count=request.held_out)


def _pools(request: Request) -> tuple[ClipPool, ClipPool]:
    trained, held_out = _recipes(request)
    folder = request.out / "clips"
    return (
        ClipPool(folder / "train", trained, request.config, request.workers),
        ClipPool(folder / "held-out", held_out, request.config, request.workers),
    )


def _unimodal(request: Request) -> Task:
    if request.model is not None and request.init is not None:
        raise ValueError("--init names a Synchformer, which has no baseline's extractors; leave out --model or --init")
    config = request.config if request.model is None else segment_config(request.model, request.config)
    task = UnimodalTask(config, *_pools(request), request.options.batch)
    model = _trained(request)
    if model:
        task.heads.video_encoder, task.heads.audio_encoder = model.video_encoder, model.audio_encoder
    return task


def _baseline(request: Request) -> Task:
    if request.model is None:
        raise ValueError(f"the stage baseline needs --model, one of {', '.join(KINDS)}")
    start = stage_state(request.out, "unimodal")
    pools = _pools(request)
    return baseline_task(request.config, request.model, pools, request.options.batch, start and start["model"])


def _avclip(request: Request) -> Task:
    heads = _heads(request.out, request.config) if request.unimodal else None
    task = AVCLIPTask(request.config, *_pools(request), request.options.batch, heads)
    _start_encoders(request, task.stage.avclip.video_encoder, task.stage.avclip.audio_encoder)
    return task


def _sync(request: Request) -> Task:
    config = request.config
    model = _trained(request)
    encoders = (model.video_encoder, model.audio_encoder) if model else _encoders(request)
    clips, held_out, extractors = _readers(request, *encoders)
    stage = stage2(config, extractors, timed=True)
    begun = model or _trained(request, request.module)
    if begun:
        stage.synchronizer.load_state_dict(begun.synchronizer.state_dict())
    elif isinstance(clips, FeatureCache):
        start_from(stage.synchronizer, config, clips.video, clips.audio)
    return SyncTask(config, stage, clips, held_out, request.options.batch, request.replace)


def _synchronizability(request: Request) -> Task:
    model = _trained(request) or assemble(request.out, request.config, "sync")
    clips, held_out, extractors = _readers(request, model.video_encoder, model.audio_encoder)
    module = adapt(model.synchronizer, request.config, request.published_positions)
    config = request.config.with_head("synchronizability")
    stage = Stage2(module, config, extractors)
    return SynchronizabilityTask(config, stage, clips, held_out, request.options.batch, request.labels)


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
    request: Request, video: AnyVideoEncoder, audio: AnyAudioEncoder
) -> tuple[Reader, Reader, Extractors | None]:
    """Clips to train on and to validate on, and extractors where features are not cached."""
    if not request.cached or request.trained_extractors:
        extractors = Extractors(request.config, video, audio, request.trained_extractors)
        return *_pools(request), extractors
    folder = request.out / "features"
    trained, held_out = (
        FeatureCache(folder / name, recipe, request.config, video, audio, request.workers)
        for name, recipe in zip(("train", "held-out"), _recipes(request), strict=True)
    )
    return trained, held_out, None


def _trained(request: Request, name: str | None = None) -> Synchformer | None:
    """The model that --init names, or the one of another name, with the offset head.

    Raises:
        ValueError: when it has other sizes or another head than what is trained.
    """
    name = name or request.init
    if name is None:
        return None
    model = load_model(name, "cpu")
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


def _stage1(out: Path, config: SynchformerConfig) -> Encoders:
    """The encoders of stage I.

    Raises:
        FileNotFoundError: when stage I was not run in this folder.
    """
    state = stage_state(out, "avclip")
    if state is None:
        raise FileNotFoundError(f"{out / 'avclip'} holds no state; run the stage avclip with the same --out first")
    heads = EventHeads(config) if any(name.startswith("heads.") for name in state["model"]) else None
    stage = Stage1(config, heads)
    stage.load_state_dict(state["model"])
    return stage.avclip.video_encoder, stage.avclip.audio_encoder


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
    model = load_model(init, "cpu") if init is not None else assemble(out, config, "sync")
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
