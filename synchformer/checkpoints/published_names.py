"""Names of the published implementation's weights and ours, in one table that is read both ways.

The published files name their parts `vfeat_extractor`, `afeat_extractor`, `vproj`, `aproj` and `transformer` (stage II
and synchronizability) or `v_encoder`, `a_encoder` and `logit_scale` (stage I, with `module.` in front when training was
distributed). Query, key and value are separate there and one matrix here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from synchformer.config import SynchformerConfig
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from synchformer.modeling.synchformer import Synchformer

Layout = Literal["sync", "avclip"]

VIDEO_PREFIX = {"sync": "vfeat_extractor.", "avclip": "v_encoder."}
AUDIO_PREFIX = {"sync": "afeat_extractor.", "avclip": "a_encoder."}
HEADS = {"offset": "off_head", "synchronizability": "sync_head"}
UNUSED = ("patch_embed.proj.weight", "patch_embed.proj.bias")  # a 2-D patch layer that the published code never runs
SHOWN = 5  # names listed in an error


@dataclass(frozen=True)
class Entry:
    """One tensor: its published name, ours, and which third of ours it is (None: all of it)."""

    published: str
    ours: str
    third: int | None = None


def name_table(config: SynchformerConfig, layout: Layout) -> list[Entry]:
    """Every tensor of the published model with the given configuration, but for `UNUSED`."""
    table = [
        *_prefixed(_video(config), VIDEO_PREFIX[layout], "video_encoder."),
        *_prefixed(_audio(config), AUDIO_PREFIX[layout], "audio_encoder."),
    ]
    if layout == "avclip":
        return [*table, Entry("logit_scale", "temperature")]
    return [*table, *_prefixed(_sync(config), "", "synchronizer.")]


def from_published(
    state: Mapping[str, Tensor], config: SynchformerConfig, layout: Layout = "sync"
) -> dict[str, Tensor]:
    """Rename a published state to ours; `UNUSED` tensors are dropped, nothing else is.

    Args:
        state: tensors by their published names, with or without `module.` in front.
        config: sizes that the tensors must have.
        layout: "sync" for stage II and synchronizability, "avclip" for stage I.

    Raises:
        ValueError: when tensors are missing, unknown, given twice or of another shape; names them. A position table
            of another length is refused too: the published code cuts it silently when fine-tuning.
    """
    bare = {name.removeprefix("module."): value for name, value in state.items()}
    table = name_table(config, layout)
    shapes = published_shapes(config, layout)
    dropped = {VIDEO_PREFIX[layout] + name for name in UNUSED}
    wrong = [name for name in shapes if name in bare and bare[name].shape != shapes[name]]
    _refuse(
        {
            "missing": [name for name in shapes if name not in bare],
            "unknown": [name for name in bare if name not in shapes and name not in dropped],
            "given twice, with and without 'module.'": [name for name in state if f"module.{name}" in state],
            "of another shape": [f"{name} {tuple(bare[name].shape)}, not {tuple(shapes[name])}" for name in wrong],
        }
    )
    parts: dict[str, list[Tensor]] = {}
    for entry in table:  # query, key and value follow each other in the table
        parts.setdefault(entry.ours, []).append(bare[entry.published])
    return {name: values[0] if len(values) == 1 else torch.cat(values) for name, values in parts.items()}


def to_published(state: Mapping[str, Tensor], config: SynchformerConfig, layout: Layout = "sync") -> dict[str, Tensor]:
    """Rename our state to the published names; the `UNUSED` tensors are filled with zeros."""
    patch = config.patch_size
    shapes = {UNUSED[0]: (config.dim, 3, patch, patch), UNUSED[1]: (config.dim,)}
    named = {VIDEO_PREFIX[layout] + name: torch.zeros(shape) for name, shape in shapes.items()}
    for entry in name_table(config, layout):
        value = state[entry.ours]
        named[entry.published] = value if entry.third is None else value.chunk(3)[entry.third].clone()
    return named


def expected_shapes(config: SynchformerConfig, layout: Layout) -> dict[str, torch.Size]:
    """Our names and shapes, without allocating any weights."""
    with torch.device("meta"):
        model: nn.Module = Synchformer(config) if layout == "sync" else SegmentAVCLIP(config)
    return {name: value.shape for name, value in model.state_dict().items()}


def published_shapes(config: SynchformerConfig, layout: Layout) -> dict[str, torch.Size]:
    """Published names and the shapes that they must have, but for `UNUSED`."""
    whole = expected_shapes(config, layout)
    shapes = {}
    for entry in name_table(config, layout):
        shape = whole[entry.ours]
        shapes[entry.published] = shape if entry.third is None else torch.Size([shape[0] // 3, *shape[1:]])
    return shapes


def _refuse(problems: Mapping[str, list[str]]) -> None:
    listed = [_complaint(what, names) for what, names in problems.items() if names]
    if listed:
        raise ValueError("; ".join(listed))


def _complaint(what: str, names: list[str]) -> str:
    subject = "1 tensor is" if len(names) == 1 else f"{len(names)} tensors are"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{subject} {what}: {', '.join(names[:SHOWN])}{more}"


def _prefixed(entries: Iterator[Entry], published: str, ours: str) -> Iterator[Entry]:
    for entry in entries:
        yield Entry(published + entry.published, ours + entry.ours, entry.third)


def _pair(published: str, ours: str) -> Iterator[Entry]:
    yield Entry(f"{published}.weight", f"{ours}.weight")
    yield Entry(f"{published}.bias", f"{ours}.bias")


def _fused(published: str, ours: str) -> Iterator[Entry]:
    for kind in ("weight", "bias"):
        for third, name in enumerate(("query", "key", "value")):
            yield Entry(f"{published}.{name}.{kind}", f"{ours}.{kind}", third)


def _pairs(names: Mapping[str, str], published: str = "", ours: str = "") -> Iterator[Entry]:
    for theirs, own in names.items():
        yield from _pair(published + theirs, ours + own)


def _aggregator(name: str) -> Iterator[Entry]:
    yield Entry(f"{name}.cls_token", "aggregator.token")
    yield Entry(f"{name}.self_attn.in_proj_weight", "aggregator.block.attn.qkv.weight")
    yield Entry(f"{name}.self_attn.in_proj_bias", "aggregator.block.attn.qkv.bias")
    names = {
        "self_attn.out_proj": "attn.proj",
        "linear1": "mlp.fc1",
        "linear2": "mlp.fc2",
        "norm1": "norm1",
        "norm2": "norm2",
    }
    yield from _pairs(names, f"{name}.", "aggregator.block.")


def _video(config: SynchformerConfig) -> Iterator[Entry]:
    yield Entry("cls_token", "class_token")
    yield Entry("pos_embed", "space_position")
    yield Entry("temp_embed", "time_position")
    yield from _pairs({"patch_embed_3d.proj": "patch_embedding", "norm": "norm"})
    names = {
        "norm3": "time_norm", "timeattn.qkv": "time_attention.qkv", "timeattn.proj": "time_attention.proj",
        "norm1": "space_norm", "attn.qkv": "space_attention.qkv", "attn.proj": "space_attention.proj",
        "norm2": "mlp_norm", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
    }  # fmt: skip
    for index in range(config.video_depth):
        yield from _pairs(names, f"blocks.{index}.", f"blocks.{index}.")
    yield from _aggregator("spatial_attn_agg")


def _audio(config: SynchformerConfig) -> Iterator[Entry]:
    yield Entry("ast.embeddings.cls_token", "class_token")
    yield Entry("ast.embeddings.distillation_token", "distillation_token")
    yield Entry("ast.embeddings.position_embeddings", "position")
    yield from _pairs({"ast.embeddings.patch_embeddings.projection": "patch_embedding", "ast.layernorm": "norm"})
    names = {
        "attention.output.dense": "attn.proj", "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
        "layernorm_before": "norm1", "layernorm_after": "norm2",
    }  # fmt: skip
    for index in range(config.audio_depth):
        yield from _fused(f"ast.encoder.layer.{index}.attention.attention", f"blocks.{index}.attn.qkv")
        yield from _pairs(names, f"ast.encoder.layer.{index}.", f"blocks.{index}.")
    yield from _aggregator("freq_attn_agg")


def _sync(config: SynchformerConfig) -> Iterator[Entry]:
    yield from _pairs({"vproj": "video_projection", "aproj": "audio_projection"})
    yield Entry("transformer.OFF_tok", "class_token")
    yield Entry("transformer.MOD_tok", "separator")
    yield Entry("transformer.pos_emb_cfg.pos_emb", "position")
    outer = {"vis_in_lnorm": "video_norm", "aud_in_lnorm": "audio_norm", "ln_f": "norm", HEADS[config.head]: "head"}
    yield from _pairs(outer, "transformer.")
    names = {"ln1": "norm1", "ln2": "norm2", "attn.proj": "attn.proj", "mlp.0": "mlp.fc1", "mlp.2": "mlp.fc2"}
    for index in range(config.sync_depth):
        yield from _fused(f"transformer.blocks.{index}.attn", f"blocks.{index}.attn.qkv")
        yield from _pairs(names, f"transformer.blocks.{index}.", f"blocks.{index}.")
