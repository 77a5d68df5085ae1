"""Initial weights of single encoders from the files that the paper starts from (section B, table 2).

The Audio Spectrogram Transformer of AudioSet in Hugging Face's layout, and Motionformer of Something-Something v2 in
its authors'. Both are read without running anything that they contain.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from torch import Tensor, nn

from synchformer.checkpoints.published_names import SHOWN, UNUSED, name_table
from synchformer.checkpoints.safe_tensors import CheckpointError, read_weights
from synchformer.config import SynchformerConfig
from synchformer.modeling.audio_spectrogram_transformer import AudioEncoder
from synchformer.modeling.encoders import AnyAudioEncoder, AnyVideoEncoder
from synchformer.modeling.motionformer import VideoEncoder
from synchformer.modeling.resnet import ResNetMaps
from synchformer.modeling.s3d import S3DMaps

AST = "MIT/ast-finetuned-audioset-10-10-0.4593"
"""The published audio encoder's start, on the Hugging Face Hub."""
MOTIONFORMER = "https://dl.fbaipublicfiles.com/motionformer/ssv2_divided_224_16x4.pyth"
"""The published visual encoder's start."""

S3D_FILE = "https://download.pytorch.org/models/s3d-d76dad2f.pth"
"""Where table 4's visual encoder starts: torchvision's S3D of Kinetics-400."""

AST_PREFIX = "audio_spectrogram_transformer."  # of a file that holds a classifier too
RESNET_PREFIX = "afeat_extractor."  # of SparseSync's whole models
HEADS = ("classifier.", "head.", "pre_logits.", "fc.")  # classify what we do not
NEW = "aggregator."  # Synchformer's own, in neither file


def load_video(source: str | Path, encoder: AnyVideoEncoder) -> list[str]:
    """Fill a video encoder from the file that its kind starts from; see `load_motionformer` and `load_trunk`."""
    return load_motionformer(source, encoder) if isinstance(encoder, VideoEncoder) else load_trunk(source, encoder.maps)


def load_audio(source: str | Path, encoder: AnyAudioEncoder) -> list[str]:
    """Fill an audio encoder from the file that its kind starts from; see `load_ast` and `load_trunk`."""
    return load_ast(source, encoder) if isinstance(encoder, AudioEncoder) else load_trunk(source, encoder.maps)


def load_trunk(source: str | Path, maps: ResNetMaps | S3DMaps) -> list[str]:
    """Fill ResNet-18 or S3D from a file with torchvision's names, which need not hold more than the network.

    Args:
        source: torchvision's S3D of Kinetics-400 (`S3D_FILE`), SparseSync's ResNet-18 of VGGSound, or one like them.
        maps: what to fill, but for its projection, which stays as it is.

    Returns:
        Names of tensors that were not used.

    Raises:
        CheckpointError: no such file, or tensors are missing or of another size.
    """
    if not Path(source).is_file():
        raise CheckpointError(f"there is no file {source}; S3D's is at {S3D_FILE}")
    tensors = {name.removeprefix(RESNET_PREFIX): value for name, value in read_weights(source).tensors.items()}
    expected = maps.trunk.state_dict()
    wrong = [n for n, value in expected.items() if n not in tensors or tensors[n].shape != value.shape]
    if wrong:
        raise CheckpointError(
            f"{source} lacks {len(wrong)} of {len(expected)} tensors of {type(maps.trunk).__name__} in this width, "
            f"such as {', '.join(wrong[:SHOWN])}; the published widths are those of --preset base"
        )
    maps.trunk.load_state_dict({name: tensors[name] for name in expected})
    return sorted(name for name in tensors if name not in expected and not name.startswith(HEADS))


def load_ast(source: str | Path, encoder: AudioEncoder) -> list[str]:
    """Fill an audio encoder, but for its aggregator, which stays as it is.

    The position table is cut after its first rows, as published: of a grid of 12 x 101 in which frequency comes first,
    74 rows are the two summary tokens and the lowest band's first 72 moments, used as 12 x 6 from then on.

    Args:
        source: a `.safetensors` or PyTorch file, a folder that holds `model.safetensors`, or "hub" to download `AST`.
        encoder: what to fill.

    Returns:
        Names of tensors that were not used.

    Raises:
        CheckpointError: tensors are missing or of another size.
    """
    path = Path(hf_hub_download(AST, "model.safetensors")) if str(source) == "hub" else Path(source)
    path = path / "model.safetensors" if path.is_dir() else path
    tensors = {name.removeprefix(AST_PREFIX): value for name, value in read_weights(path).tensors.items()}
    position = "embeddings.position_embeddings"
    if position in tensors:
        tensors[position] = tensors[position][:, : encoder.position.shape[1]]
    return _fill(encoder, encoder.config, tensors, ("a_encoder.ast.", "audio_encoder."), path)


def load_motionformer(source: str | Path, encoder: VideoEncoder) -> list[str]:
    """Fill a video encoder, but for its aggregator, which stays as it is.

    Args:
        source: the `.pyth` file with divided attention (`MOTIONFORMER`), state under "model_state".
        encoder: what to fill.

    Returns:
        Names of tensors that were not used.

    Raises:
        CheckpointError: no such file (says where it is), or tensors are missing or of another size.
    """
    if not Path(source).is_file():
        raise CheckpointError(f"there is no file {source}; download {MOTIONFORMER} and give its path")
    tensors = {name.removeprefix("module."): value for name, value in read_weights(source).tensors.items()}
    return _fill(encoder, encoder.config, tensors, ("v_encoder.", "video_encoder."), Path(source))


@torch.no_grad()
def _fill(
    encoder: nn.Module, config: SynchformerConfig, tensors: Mapping[str, Tensor], prefixes: tuple[str, str], path: Path
) -> list[str]:
    theirs, ours = prefixes
    table = [e for e in name_table(config, "avclip") if e.ours.startswith(ours) and not e.ours.startswith(ours + NEW)]
    names = {entry.published.removeprefix(theirs): entry.ours.removeprefix(ours) for entry in table}
    missing = [name for name in names if name not in tensors]
    if missing:
        raise CheckpointError(
            f"{path} lacks {len(missing)} of {len(names)} tensors, such as {', '.join(missing[:SHOWN])}; "
            f"it is not what {type(encoder).__name__} of {config.name!r} starts from"
        )
    parts: dict[str, list[Tensor]] = {}
    for name, own in names.items():  # query, key and value follow each other in the table
        parts.setdefault(own, []).append(tensors[name])
    state = {own: torch.cat(values) if len(values) > 1 else values[0] for own, values in parts.items()}
    expected = encoder.state_dict()
    wrong = [
        f"{own} {tuple(value.shape)}, not {tuple(expected[own].shape)}"
        for own, value in state.items()
        if value.shape != expected[own].shape
    ]
    if wrong:
        raise CheckpointError(f"{path} does not fit {config.name!r}: {'; '.join(wrong[:SHOWN])}; choose its --preset")
    encoder.load_state_dict({**expected, **state})
    return sorted(n for n in tensors if n not in names and n not in UNUSED and not n.startswith(HEADS))
