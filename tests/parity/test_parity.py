"""The published implementation's numbers, reproduced; `fixtures/README.md` says where they come from.

Sharp fixtures see the order of tokens, plain ones the scale of everything else. Tests named `..._notices_...` prove
that a mistake would not pass. Features are compared relative to the largest one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from synchformer.checkpoints.published_names import Layout, from_published, name_table
from synchformer.config import BASE, MINI
from synchformer.media.preprocess import mel_spectrogram, normalize_frames
from synchformer.modeling.audio_spectrogram_transformer import AudioEncoder
from synchformer.modeling.layers import DividedBlock
from synchformer.modeling.motionformer import VideoEncoder
from synchformer.modeling.segment_avclip import SegmentAVCLIP, match_windows, window_precision
from synchformer.modeling.synchformer import Synchformer
from synchformer.modeling.synchronizer import SynchronizationModule
from tests.support.parity_formulas import bursts, center_square, half_rounded, moving_pattern, weight
from tests.support.paths import FIXTURES

SHAPES = json.loads((FIXTURES / "published_shapes.json").read_text())
STAGE1, STAGE2, FEATURES = (np.load(FIXTURES / f"{name}.npz") for name in ("stage1", "stage2", "features_in0"))
PLAIN, SHARP, RELATIVE = 2e-5, 1e-3, 1e-4
SYNCHRONIZABILITY = BASE.with_head("synchronizability")
Part = TypeVar("Part", bound=nn.Module)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def video_encoder() -> VideoEncoder:
    return filled(VideoEncoder, "video_encoder.", "sync")


@pytest.fixture(scope="module")
def audio_encoder() -> AudioEncoder:
    return filled(AudioEncoder, "audio_encoder.", "sync")


@pytest.fixture(scope="module")
def synchronizer() -> SynchronizationModule:
    return filled(SynchronizationModule, "synchronizer.", "sync")


@pytest.fixture
def sharp(synchronizer: SynchronizationModule) -> Iterator[SynchronizationModule]:
    """The same module with query and key weights times 8, put back afterwards (a power of two loses nothing)."""
    for block in synchronizer.blocks:
        block.attn.qkv.weight[: 2 * BASE.sync_dim] *= 8
    yield synchronizer
    for block in synchronizer.blocks:
        block.attn.qkv.weight[: 2 * BASE.sync_dim] /= 8


@pytest.fixture(scope="module")
def features() -> tuple[Tensor, Tensor]:
    """All stored features of input 0, as a batch of one."""
    return torch.from_numpy(FEATURES["video"])[None], torch.from_numpy(FEATURES["audio"])[None]


# Inputs


@pytest.mark.parametrize("variant", [0, 1])
def test_formulas_give_the_inputs_that_the_published_code_saw(variant: int) -> None:
    frames = hashlib.sha256()
    for first in range(0, 125, 25):
        frames.update(moving_pattern(variant, first, first + 25).tobytes())
    assert frames.hexdigest() == STAGE2[f"in{variant}_rgb_sha256"].item()
    assert hashlib.sha256(bursts(variant, 80_000).tobytes()).hexdigest() == STAGE2[f"in{variant}_audio_sha256"].item()


@pytest.mark.parametrize("variant", [0, 1])
def test_spectrograms(variant: int) -> None:
    mel = spectrograms(variant, [0, 13])
    for index, segment in enumerate((0, 13)):
        assert distance(mel[index], STAGE2[f"in{variant}_mel{segment}"]) < 1e-4


# Stage II


def test_video_features(video_encoder: VideoEncoder) -> None:
    found = video_encoder(torch.cat([segments(0, [0]), segments(1, [13])]))
    assert distance(found[0], FEATURES["video"][0], relative=True) < RELATIVE
    assert distance(found[1, :, :32], STAGE2["in1_v_slice"][13], relative=True) < RELATIVE
    assert distance(found[1].norm(dim=-1), STAGE2["in1_v_norm"][13], relative=True) < RELATIVE


def test_video_features_notice_the_order_of_attention(
    video_encoder: VideoEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def space_first(block: DividedBlock, tokens: Tensor, frames: int) -> Tensor:
        tokens = tokens + block.space_attention(block.space_norm(tokens), "space", frames)
        tokens = tokens + block.time_attention(block.time_norm(tokens), "time", frames)
        return tokens + block.mlp(block.mlp_norm(tokens))

    monkeypatch.setattr(DividedBlock, "forward", space_first)
    assert distance(video_encoder(segments(0, [0]))[0], FEATURES["video"][0], relative=True) > 100 * RELATIVE


def test_audio_features(audio_encoder: AudioEncoder) -> None:
    chosen = [0, 5, 13]
    found = audio_encoder(spectrograms(0, chosen))
    assert distance(found, FEATURES["audio"][chosen], relative=True) < RELATIVE
    found = audio_encoder(spectrograms(1, [7]))
    assert distance(found[..., :32], STAGE2["in1_a_slice"][[7]], relative=True) < RELATIVE


def test_audio_features_notice_a_wrong_patch_order(audio_encoder: AudioEncoder) -> None:
    kept = audio_encoder.position.clone()
    grid = kept[:, 2:].unflatten(1, (BASE.audio_bands, BASE.audio_steps))
    try:  # the table read moment by moment instead of band by band
        audio_encoder.position[:, 2:] = grid.transpose(1, 2).flatten(1, 2)
        found = audio_encoder(spectrograms(0, [0]))
    finally:
        audio_encoder.position.copy_(kept)
    assert distance(found[0], FEATURES["audio"][0], relative=True) > 100 * RELATIVE


def test_plain_logits(synchronizer: SynchronizationModule, features: tuple[Tensor, Tensor]) -> None:
    assert distance(synchronizer(*features)[0], STAGE2["in0_logits"]) < PLAIN
    assert distance(synchronizer.encode(*features)[0], STAGE2["in0_class_token"], relative=True) < RELATIVE


def test_plain_logits_notice_a_wrong_layer_norm(
    synchronizer: SynchronizationModule, features: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in synchronizer.modules():
        if isinstance(module, nn.LayerNorm):
            monkeypatch.setattr(module, "eps", 1e-6)
    assert distance(synchronizer(*features)[0], STAGE2["in0_logits"]) > 2 * PLAIN


def test_sharp_logits(sharp: SynchronizationModule, features: tuple[Tensor, Tensor]) -> None:
    assert distance(sharp(*features)[0], STAGE2["in0_sharp_logits"]) < SHARP
    assert distance(sharp.encode(*features)[0], STAGE2["in0_sharp_class_token"]) < SHARP


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda video, audio: (video, audio.roll(1, 1)), id="audio segments rolled"),
        pytest.param(lambda video, audio: (video, audio.flip(1)), id="audio segments reversed"),
        pytest.param(lambda video, audio: (video, audio.flip(2)), id="audio tokens reversed in a segment"),
        pytest.param(lambda video, audio: (video.roll(1, 2), audio), id="video tokens rolled in a segment"),
    ],
)
def test_sharp_logits_notice_the_order_of_tokens(change, sharp, features) -> None:
    assert distance(sharp(*change(*features))[0], STAGE2["in0_sharp_logits"]) > 0.3


def test_synchronizability_logits(features: tuple[Tensor, Tensor]) -> None:
    module = filled(SynchronizationModule, "synchronizer.", "sync", "synchronizability")
    video, audio = (stream[:, : SYNCHRONIZABILITY.segments] for stream in features)
    assert distance(module(video, audio)[0], STAGE2["in0_synchronizability_logits"]) < PLAIN
    token = STAGE2["in0_synchronizability_class_token"]
    assert distance(module.encode(video, audio)[0], token, relative=True) < RELATIVE


# Stage I


def test_stage1_video_embedding() -> None:
    encoder = filled(VideoEncoder, "video_encoder.", "avclip")
    first = int(STAGE1["frames"][0])
    frames = normalize_frames(center_square(moving_pattern(0, first, first + BASE.segment_frames)))  # no half rounding
    embedding = normalize(encoder(frames[None]).mean(1), dim=-1)
    assert distance(embedding[0], STAGE1["video0"], relative=True) < RELATIVE


def test_stage1_audio_embeddings() -> None:
    encoder = filled(AudioEncoder, "audio_encoder.", "avclip")
    wave, starts = torch.from_numpy(bursts(0, 160_000)), STAGE1["samples"][[0, 6, 13]]
    mel = mel_spectrogram(torch.stack([wave[start : start + BASE.segment_samples] for start in starts]), BASE)
    embeddings = normalize(encoder(mel).mean(1), dim=-1)
    assert distance(embeddings[0], STAGE1["audio0"], relative=True) < RELATIVE
    assert distance(embeddings[:, :64], STAGE1["audio_slice"][[0, 6, 13]], relative=True) < RELATIVE


@pytest.mark.parametrize(
    ("stored", "chosen", "temperature"),
    [
        pytest.param("loss", range(28), 0.07, id="two clips of 14 segments"),
        pytest.param("loss_first4", [*range(4), *range(14, 18)], 0.07, id="two clips of 4 segments"),
        pytest.param("loss_coldest", range(28), 1e-9, id="temperature clamped to 0.001"),
    ],
)
def test_stage1_loss(stored: str, chosen, temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    cosines = torch.from_numpy(STAGE1["similarity"])[list(chosen)][:, list(chosen)] * 0.07
    model = SegmentAVCLIP(MINI)
    model.temperature.fill_(temperature)
    monkeypatch.setattr(model, "embed", lambda frames, mel: (torch.eye(len(cosines)), cosines.T))
    loss = model.contrastive_loss(torch.empty(0), torch.empty(0))
    assert loss.item() == pytest.approx(STAGE1[stored].item(), abs=PLAIN)


def test_stage1_windows() -> None:
    # Embeddings whose products are the stored similarities: unit vectors on one side, columns on the other.
    blocks = torch.from_numpy(np.stack([STAGE1["similarity"][i : i + 14, i : i + 14] for i in (0, 14)]))
    video, audio = torch.eye(14).expand(2, -1, -1), blocks.mT
    heard, seen = match_windows(video, audio)
    assert heard.tolist() == STAGE1["heard_for_seen"].tolist()
    assert seen.tolist() == STAGE1["seen_for_heard"].tolist()
    assert distance(window_precision(video, audio), STAGE1["precision"]) < 1e-6


# Everything at once


@pytest.mark.slow
def test_whole_model_from_published_names() -> None:
    """Input 1 from frames and samples to logits, through a full state dict in the published layout."""
    state = {name: weight(name, shape) for name, shape in SHAPES["sync"].items()}
    with torch.device("meta"):
        model = Synchformer(BASE).eval()
    model.load_state_dict(from_published(state, BASE), assign=True)
    del state
    video, audio = (
        model.encode_video(segments(1, range(BASE.segments))[None]),
        model.encode_audio(spectrograms(1, range(BASE.segments))[None]),
    )
    for stream, found in (("v", video[0]), ("a", audio[0])):
        assert distance(found[..., :32], STAGE2[f"in1_{stream}_slice"], relative=True) < RELATIVE
        assert distance(found.norm(dim=-1), STAGE2[f"in1_{stream}_norm"], relative=True) < RELATIVE
    assert distance(model.synchronize(video, audio)[0], STAGE2["in1_logits"]) < PLAIN
    for block in model.synchronizer.blocks:
        block.attn.qkv.weight[: 2 * BASE.sync_dim] *= 8
    assert distance(model.synchronize(video, audio)[0], STAGE2["in1_sharp_logits"]) < SHARP


# Helpers


def filled(kind: type[Part], prefix: str, layout: Layout, head: str = "offset") -> Part:
    """One part of the model with weights by formula; the other parts are never made."""
    config = BASE if head == "offset" else SYNCHRONIZABILITY
    shapes = SHAPES[head if head == "synchronizability" else layout]
    pieces: dict[str, list[Tensor]] = {}
    for entry in name_table(config, layout):
        if entry.ours.startswith(prefix):
            values = weight(entry.published, shapes[entry.published])
            pieces.setdefault(entry.ours.removeprefix(prefix), []).append(values)
    with torch.device("meta"):
        part = kind(config)
    state = {name: values[0] if len(values) == 1 else torch.cat(values) for name, values in pieces.items()}
    part.load_state_dict(state, assign=True)
    return part.requires_grad_(False).eval()


def segments(variant: int, chosen) -> Tensor:
    """Model input of the chosen segments, (N, 16, 3, 224, 224), rounded to half precision as published."""
    starts = [BASE.segment_starts[index] for index in chosen]
    length = BASE.segment_frames
    return torch.stack(
        [half_rounded(center_square(moving_pattern(variant, start, start + length))) for start in starts]
    )


def spectrograms(variant: int, chosen) -> Tensor:
    """Spectrograms of the chosen segments, (N, 128, 66)."""
    wave = torch.from_numpy(bursts(variant, BASE.crop_samples))
    starts = [BASE.segment_starts[index] * BASE.samples_per_frame for index in chosen]
    return mel_spectrogram(torch.stack([wave[start : start + BASE.segment_samples] for start in starts]), BASE)


def distance(found: Tensor, stored, relative: bool = False) -> float:
    """Largest absolute difference, over the largest stored value when `relative`."""
    truth = np.asarray(stored)
    assert tuple(found.shape) == truth.shape
    largest = float(np.abs(found.numpy().astype(np.float64) - truth).max())
    return largest / float(np.abs(truth).max()) if relative else largest
