"""Named checkpoints and files of weights, turned into models.

| name | what it is |
|---|---|
| `mini` | embedded, trained by this project on generated clips |
| `small` | embedded, trained by this project on recorded and generated clips, with a picture of 128 px |
| `mini-synchronizability` | embedded likewise: whether picture and sound can be matched at all |
| `audioset`, `vggsound`, `lrs3` | the paper's stage II |
| `synchronizability` | the paper's section 4.2 |
| `mini-avclip` | embedded stage I of the size of `mini`, a start for trainings, for `load_avclip` |
| `avclip-audioset`, `avclip-vggsound`, `avclip-lrs3` | the paper's stage I, for `load_avclip` |
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.device_names import device_name
from synchformer.checkpoints.download import DownloadError, cache_folder, fetch
from synchformer.checkpoints.published_names import SHOWN, Layout, from_published
from synchformer.checkpoints.safe_tensors import CheckpointError, read_metadata, read_weights
from synchformer.config import BASE, MINI, SMALL, SynchformerConfig
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from synchformer.modeling.synchformer import Synchformer, TwoStreams
from synchformer.storage.atomic import atomic_write

PUBLISHED = "https://a3s.fi/swift/v1/AUTH_a235c0f452d648828f745589cde1219a/sync/sync_models"
TENSORS_ONLY = "https://github.com/hkchengrex/MMAudio/releases/download/v0.1/synchformer_state_dict.pth"
TENSORS_ONLY_MD5 = "5b2f5594b0730f70e41e549b7c94390c"
RECORDED = "recorded clips of public research repositories and generated clips"
TABLE_NOTES = ("name", "stage", "data", "run")  # what `CHECKPOINTS` says; the rest of the notes stands in the file


@dataclass(frozen=True)
class Source:
    """An address and the first digits of the MD5 of the file that it serves."""

    url: str
    md5: str


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is known by name.

    `stage` is "I" for Segment AVCLIP, "II" for offsets, "III" for synchronizability; `run` is the published id and
    `size` what is known of the download, in words. `sources` are tried in order and are empty for embedded weights.
    """

    name: str
    stage: Literal["I", "II", "III"]
    data: str
    run: str
    config: SynchformerConfig
    size: str
    sources: tuple[Source, ...] = ()

    def places(self, folder: Path) -> list[Path]:
        """Where each source's file may be put by hand; the next load checks, converts and then removes it."""
        return [folder / f"{self.name}-{self.run}{Path(source.url).suffix}" for source in self.sources]


def _published(name: str, stage: Literal["I", "II", "III"], data: str, run: str, md5: str, *more: Source) -> Checkpoint:
    """A published checkpoint; its size is a lower bound: the parameters, without the optimizer's state beside them."""
    file = "checkpoints/epoch_best.pt" if stage == "I" else f"{run}.pt"
    config = BASE.with_head("synchronizability") if stage == "III" else BASE
    size = "more than 0.86 GB" if stage == "I" else "more than 0.95 GB"
    return Checkpoint(name, stage, data, run, config, size, (Source(f"{PUBLISHED}/{run}/{file}", md5), *more))


CHECKPOINTS = {
    checkpoint.name: checkpoint
    for checkpoint in (
        Checkpoint("mini", "II", "generated clips", "embedded", MINI, "at most 10 MB"),
        Checkpoint("small", "II", RECORDED, "embedded", SMALL, "at most 10 MB"),
        Checkpoint(
            "mini-synchronizability",
            "III",
            "generated clips",
            "embedded",
            MINI.with_head("synchronizability"),
            "at most 10 MB",
        ),
        Checkpoint("mini-avclip", "I", "generated clips", "embedded", MINI, "at most 10 MB"),
        # The published file comes first, for its run is known. The second address serves tensors of the AudioSet model
        # alone (0.95 GB, whole MD5 known) from another host: it stands in when the first does not answer.
        _published(
            "audioset", "II", "AudioSet", "24-01-04T16-39-21", "54037d2", Source(TENSORS_ONLY, TENSORS_ONLY_MD5)
        ),
        _published("vggsound", "II", "VGGSound", "24-01-02T10-00-53", "19592ed"),
        _published("lrs3", "II", "LRS3 (full scene)", "23-12-23T18-33-57", "4415276"),
        _published("synchronizability", "III", "AudioSet", "24-01-22T20-34-52", "b1cb346"),
        _published("avclip-audioset", "I", "AudioSet", "23-12-22T16-13-38", "4a566f2"),
        _published("avclip-vggsound", "I", "VGGSound", "23-12-22T16-10-50", "a9979df"),
        _published("avclip-lrs3", "I", "LRS3 (full scene)", "23-12-22T16-04-18", "20b6e55"),
    )
}


def load_model(name_or_path: str | Path = "mini", device: str = "auto") -> Synchformer:
    """Load a model for prediction.

    Args:
        name_or_path: a name of `CHECKPOINTS`, a `.pt` or `.pth` file in a published layout, a safetensors file of ours,
            or a folder written by `save_pretrained`. Published weights are downloaded once to `cache_folder()`.
        device: "auto" (CUDA when there is one), "cpu", "cuda" or "cuda:1".

    Returns:
        The model in evaluation mode, in float32.

    Raises:
        CheckpointError: unknown name, missing or damaged file, tensors that do not fit, stage I weights.
        DownloadError: no network, or a file that is not what it should be.
        ValueError: a device that is not there.
    """
    place = pick_device(device)
    known = CHECKPOINTS.get(str(name_or_path))
    if known and known.stage == "I":  # said before a gigabyte is downloaded
        raise _no_synchronization(name_or_path)
    state, config, layout = _load(name_or_path)
    if layout == "avclip":
        raise _no_synchronization(name_or_path)
    return _filled(Synchformer, config, state, place, name_or_path)


def load_avclip(name_or_path: str | Path, device: str = "auto") -> SegmentAVCLIP:
    """Load Segment AVCLIP (stage I), by name such as `avclip-audioset` or from a file.

    Arguments and errors are those of `load_model`; a file of another stage is refused.
    """
    place = pick_device(device)
    known = CHECKPOINTS.get(str(name_or_path))
    if known and known.stage != "I":
        raise CheckpointError(f"{name_or_path} is stage {known.stage}, not stage I; read it with load_model")
    state, config, layout = _load(name_or_path)
    if layout != "avclip":
        raise CheckpointError(f"{name_or_path} is no stage I checkpoint; read it with load_model")
    return _filled(SegmentAVCLIP, config, state, place, name_or_path)


def load_stage(name_or_path: str | Path, device: str = "auto") -> Synchformer | SegmentAVCLIP:
    """Load a checkpoint of whatever stage, for what both kinds have: `config`, `video_encoder` and `audio_encoder`.

    Arguments and errors are those of `load_model`, but stage I is not refused.
    """
    place = pick_device(device)
    state, config, layout = _load(name_or_path)
    if layout == "avclip":
        return _filled(SegmentAVCLIP, config, state, place, name_or_path)
    return _filled(Synchformer, config, state, place, name_or_path)


def save_model(
    model: TwoStreams | SegmentAVCLIP, path: Path, notes: Mapping[str, str] | None = None, layout: str | None = None
) -> Path:
    """Write a model as safetensors with its configuration; a reader never sees a half-written file.

    Args:
        model: what to write, in its present precision.
        path: a name that ends in `.safetensors`.
        notes: strings kept in the file, such as how it was trained.
        layout: what kind of model it is, where it is neither of ours.

    Raises:
        CheckpointError: when the file cannot be written.
    """
    own = "avclip" if isinstance(model, SegmentAVCLIP) else "sync"
    _write(model.state_dict(), path, model.config, layout or own, notes)
    return path


def read_notes(name_or_path: str | Path) -> dict[str, str]:
    """What is known of a checkpoint's training: from the table, and from a safetensors file of ours; else empty."""
    known = CHECKPOINTS.get(str(name_or_path))
    notes = {"name": known.name, "stage": known.stage, "data": known.data, "run": known.run} if known else {}
    path = embedded_weights(known.name) if known and not known.sources else Path(name_or_path)
    if path.suffix != ".safetensors" or not path.is_file():
        return notes
    return notes | {key: value for key, value in read_metadata(path).items() if key not in ("config", "layout")}


def describe(name_or_path: str | Path) -> str:
    """What a checkpoint was trained on, in one line; downloads nothing."""
    notes = read_notes(name_or_path)
    known = CHECKPOINTS.get(str(name_or_path))
    if not known:
        words = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in sorted(notes.items()))
        return f"{name_or_path}: {words or 'the file does not say how it was trained'}"
    more = [f"{key.replace('_', ' ')} {value}" for key, value in sorted(notes.items()) if key not in TABLE_NOTES]
    return ", ".join([f"{known.name}: stage {known.stage}, trained on {known.data}, run {known.run}", *more])


def embedded_weights(name: str = "mini") -> Path:
    """The file of an embedded checkpoint: beside this package when installed, in `assets/` in a checkout."""
    return asset(f"{name.replace('-', '_')}.safetensors")


def pick_device(device: str) -> torch.device:
    """The device that a name means.

    Raises:
        ValueError: when the name is unknown or the device is not there.
    """
    if device_name(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    count = torch.cuda.device_count() if device != "cpu" else 0
    if device != "cpu" and int(device.partition(":")[2] or 0) >= count:
        raise ValueError(f"device {device!r} was asked for, but PyTorch finds {count} CUDA GPUs; choose cpu or auto")
    return torch.device(device)


M = TypeVar("M", Synchformer, SegmentAVCLIP)
State = tuple[dict[str, Tensor], SynchformerConfig, Layout]


def _load(name_or_path: str | Path) -> State:
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    if name in CHECKPOINTS:
        return _load_known(CHECKPOINTS[name])
    if path.is_dir():
        return _load_folder(path)
    if path.is_file():
        return _load_file(path, BASE)
    if path.suffix or os.sep in name:
        raise CheckpointError(f"there is no file {path}; give a file, a folder, or one of: {', '.join(CHECKPOINTS)}")
    near = difflib.get_close_matches(name, CHECKPOINTS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise CheckpointError(f"unknown model {name!r}; known models: {', '.join(CHECKPOINTS)}{hint}")


def _load_known(checkpoint: Checkpoint) -> State:
    if not checkpoint.sources:
        path = embedded_weights(checkpoint.name)
        if not path.is_file():
            raise CheckpointError(f"the embedded weights {path} are missing; install the package again")
        return _load_file(path, checkpoint.config)
    converted = cache_folder() / f"{checkpoint.name}-{checkpoint.run}.safetensors"
    if not converted.exists():
        try:
            converted.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(converted.with_suffix(".lock")):  # another process may be at it: it converts, this one waits
                if not converted.exists():
                    _convert(checkpoint, converted)
        except OSError as error:
            raise DownloadError(
                f"cannot write {converted}: {error}; set XDG_CACHE_HOME to a folder that can be written, "
                "or use 'mini', which needs no download"
            ) from error
    return _load_file(converted, checkpoint.config)


def _convert(checkpoint: Checkpoint, converted: Path) -> None:
    """Fetch, check, convert once to safetensors, and remove the original: a gigabyte on disk, not two."""
    original = _fetch_original(checkpoint, converted.parent)
    state, config, layout = _load_file(original, checkpoint.config)
    notes = {"name": checkpoint.name, "run": checkpoint.run, "data": checkpoint.data}
    _write(state, converted, config, layout, notes)
    original.unlink()


def _fetch_original(checkpoint: Checkpoint, folder: Path) -> Path:
    """The published file: put there by hand, or downloaded from the first source that works."""
    failures, places = [], checkpoint.places(folder)
    by_hand = [index for index, place in enumerate(places) if place.exists()]
    for index in by_hand or range(len(places)):
        source = checkpoint.sources[index]
        try:
            return fetch(source.url, places[index], source.md5)
        except DownloadError as error:
            failures.append(str(error))
    ways = " or ".join(f"{source.url} as {place}" for source, place in zip(checkpoint.sources, places, strict=True))
    raise DownloadError(
        f"the weights {checkpoint.name!r} could not be fetched: {'; '.join(failures)}; "
        f"save {ways} by hand, or use 'mini', which works offline"
    )


def _load_folder(folder: Path) -> State:
    files = [folder / name for name in ("config.json", "model.safetensors")]
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise CheckpointError(f"{folder} lacks {' and '.join(missing)}; give a folder written by save_pretrained")
    layout: Layout = "sync"  # save_pretrained is Synchformer's
    return read_weights(files[1]).tensors, _config(files[0].read_text(), files[0]), layout


def _load_file(path: Path, published: SynchformerConfig) -> State:
    """A file of ours, or a published one with the sizes of `published`."""
    weights = read_weights(path)
    if "config" not in weights.metadata:
        return read_published(weights.tensors, path, published)
    written = weights.metadata.get("layout", "sync")
    if written not in get_args(Layout):
        raise CheckpointError(f"{path} holds a baseline ({written}), which only training.evaluate and its like read")
    layout: Layout = "avclip" if written == "avclip" else "sync"
    return weights.tensors, _config(weights.metadata["config"], path), layout


def _config(text: str, origin: Path) -> SynchformerConfig:
    """The configuration in our JSON, also where the Hub's `config.json` keeps it under "config"."""
    try:
        values = json.loads(text)
        return SynchformerConfig.from_dict(values.get("config", values))
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{origin} holds no configuration of this version: {error}") from error


def read_published(tensors: Mapping[str, Tensor], origin: str | Path, config: SynchformerConfig = BASE) -> State:
    """Our names for published tensors; their names tell the stage, the head and whether `module.` stands in front.

    Args:
        tensors: as read from the file.
        origin: what to call the file in errors.
        config: sizes; the head is chosen by the tensors.

    Raises:
        CheckpointError: when the tensors are of no published layout or do not fit.
    """
    names = {name.removeprefix("module.") for name in tensors}
    layout: Layout = "avclip" if "logit_scale" in names else "sync"
    if layout == "sync" and "transformer.OFF_tok" not in names:
        raise CheckpointError(
            f"{origin} is no Synchformer checkpoint: "
            "it has neither transformer.OFF_tok (stage II) nor logit_scale (stage I)"
        )
    if "transformer.sync_head.weight" in names:
        config = config.with_head("synchronizability")
    try:
        return from_published(tensors, config, layout), config, layout
    except ValueError as error:
        raise CheckpointError(f"{origin} does not fit: {error}") from error


def _no_synchronization(origin: str | Path) -> CheckpointError:
    return CheckpointError(
        f"{origin} is stage I (Segment AVCLIP): encoders without a synchronization module, which cannot tell offsets; "
        "read it with load_avclip, train stage II on it, or choose a stage II checkpoint such as mini or audioset"
    )


def _filled(
    kind: type[M], config: SynchformerConfig, state: Mapping[str, Tensor], device: torch.device, origin: str | Path
) -> M:
    """A model with exactly these weights, in float32; none are drawn at random first, and the file may change after."""
    with torch.device("meta"):
        model = kind(config)
    shapes, given = ({name: value.shape for name, value in each.items()} for each in (model.state_dict(), state))
    wrong = sorted(name for name in shapes.keys() | given.keys() if shapes.get(name) != given.get(name))
    if wrong:
        raise CheckpointError(
            f"{origin} does not fit its configuration: {len(wrong)} tensors are missing, unknown or of another shape, "
            f"such as {', '.join(wrong[:SHOWN])}"
        )
    copies = {
        name: value.to(device, torch.float32 if value.is_floating_point() else value.dtype, copy=True)
        for name, value in state.items()
    }
    model.load_state_dict(copies, strict=True, assign=True)
    return model.eval()


def _write(
    state: Mapping[str, Tensor], path: Path, config: SynchformerConfig, layout: str, notes: Mapping[str, str] | None
) -> None:
    metadata = {"config": json.dumps(asdict(config)), "layout": layout, **(notes or {})}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            save_file({name: value.contiguous() for name, value in state.items()}, part, metadata)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot write {path}: {error}; free some space or choose another folder") from error
