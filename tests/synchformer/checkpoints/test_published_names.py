"""Published names and ours: complete, strict, and the same both ways.

The truth is the published code's own list of tensors. Tensors on the "meta" device have shapes but no values, so that
full-size layouts cost nothing.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from synchformer import BASE, MINI
from synchformer.checkpoints.published_names import Layout, expected_shapes, from_published, to_published
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from synchformer.modeling.synchformer import Synchformer
from tests.support.paths import FIXTURES

SHAPES = json.loads((FIXTURES / "published_shapes.json").read_text())
UNUSED_2D_PATCH = 590_592  # in the published files, never run
LAYOUTS: list[tuple[str, Layout, int, int]] = [
    ("sync", "sync", 513, 237_460_245),
    ("synchronizability", "sync", 513, 237_434_882),
    ("avclip", "avclip", 451, 214_841_089),
]
SMALL = replace(MINI, dim=24, heads=2, sync_dim=16, sync_heads=2, video_depth=2, audio_depth=1, sync_depth=2)


def published(stored: str) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in SHAPES[stored].items()}


def config_of(stored: str):
    return BASE.with_head("synchronizability") if stored == "synchronizability" else BASE


def published_small(layout: Layout = "sync") -> dict[str, Tensor]:
    model = Synchformer(SMALL) if layout == "sync" else SegmentAVCLIP(SMALL)
    return to_published(model.state_dict(), SMALL, layout)


@pytest.mark.parametrize(("stored", "layout", "entries", "parameters"), LAYOUTS)
def test_every_published_tensor_has_a_place(stored: str, layout: Layout, entries: int, parameters: int) -> None:
    state = published(stored)
    assert len(state) == entries
    ours = from_published(state, config_of(stored), layout)
    assert {name: value.shape for name, value in ours.items()} == expected_shapes(config_of(stored), layout)
    assert sum(value.numel() for value in ours.values()) == parameters - UNUSED_2D_PATCH


@pytest.mark.parametrize(("stored", "layout", "entries", "parameters"), LAYOUTS)
def test_our_state_written_in_published_names_is_complete(
    stored: str, layout: Layout, entries: int, parameters: int
) -> None:
    config = config_of(stored)
    ours = {name: torch.empty(shape, device="meta") for name, shape in expected_shapes(config, layout).items()}
    written = to_published(ours, config, layout)
    assert {name: list(value.shape) for name, value in written.items()} == SHAPES[stored]
    assert sum(value.numel() for value in written.values()) == parameters
    assert len(written) == entries


@pytest.mark.parametrize("layout", ["sync", "avclip"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_names_survive_the_way_there_and_back(layout: Layout, prefix: str) -> None:
    state = (Synchformer(SMALL) if layout == "sync" else SegmentAVCLIP(SMALL)).state_dict()
    there = {prefix + name: value for name, value in to_published(state, SMALL, layout).items()}
    back = from_published(there, SMALL, layout)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_query_key_and_value_are_joined_in_this_order() -> None:
    state = published_small()
    for value, name in enumerate(("query", "key", "value")):
        state[f"transformer.blocks.1.attn.{name}.bias"] = torch.full((SMALL.sync_dim,), float(value))
    joined = from_published(state, SMALL)["synchronizer.blocks.1.attn.qkv.bias"]
    assert joined.tolist() == [0.0] * 16 + [1.0] * 16 + [2.0] * 16


def test_the_unused_patch_layer_is_dropped_whatever_it_holds() -> None:
    state = published_small()
    reference = from_published(state, SMALL)
    state["vfeat_extractor.patch_embed.proj.weight"] += 5
    assert all(torch.equal(value, reference[name]) for name, value in from_published(state, SMALL).items())
    del state["vfeat_extractor.patch_embed.proj.weight"], state["vfeat_extractor.patch_embed.proj.bias"]
    assert from_published(state, SMALL).keys() == reference.keys()


def test_unused_values_are_zeros_when_written() -> None:
    assert published_small("avclip")["v_encoder.patch_embed.proj.weight"].abs().max() == 0


def test_missing_tensors_are_named() -> None:
    state = published_small()
    del state["vproj.bias"], state["afeat_extractor.ast.encoder.layer.0.attention.attention.key.weight"]
    with pytest.raises(ValueError, match=r"2 tensors are missing: .*attention\.key\.weight, vproj\.bias"):
        from_published(state, SMALL)


def test_unknown_tensors_are_named() -> None:
    state = {**published_small(), "vfeat_extractor.patch_embed.proj.gain": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"1 tensor is unknown: vfeat_extractor\.patch_embed\.proj\.gain$"):
        from_published(state, SMALL)


def test_missing_and_unknown_are_told_together_and_long_lists_are_cut() -> None:
    state = {name: value for name, value in published_small().items() if "vfeat" not in name}
    with pytest.raises(ValueError, match=r"^\d+ tensors are missing: (\S+, ){4}\S+ and \d+ more; 1 tensor is unknown"):
        from_published({**state, "surprise": torch.zeros(1)}, SMALL)


def test_tensors_given_twice_are_named() -> None:
    state = published_small()
    with pytest.raises(ValueError, match=r"1 tensor is given twice, with and without 'module\.': vproj.bias"):
        from_published({**state, "module.vproj.bias": state["vproj.bias"]}, SMALL)


@pytest.mark.parametrize("name", ["transformer.blocks.0.attn.key.weight", "vfeat_extractor.blocks.1.attn.qkv.weight"])
def test_wrong_shapes_are_named_in_published_words(name: str) -> None:
    state = published_small()
    state[name] = state[name][:, 1:]
    found = r"\(\d+, (15|23)\), not \(\d+, (16|24)\)"
    with pytest.raises(ValueError, match=rf"1 tensor is of another shape: {name.replace('.', '[.]')} {found}"):
        from_published(state, SMALL)


def test_a_longer_position_table_is_not_cut_silently() -> None:
    state = published("sync")
    del state["transformer.off_head.weight"], state["transformer.off_head.bias"]
    heads = {name: value for name, value in published("synchronizability").items() if "sync_head" in name}
    with pytest.raises(ValueError, match=r"pos_emb \(1, 198, 768\), not \(1, 184, 768\)"):
        from_published({**state, **heads}, config_of("synchronizability"))


def test_the_other_head_is_refused() -> None:
    with pytest.raises(ValueError, match=r"missing: transformer\.sync_head.*unknown: transformer\.off_head"):
        from_published(published_small(), replace(SMALL, head="synchronizability"))
