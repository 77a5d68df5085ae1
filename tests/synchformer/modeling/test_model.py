"""The model's parts against independent implementations and against what the paper says they see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from einops import rearrange
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from synchformer import BASE, MINI, SegmentAVCLIP, Synchformer, SynchformerConfig
from synchformer.modeling.audio_spectrogram_transformer import AudioEncoder
from synchformer.modeling.layers import Aggregator, DividedAttention
from synchformer.modeling.motionformer import VideoEncoder
from synchformer.modeling.segment_avclip import match_windows, window_precision

SMALL = replace(MINI, dim=24, heads=2, sync_dim=16, sync_heads=2, video_depth=2, audio_depth=2, sync_depth=1)
STILL = replace(SMALL, video_depth=0, audio_depth=0)  # without layers no token hears of another


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def clip(config: SynchformerConfig, count: int = 1) -> tuple[Tensor, Tensor]:
    size = (count, config.segments, config.segment_frames, 3, config.image_size, config.image_size)
    return torch.rand(size) * 2 - 1, torch.randn(count, config.segments, config.mel_bins, config.mel_frames)


# Shapes and sizes


@pytest.mark.parametrize("head", ["offset", "synchronizability"])
@torch.no_grad()
def test_shapes(head) -> None:
    config = SMALL.with_head(head)
    model = Synchformer(config)
    frames, mel = clip(config, 2)
    video, audio = model.encode_video(frames), model.encode_audio(mel)
    assert video.shape == (2, config.segments, 8, 24)
    assert audio.shape == (2, config.segments, 6, 24)
    logits = model.synchronize(video, audio)
    assert logits.shape == (2, config.classes)
    assert torch.equal(model(frames, mel), logits)


def test_parameter_counts() -> None:
    with torch.device("meta"):
        counts = {config.name: sum(p.numel() for p in Synchformer(config).parameters()) for config in (BASE, MINI)}
    assert counts == {"base": 237_460_245 - 590_592, "mini": 2_688_021}


def test_layer_norms_have_the_published_epsilons() -> None:
    with torch.device("meta"):
        model = Synchformer(BASE)
    found = {
        name: {module.eps for module in part.modules() if isinstance(module, nn.LayerNorm)}
        for name, part in {
            "video": nn.ModuleList([model.video_encoder.blocks, model.video_encoder.norm]),
            "audio": nn.ModuleList([model.audio_encoder.blocks, model.audio_encoder.norm]),
            "aggregators": nn.ModuleList([model.video_encoder.aggregator, model.audio_encoder.aggregator]),
            "synchronizer": model.synchronizer,
        }.items()
    }
    assert found == {"video": {1e-6}, "audio": {1e-12}, "aggregators": {1e-6}, "synchronizer": {1e-5}}


# Layers


def test_divided_attention_is_masked_full_attention() -> None:
    attention, frames, places = DividedAttention(12, 3), 4, 5
    tokens = torch.randn(2, 1 + frames * places, 12)
    moment = torch.arange(frames).repeat_interleave(places)
    place = torch.arange(places).repeat(frames)
    q, k, v = rearrange(attention.qkv(tokens), "N m (s h d) -> s N h m d", s=3, h=3)
    for pattern, group in (("time", place), ("space", moment)):
        sees = torch.ones(1 + frames * places, 1 + frames * places, dtype=torch.bool)  # the class token and to it: all
        sees[1:, 1:] = group[:, None] == group
        dense = rearrange(scaled_dot_product_attention(q, k, v, attn_mask=sees), "N h m d -> N m (h d)")
        torch.testing.assert_close(attention(tokens, pattern, frames), attention.proj(dense))


def test_aggregator_is_torch_s_encoder_layer_on_a_prepended_token() -> None:
    ours = Aggregator(16, heads=4, mlp_ratio=2)
    theirs = nn.TransformerEncoderLayer(
        16, 4, 32, dropout=0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    )
    block = ours.block
    theirs.self_attn.in_proj_weight, theirs.self_attn.in_proj_bias = block.attn.qkv.weight, block.attn.qkv.bias
    theirs.self_attn.out_proj.weight, theirs.self_attn.out_proj.bias = block.attn.proj.weight, block.attn.proj.bias
    theirs.linear1, theirs.linear2 = block.mlp.fc1, block.mlp.fc2
    tokens = torch.randn(3, 7, 16)
    expected = theirs(torch.cat([ours.token.expand(3, -1, -1), tokens], 1))[:, 0]
    torch.testing.assert_close(ours(tokens), expected)


# What a feature sees


@torch.no_grad()
def test_a_video_feature_is_of_its_own_two_frames() -> None:
    encoder = VideoEncoder(STILL)
    frames = clip(STILL)[0][0, :1]
    changed = frames.clone()
    changed[:, 6:8] = 0
    assert differing(encoder(frames), encoder(changed)) == [3]


@torch.no_grad()
def test_an_audio_feature_is_of_its_own_columns() -> None:
    encoder = AudioEncoder(STILL)
    mel = clip(STILL)[1][0, :1]
    for columns, expected in (((0, 10), [0]), ((10, 16), [0, 1]), ((26, 30), [2]), ((60, 66), [5])):
        changed = mel.clone()
        changed[:, :, slice(*columns)] = 0
        assert differing(encoder(mel), encoder(changed)) == expected


@torch.no_grad()
def test_segments_are_encoded_independently() -> None:
    model = Synchformer(SMALL).eval()
    frames, mel = clip(SMALL)
    torch.testing.assert_close(model.encode_video(frames)[:, 3], model.encode_video(frames[:, 3:4])[:, 0])
    torch.testing.assert_close(model.encode_audio(mel)[:, 3], model.encode_audio(mel[:, 3:4])[:, 0])


@torch.no_grad()
def test_layers_spread_what_happens_over_the_segment() -> None:
    encoder = VideoEncoder(SMALL)
    frames = clip(SMALL)[0][0, :1]
    changed = frames.clone()
    changed[:, 0] = 0
    assert differing(encoder(frames), encoder(changed)) == list(range(8))


# Start of training


def test_a_fresh_model_sees_its_input() -> None:
    """The published code starts its 3-D patch layer and its table of moments at zero; ours does not."""
    model = Synchformer(SMALL)
    frames, mel = (stream.requires_grad_() for stream in clip(SMALL))
    model(frames, mel).square().sum().backward()
    for stream in (frames, mel):
        assert stream.grad is not None
        assert (stream.grad.flatten(2).abs().amax(2) > 0).all()  # every segment
    assert all(parameter.grad is not None for parameter in model.parameters())
    tables = [value for name, value in model.named_parameters() if value.ndim > 1]
    assert all(table.std() > 1e-3 for table in tables)


def test_positions_of_the_synchronization_module_start_from_a_standard_normal() -> None:
    position = Synchformer(MINI).synchronizer.position
    assert position.shape == (1, 198, 128)
    assert position.mean().abs() < 0.03
    assert abs(position.std() - 1) < 0.03


# Hugging Face Hub


def test_hub_folder_gives_the_same_model(tmp_path: Path) -> None:
    config = SMALL.with_head("synchronizability")
    model = Synchformer(config).eval()
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"config.json", "model.safetensors"}
    loaded = Synchformer.from_pretrained(tmp_path)
    assert isinstance(loaded.config, SynchformerConfig)
    assert loaded.config == config
    assert not loaded.training
    state = model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())


def test_hub_folder_with_tensors_missing_is_refused(tmp_path: Path) -> None:
    Synchformer(SMALL).save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["synchronizer.head.bias"]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(RuntimeError, match=r"synchronizer\.head\.bias"):
        Synchformer.from_pretrained(tmp_path)


def test_hub_configuration_is_readable(tmp_path: Path) -> None:
    Synchformer(SMALL).save_pretrained(tmp_path)
    assert SynchformerConfig.from_dict(json.loads((tmp_path / "config.json").read_text())) == SMALL


# Stage I


@torch.no_grad()
def test_avclip_embeddings_are_unit_means() -> None:
    model = SegmentAVCLIP(SMALL).eval()
    frames, mel = clip(SMALL, 2)
    video, audio = model.embed(frames, mel)
    assert video.shape == audio.shape == (2 * SMALL.segments, SMALL.dim)
    torch.testing.assert_close(video.norm(dim=1), torch.ones(len(video)))
    mean = model.audio_encoder(mel[1, 4:5]).mean(1)[0]
    torch.testing.assert_close(audio[SMALL.segments + 4], mean / mean.norm())
    torch.testing.assert_close(model(frames, mel), video @ audio.T / 0.07)


@pytest.mark.parametrize(("given", "clamped"), [(3.0, 0.5), (-1.0, 0.001), (0.2, 0.2)])
def test_avclip_temperature_is_clamped_in_place_and_learns(given: float, clamped: float) -> None:
    config = replace(SMALL, segments=2)
    model = SegmentAVCLIP(config)
    assert model.temperature.item() == pytest.approx(0.07)
    model.temperature.data.fill_(given)
    model.contrastive_loss(*clip(config)).backward()
    assert model.temperature.item() == pytest.approx(clamped)
    assert model.temperature.grad is not None
    assert model.temperature.grad != 0


def test_windows_find_a_known_shift() -> None:
    moments = torch.nn.functional.normalize(torch.randn(2, 16, 32), dim=-1)
    heard, seen = match_windows(moments[:, 2:], moments[:, :-2])  # the video runs two segments ahead
    assert heard[:, :5].tolist() == [[2, 3, 4, 5, 6]] * 2
    assert seen[:, 2:].tolist() == [[0, 1, 2, 3, 4]] * 2
    assert window_precision(moments[:, 2:], moments[:, :-2]).max() < 0.3
    assert window_precision(moments, moments).tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="windows of 8 segments do not fit into 5 segments"):
        match_windows(moments[:, :5], moments[:, :5])


def differing(first: Tensor, second: Tensor) -> list[int]:
    """Moments at which two features (1, t, D) differ."""
    return ((first - second).abs().amax((0, 2)) > 1e-7).nonzero().flatten().tolist()
