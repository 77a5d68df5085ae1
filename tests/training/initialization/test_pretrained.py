"""Encoders that start from AST's and Motionformer's files, made here in their layouts."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from synchformer.checkpoints.published_names import to_published
from synchformer.checkpoints.safe_tensors import CheckpointError
from synchformer.config import MINI
from synchformer.modeling.audio_spectrogram_transformer import AudioEncoder
from synchformer.modeling.motionformer import VideoEncoder
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from training.initialization.pretrained import load_ast, load_motionformer

TINY = replace(MINI, name="tiny", dim=32, heads=2, video_depth=2, audio_depth=2, image_size=32, short_side=36)


def source():
    """A model to write files from, and its tensors by their published names."""
    torch.manual_seed(1)
    model = SegmentAVCLIP(TINY)
    return model, to_published(model.state_dict(), TINY, "avclip")


@pytest.fixture
def ast_file(tmp_path):
    """Hugging Face's `ASTForAudioClassification`: a longer position table and a classifier, no aggregator."""
    model, state = source()
    prefix = "a_encoder.ast."
    tensors = {
        "audio_spectrogram_transformer." + name.removeprefix(prefix): value.contiguous().clone()
        for name, value in state.items()
        if name.startswith(prefix)
    }
    table = "audio_spectrogram_transformer.embeddings.position_embeddings"
    tensors[table] = torch.cat([tensors[table], torch.randn(1, 100, 32)], 1)
    tensors |= {"classifier.dense.weight": torch.zeros(527, 32), "classifier.layernorm.weight": torch.zeros(32)}
    save_file(tensors, tmp_path / "model.safetensors")
    return model, tmp_path / "model.safetensors"


@pytest.mark.parametrize("folder", [True, False])
def test_ast(ast_file, folder):
    model, path = ast_file
    torch.manual_seed(2)
    encoder = AudioEncoder(TINY)
    own = encoder.aggregator.token.clone()
    assert load_ast(path.parent if folder else path, encoder) == []
    assert torch.equal(encoder.position, model.audio_encoder.position), "its first rows"
    assert torch.equal(encoder.blocks[1].attn.qkv.weight, model.audio_encoder.blocks[1].attn.qkv.weight)
    assert torch.equal(encoder.aggregator.token, own), "the file has none"
    encoder.aggregator = model.audio_encoder.aggregator
    mel = torch.randn(2, 128, 66)
    assert torch.equal(encoder.eval()(mel), model.audio_encoder.eval()(mel))


def motionformer_file(path, **changes):
    model, state = source()
    prefix = "v_encoder."
    tensors = {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix) and "spatial_attn_agg" not in name
    }
    tensors |= {"head.weight": torch.zeros(174, 32), "head.bias": torch.zeros(174), **changes}
    torch.save({"epoch": 34, "model_state": tensors, "optimizer_state": {"lr": 1e-4}, "cfg": "TRAIN: ..."}, path)
    return model


def test_motionformer(tmp_path):
    model = motionformer_file(tmp_path / "ssv2.pyth", surprise=torch.zeros(1))
    torch.manual_seed(2)
    encoder = VideoEncoder(TINY)
    assert load_motionformer(tmp_path / "ssv2.pyth", encoder) == ["surprise"]
    encoder.aggregator = model.video_encoder.aggregator
    frames = torch.randn(2, 16, 3, 32, 32)
    assert torch.equal(encoder.eval()(frames), model.video_encoder.eval()(frames))


def test_files_that_do_not_fit_are_sentences(tmp_path, ast_file):
    with pytest.raises(CheckpointError, match=r"does not fit 'wide'.*choose its --preset"):
        load_ast(ast_file[1], AudioEncoder(replace(TINY, name="wide", dim=64)))
    with pytest.raises(CheckpointError, match=r"lacks \d+ of \d+ tensors, such as"):
        load_motionformer(ast_file[1], VideoEncoder(TINY))
    with pytest.raises(CheckpointError, match=r"download https://dl\.fbaipublicfiles\.com"):
        load_motionformer(tmp_path / "none.pyth", VideoEncoder(TINY))
