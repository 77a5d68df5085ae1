"""Reading files of weights: the same tensors as PyTorch reads, and nothing of a file ever runs."""

import os
import pickle
import random
import resource
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from synchformer.checkpoints.safe_tensors import ALLOWED, CheckpointError, read_metadata, read_weights
from tests.support.published import LAYOUTS, save_with_settings


def state(**more):
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1.5, -2.0]), **more}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


def rewrite(path, change):
    """Write a torch file anew with `change(name, bytes)` applied to every record, uncompressed as torch does."""
    with zipfile.ZipFile(path) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, change(name.partition("/")[2], content))
    return path


class TestHonestFiles:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_published_layouts(self, tmp_path, layout):
        path = save_with_settings(tmp_path / "file.pt", layout, state())
        with pytest.raises((pickle.UnpicklingError, ModuleNotFoundError)):
            torch.load(path, weights_only=True)  # the settings are what PyTorch refuses
        found = read_weights(path)
        prefix = "module." if layout == "stage I" else ""
        assert_same(found.tensors, {prefix + name: value for name, value in state().items()})
        notes = {"stage II": {"epoch": "7", "loss": "1.25"}, "stage I": {"epoch": "3"}, "plain": {}}
        assert found.metadata == notes[layout]

    def test_agrees_with_pytorch(self, tmp_path):
        """Element types, views into one storage, other strides, scalars, empty tensors and parameters."""
        base = torch.arange(24.0).reshape(4, 6)
        types = (torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.uint8, torch.int16, torch.int32)
        values = {str(kind): torch.tensor([1, 2, 3], dtype=kind) for kind in types}
        values |= {"long": torch.tensor([2**40]), "bool": torch.tensor([True, False]), "scalar": torch.tensor(7.0)}
        values |= {"view": base[1:3, 2:5], "same": base, "turned": base.T, "empty": torch.empty(0, 3)}
        values |= {"parameter": torch.nn.Parameter(torch.ones(3))}
        torch.save(values, tmp_path / "file.pth")
        found = read_weights(tmp_path / "file.pth").tensors
        assert_same(found, torch.load(tmp_path / "file.pth", weights_only=True))
        assert not found["parameter"].requires_grad

    def test_changes_stay_in_memory(self, tmp_path):
        torch.save(state(), tmp_path / "file.pt")
        before = (tmp_path / "file.pt").read_bytes()
        read_weights(tmp_path / "file.pt").tensors["a.weight"].zero_()
        assert (tmp_path / "file.pt").read_bytes() == before
        tensors = read_weights(tmp_path / "file.pt").tensors
        (tmp_path / "file.pt").unlink()
        assert_same(tensors, state())

    @pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from Linux's /proc")
    def test_what_is_not_used_stays_on_disk(self, tmp_path):
        """A file with 160 MB of optimizer state and 40 MB of weights costs next to nothing until weights are used."""
        weights = {"weight": torch.zeros(10_000_000)}
        content = {"model": weights, "optimizer": {"state": {0: {"exp_avg": torch.zeros(40_000_000)}}}}
        torch.save(content, tmp_path / "file.pt")

        def resident():
            return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

        before = resident()
        found = read_weights(tmp_path / "file.pt")
        assert resident() - before < 20
        assert found.tensors["weight"].clone().sum() == 0
        assert resident() - before < 120  # the weights and a copy of them

    def test_safetensors(self, tmp_path):
        save_file(state(), tmp_path / "file.safetensors", {"config": "{}", "stage": "II"})
        found = read_weights(tmp_path / "file.safetensors")
        assert_same(dict(sorted(found.tensors.items())), dict(sorted(state().items())))
        assert found.metadata == read_metadata(tmp_path / "file.safetensors") == {"config": "{}", "stage": "II"}


class Calls:
    """Pickles as a call: what a hostile file asks the reader to run."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Holds:
    """Pickles as a call followed by a state, items and more calls."""

    def __init__(self, inner):
        self.inner = inner

    def __reduce__(self):
        return OrderedDict, (), {"state": self.inner}, None, iter([(self.inner, self.inner)])


class Rebuilt:
    """A tensor with a call among the arguments that rebuild it."""

    def __init__(self, inner):
        self.inner = inner

    def __reduce__(self):
        storage = torch.ones(2)._typed_storage()
        return torch._utils._rebuild_tensor_v2, (storage, 0, (2,), (1,), False, self.inner)


def attack(name, canary):
    """An object that writes the canary when a file that holds it is read carelessly."""
    hub = canary.parent / "hub"
    hub.mkdir()
    (hub / "hubconf.py").write_text(f"def run():\n    open({str(canary)!r}, 'w').close()\n")
    code = f"open({str(canary)!r}, 'w').close()"
    system = Calls(os.system, f"touch '{canary}'")
    return {
        "os.system": system,
        "eval": Calls(eval, code),
        "exec": Calls(exec, code),
        "open": Calls(open, str(canary), "w"),
        "getattr": Calls(Path.touch, canary),
        "own function": Calls(write_canary, str(canary)),
        "subprocess": Calls(subprocess.call, ["touch", str(canary)]),
        "torch.save": Calls(torch.save, 1, str(canary)),
        "torch.hub": Calls(torch.hub._load_local, str(hub), "run"),
        "nested": [{"deep": (1, {"er": [system]})}],
        "in a state": Holds(Calls(write_canary, str(canary))),
        "in a tensor": Rebuilt(system),
    }[name]


ATTACKS = (
    "os.system", "eval", "exec", "open", "getattr", "own function", "subprocess", "torch.save", "torch.hub", "nested",
    "in a state", "in a tensor",
)  # fmt: skip


def write_canary(path):
    Path(path).touch()
    return path


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


class Scripted(torch.nn.Module):
    """Writes the canary from TorchScript, when it is loaded."""

    def __init__(self, canary: str):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.canary = canary

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, str, bool]:
        return (self.weight, self.canary, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]):
        self.weight, self.canary, self.training = state[0], state[1], state[2]
        torch.save(self.weight, self.canary)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def file_with_pickle(path, content):
    """A torch file whose pickle is replaced by `content`."""
    torch.save({"weight": torch.arange(4.0)}, path)
    return rewrite(path, lambda name, old: content if name == "data.pkl" else old)


STORAGE = b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"


class TestHostileFiles:
    @pytest.mark.parametrize("name", ATTACKS)
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_nothing_runs(self, tmp_path, canary, layout, name):
        torch.save(LAYOUTS[layout](state(), attack(name, canary)), tmp_path / "evil.pt")
        found = read_weights(tmp_path / "evil.pt").tensors
        assert not canary.exists()
        assert {name.removeprefix("module.") for name in found} >= set(state())
        torch.load(tmp_path / "evil.pt", weights_only=False)
        assert canary.exists(), "careless reading must run it, or the attack is none"

    @pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
    def test_torchscript_is_not_run(self, tmp_path, canary):
        torch.jit.script(Scripted(str(canary))).save(tmp_path / "evil.pt")
        with pytest.raises(CheckpointError, match="TorchScript"):
            read_weights(tmp_path / "evil.pt")
        assert not canary.exists()
        torch.jit.load(tmp_path / "evil.pt")
        assert canary.exists()

    @pytest.mark.parametrize("protocol", range(6))
    def test_old_files_are_not_run(self, tmp_path, canary, protocol):
        """Files that are a pickle without a zip around it, in every protocol, and PyTorch's own old form."""
        (tmp_path / "evil.pt").write_bytes(pickle.dumps(Calls(os.system, f"touch '{canary}'"), protocol))
        torch.save(state(extra=Calls(os.system, "true")), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
        for name in ("evil.pt", "old.pt"):
            with pytest.raises(CheckpointError, match=r"version 1\.6"):
                read_weights(tmp_path / name)
        assert not canary.exists()

    @pytest.mark.parametrize("protocol", range(6))
    def test_every_protocol_is_inert(self, tmp_path, canary, protocol):
        content = {"a": Calls(os.system, f"touch '{canary}'"), "b": {1, 2}, "c": Calls(getattr, Path, "cwd")}
        with pytest.raises(CheckpointError, match="no tensors"):
            read_weights(file_with_pickle(tmp_path / "evil.pt", pickle.dumps(content, protocol)))
        assert not canary.exists()

    def test_imports_nothing(self, tmp_path):
        for name in ("antigravity", "this"):
            sys.modules.pop(name, None)
        with pytest.raises(CheckpointError):
            read_weights(file_with_pickle(tmp_path / "evil.pt", b"\x80\x02cthis\ns\ncantigravity\ngeohash\n\x86."))
        assert not {"antigravity", "this"} & set(sys.modules)

    @pytest.mark.parametrize("allowed", sorted(ALLOWED))
    @pytest.mark.parametrize("state", [b"}X\x0c\x00\x00\x00__defaults__)s", b"N}X\x05\x00\x00\x00_evilK\x01s\x86"])
    def test_no_allowed_name_can_be_changed(self, tmp_path, allowed, state):
        """A pickle may set attributes of what it names: not of what the next file will be read with."""
        before = {key: str(getattr(value, "__dict__", "")) for key, value in ALLOWED.items()}
        program = b"\x80\x02c%b\n%b\n" % tuple(part.encode() for part in allowed) + state + b"b."
        with pytest.raises(CheckpointError):
            read_weights(file_with_pickle(tmp_path / "evil.pt", program))
        assert {key: str(getattr(value, "__dict__", "")) for key, value in ALLOWED.items()} == before
        assert not any(hasattr(value, "_evil") for value in ALLOWED.values())

    @pytest.mark.parametrize(
        ("size", "stride", "offset"), [(5, 1, 0), (4, 1, 1), (2, 4, 0), (200, 0, 0), (2, -1, 3), (2, 1, -1)]
    )
    def test_tensors_stay_inside_their_storage(self, tmp_path, size, stride, offset):
        def integer(value):
            return b"J" + value.to_bytes(4, "little", signed=True)

        def program(size, stride, offset):
            rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE.removeprefix(b"(")
            shape = integer(size) + b"\x85" + integer(stride) + b"\x85"
            return b"\x80\x02}X\x01\x00\x00\x00w" + rebuild + integer(offset) + shape + b"\x89}tRs."

        whole = read_weights(file_with_pickle(tmp_path / "good.pt", program(4, 1, 0)))
        assert torch.equal(whole.tensors["w"], torch.arange(4.0))
        with pytest.raises(CheckpointError, match="damaged"):
            read_weights(file_with_pickle(tmp_path / "evil.pt", program(size, stride, offset)))

    def test_random_damage_is_a_sentence(self, tmp_path):
        """However a file's pickle is damaged, reading gives tensors or a CheckpointError."""
        torch.save(state(), tmp_path / "file.pt")
        rng = random.Random(0)

        def damage(name, content):
            if name != "data.pkl":
                return content
            content = bytearray(content)
            for _ in range(rng.randint(1, 4)):
                content[rng.randrange(len(content))] = rng.randrange(256)
            return bytes(content[: rng.randint(len(content) // 2, len(content) * 2)])

        refused = 0
        for _ in range(300):
            (tmp_path / "bad.pt").write_bytes((tmp_path / "file.pt").read_bytes())
            try:
                read_weights(rewrite(tmp_path / "bad.pt", damage))
            except CheckpointError as error:
                refused += 1
                assert str(tmp_path / "bad.pt") in str(error)
        assert 150 < refused <= 300


class TestRefusals:
    """Every refusal names the file and is one sentence."""

    def refusal(self, path):
        with pytest.raises(CheckpointError) as caught:
            read_weights(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_missing_and_empty(self, tmp_path):
        assert "there is no file" in self.refusal(tmp_path / "none.pt")
        assert "there is no file" in self.refusal(tmp_path)
        (tmp_path / "empty.pt").touch()
        assert "whole PyTorch file" in self.refusal(tmp_path / "empty.pt")

    def test_cut_short(self, tmp_path):
        torch.save(state(), tmp_path / "file.pt")
        save_file(state(), tmp_path / "file.safetensors")
        for path in (tmp_path / "file.pt", tmp_path / "file.safetensors"):
            path.write_bytes(path.read_bytes()[:-20])
            self.refusal(path)

    def test_other_zip_files(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
            archive.writestr("readme.txt", "hello")
        assert "not one that torch.save wrote" in self.refusal(tmp_path / "other.pt")

    def test_compressed_records(self, tmp_path):
        torch.save(state(), tmp_path / "file.pt")
        with zipfile.ZipFile(tmp_path / "file.pt") as old, zipfile.ZipFile(tmp_path / "new.pt", "w", 8) as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
        assert "compressed" in self.refusal(tmp_path / "new.pt")

    def test_big_endian(self, tmp_path):
        torch.save(state(), tmp_path / "file.pt")
        rewrite(tmp_path / "file.pt", lambda name, old: b"big" if name == "byteorder" else old)
        assert "big-endian" in self.refusal(tmp_path / "file.pt")

    @pytest.mark.parametrize("content", [[torch.ones(2)], 3, {}, {"model": {"a": 1}}, {"epoch": 10**5000}])
    def test_no_tensors(self, tmp_path, content):
        torch.save(content, tmp_path / "file.pt")
        self.refusal(tmp_path / "file.pt")
