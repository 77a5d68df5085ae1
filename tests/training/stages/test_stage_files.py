"""Training that goes on from files: of stage I, ours and published, and of stage II."""

import pytest
import torch

from synchformer.checkpoints.registry import load_avclip, load_model, load_stage
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from tests.support.published import published_state, save_with_settings, tiny_model
from tests.support.runs import TINY
from training import run
from training.stages.assemble import stage_state

SIZES = ["--count", "2", "--held-out", "2", "--workers", "0", "--device", "cpu", "--precision", "fp32", "--steps", "1"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder in which stage I was trained for a step, and its file."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(run.PRESETS, "mini", TINY)
        assert run.main(["avclip", "--out", str(out), *SIZES, "--batch", "1", "--valid-crops", "1"]) == 0
        assert run.main(["export", "--out", str(out), "--of", "avclip", "--to", str(out / "stage1.safetensors")]) == 0
    return out, out / "stage1.safetensors"


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(run.PRESETS, "mini", TINY)


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_stage_1_is_written_and_read_back(begun):
    out, file = begun
    kept = stage_state(out, "avclip")["model"]
    found = load_avclip(file, "cpu").state_dict()
    assert {f"avclip.{name}" for name in found} <= set(kept), "the training-only heads are left out"
    assert same(found, {name: kept[f"avclip.{name}"].half().float() for name in found})
    assert same(load_stage(file, "cpu").state_dict(), found)


def test_stage_2_on_the_encoders_of_a_stage_1_file(begun, tmp_path):
    _, file = begun
    command = ["--out", str(tmp_path), *SIZES, "--batch", "2", "--valid-crops", "2", "--init", str(file)]
    assert run.main(["sync", *command]) == 0
    assert run.main(["export", "--out", str(tmp_path), "--to", str(tmp_path / "model.safetensors")]) == 0
    whole, avclip = load_model(tmp_path / "model.safetensors", "cpu"), load_avclip(file, "cpu")
    for name in ("video_encoder", "audio_encoder"):
        assert same(getattr(whole, name).state_dict(), getattr(avclip, name).state_dict()), "frozen"


@pytest.mark.parametrize("stage", ["unimodal", "avclip"])
def test_earlier_stages_begin_at_a_stage_1_file(begun, tmp_path, stage):
    """With a learning rate of nearly nothing, what is saved is what was read."""
    _, file = begun
    command = [stage, "--out", str(tmp_path), *SIZES, "--batch", "1", "--lr", "1e-12", "--weight-decay", "0"]
    crops = ["--valid-crops", "1"] if stage == "avclip" else []
    assert run.main([*command, *crops, "--init", str(file)]) == 0
    kept, found = stage_state(tmp_path, stage)["model"], load_avclip(file, "cpu").state_dict()
    prefix = "avclip." if stage == "avclip" else ""
    names = [name for name in found if name != "temperature" or stage == "avclip"]
    assert all(torch.allclose(kept[f"{prefix}{name}"], found[name], atol=1e-8) for name in names)


def test_synchronizability_needs_stage_2(begun, tmp_path, capsys):
    _, file = begun
    assert run.main(["synchronizability", "--out", str(tmp_path), *SIZES, "--batch", "1", "--init", str(file)]) == 1
    assert "is stage I" in capsys.readouterr().err


def test_a_published_stage_1_file_of_other_sizes_is_a_sentence(tmp_path, capsys):
    file = save_with_settings(tmp_path / "epoch_best.pt", "stage I", published_state(tiny_model(SegmentAVCLIP)))
    assert run.main(["sync", "--out", str(tmp_path), *SIZES, "--batch", "1", "--init", str(file)]) == 1
    assert "does not fit" in capsys.readouterr().err
