"""Names, files and folders of weights turned into models: the same numbers, or a sentence that says what is wrong."""

import json
import re
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from synchformer.checkpoints import registry
from synchformer.checkpoints.experience import experience
from synchformer.checkpoints.registry import (
    CHECKPOINTS,
    Checkpoint,
    describe,
    embedded_weights,
    load_avclip,
    load_model,
    pick_device,
    read_notes,
    read_published,
    save_model,
)
from synchformer.checkpoints.safe_tensors import CheckpointError, read_metadata, read_weights
from synchformer.config import BASE, MINI, SMALL
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from tests.support.paths import FIXTURES
from tests.support.published import (
    TINY,
    assert_same_model,
    plain,
    published_state,
    save_with_settings,
    stage2,
    tiny_model,
)

SHAPES = json.loads((FIXTURES / "published_shapes.json").read_text())
TINY_PAIR = TINY.with_head("synchronizability")


@pytest.fixture
def tiny_sizes(monkeypatch):
    """Published files are taken for tiny ones."""
    monkeypatch.setattr(registry, "BASE", TINY)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class TestPublishedFiles:
    @pytest.mark.parametrize("config", [TINY, TINY_PAIR], ids=["stage II", "synchronizability"])
    @pytest.mark.parametrize("layout", ["stage II", "plain"])
    def test_models(self, tmp_path, tiny_sizes, config, layout):
        model = tiny_model(config=config)
        path = save_with_settings(tmp_path / "file.pt", layout, published_state(model))
        found = load_model(path, "cpu")
        assert_same_model(found, model)
        frames = torch.randn(1, config.segments, config.segment_frames, 3, config.image_size, config.image_size)
        mel = torch.randn(1, config.segments, config.mel_bins, config.mel_frames)
        with torch.no_grad():
            assert torch.equal(found(frames, mel), model(frames, mel))
            path.write_bytes(b"overwritten")  # a model does not hang on its file
            assert torch.equal(found(frames, mel), model(frames, mel))

    @pytest.mark.parametrize("prefix", ["module.", ""])
    def test_stage_one(self, tmp_path, tiny_sizes, prefix):
        model = tiny_model(SegmentAVCLIP)
        state = {prefix + name: value for name, value in published_state(model).items()}
        torch.save({"epoch": 3, "state_dict": state}, tmp_path / "epoch_best.pt")
        assert_same_model(load_avclip(tmp_path / "epoch_best.pt", "cpu"), model)
        with pytest.raises(CheckpointError, match=r"stage I .*without a synchronization module.*load_avclip.*stage II"):
            load_model(tmp_path / "epoch_best.pt")

    def test_stage_two_is_no_stage_one(self, tmp_path, tiny_sizes):
        torch.save(published_state(tiny_model()), tmp_path / "file.pth")
        with pytest.raises(CheckpointError, match=r"file\.pth is no stage I.*load_model"):
            load_avclip(tmp_path / "file.pth")

    @pytest.mark.parametrize(
        ("run", "config", "layout"),
        [
            ("sync", BASE, "sync"),
            ("synchronizability", BASE.with_head("synchronizability"), "sync"),
            ("avclip", BASE, "avclip"),
        ],
    )
    def test_full_size_by_names_and_shapes(self, run, config, layout):
        """Names and shapes of the published implementation, with no numbers in them."""
        tensors = {name: torch.empty(shape, device="meta") for name, shape in SHAPES[run].items()}
        state, found, kind = read_published(tensors, "file.pt")
        assert (found, kind) == (config, layout)
        assert all(value.device.type == "meta" for value in state.values())

    def test_keys_must_match(self, tmp_path, tiny_sizes):
        state = published_state(tiny_model())
        del state["transformer.MOD_tok"]
        state["transformer.surplus"] = torch.ones(1)
        torch.save(stage2(state), tmp_path / "file.pt")
        with pytest.raises(CheckpointError) as caught:
            load_model(tmp_path / "file.pt")
        for word in (str(tmp_path / "file.pt"), "missing: transformer.MOD_tok", "unknown: transformer.surplus"):
            assert word in str(caught.value)

    def test_sizes_must_match(self, tmp_path):
        torch.save(plain(published_state(tiny_model())), tmp_path / "file.pt")
        with pytest.raises(CheckpointError, match=r"file\.pt does not fit"):
            load_model(tmp_path / "file.pt")

    def test_other_models(self, tmp_path):
        torch.save({"conv.weight": torch.ones(3)}, tmp_path / "file.pt")
        with pytest.raises(CheckpointError, match="is no Synchformer checkpoint"):
            load_model(tmp_path / "file.pt")


class TestOurFiles:
    @pytest.mark.parametrize("kind", ["Synchformer", "SegmentAVCLIP"])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
    def test_saved_and_loaded(self, tmp_path, kind, dtype):
        model = tiny_model(getattr(registry, kind)).to(dtype)
        path = save_model(model, tmp_path / "new" / "file.safetensors", {"data": "clips", "hours": "2"})
        assert all(value.dtype == dtype for value in load_file(path).values())
        load = load_model if kind == "Synchformer" else load_avclip
        assert_same_model(load(path, "cpu"), model)
        assert read_notes(path) == {"data": "clips", "hours": "2"}
        assert describe(path) == f"{path}: data clips, hours 2"
        assert [file.name for file in path.parent.iterdir()] == ["file.safetensors"]
        with pytest.raises(CheckpointError, match="stage I"):
            (load_avclip if kind == "Synchformer" else load_model)(path)

    def test_folder_of_save_pretrained(self, tmp_path):
        model = tiny_model()
        model.save_pretrained(tmp_path / "folder")
        assert_same_model(load_model(tmp_path / "folder", "cpu"), model)
        (tmp_path / "folder" / "config.json").unlink()
        with pytest.raises(CheckpointError, match=r"folder lacks config\.json"):
            load_model(tmp_path / "folder")

    def test_a_failed_save_leaves_the_old_file(self, tmp_path, monkeypatch):
        model = tiny_model()
        path = save_model(model, tmp_path / "file.safetensors")

        def full_disk(_, part, __):
            Path(part).write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(registry, "save_file", full_disk)
        with pytest.raises(CheckpointError, match=r"cannot write .*file\.safetensors.*No space left"):
            save_model(tiny_model(seed=1), path)
        assert [file.name for file in tmp_path.iterdir()] == ["file.safetensors"]
        assert_same_model(load_model(path, "cpu"), model)

    def test_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(CheckpointError, match="cannot write"):
            save_model(tiny_model(), tmp_path / "file" / "new.safetensors")

    @pytest.mark.parametrize("text", ["{", "[]", '{"width": 3}', '{"dim": 7}', '{"dim": "x"}', '{"head": "z"}'])
    def test_configuration_that_is_none(self, tmp_path, text):
        save_file(tiny_model().state_dict(), tmp_path / "file.safetensors", {"config": text})
        with pytest.raises(CheckpointError, match=r"file\.safetensors holds no configuration of this version"):
            load_model(tmp_path / "file.safetensors")

    def test_configuration_of_other_tensors(self, tmp_path):
        config = json.dumps(asdict(replace(TINY, audio_depth=2)))
        save_file(tiny_model().state_dict(), tmp_path / "file.safetensors", {"config": config})
        with pytest.raises(
            CheckpointError, match=r"does not fit its configuration.*audio_encoder\.blocks\.1"
        ) as caught:
            load_model(tmp_path / "file.safetensors")
        assert "\n" not in str(caught.value)


class TestNames:
    def test_table(self):
        for name, entry in CHECKPOINTS.items():
            assert entry.name == name
            sizes = SMALL if name == "small" else MINI if name.startswith("mini") else BASE
            assert entry.config == sizes.with_head(entry.config.head)
            assert (entry.config.head == "synchronizability") == (entry.stage == "III")
            for source in entry.sources:
                assert source.url.startswith("https://")
                assert re.fullmatch("[0-9a-f]{7,32}", source.md5)
        assert [name for name, entry in CHECKPOINTS.items() if not entry.sources] == [
            "mini",
            "small",
            "mini-synchronizability",
            "mini-avclip",
        ]
        assert [len(source.md5) for source in CHECKPOINTS["audioset"].sources] == [7, 32]
        places = [place for entry in CHECKPOINTS.values() for place in entry.places(Path())]
        assert len(set(places)) == len(places) == 8

    def test_unknown_names_list_the_known(self):
        with pytest.raises(CheckpointError, match="did you mean vggsound") as caught:
            load_model("vgsound")
        assert all(name in str(caught.value) for name in CHECKPOINTS)
        with pytest.raises(CheckpointError) as caught:
            load_model("zzz")
        assert "did you mean" not in str(caught.value)

    @pytest.mark.parametrize("path", ["missing.pt", "no/such/folder", "~/no-such-file.pth"])
    def test_missing_files(self, path):
        with pytest.raises(CheckpointError, match=r"there is no file .*mini"):
            load_model(path)

    def test_wrong_stage_by_name_downloads_nothing(self, no_network):
        with pytest.raises(CheckpointError, match="avclip-lrs3 is stage I "):
            load_model("avclip-lrs3")
        with pytest.raises(CheckpointError, match="audioset is stage II, not stage I"):
            load_avclip("audioset")

    @pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "mps"])
    def test_unknown_devices(self, device, no_network):
        with pytest.raises(ValueError, match="choose auto, cpu or cuda"):
            load_model("audioset", device)

    def test_devices(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        assert [pick_device(name).type for name in ("auto", "cpu")] == ["cpu", "cpu"]
        with pytest.raises(ValueError, match=r"'cuda' was asked for.*finds 0 CUDA GPUs"):
            pick_device("cuda")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        assert [str(pick_device(name)) for name in ("auto", "cuda", "cuda:0")] == ["cuda", "cuda", "cuda:0"]
        with pytest.raises(ValueError, match="'cuda:1'"):
            pick_device("cuda:1")

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_on_a_gpu(self, tmp_path):
        path = save_model(tiny_model(), tmp_path / "file.safetensors")
        for device in ("auto", "cuda", "cuda:0"):
            model = load_model(path, device)
            assert {value.device.type for value in model.parameters()} == {"cuda"}
            assert_same_model(model.cpu(), tiny_model())

    def test_description_of_published_weights(self, no_network):
        assert describe("lrs3") == "lrs3: stage II, trained on LRS3 (full scene), run 23-12-23T18-33-57"
        assert read_notes("lrs3")["stage"] == "II"


class TestEmbedded:
    def test_offline(self, tmp_path, monkeypatch, no_network):
        path = save_model(tiny_model(), tmp_path / "mini.safetensors", {"seed": "3"})
        monkeypatch.setattr(registry, "embedded_weights", lambda name: path)
        assert_same_model(load_model(), tiny_model())
        assert_same_model(load_model("mini", "cpu"), tiny_model())
        assert describe("mini") == "mini: stage II, trained on generated clips, run embedded, seed 3"

    def test_missing(self, tmp_path, monkeypatch):
        monkeypatch.setattr(registry, "embedded_weights", lambda name: tmp_path / "mini.safetensors")
        with pytest.raises(CheckpointError, match=r"mini\.safetensors are missing; install the package again"):
            load_model("mini")

    def test_the_real_ones(self, no_network):
        assert embedded_weights().stat().st_size <= 10_000_000
        model = load_model("mini", "cpu")
        assert model.config == MINI == CHECKPOINTS["mini"].config
        assert all(value.isfinite().all() for value in model.parameters())
        assert read_notes("mini").keys() > set(registry.TABLE_NOTES)

    def test_the_real_small(self, no_network):
        assert embedded_weights("small").stat().st_size <= 10_000_000
        model = load_model("small", "cpu")
        assert model.config == SMALL == CHECKPOINTS["small"].config
        assert all(value.isfinite().all() for value in model.parameters())
        assert read_metadata(embedded_weights("small"))["data"] == CHECKPOINTS["small"].data
        assert experience("small") == f"small was trained on {CHECKPOINTS['small'].data}."

    def test_the_real_synchronizability(self, no_network):
        assert embedded_weights("mini-synchronizability").stat().st_size <= 10_000_000
        model = load_model("mini-synchronizability", "cpu")
        assert model.config == MINI.with_head("synchronizability") == CHECKPOINTS["mini-synchronizability"].config
        assert_encoders_of_mini(model)
        assert int(read_notes("mini-synchronizability")["synchronizability_steps"]) > 0

    def test_the_real_stage_1(self, no_network):
        assert embedded_weights("mini-avclip").stat().st_size <= 10_000_000
        avclip = load_avclip("mini-avclip", "cpu")
        assert avclip.config == MINI == CHECKPOINTS["mini-avclip"].config
        assert_encoders_of_mini(avclip)
        assert all(value.isfinite().all() for value in avclip.parameters())
        with pytest.raises(CheckpointError, match="stage I"):
            load_model("mini-avclip", "cpu")


def assert_encoders_of_mini(model):
    """The three embedded models share their encoders, to the bit."""
    found = model.state_dict()
    for name, value in load_model("mini", "cpu").state_dict().items():
        if not name.startswith("synchronizer."):
            assert value.equal(found[name]), name


HOSTILE = """
import os, sys, torch
from pathlib import Path
class Evil:
    def __reduce__(self):
        return os.system, (f"touch '{sys.argv[2]}'",)
torch.save({"args": Evil(), "model": {"transformer.OFF_tok": torch.ones(1)}}, sys.argv[1])
"""


def test_loading_a_hostile_file_runs_nothing(tmp_path):
    """The file comes from another process, and `load_model` refuses it for its tensors alone."""
    path, canary = tmp_path / "evil.pt", tmp_path / "canary"
    subprocess.run([sys.executable, "-c", HOSTILE, str(path), str(canary)], check=True)
    with pytest.raises(CheckpointError, match="tensors are missing"):
        load_model(path)
    assert list(read_weights(path).tensors) == ["transformer.OFF_tok"]
    assert not canary.exists()
    torch.load(path, weights_only=False)
    assert canary.exists()


def test_checkpoint_is_frozen():
    with pytest.raises(AttributeError):
        CHECKPOINTS["mini"].name = "other"
    assert isinstance(hash(CHECKPOINTS["mini"]), int)
    assert Checkpoint("x", "II", "", "", BASE, "").places(Path("cache")) == []
