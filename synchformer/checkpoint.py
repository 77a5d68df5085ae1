"""Named checkpoints and files of weights, turned into models.

| name | what it is |
|---|---|
| `mini` | embedded, trained by this project on generated clips |
| `audioset`, `vggsound`, `lrs3` | the paper's stage II |
| `synchronizability` | the paper's section 4.2 |
| `avclip-audioset`, `avclip-vggsound`, `avclip-lrs3` | the paper's stage I, for `load_avclip` |
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import torch
from filelock import FileLock
from safetensors.torch import save_file
from torch import Tensor, nn

from synchformer.avclip import SegmentAVCLIP
from synchformer.config import BASE, SynchformerConfig
from synchformer.download import DownloadError, cache_folder, fetch, verify
from synchformer.model import Synchformer
from synchformer.published import Layout, from_published
from synchformer.weights import CheckpointError, read_weights

PUBLISHED = "https://a3s.fi/swift/v1/AUTH_a235c0f452d648828f745589cde1219a/sync/sync_models"
TENSORS_ONLY = "https://github.com/hkchengrex/MMAudio/releases/download/v0.1/synchformer_state_dict.pth"
TENSORS_ONLY_MD5 = "5b2f5594b0730f70e41e549b7c94390c"


@dataclass(frozen=True)
class Source:
    """An address and the first digits of the MD5 of the file that it serves."""

    url: str
    md5: str


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is known by name.

    `stage` is "I" for Segment AVCLIP, "II" for offsets, "III" for synchronizability; `sources` are tried in order and
    are empty for the embedded weights.
    """

    name: str
    stage: Literal["I", "II", "III"]
    data: str
    run: str
    sources: tuple[Source, ...] = ()


def _published(name: str, stage: Literal["I", "II", "III"], data: str, run: str, md5: str) -> Checkpoint:
    file = "checkpoints/epoch_best.pt" if stage == "I" else f"{run}.pt"
    return Checkpoint(name, stage, data, run, (Source(f"{PUBLISHED}/{run}/{file}", md5),))


_AUDIOSET = _published("audioset", "II", "AudioSet", "24-01-04T16-39-21", "54037d2")

CHECKPOINTS = {
    checkpoint.name: checkpoint
    for checkpoint in (
        Checkpoint("mini", "II", "generated clips", "embedded"),
        # The second address holds the same run's tensors alone, smaller than the published file; it stands in for it.
        Checkpoint(
            "audioset", "II", "AudioSet", _AUDIOSET.run, (*_AUDIOSET.sources, Source(TENSORS_ONLY, TENSORS_ONLY_MD5))
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
        name_or_path: a name of `CHECKPOINTS`, a `.pt` or `.pth` file in a published layout, a safetensors file of ours, or a
            folder written by `save_pretrained`.
        device: "auto" (CUDA when there is one), "cpu", or "cuda".

    Returns:
        The model in evaluation mode, in float32.

    Raises:
        CheckpointError: unknown name, missing or damaged file, tensors that do not fit, stage I weights.
        DownloadError: no network, or a file that is not what it should be.
        ValueError: a device that is not there.
    """
    state, config, layout = _load(name_or_path)
    if layout == "avclip":
        raise CheckpointError(
            f"{name_or_path} holds stage I (Segment AVCLIP), which cannot tell offsets; read it with load_avclip, "
            "or choose a stage II checkpoint such as mini or audioset"
        )
    return _filled(Synchformer(config), state, name_or_path).to(pick_device(device))


def load_avclip(name_or_path: str | Path, device: str = "auto") -> SegmentAVCLIP:
    """Load Segment AVCLIP (stage I), by name such as `avclip-audioset` or from a file.

    Arguments and errors are those of `load_model`; a file of another stage is refused.
    """
    state, config, layout = _load(name_or_path)
    if layout != "avclip":
        raise CheckpointError(f"{name_or_path} is no stage I checkpoint; read it with load_model")
    return _filled(SegmentAVCLIP(config), state, name_or_path).to(pick_device(device))


def save_model(model: Synchformer | SegmentAVCLIP, path: Path, notes: Mapping[str, str] | None = None) -> Path:
    """Write a model as safetensors with its configuration; a reader never sees a half-written file.

    Args:
        model: what to write, in its present precision.
        path: a name that ends in `.safetensors`.
        notes: strings kept in the file, such as how it was trained.
    """
    layout: Layout = "avclip" if isinstance(model, SegmentAVCLIP) else "sync"
    _write({name: value.contiguous() for name, value in model.state_dict().items()}, path, model.config, layout, notes)
    return path


def read_notes(name_or_path: str | Path) -> dict[str, str]:
    """What a safetensors file of ours says about its training; empty for other files."""
    path = embedded_weights() if str(name_or_path) == "mini" else Path(name_or_path)
    if path.suffix != ".safetensors":
        return {}
    return {key: value for key, value in read_weights(path).metadata.items() if key not in ("config", "layout")}


def embedded_weights() -> Path:
    """The file of `mini`: beside this package when installed, in `assets/` in a checkout."""
    installed = Path(__file__).parent / "assets" / "mini.safetensors"
    return installed if installed.exists() else Path(__file__).parent.parent / "assets" / "mini.safetensors"


def pick_device(device: str) -> torch.device:
    """The device that a name means.

    Raises:
        ValueError: when the name is unknown or the device is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise ValueError(f"unknown device {device!r}; choose auto, cpu or cuda")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for, but PyTorch finds no CUDA GPU; choose cpu or auto")
    return torch.device(device)


M = TypeVar("M", bound=nn.Module)
State = tuple[dict[str, Tensor], SynchformerConfig, Layout]


def _load(name_or_path: str | Path) -> State:
    name, path = str(name_or_path), Path(name_or_path)
    if name in CHECKPOINTS:
        return _load_known(CHECKPOINTS[name])
    if path.is_dir():
        return _load_folder(path)
    if path.is_file():
        return _load_file(path)
    if path.suffix or os.sep in name:
        raise CheckpointError(f"there is no file {path}; give a file, a folder, or one of: {', '.join(CHECKPOINTS)}")
    near = difflib.get_close_matches(name, CHECKPOINTS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise CheckpointError(f"unknown model {name!r}; known models: {', '.join(CHECKPOINTS)}{hint}")


def _load_known(checkpoint: Checkpoint) -> State:
    if not checkpoint.sources:
        return _load_file(embedded_weights())
    converted = cache_folder() / f"{checkpoint.name}-{checkpoint.run}.safetensors"
    if not converted.exists():
        converted.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(converted.with_suffix(".lock")):  # another process may be at it: it converts, this one waits
            if not converted.exists():
                _convert(checkpoint, converted)
    return _load_file(converted)


def _convert(checkpoint: Checkpoint, converted: Path) -> None:
    """Fetch, check, convert once to safetensors, and remove the original: a gigabyte on disk, not two."""
    original = _fetch_original(checkpoint, converted.parent)
    state, config, layout = _load_file(original)
    notes = {"name": checkpoint.name, "run": checkpoint.run, "data": checkpoint.data}
    _write(state, converted, config, layout, notes)
    original.unlink()


def _fetch_original(checkpoint: Checkpoint, folder: Path) -> Path:
    """The published file: put there by hand, or downloaded from the first source that works."""
    failures = []
    for source in checkpoint.sources:
        target = folder / f"{checkpoint.name}-{checkpoint.run}{Path(source.url).suffix}"
        try:
            if target.exists():
                verify(target, source.md5)
            return fetch([source.url], target, source.md5)
        except DownloadError as error:
            failures.append(str(error))
    places = " or ".join(
        f"{source.url} to {folder / f'{checkpoint.name}-{checkpoint.run}{Path(source.url).suffix}'}"
        for source in checkpoint.sources
    )
    raise DownloadError(
        f"the weights {checkpoint.name!r} could not be fetched: {'; '.join(failures)}. Copy {places} by hand, "
        "or use 'mini', which works offline"
    )


def _load_folder(folder: Path) -> State:
    files = [folder / name for name in ("config.json", "model.safetensors")]
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise CheckpointError(f"{folder} lacks {' and '.join(missing)}; give a folder written by save_pretrained")
    values = json.loads(files[0].read_text())
    config = SynchformerConfig.from_dict(values.get("config", values))
    return read_weights(files[1]).tensors, config, "sync"


def _load_file(path: Path) -> State:
    found = read_weights(path)
    if "config" in found.metadata:
        layout: Layout = "avclip" if found.metadata.get("layout") == "avclip" else "sync"
        return found.tensors, SynchformerConfig.from_dict(json.loads(found.metadata["config"])), layout
    return read_published(found.tensors, path)


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


def _filled(model: M, state: Mapping[str, Tensor], origin: str | Path) -> M:
    try:
        model.load_state_dict({name: value.float() for name, value in state.items()}, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{origin} does not fit its configuration: {error}") from error
    return model.eval()


def _write(
    state: Mapping[str, Tensor], path: Path, config: SynchformerConfig, layout: Layout, notes: Mapping[str, str] | None
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    metadata = {"config": json.dumps(asdict(config)), "layout": layout, **(notes or {})}
    save_file(dict(state), part, metadata)
    part.replace(path)
